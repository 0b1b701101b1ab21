#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: five minutes. usage: results/mmapstorm-thp/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

run mmapstorm-thp "$out"
cp "$out/summary.csv" "$out/critical_path.csv" "$here/"
draw plot_sweep.py "$out" --name mmapstorm_thp --x run.vms --metric completion_time --unit ms \
    --panel guest.thp --log-y --linear-x --label completion --x-label guests \
    --title "Recorded mmap storm: base pages, huge pages"
scripts/result-tables
