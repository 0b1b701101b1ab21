#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: half a minute. usage: results/flush-ceiling/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

run flush-ceiling "$out"
cp "$out/summary.csv" "$here/"
draw plot_sweep.py "$out" --name flush_ceiling --x workload.drop_pages --metric mean_completion_time \
    --series guest.flush_ceiling --over 1000 --panel platform --x-label "pages dropped a round" \
    --label "time with whole flushes" \
    --title "A flush of everything over page by page, refill of 1,024 pages included"
scripts/result-tables
