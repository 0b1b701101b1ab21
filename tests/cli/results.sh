#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Equal input gives equal bytes, whatever the number of jobs; a resolved configuration repeats its
# run alone.
. "$(dirname "$0")/lib.bash"

run 0 run "$smoke" -q -o a --timeline
for mechanism in native_sequential native_concurrent; do
    grep -q "$mechanism" out.txt || fail "the table does not name $mechanism"
done
[ ! -s err.txt ] || fail "-q and words on standard error: $(cat err.txt)"
run 0 run "$smoke" -q -o b --timeline --jobs 2
same_results a b
run 0 run "$smoke" -o c --timeline
same_results a c
grep -q '4 of 4 runs, 100 %' err.txt || fail "no progress: $(cat err.txt)"
grep -q 'Assumed parameters' out.txt || fail "nothing is said of assumed parameters"
[ ! -e a.partial ] || fail "a.partial was left"

point=a/default/native_concurrent/seed=2
for file in config.resolved.yaml stats.json stats.csv flushes.csv.zst histograms.csv \
    timeline.json.gz run.json; do
    [ -s "$point/$file" ] || fail "no $point/$file"
done
head -1 a/summary.csv | grep -qx 'mechanism,platform,metric,unit,mean,ci95,n' ||
    fail "columns of summary.csv: $(head -1 a/summary.csv)"
head -1 a/critical_path.csv | grep -qx 'mechanism,platform,part,unit,mean,share,shootdowns' ||
    fail "columns of critical_path.csv: $(head -1 a/critical_path.csv)"
for metric in completion_time mean_completion_time user_time system_time effective_overcommit shootdowns ipis vm_exits \
    shootdown_p50 shootdown_p99 shootdown_max shootdown_mean munmap_mean page_touches records record_rate events \
    speedup; do
    [ "$(grep -c ",$metric," a/summary.csv)" -eq 2 ] || fail "$metric in summary.csv"
done
grep -qx 'native_sequential,default,speedup,ratio,1,0,2' a/summary.csv || fail "baseline's speedup"

# JSON that others read, and parts of each critical path that add up to its total.
"${TS_PYTHON:-python3}" - "$point" <<'EOP' || fail "the files do not hold together"
import csv, gzip, json, subprocess, sys
folder = sys.argv[1]
stats = json.load(open(folder + "/stats.json"))
trace = json.load(gzip.open(folder + "/timeline.json.gz"))["traceEvents"]
depth = {}
for event in trace:
    if event["ph"] in "BE":
        track = (event["pid"], event["tid"])
        depth[track] = depth.get(track, 0) + (1 if event["ph"] == "B" else -1)
        assert depth[track] >= 0, track
assert depth and not any(depth.values()), depth
assert {e["args"]["name"] for e in trace if e.get("name") == "process_name"} >= {"host", "guest 0"}
result = stats["groups"]["result"]
rows = {(r["group"], r["name"]): int(r["value"]) for r in csv.DictReader(open(folder + "/stats.csv"))}
assert rows[("result", "completion_time")] == result["completion_time"]["value"] > 0
flushes = subprocess.run(["zstd", "-dc", folder + "/flushes.csv.zst"], capture_output=True,
                         text=True).stdout.splitlines()
flushes = list(csv.DictReader(flushes))
assert len(flushes) == result["shootdowns"]["value"] > 0
for row in flushes:
    parts = [int(v) for k, v in row.items() if k.endswith("_ps") and k not in ("started_ps", "total_ps")]
    assert sum(parts) == int(row["total_ps"]), row
EOP

# The resolved configuration.
cp "$point/config.resolved.yaml" one.yaml
run 0 run one.yaml -q -o one
for file in stats.json stats.csv flushes.csv.zst histograms.csv config.resolved.yaml; do
    cmp -s "one/default/native_concurrent/seed=2/$file" "$point/$file" ||
        fail "$file of the repeated run differs"
done

# Another seed is another run; the command line wins over the file.
run 0 run "$smoke" -q -o d --seed 2 --set repetitions=1 --set mechanisms=native_concurrent
cmp -s d/default/native_concurrent/seed=2/stats.json "$point/stats.json" || fail "seed 2 is not seed 2"
cmp -s a/default/native_concurrent/seed=1/stats.json "$point/stats.json" &&
    fail "the seed changes nothing"
run 0 run "$smoke" -q -o s --set repetitions=1 --set run.vms=1,2 --set workload.touch_pages=8
[ -d s/default/native_sequential/run.vms=2/seed=1 ] || fail "no swept folder: $(ls -R s | head)"
head -1 s/summary.csv | grep -qx 'mechanism,platform,run.vms,metric,unit,mean,ci95,n' ||
    fail "columns of a sweep: $(head -1 s/summary.csv)"
grep -q 'touch_pages: {value: 8' s/default/native_sequential/run.vms=2/seed=1/config.resolved.yaml ||
    fail "--set did not win"

# The oracle judges and finds nothing.
run 0 run "$smoke" -q -o oracle --check
grep -q '^ *oracle: {value: true' oracle/default/native_sequential/seed=1/config.resolved.yaml ||
    fail "--check is not in the resolved configuration"

# A run in which nothing could happen says why, and what of the recording was not replayed.
cat >silent.yaml <<'EOE'
schema: 1
name: silent
workload: {kind: strace, file: workloads/traces/mmapstorm.strace.zst, touch_pages: 0, think: none}
machine: x86-1s-12t
hypervisor: kvm-6.12
guest: linux-6.12-x86
mechanisms: [native_concurrent]
set: {run.vcpus: 4}
EOE
TLBSTORM_CONFIGS=$configs run 0 run silent.yaml -q -o silent
grep -q '^warning: 1 of 1 runs had no TLB shootdown.*nothing is touched.*workload.touch_pages is 0.*workload.think is none' err.txt ||
    fail "no warning of a run without shootdowns: $(cat err.txt)"
[ "$(grep -c 'no TLB shootdown' err.txt)" -eq 1 ] || fail "more than one warning: $(cat err.txt)"
grep -q '^warning: workloads/traces/.*: .*2 calls on memory that was not seen mapped' err.txt ||
    fail "calls that were dropped are not told: $(cat err.txt)"
TLBSTORM_CONFIGS=$configs run 0 run silent.yaml -o touched --set workload.touch_pages=16
grep -q 'no TLB shootdown' err.txt && fail "a warning with shootdowns: $(cat err.txt)"
grep -q '^Recording: .*2 calls on memory that was not seen mapped' out.txt || fail "notes: $(cat out.txt)"
run 0 run "$smoke" -q -o one_cpu --set topology.cores_per_socket=1 --set run.vcpus=1
grep -q '^warning: 4 of 4 runs had no TLB shootdown.*: the operating system has one CPU' err.txt ||
    fail "no warning of one CPU: $(cat err.txt)"

# A mechanism that is known to be wrong is warned of, once, before anything runs.
run 0 run "$smoke" --dry-run --set mechanisms=free_flush,hyperv_2017
[ "$(grep -c '^warning: mechanism hyperv_2017 .* faults: .*run.oracle' err.txt)" -eq 1 ] ||
    fail "no warning of faults: $(cat err.txt)"
run 0 run "$smoke" --dry-run --set mechanisms=free_flush,hyperv
grep -q warning err.txt && fail "a warning of nothing: $(cat err.txt)"

# What a run finds ends with 4, says where, and how to see it again.
run 4 run "$smoke" -q -o found --set run.limit=1us
grep -q '^default/native_sequential/seed=1: ' err.txt || fail "no place: $(cat err.txt)"
line=$(sed -n 's/^reproduce: tlbstorm //p' err.txt)
[ -n "$line" ] || fail "no reproduction: $(cat err.txt)"
[ ! -e found ] && [ ! -e found.partial ] || fail "a failed run left a folder"
eval "run 4 $line -q -o found"
finish
