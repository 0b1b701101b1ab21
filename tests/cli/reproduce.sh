#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `tlbstorm reproduce` with a tiny published table: a turn of a loop, 60 cycles at 1 GHz, so 60 ns.
. "$(dirname "$0")/lib.bash"
export TLBSTORM_CONFIGS=$tmp/configs
mkdir -p configs/experiments configs/reproduce
cat >configs/experiments/tiny.yaml <<'EOE'
schema: 1
name: tiny
workload: {kind: ipi_bench, iterations: 10}
machine:
  topology: {sockets: 1, cores_per_socket: 2, threads_per_core: 1, core_hz: 1GHz}
mechanisms: [native_sequential]
repetitions: 2
sweep: {workload.mode: [dry, normal]}
set: {run.vcpus: 2, guest.call_loop: 60cycles}
EOE
printf '# from nowhere\nmode,ns_of_100\ndry,5000\n' >configs/reproduce/T1.csv
cat >configs/reproduce/T1.yaml <<'EOE'
schema: 1
title: a tiny reproduction
source: nowhere
published: T1.csv
experiments: {tiny: tiny}
rows:
  dry:
    role: calibrate
    unit: ns
    published: {row: {mode: dry}, column: ns_of_100, unit: ns, per: 100}
    simulated: {sweep: {workload.mode: dry}, stat: guest.call_total_ps.sum, per: guest.calls}
    tolerance: 25%
  "dry, cycles":
    role: predict
    unit: cycles
    simulated: {sweep: {workload.mode: dry}, stat: guest.call_total_ps.max}
  "dry over itself":
    role: predict
    unit: "%"
    simulated: {sweep: {workload.mode: dry}, stat: guest.calls}
    over: {stat: guest.call_total_ps.count}
EOE

run 0 reproduce T1 --check
for line in '^T1: a tiny reproduction$' '^  row +role +unit +published +simulated +error$' \
    '^  dry +calibrate +ns +50 +60 ±0 +20.0 %$' '^  dry, cycles +predict +cycles +- +60 ±0 +-$' \
    '^  dry over itself +predict +% +- +100 ±0 +-$' '^Published: nowhere$' \
    '^Results: out/reproduce/T1$'; do
    grep -qE "$line" out.txt || fail "no line $line in: $(cat out.txt)"
done
printf '%s\n' 'experiment,row,role,unit,published,simulated,ci95,n,error_pct,tolerance_pct' \
    'T1,dry,calibrate,ns,50,60,0,2,20,25' 'T1,"dry, cycles",predict,cycles,,60,0,2,,' \
    'T1,dry over itself,predict,%,,100,0,2,,' >want.csv
diff want.csv out/reproduce/T1/reproduce.csv >diff.txt || fail "reproduce.csv: $(cat diff.txt)"
# Only the points that a row names have been run.
point=out/reproduce/T1/tiny/default/native_sequential/workload.mode=dry/seed=2
[ -s "$point/stats.csv" ] && [ -s "$point/config.resolved.yaml" ] || fail "no $point"
[ -s out/reproduce/T1/tiny/summary.csv ] || fail "no summary.csv"
[ ! -e "${point/=dry/=normal}" ] || fail "a point was run that no row names"

# What there is already, jobs, and settings.
run 2 reproduce T1
one_line '^out/reproduce/T1 exists and is not empty; --force replaces it'
run 0 reproduce T1 -q --force --jobs 2
grep -q '^Results' out.txt && fail "--quiet is not quiet"
run 0 reproduce configs/reproduce/T1.yaml -o by-path
same_results out/reproduce/T1 by-path/T1
run 4 reproduce T1 -q --force --check --set guest.call_loop=64cycles
one_line '^1 row is outside of the tolerance$'
grep -qE '^  dry +calibrate +ns +50 +64 ±0 +28.0 %, not within 25 %$' out.txt || fail "$(cat out.txt)"
[ -s out/reproduce/T1/reproduce.csv ] || fail "a row outside of its tolerance must leave results"
run 0 reproduce T1 --force --set guest.call_loop=64cycles

# All. What the repository itself has published would take minutes: here these ids are T1, too.
for file in "$configs"/reproduce/*.yaml; do
    cp configs/reproduce/T1.yaml "configs/reproduce/$(basename "$file")"
done
sed 's/tiny reproduction/second one/' configs/reproduce/T1.yaml >configs/reproduce/T2.yaml
run 0 reproduce all -o both
grep -q '^T1: ' out.txt && grep -q '^T2: a second one' out.txt || fail "all: $(cat out.txt)"
[ -s both/T1/reproduce.csv ] && [ -s both/T2/reproduce.csv ] || fail "all: $(ls both)"
run 0 list reproduce
grep -qE '^T1 +a tiny reproduction$' out.txt || fail "list reproduce: $(cat out.txt)"

# Wrong input: nothing runs, nothing is written.
run 2 reproduce T11
one_line "^nothing published under 'T11' \(did you mean 'T1'\?\); there are (E[0-9]+[a-z]?(-[a-z]+)?, )*T1, T2 and all$"
run 2 reproduce nothing.yaml
one_line 'no such file: nothing.yaml'
run 2 reproduce
one_line 'ID is required'
run 2 reproduce T1 -o new --set guest.call_loop=fast
one_line '^--set guest.call_loop: '

# bad EXPRESSION SED-SCRIPT: T1, changed, is refused with a matching line.
bad() {
    sed -E "$2" configs/reproduce/T1.yaml >configs/reproduce/T3.yaml
    run 2 reproduce T3 -o new
    one_line "$1"
    [ ! -e new ] || fail "something was written for: $2"
    run 2 reproduce all -o new # before the others run
    [ ! -e new ] || fail "something was written by all for: $2"
}
at='^[^ ]*configs/reproduce/T3.yaml'
bad "$at:10:43: [^ ]*T1.csv has no column 'ns_of_10' \(did you mean 'ns_of_100'\?\)" 's/ns_of_100,/ns_of_10,/'
bad "$at:10:43: [^ ]*T1.csv has no row with mode=wet" 's/mode: dry\}, column/mode: wet}, column/'
bad "$at:4:12: no such file: T9.csv" 's/^published: .*/published: T9.csv/'
bad "$at:5:21: no experiment 'tina' \(did you mean 'tiny'\?\)" 's/tiny: tiny/tiny: tina/'
bad "$at:11:16: no point of [^ ]*tiny.yaml is of any platform, workload.mode=self" '11s/mode: dry/mode: self/'
bad "$at:11:16: more than one point of [^ ]*tiny.yaml is of any platform" '11s/sweep: [^}]*\}, //'
bad "$at:11:38: workload.mode: 'drx'|$at:11:16: workload.mode: 'drx'" '11s/mode: dry/mode: drx/'
bad "$at:8:11: unknown role 'guess'" '8s/calibrate/guess/'
rm configs/reproduce/T3.yaml

# A statistic that is not there shows only after the runs; nothing is kept.
sed 's/call_total_ps.max/call_total_ps.mux/' configs/reproduce/T1.yaml >configs/reproduce/T3.yaml
run 2 reproduce T3 -q -o new
one_line "T3.yaml:16:16: the run has no statistic 'guest.call_total_ps.mux' \(did you mean 'guest.call_total_ps.max'\?\)"
[ ! -e new/T3 ] || fail "an unfinished reproduction was kept"

# What the repository brings is in order: every experiment and table of it is there.
export TLBSTORM_CONFIGS=$configs
for file in "$configs"/reproduce/*.yaml; do
    id=$(basename "$file" .yaml)
    table=$(sed -n 's/^published: *//p' "$file")
    head -1 "$configs/reproduce/$table" | grep -q '^# ' || fail "$table does not say where it comes from"
    run 2 reproduce "$id" --set platforms=no-such-platform
    one_line "no platform 'no-such-platform'"
done
finish
