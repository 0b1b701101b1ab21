#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew, and configs/sensitivity.csv, which `tlbstorm explain` reads: seven minutes.
# usage: results/sensitivity/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

for study in storm range ebizzy; do
    for seed in 1 2 3; do
        run "sensitivity-$study" "$out/$study/seed=$seed" --seed "$seed" --sensitivity
    done
done
draw plot_tornado.py "$out" --summary "$here/sensitivity.csv" --kept configs/sensitivity.csv \
    --result "storm=mmap storm, four VMs of 12 vCPUs on 12 x86 CPUs" \
    --result "range=mmap storm on 8 arm64 cores, range TLBI" \
    --result "ebizzy=ebizzy, three VMs of 8 vCPUs on 8 x86 CPUs"
scripts/result-tables
