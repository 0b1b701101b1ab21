#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From results to an answer: the verdict, `compare`, --sensitivity, windows of timelines; and what is made of the
# command line itself.
source "$(dirname "$0")/lib.bash"

run 0 run "$smoke" -o a
grep -q '^Verdict, default (2 seeds, paired; 95 % intervals):$' out.txt || fail "no verdict: $(cat out.txt)"
grep -q '^warning: 2 seeds give wide intervals' err.txt || fail "$(cat err.txt)"
cmp <(grep -A4 '^Verdict' out.txt) <(grep -v '^warning: ' a/verdict.txt) || fail "verdict.txt says something else"
cp a/verdict.txt before.txt
run 0 collect a
cmp before.txt a/verdict.txt || fail "collect gives another verdict"

# Slower interrupts: found, told where, and refused beyond the tolerance only.
run 0 run "$smoke" -q --set interrupt.transport_ps=20us -o b
run 0 compare a a
grep -qx 'no regression beyond 5 %' out.txt || fail "$(cat out.txt)"
run 1 compare a b --csv c.csv
grep -q 'shootdown_mean .* told apart; of it not_running +' out.txt || fail "$(cat out.txt)"
grep -q '^native_concurrent,default,completion_time,s,.*,regression,not_running,' c.csv || fail "$(cat c.csv)"
run 0 compare a b --tolerance 100000
run 0 compare b a
grep -q 'better' out.txt || fail "$(cat out.txt)"
run 0 compare a b --metric ipis
run 2 compare a b --metric system
one_line "no such metric \\(did you mean 'system_time'\\?\\)"
run 2 compare a nowhere
one_line 'nowhere holds no results of tlbstorm'
run 0 run "$smoke" -q --set run.vms=1,2 -o v
run 2 compare a v
one_line 'the folders sweep different keys: a nothing, v run.vms'

# Assumed numbers, halved and doubled alone; the results themselves stay as they were.
few=(run "$smoke" -q --set mechanisms=native_sequential,native_concurrent,free_flush)
run 0 "${few[@]}" -o plain
run 0 "${few[@]}" --sensitivity-of interrupt. --sensitivity-of line. -o few
grep -q '^Assumed parameters that weigh most (change of the speedup' out.txt || fail "$(cat out.txt)"
run 2 "${few[@]}" --sensitivity-of interupt. -o q --force
one_line '^--sensitivity-of interupt.: no parameter of the runs begins so'
/usr/bin/python3 - few/sensitivity.csv <<'EOP' || fail "sensitivity.csv"
import csv
import math
import sys

rows = list(csv.DictReader(open(sys.argv[1])))
ran = [r for r in rows if not r["skipped"]]
assert len(ran) > 15 and len({r["parameter"] for r in rows}) * 3 == len(rows)
for r in ran:
    if r["mechanism"] == "native_sequential":
        base = r
        assert float(r["speedup_elasticity"]) == 0
    assert r["parameter"] == base["parameter"]
weights = {}
for r in ran:
    weights[r["parameter"]] = max(weights.get(r["parameter"], 0), abs(float(r["speedup_elasticity"])))
order = list(weights.values())
assert order == sorted(order, reverse=True) and order[0] > 0
for r in ran:
    low, high = float(r["at_low"]), float(r["at_high"])
    assert low > 0 and high > 0 and r["measure"] == "completion_time"
assert all(r["parameter"].startswith(("interrupt.", "line.")) for r in rows)
assert {r["base"] for r in ran if r["mechanism"] == "free_flush"} == {ran[2]["base"]}
EOP
diff -r --exclude=run.json --exclude=sensitivity.csv --exclude=.tlbstorm plain few || fail "the results themselves differ"
grep -qx sensitivity.csv few/.tlbstorm || fail "sensitivity.csv is not listed"
ls few | grep -q partial && fail "something was left: $(ls few)"

# A stretch of a timeline is a part of the whole.
run 0 run "$smoke" -q --set repetitions=1 --timeline -o whole
run 0 run "$smoke" -q --set repetitions=1 --timeline-window 100us..150us -o part
t=default/native_sequential/seed=1/timeline
[ "$(zcat "part/$t.json.gz" | wc -l)" -lt "$(zcat "whole/$t.json.gz" | wc -l)" ] || fail "the window cuts nothing"
zcat "part/$t.json.gz" | grep -o '"ts":[0-9.]*' | cut -d: -f2 | awk '$1 < 100 || $1 > 150 { exit 1 }' || fail "outside"
[ "$(zcat "whole/$t.perfetto-trace.gz" | wc -c)" -gt 1000 ] || fail "no Perfetto file"
run 2 run "$smoke" --timeline-window 2ms -o q
one_line '--timeline-window 2ms: two times with \.\.'

# The tutorial's experiment is one.
sed -n '/^```yaml/,/^```$/p' "$TS_SOURCE_DIR/docs/tutorial.md" | sed '1d;$d' >question.yaml
run 0 run question.yaml -q --set repetitions=1 --set workload.rounds=1 --set run.vms=2
grep -q '^Verdict, x86-1s-12t, run.vms = 2 (1 seed: no intervals):$' out.txt || fail "$(cat out.txt)"
run 0 compare out/question out/question

# Completion and manual name every command.
run 0 completion bash
cp out.txt completion.bash
bash -n completion.bash || fail "not a script"
complete_words() {
    bash -c 'source ./completion.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tlbstorm; echo "${COMPREPLY[*]}"' - "$@"
}
[ "$(complete_words tlbstorm com)" = "compare completion" ] || fail "$(complete_words tlbstorm com)"
[ "$(complete_words tlbstorm run --kern)" = "--kernel" ] || fail "$(complete_words tlbstorm run --kern)"
[ "$(complete_words tlbstorm run x.yaml --kernel s)" = "systemc" ] || fail "$(complete_words tlbstorm run x.yaml --kernel s)"
[ "$(complete_words tlbstorm list mech)" = "mechanisms" ] || fail "$(complete_words tlbstorm list mech)"
touch trace-file
[ "$(complete_words tlbstorm trace info trace-f)" = "trace-file" ] || fail "$(complete_words tlbstorm trace info trace-f)"
run 0 completion man
cp out.txt tlbstorm.1
"$TLBSTORM" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p' >commands.txt
[ "$(wc -l <commands.txt)" -gt 10 ] || fail "$(cat commands.txt)"
while read -r command; do
    grep -q "^\.SS \"tlbstorm $command" tlbstorm.1 || fail "the manual does not know $command"
done <commands.txt
if command -v man >/dev/null; then
    [ -z "$(man --warnings -l tlbstorm.1 2>&1 >/dev/null)" ] || fail "$(man --warnings -l tlbstorm.1 2>&1 >/dev/null | head -3)"
fi
finish
