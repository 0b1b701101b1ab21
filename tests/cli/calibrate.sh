#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# calibrate and validate on whatever machine this is: what they write, not the numbers, which another
# program may disturb. Bounds are those that no machine of today leaves.
. "$(dirname "$0")/lib.bash"
export TLBSTORM_CONFIGS=$configs

run 0 calibrate --time 5s -o my.yaml
grep -q 'parameters measured here' out.txt || fail "no summary: $(cat out.txt)"
grep -q '^ *topology ' out.txt || fail "no table"
[ -f my.yaml ] || fail "no file"
[ -z "$(find . -name '*.tmp*' -o -name '*.partial*')" ] || fail "a temporary file stays"
"$TS_PYTHON" - my.yaml >verdict.txt <<'PYTHON' || fail "$(cat verdict.txt)"
import re
import sys

text = open(sys.argv[1], encoding="utf-8").read()
group, rows = "", {}
for line in text.splitlines():
    if re.match(r"\w+:$", line):
        group = line[:-1]
    row = re.match(r"  ([\w.]+): \{value: \"?([\w.]+)\"?, source: \"(.*)\", confidence: (\w+)\}$", line)
    if row:
        rows[f"{group}.{row[1]}"] = row.groups()[1:]
bad = []
for key, (value, source, confidence) in rows.items():
    if confidence == "measured" and not source.startswith("measured here: "):
        bad.append(f"{key}: measured, and its source is {source}")
    if source.startswith("measured here") and confidence != "measured":
        bad.append(f"{key}: {confidence}, and its source is {source}")
# Nothing keeps a machine from telling these.
for key, low, high in (("topology.core_hz", 100, 20000), ("topology.sockets", 1, 16),
                       ("guest.syscall", 20, 100000), ("guest.zap_page", 1, 100000)):
    if key not in rows or rows[key][2] != "measured":
        bad.append(f"{key} is not measured")
    elif not low <= float(re.match(r"[\d.]+", rows[key][0])[0]) <= high:
        bad.append(f"{key} is {rows[key][0]}")
if not re.search(r"IQR [\d.]+ ?\w* to [\d.]+", text):
    bad.append("no interval")
print("; ".join(bad))
sys.exit(bool(bad))
PYTHON

# An experiment takes it like any machine, and counts what is measured as not assumed.
below=none
mechanism=native_concurrent
[ -f my-hypervisor.yaml ] && below=my-hypervisor.yaml
arch=$(sed -n 's/^  arch: {value: \([a-z0-9]*\),.*/\1/p' my.yaml)
[ "$arch" = arm64 ] && mechanism=tlbi_broadcast
cat >storm.yaml <<YAML
schema: 1
name: storm
workload: {kind: mmap_storm, threads: 2, rounds: 2, pages: 64, touch_pages: 4}
machine: my.yaml
hypervisor: $below
guest: linux-6.12-$arch
mechanisms: [$mechanism]
YAML
run 0 run storm.yaml -o out
resolved=$(find out -name config.resolved.yaml | head -1)
grep -q 'core_hz: {value: .*measured here.*confidence: measured} # measured$' "$resolved" ||
    fail "the resolved configuration does not say what is measured"
assumed() { sed -n 's/^  [^ ]*: \([0-9]*\) of [0-9]*, marked in .*/\1/p' out.txt; }
before=$(assumed)
sed 's/confidence: measured}/confidence: guess}/' my.yaml >guess.yaml
sed 's/my.yaml/guess.yaml/' storm.yaml >guessed.yaml
run 0 run guessed.yaml -o out-guessed
after=$(assumed)
[ -n "$before" ] && [ "$after" -gt "$before" ] || fail "assumed: $before, and $after of guesses"

run 0 validate my.yaml --time 5s -o valid
for file in validation.csv verdict.txt; do
    [ -s "valid/$file" ] || fail "no $file"
done
grep -q '^"mprotect pair, 8 pages",held_out,ns,[0-9]*,[0-9]*,[0-9]*,[0-9]*,[0-9]*,' valid/validation.csv ||
    fail "validation.csv: $(cat valid/validation.csv)"
grep -q 'mmap storm, 65 threads: CPU time",held_out' valid/validation.csv || fail "no storm"
grep -q 'never saw' valid/verdict.txt || fail "verdict.txt: $(cat valid/verdict.txt)"
# What a value was derived from, the simulator gives back, but for the noise between two measurements.
awk -F, '/^"mmap, 1 page",used/ {found = $9 > $5 / 20 && $9 < $5 * 20} END {exit !found}' \
    valid/validation.csv || fail "mmap, 1 page: $(grep '^"mmap' valid/validation.csv)"

# One CPU: what needs two is left out, with a line that says so.
one=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
taskset -c "$one" "$TLBSTORM" calibrate --time 5s -o one.yaml >out.txt 2>err.txt ||
    fail "one CPU: $(cat err.txt)"
grep -q '^left out: .*there is one CPU only' out.txt || fail "one CPU is not said: $(cat out.txt)"
if [ "$(nproc --all)" -gt 1 ]; then
    grep -q '^note: 1 of [0-9]* CPUs may be used' out.txt || fail "affinity is not said"
fi

# Bad input: one line, exit code 2, and nothing is written.
run 2 calibrate --time 0 -o x.yaml
one_line '--time 0'
run 2 calibrate --time 1s -o x.yaml
one_line '--time 1s.*5s'
run 2 calibrate --time soon -o x.yaml
one_line '--time soon'
run 2 calibrate -o x.txt
one_line "must end in .yaml"
run 2 calibrate -o my.yaml
one_line 'my.yaml is there already: --force'
run 2 calibrate -o nowhere/x.yaml
one_line 'no such folder: nowhere'
run 2 calibrate --base milan-1s-72 -o x.yaml
one_line "no machine 'milan-1s-72' \(did you mean 'milan-1s-72t'"
[ ! -e x.yaml ] || fail "a refused command writes"
run 2 validate there-is-none.yaml
one_line 'no such file: there-is-none.yaml'
run 2 validate my.yaml --time 0
one_line '--time 0'
run 2 validate my.yaml -o valid --time 5s
one_line 'valid'
sed 's/core_hz: {value: [^,]*/core_hz: {value: fast/' my.yaml >wrong.yaml
run 2 validate wrong.yaml -o x
one_line 'wrong.yaml:[0-9]+:[0-9]+: .*fast'

run 0 completion bash
grep -q 'calibrate' out.txt && grep -q 'validate' out.txt || fail "completion does not know the commands"
finish
