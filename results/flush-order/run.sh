#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: a minute. usage: results/flush-order/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

run flush-order "$out"
cp "$out/summary.csv" "$here/"
for sockets in one_socket two_sockets; do
    draw plot_sweep.py "$out" --name flush_order_$sockets --keep platform=$sockets \
        --x workload.touchers --metric shootdown_mean --panel workload.pages --over native_sequential \
        --x-label "other CPUs" --label "latency of a flush" \
        --title "Flush of 1, 8, 33 pages, 128 cores, ${sockets/_/ }"
done
scripts/result-tables
