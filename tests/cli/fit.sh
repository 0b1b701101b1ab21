#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `tlbstorm fit`: rows that the simulator itself has made with known costs give these costs back from
# a distant start; bounds hold and are named; wrong input is refused.
. "$(dirname "$0")/lib.bash"
export TLBSTORM_CONFIGS=$tmp/configs
mkdir -p configs/experiments configs/reproduce configs/fits
cp -r "$TS_SOURCE_DIR"/configs/{hypervisors,guests} configs/
cat >configs/experiments/tiny.yaml <<'EOE'
schema: 1
name: tiny
workload: {kind: ipi_bench, iterations: 10}
machine:
  topology: {sockets: 1, cores_per_socket: 6, threads_per_core: 1, core_hz: 2GHz}
hypervisor: kvm-4.19
guest: linux-4.18-x86
mechanisms: [native_sequential]
repetitions: 1
sweep:
  workload.mode: [self, normal, broadcast]
  interrupt.guest_mode: [x2apic_cluster, x2apic_phys]
set: {run.vcpus: 6, hypervisor.pin: true}
EOE

# reproduction ID: what the rows are; ID.csv has what is published.
reproduction() {
    printf '%s\n' 'schema: 1' 'title: made up' 'source: the simulator' "published: $1.csv" \
        'experiments: {tiny: tiny}' 'rows:'
    for row in 'self x2apic_cluster' 'normal x2apic_cluster' 'broadcast x2apic_cluster' \
        'broadcast x2apic_phys'; do
        set -- $row
        printf '%s\n' "  $1 $2:" '    role: calibrate' '    unit: ns' \
            "    published: {row: {row: $1 $2}, column: ns, unit: ns}" \
            "    simulated: {sweep: {workload.mode: $1, interrupt.guest_mode: $2}, stat: guest.call_total_ps.sum, per: guest.calls}"
    done
    printf '%s\n' '  unpublished:' '    role: predict' '    unit: ns' \
        '    simulated: {sweep: {workload.mode: normal, interrupt.guest_mode: x2apic_phys}, stat: guest.call_total_ps.sum, per: guest.calls}'
}
reproduction T1 >configs/reproduce/T1.yaml
printf '%s\n' '# made up' 'row,ns' 'self x2apic_cluster,1' 'normal x2apic_cluster,1' \
    'broadcast x2apic_cluster,1' 'broadcast x2apic_phys,1' >configs/reproduce/T1.csv

# With these costs: they are what the fit is to find.
truth=(--set guest.smp_call_target=150cycles --set hypervisor.inject=900cycles
    --set hypervisor.exit=600cycles --set hypervisor.entry=600cycles)
run 0 reproduce T1 -q "${truth[@]}"
{ printf '%s\n' '# made by the simulator' 'row,ns'
  awk -F, 'NR > 1 && $2 != "unpublished" { print $2 "," $6 }' out/reproduce/T1/reproduce.csv
} >made.csv
[ "$(wc -l <made.csv)" -eq 6 ] || fail "made: $(cat made.csv)"
mv made.csv configs/reproduce/T1.csv

cat >configs/fits/t.yaml <<'EOE'
schema: 1
title: costs of a call
reproductions: [T1]
parameters:
  target: {keys: guest.smp_call_target, start: 900cycles, low: 20cycles, high: 1000cycles, source: made up}
  inject: {keys: hypervisor.inject, start: 5cycles, low: 0, high: 4000cycles, source: made up}
  switch:
    keys: [hypervisor.exit, hypervisor.entry]
    start: 2900cycles
    low: 100cycles
    high: 3000cycles
    source: made up
rows:
  T1:
    - self x2apic_cluster
    - {row: normal x2apic_cluster, weight: 2}
    - broadcast x2apic_cluster
    - broadcast x2apic_phys
EOE

# near FILE NAME WANT: the fitted value is within 2 %.
near() {
    awk -F, -v name="$2" -v want="$3" '$1 == name { got = $7; sub("cycles", "", got)
        found = got > want * 0.98 && got < want * 1.02 } END { exit !found }' "$1" ||
        fail "$2 is not $3: $(cat "$1")"
}
run 0 fit t -q --jobs 3
near out/fit/t/fit.csv target 150
near out/fit/t/fit.csv inject 900
near out/fit/t/fit.csv switch 600
grep -qE '^Median error of the 4 fitted rows 0\.[0-9] %, of each in a fit without it [0-9.]+ %; 3 parameters, [0-9]+ simulations\.$' \
    out.txt || fail "no medians: $(cat out.txt)"
grep -q 'bound' out.txt && fail "nothing is at a bound: $(cat out.txt)"
[ "$(wc -l <out/fit/t/rows.csv)" -eq 5 ] || fail "rows.csv: $(cat out/fit/t/rows.csv)"
head -1 out/fit/t/rows.csv >head.txt
echo 'experiment,row,fitted,weight,unit,published,at_start,simulated,error_pct,left_out_error_pct' |
    diff - head.txt >diff.txt || fail "rows.csv: $(cat diff.txt)"
grep -q '^T1,normal x2apic_cluster,yes,2,ns,' out/fit/t/rows.csv || fail "rows.csv has no weight"
# A row that does not belong to the others: in a fit without it its error is its own, whatever its weight.
cp configs/reproduce/T1.csv right.csv
awk -F, -v OFS=, '$1 == "normal x2apic_cluster" { $2 *= 1.1 } 1' right.csv >configs/reproduce/T1.csv
run 0 fit t -q -o wrong
awk -F, '$2 == "normal x2apic_cluster" { found = $10 < -9 && $10 > -9.2 } END { exit !found }' wrong/rows.csv ||
    fail "left out: $(cat wrong/rows.csv)"
mv right.csv configs/reproduce/T1.csv
# What it writes is a configuration, whose values have their source.
sed 's/^hypervisor: kvm-4.19/hypervisor: fitted/' configs/experiments/tiny.yaml >with.yaml
printf '%s\n' "include: [kvm-4.19.yaml, $tmp/out/fit/t/fit.yaml]" 'title: fitted' 'arch: x86' \
    >configs/hypervisors/fitted.yaml
run 0 run with.yaml --dry-run
grep -qE '^ *inject: \{value: (8[89]|9[01])[0-9]cycles, source: "fitted: T1 \(self x2apic_cluster; normal .*, confidence: derived\} # derived$' \
    out.txt || fail "fit.yaml is not taken: $(grep -n inject: out.txt)"

# The same bytes with any number of jobs; a folder is not replaced unasked.
run 2 fit t -q
one_line '^out/fit/t exists and is not empty; --force replaces it'
run 0 fit configs/fits/t.yaml -q --jobs 1 -o one
same_results one out/fit/t
[ "$(ls one | tr '\n' ' ')" = 'correlations.csv fit.csv fit.yaml rows.csv ' ] || fail "files: $(ls one)"

# A bound below the truth holds, and is said. From the first start the search would end at the other
# one: an injection that costs nothing is not on the path, so nothing depends on it there.
sed 's/high: 4000cycles/high: 700cycles/; 2a starts: 2' configs/fits/t.yaml >configs/fits/b.yaml
run 0 fit b -q
grep -q '^inject,hypervisor.inject,T1,0cycles,700cycles,5cycles,700cycles,,high,made up$' out/fit/b/fit.csv ||
    fail "bound: $(cat out/fit/b/fit.csv)"
grep -q '^inject is at its high bound, 700cycles (made up)\.$' out.txt || fail "bound: $(cat out.txt)"
grep -q 'at its bound: made up' out/fit/b/fit.yaml || fail "bound: $(cat out/fit/b/fit.yaml)"

# Wrong input: nothing runs, nothing is written.
bad() {
    sed -E "$2" configs/fits/t.yaml >configs/fits/e.yaml
    run 2 fit e -o new
    one_line "$1"
    [ ! -e new ] && [ ! -e new.partial ] || fail "something was written for: $2"
}
at='^[^ ]*configs/fits/e.yaml'
bad "$at:14:3: 3 rows for 3 parameters: a fit needs a parameter, and more rows than parameters$" '/x2apic_phys/d'
bad "$at:5:18: unknown key 'guest.smp_call_targe' \(did you mean 'guest.smp_call_target'\?\)" 's/call_target/call_targe/'
bad "$at:5:1?[0-9]+: guest.smp_call_target: '900ns' has an unknown unit" 's/900cycles/900ns/'
bad "$at:5:48: the parameter 'target': the start is not within 20cycles to 700cycles" '5s/1000cycles/700cycles/'
bad "the parameter 'target': high is not above low" '5s/1000cycles/20cycles/'
bad "the parameter 'target' has no 'source'" '5s/, source: made up//'
bad "$at:4:1: unknown key 'parameter' in a fit \(did you mean 'parameters'\?\)" 's/^parameters/parameter/'
bad "unknown key 'hi' in the parameter 'target'" '5s/high/hi/'
bad "$at:17:7: T1 has no row 'broadcast x2apic_cluste' \(did you mean 'broadcast x2apic_cluster'\?\)" '17s/cluster/cluste/'
bad "$at:17:7: nothing is published for 'unpublished'" '17s/broadcast.*/unpublished/'
bad "$at:17:7: 'self x2apic_cluster' is named twice" '17s/broadcast/self/'
bad "$at:16:[0-9]+: weight: '0' is no number above 0" 's/weight: 2/weight: 0/'
bad "$at:3:17: nothing published under 'T2' \(did you mean 'T1'\?\)" 's/\[T1\]/[T2]/'
bad "$at:14:3: 'T2' is none of the fit's reproductions \(did you mean 'T1'\?\)" 's/^  T1:/  T2:/'
bad "hypervisor.inject belongs to 'target' already|hypervisor.inject belongs to" 's/guest.smp_call_target/hypervisor.inject/'
bad "sweeps workload.mode" 's/keys: hypervisor.inject/keys: workload.mode/'
bad "hypervisor.pin is no number" 's/keys: hypervisor.inject/keys: hypervisor.pin/'
bad "hypervisor.wakeup has another unit than hypervisor.exit|unknown key" 's/hypervisor.entry\]/hypervisor.wakeup]/'
run 2 fit t -o new --set hypervisor.inject=5cycles
one_line 'hypervisor.inject is set, too'
run 2 fit tt -o new
one_line "^no fit 'tt' \(did you mean 't'"
run 2 fit
one_line 'FIT is required'
run 0 list fits
grep -qE '^t +costs of a call$' out.txt || fail "list fits: $(cat out.txt)"
finish
