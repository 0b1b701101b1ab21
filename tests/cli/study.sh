#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Experiments that name a study: results, and what is wrong input of theirs.
. "$(dirname "$0")/lib.bash"
export TLBSTORM_CONFIGS=$configs

good='schema: 1
name: t
study: tlb_profile
workload: {kind: access_stream, accesses: 3000, warmup: 100}
machines: [skylake-sp-2s-80t, rome-2s-256t]
repetitions: 2
set: {run.vcpus: 2}
sweep: {tlb_profile.regime: [native, nested]}'

# bad EXPRESSION SED-SCRIPT: the good experiment, changed, is refused with a matching line.
bad() {
    printf '%s\n' "$good" | sed -E "$2" >e.yaml
    run 2 run e.yaml
    one_line "$1"
    [ ! -e out ] || fail "something was written for: $2"
}

# Wrong input.
bad "^e.yaml:3:8: unknown study 'tlb_profil' \(did you mean 'tlb_profile'\?\)" 's/tlb_profile$/tlb_profil/'
bad "^e.yaml:3:1: unknown key 'studi' in an experiment \(did you mean 'study'\?\)" 's/^study/studi/; /^machines/d'
bad "^e.yaml:9:1: 'mechanisms' does not go with 'study': tlb_profile runs no mechanism" '8a mechanisms: [free_flush]'
bad "^e.yaml:9:1: 'baseline' does not go with 'study'" '8a baseline: free_flush'
bad "^e.yaml:5:20: 'mechanisms' does not go with 'study'" 's/^machines.*/platforms: {a: {   mechanisms: [free_flush]}}/'
bad "^e.yaml:8:9: unknown key 'tlb_profile.regim' \(did you mean 'tlb_profile.regime'\?\)" 's/regime/regim/'
bad "^e.yaml:8:38: tlb_profile.regime: 'nestd'" 's/nested/nestd/'
bad "^e.yaml:3:8: the study tlb_profile needs a 'workload'" '/^workload/d'
bad "^e.yaml:4:1: 'machines' is of studies; here it is 'machine'" '/^study/d'
bad "^e.yaml:7:7: 'tlb_profile.streams' is a parameter of the study tlb_profile, which does not run here" \
    's/^study: .*/mechanisms: [free_flush]/; /^machines/d; s/run.vcpus/tlb_profile.streams/; /^sweep/d; /^repetitions/i title: x'
bad "^e.yaml:5:12: no machine 'skylake-sp-2s-81t' \(did you mean 'skylake-sp-2s-80t'" 's/80t/81t/'
bad "^e.yaml:5:31: the machine 'skylake-sp-2s-80t' is named twice" 's/rome-2s-256t/skylake-sp-2s-80t/'
bad "^e.yaml:9:1: 'machine' does not go with 'machines'" '8a machine: arm-64c'
bad "^e.yaml:4:18: skylake-sp-2s-80t: the workload ebizzy has no end, but the study tlb_profile would wait for it" \
    's/^workload: .*/workload: {kind: ebizzy}/'
# The study's own check, for each point before the first run.
bad "^e.yaml:7:28: skylake-sp-2s-80t, tlb_profile.regime=native: tlb_profile.granule is 16k" 's/run.vcpus: 2/tlb_profile.granule: 16k/'

printf '%s\n' "$good" >e.yaml
for option in --check --timeline; do
    run 2 run e.yaml "$option"
    one_line "^$option is of whole machines; the study tlb_profile has no such thing"
done
if [ -x "$(dirname "$TLBSTORM")/tlbstorm-systemc" ]; then
    run 2 run e.yaml --kernel systemc
    one_line '^--kernel is of whole machines'
fi
run 2 run e.yaml --set mechanisms=free_flush
one_line '^--set mechanisms: the study tlb_profile runs no mechanism'
run 2 run e.yaml --set platforms=arm
one_line "no platform 'arm'"
run 0 run e.yaml --dry-run
grep -q '^8 runs:$' out.txt && grep -qx '  rome-2s-256t/tlb_profile.regime=nested/seed=2' out.txt ||
    fail "--dry-run: $(head -9 out.txt)"
[ ! -e out ] || fail "something was written"

# Results, whatever the number of jobs.
run 0 run e.yaml -q -o a
[ "$(grep -cE '^  (skylake-sp-2s-80t|rome-2s-256t) +(native|nested) .*[0-9] ±[0-9]' out.txt)" -eq 4 ] ||
    fail "the table: $(cat out.txt)"
run 0 run e.yaml -q -o b --jobs 2
same_results a b
[ ! -e a/critical_path.csv ] || fail "a critical path without shootdowns"
head -1 a/summary.csv | grep -qx 'study,platform,tlb_profile.regime,metric,unit,mean,ci95,n' ||
    fail "columns of summary.csv: $(head -1 a/summary.csv)"
[ "$(grep -cE '^tlb_profile,[^,]*,(native|nested),walk_ratio,ratio,[0-9.e-]+,[0-9.e-]+,2$' a/summary.csv)" -eq 4 ] ||
    fail "walk_ratio in summary.csv"
point=a/rome-2s-256t/tlb_profile.regime=nested/seed=2
for file in config.resolved.yaml stats.json stats.csv run.json; do
    [ -s "$point/$file" ] || fail "no $point/$file"
done
"${TS_PYTHON:-python3}" - "$point" <<'EOP' || fail "the statistics do not hold together"
import json, sys
groups = json.load(open(sys.argv[1] + "/stats.json"))["groups"]
own, columns = groups["tlb_profile"], groups["columns"]
assert own["accesses"]["value"] == 3000, own["accesses"]
assert columns["walk_ratio"]["value"] == own["walks"]["value"] / own["accesses"]["value"]
assert columns["walk_ratio"]["unit"] == "ratio" and "mmu" in groups and "result" not in groups
EOP

# The resolved configuration, another seed, the command line, and --force.
cp "$point/config.resolved.yaml" one.yaml
run 0 run one.yaml -q -o one
for file in stats.json config.resolved.yaml; do
    cmp -s "one/rome-2s-256t/seed=2/$file" "$point/$file" || fail "$file of the repeated run differs"
done
cmp -s "$point/stats.json" "${point/seed=2/seed=1}/stats.json" && fail "the seed changes nothing"
run 0 run e.yaml -q -o a --force --set machines=arm-64c --set tlb_profile.regime=native \
    --set repetitions=1 --set tlb_profile.frames=contiguous,scattered
[ "$(cd a && echo */*/*)" = "$(printf 'arm-64c/tlb_profile.regime=native,tlb_profile.frames=%s/seed=1 ' \
    contiguous scattered | sed 's/ $//')" ] || fail "points of the command line: $(cd a && echo */*/*)"

# A run that dies says how to repeat it.
"$TLBSTORM" run e.yaml -q -o killed --set workload.accesses=1000000000 --set platforms=rome-2s-256t \
    --set tlb_profile.regime=native --set repetitions=1 2>err.txt &
pid=$!
for _ in $(seq 100); do
    child=$(pgrep -P "$pid" | head -1)
    [ -n "$child" ] && [ -n "$(find killed.partial -name 'seed=1.partial' 2>/dev/null)" ] && break
    sleep 0.1
done
kill -9 "$child"
wait "$pid"
[ $? -eq 3 ] || fail "a killed run: $(cat err.txt)"
line=$(sed -n 's/^reproduce: tlbstorm //p' err.txt)
[[ $line == *'--set platforms=rome-2s-256t --set tlb_profile.regime=native'*'--seed 1' ]] ||
    fail "the reproduction: $(cat err.txt)"
[[ $line != *mechanisms* ]] || fail "mechanisms in $line"
eval "run 0 $line --set workload.accesses=3000 -q -o again"
cmp -s again/rome-2s-256t/tlb_profile.regime=native/seed=1/stats.json \
    b/rome-2s-256t/tlb_profile.regime=native/seed=1/stats.json || fail "the reproduction is another run"

# What there is.
run 0 list studies
grep -qE '^tlb_profile +[^ ]' out.txt || fail "list studies: $(cat out.txt)"
run 0 explain tlb_profile.regime
grep -q '^  accepts: *native, nested$' out.txt || fail "explain: $(cat out.txt)"
run 0 schema
cp out.txt schema.json
"${TS_PYTHON:-python3}" - schema.json <<'EOP' || fail "the schema is not what it should be"
import json, sys
schema = json.load(open(sys.argv[1]))
assert "tlb_profile" in schema["properties"]["study"]["enum"]
section = schema["definitions"]["settings"]["properties"]["tlb_profile"]
assert section["properties"]["regime"] and schema["properties"]["tlb_profile"] == section
try:
    import jsonschema
except ImportError:
    sys.exit(0)
jsonschema.Draft7Validator.check_schema(schema)
good = {"schema": 1, "name": "t", "study": "tlb_profile", "machines": ["a"],
        "workload": {"kind": "access_stream"}, "tlb_profile": {"regime": "nested"}}
jsonschema.validate(good, schema)
for change in ({"mechanisms": ["free_flush"]}, {"baseline": "free_flush"}, {"study": "x"},
               {"tlb_profile": {"regim": "nested"}}):
    try:
        jsonschema.validate({**good, **change}, schema)
    except jsonschema.ValidationError:
        continue
    sys.exit(f"accepted {change}")
EOP
finish
