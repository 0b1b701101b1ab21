#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: half a minute. usage: results/hyperv-masks/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

run hyperv-masks "$out"
cp "$out/summary.csv" "$here/"
draw plot_sweep.py "$out" --name hyperv_masks --x platform --metric shootdown_mean \
    --panel hypervisor.hv_ex_masks --log-y --x-label "vCPUs, half of them flushed" --label flush \
    --title "munmap of a page on half of a VM's CPUs"
scripts/result-tables
