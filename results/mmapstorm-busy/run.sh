#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: ten minutes. usage: results/mmapstorm-busy/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

run mmapstorm-busy "$out"
cp "$out/summary.csv" "$out/critical_path.csv" "$here/"
draw plot_overcommit.py "$out"
draw plot_path.py "$out"
scripts/result-tables
