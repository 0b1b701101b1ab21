#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Core-to-core latencies of the machine files against what was read in publications. One figure of
# the network or of the cores is fitted for a machine, none for a row.
. "$(dirname "$0")/lib.bash"

experiment="$TS_SOURCE_DIR/configs/experiments/line-transfer.yaml"
run 0 run "$experiment" -o out --set repetitions=2
[ -n "$(sed -n '/^line_sharing,/p' out/summary.csv | head -1)" ] || fail "no results"
# 3: no matplotlib; the table is written before the figure.
"$TS_PYTHON" "$TS_SOURCE_DIR/scripts/plot_line.py" out > plot.txt 2>&1 || [ $? = 3 ] ||
    fail "plot_line.py: $(cat plot.txt)"
"$TS_PYTHON" - out/published.csv > verdict.txt <<'PYTHON' || fail "$(cat verdict.txt)"
import csv
import sys

LIMIT = {"verbatim": 5.0, "remembered": 10.0} # percent beyond the published figure or range
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
bad = [f"{row['machine']} {row['metric']}: {row['model_ns']} ns, {row['error_percent']} % off"
       for row in rows if abs(float(row["error_percent"])) > LIMIT[row["confidence"]]]
if sum(row["confidence"] == "verbatim" for row in rows) < 5:
    bad.append("rows are missing")
print("; ".join(bad))
sys.exit(bool(bad))
PYTHON
finish
