#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A sweep of TS_POINTS (10,000) small points keeps the CPUs more than 95 % busy, and collecting them
# takes less than 10 s. For a machine that does nothing else.
set -euo pipefail

export TLBSTORM_CONFIGS=$TS_SOURCE_DIR/configs
points=${TS_POINTS:-10000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >busy.py <<'PYTHON'
import os
import resource
import subprocess
import sys
import time

begin = time.monotonic()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
wall = time.monotonic() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpus = len(os.sched_getaffinity(0))
print(code, f"{wall:.1f}", round(100 * (used.ru_utime + used.ru_stime) / wall / cpus))
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
[ "$busy" -gt 95 ] || { echo "the CPUs are idle too much"; exit 1; }
