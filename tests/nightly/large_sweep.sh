#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A sweep of TS_POINTS (10,000) small points keeps the CPUs at least 95 % busy, and collecting them
# takes less than 10 s. For a machine that does nothing else: /proc/stat counts everybody.
set -euo pipefail

export TLBSTORM_CONFIGS=$TS_SOURCE_DIR/configs
points=${TS_POINTS:-10000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >busy.py <<'PYTHON'
import subprocess
import sys
import time


def ticks():
    """Of all CPUs: idle, and all. What a host below takes away (steal) is not idle."""
    with open("/proc/stat", encoding="utf-8") as file:
        fields = [int(word) for word in file.readline().split()[1:9]]
    return fields[3] + fields[4], sum(fields)


begin, (idle, all_) = time.monotonic(), ticks()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
wall, (idle_then, all_then) = time.monotonic() - begin, ticks()
print(code, f"{wall:.1f}", f"{100 - 100 * (idle_then - idle) / (all_then - all_):.1f}")
PYTHON

# Two mechanisms, one and two VMs.
read -r code wall busy < <("${TS_PYTHON:-/usr/bin/python3}" busy.py "$TLBSTORM" sweep \
    "$TS_SOURCE_DIR/configs/experiments/smoke.yaml" -q -o out --set "repetitions=$((points / 4))" --set run.vms=1,2)
[ "$code" = 0 ] || { echo "sweep: exit code $code"; exit 1; }
there=$(find out -name result.json | wc -l)
echo "$there points in $wall s, the CPUs $busy % busy"
[ "$there" -eq "$points" ] || { echo "not $points points"; exit 1; }
rm -f out/results.sqlite out/summary.csv
read -r code took _ < <("${TS_PYTHON:-/usr/bin/python3}" busy.py "$TLBSTORM" collect out)
echo "collected in $took s"
[ "$code" = 0 ] && [ -s out/results.sqlite ] && [ -s out/summary.csv ] || { echo "collect: exit code $code"; exit 1; }
[ "${took%.*}" -lt 10 ] || { echo "collecting takes too long"; exit 1; }
[ "${busy%.*}" -ge 95 ] || { echo "the CPUs are idle too much"; exit 1; }
