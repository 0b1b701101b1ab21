#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: five minutes. usage: results/update-gen/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

run update-gen "$out"
cp "$out/summary.csv" "$here/"
draw plot_sweep.py "$out" --name update_gen --x platform --metric completion_time --unit ms \
    --panel workload.think --label completion --x-label "host, and what is written" \
    --title "Recorded storm, four guests"
scripts/result-tables
