#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: hours. usage: results/overcommit/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

reproduce E5 e5.csv
reproduce E5-four e5-four.csv
cp "$out"/reproduce/E5/e5/{summary,critical_path}.csv "$here/"
draw plot_sweep.py "$out/reproduce/E5/e5" --name record_rate --x run.vms --metric record_rate --linear-x \
    --published configs/reproduce/E5.csv --published-x vms --published-line native_sequential=vanilla \
    --published-line kvm_pv=optimized
scripts/result-tables
