#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs for a time: the rate in summary.csv, what the speedup is then, and that it repeats.
. "$(dirname "$0")/lib.bash"
export TLBSTORM_CONFIGS=$configs

cat >e.yaml <<'EOE'
schema: 1
name: t
workload: {kind: ebizzy, threads: 4, stagger: 1ms}
machine: x86-2s-64t
hypervisor: kvm-6.12
guest: linux-6.12-x86
mechanisms: [native_concurrent, free_flush]
baseline: native_concurrent
repetitions: 2
set: {run.vcpus: 4, run.warmup: 4ms, run.window: 10ms}
EOE
run 0 run e.yaml -o a --jobs 1
grep -q '^  mechanism  *records a VM  *system' out.txt || fail "no rates in the table: $(cat out.txt)"
run 0 run e.yaml -o b --jobs 2
same_results a b
[ "$(grep -c ',record_rate,1/s,' a/summary.csv)" -eq 2 ] || fail "record_rate in summary.csv"
grep -qx 'native_concurrent,x86-2s-64t,speedup,ratio,1,0,2' a/summary.csv || fail "baseline's speedup"
"${TS_PYTHON:-python3}" - a <<'EOP' || fail "rates do not hold together"
import csv, glob, sys
folder = sys.argv[1]
rate = {}
for path in glob.glob(folder + "/*/*/seed=*/stats.csv"):
    mechanism, seed = path.split("/")[2], path.split("/")[3]
    rows = {(r["group"], r["name"]): int(r["value"]) for r in csv.DictReader(open(path))}
    records = rows[("result", "records")]
    assert records == rows[("guest", "records")] > 0
    assert rows[("result", "record_rate")] == records * 10**8, rows[("result", "record_rate")]
    rate[mechanism, seed] = records * 100
means = {(r["mechanism"], r["metric"]): float(r["mean"])
         for r in csv.DictReader(open(folder + "/summary.csv"))}
for mechanism in ("native_concurrent", "free_flush"):
    mine = [v for k, v in sorted(rate.items()) if k[0] == mechanism]
    base = [v for k, v in sorted(rate.items()) if k[0] == "native_concurrent"]
    assert len(mine) == 2
    assert abs(means[mechanism, "record_rate"] - sum(mine) / 2) < 1e-6
    want = sum(m / b for m, b in zip(mine, base)) / 2
    assert abs(means[mechanism, "speedup"] - want) < 1e-6 * want, (means[mechanism, "speedup"], want)
assert means["free_flush", "speedup"] > 1
EOP
finish
