#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the tables and files say: list, explain, schema, trace info, help.
. "$(dirname "$0")/lib.bash"
export TLBSTORM_CONFIGS=$configs

for topic in mechanisms machines hypervisors guests workloads experiments replacements fabrics \
    schedulers; do
    run 0 list "$topic"
    [ -s out.txt ] || fail "list $topic says nothing"
done
for file in "$configs"/machines/*.yaml; do
    "$TLBSTORM" list machines | grep -q "^$(basename "$file" .yaml) \+[^ ]" ||
        fail "$(basename "$file") is not listed with its title"
done
run 2 list mechanism
one_line 'TOPIC'

run 0 explain mmu.l2_entries
for word in type: accepts: default: source: confidence: '(assumed)'; do
    grep -qF "$word" out.txt || fail "explain does not say $word"
done
run 0 explain workload.touch_pages
grep -q '^workload.mmap_storm.touch_pages$' out.txt && grep -q '^workload.strace.touch_pages$' out.txt ||
    fail "a key of two workloads"
run 0 explain mmu
grep -q '^mmu.l2_entries ' out.txt || fail "the beginning of keys"
run 2 explain mmu.l2_entires
one_line "unknown key 'mmu.l2_entires' \(did you mean 'mmu.l2_entries'\?\)"
# What is no key: names, and words in whatever is said of anything.
run 0 explain kvm_pv
head -1 out.txt | grep -qx 'mechanism kvm_pv' && grep -q 'needs x86, a hypervisor' out.txt ||
    fail "explain kvm_pv: $(cat out.txt)"
run 0 explain completion_time
grep -qx 'statistic result.completion_time' out.txt && grep -qx '  unit: ps' out.txt ||
    fail "explain completion_time: $(cat out.txt)"
run 0 explain result.completion_time
run 0 explain record_rate
grep -qx 'statistic result.record_rate' out.txt && grep -qx '  unit: uHz' out.txt ||
    fail "explain record_rate: $(cat out.txt)"
run 0 explain ebizzy
head -1 out.txt | grep -qx 'workload ebizzy' || fail "explain ebizzy: $(cat out.txt)"
run 0 explain workload.top_pad
grep -q 'M_TOP_PAD of malloc' out.txt && grep -q 'DEFAULT_TOP_PAD' out.txt ||
    fail "explain workload.top_pad: $(cat out.txt)"
run 0 explain run.window
run 0 explain skylake-sp-2s-80t
grep -qx 'machine skylake-sp-2s-80t' out.txt || fail "explain of a machine: $(cat out.txt)"
run 0 explain ipi
for line in "^Nothing is called 'ipi'. It is found in:" '^key hypervisor.pv_ipi ' \
    '^key guest.idle_polling .*IPI' '^mechanism kvm_pv ' '^workload ipi_bench ' \
    '^statistic result.ipis ' '^experiment ipi-e4 '; do
    grep -q "$line" out.txt || fail "explain ipi lacks $line"
done
for name in linux guest.linux; do
    run 0 explain "$name"
    for line in '^guest.linux$' '^  4.20  guest.lazy_rule  *skip  *remembered: ' \
        '^  5.13  guest.flush_concurrent  *true ' '^  6.6   guest_sched.policy  *eevdf '; do
        grep -q "$line" out.txt || fail "explain $name lacks $line"
    done
done
run 0 explain kvm
for line in '^hypervisor.kvm$' '^  5.3   hypervisor.boost_rule  *ready ' \
    '^  6.6   host_sched.policy  *eevdf '; do
    grep -q "$line" out.txt || fail "explain kvm lacks $line"
done
run 2 explain qqzz
one_line "^unknown key 'qqzz'; "
run 2 explain kvm_pw
one_line "^unknown key 'kvm_pw' \(did you mean 'kvm_pv'\?\)"
run 2 run "$smoke" --set machine=skylake
one_line "^--set machine: no machine 'skylake' \(did you mean 'skylake-sp-2s-64t' or 'skylake-sp-2s-80t'\?\)"
run 2 explain
run 2 explain mmu.l2_entries --all
run 0 explain --all
keys=$(grep -c '^  confidence:' out.txt)
run 0 explain --all --markdown
[ "$(grep -c '^| `' out.txt)" -eq "$keys" ] || fail "the page and the list have other keys"

# Every key of the configuration files is checked by reading them all.
for experiment in "$configs"/experiments/*.yaml; do
    run 0 run "$experiment" --dry-run
    grep -q ' runs:$' out.txt || fail "--dry-run of $experiment"
done
for kind in machine hypervisor guest; do
    for file in "$configs/${kind}s"/*.yaml; do
        printf 'schema: 1\nname: t\nworkload: {kind: mmap_storm}\nmechanisms: [free_flush]\n%s: %s\n' \
            "$kind" "$file" >e.yaml
        "$TLBSTORM" run e.yaml --dry-run >out.txt 2>err.txt
        # A piece alone may not fit the defaults; its keys must.
        grep -qE 'unknown|unit|bounds' err.txt && fail "$file: $(cat err.txt)"
        grep -q "source: \"no source given\"" out.txt && fail "$file has a value without a source"
    done
done

run 0 schema
cp out.txt schema.json
"${TS_PYTHON:-python3}" - schema.json <<'EOP' || fail "the schema is not what it should be"
import json, sys
schema = json.load(open(sys.argv[1]))
assert "mmu.l2_entries" in schema["definitions"]["settings"]["properties"]
assert "native_concurrent" in schema["properties"]["baseline"]["enum"]
try:
    import jsonschema
except ImportError:
    sys.exit(0)
jsonschema.Draft7Validator.check_schema(schema)
good = {"schema": 1, "name": "t", "workload": {"kind": "mmap_storm", "pages": 4},
        "mechanisms": ["free_flush"], "set": {"run.vcpus": 2, "mmu": {"l2_hit_cycles": "9cycles"}}}
jsonschema.validate(good, schema)
for key, value in (("schema", 2), ("workload", {"kind": "x"}), ("set", {"run.vcpus": 0}),
                   ("set", {"mmu": {"l2_hit_cycles": "9ns"}}), ("more", 1)):
    try:
        jsonschema.validate({**good, key: value}, schema)
    except jsonschema.ValidationError:
        continue
    sys.exit(f"accepted {key}: {value}")
EOP

trace=$TS_SOURCE_DIR/workloads/traces/mmapstorm.strace.zst
run 0 trace info "$trace"
grep -qE '^  lines +13551 ' out.txt || fail "lines of the recording: $(head -3 out.txt)"
grep -qE '^  munmap +[0-9]+' out.txt || fail "calls of the recording"
run 0 trace info "$trace" --json
"${TS_PYTHON:-python3}" -c 'import json; d = json.load(open("out.txt")); assert d["lines"] == 13551 and d["calls"]["munmap"] > 3000' ||
    fail "trace info --json"
zstd -dcq "$trace" | gzip -c >t.gz
zstd -dcq "$trace" >t.txt
for file in t.gz t.txt; do
    run 0 trace info "$file"
    grep -qE '^  lines +13551 ' out.txt || fail "$file reads differently"
done
run 2 trace info nothing
one_line 'nothing is no plain file'
head -c 1000 "$trace" >cut.zst
run 2 trace info cut.zst
one_line '^cut.zst: the trace is truncated'

# Output that cannot be written is an error, also where it is longer than a buffer.
for command in schema 'list machines' 'explain --all' 'explain mmu.l2_entries' --help --version \
    "trace info $trace" "run $smoke --dry-run" "run $smoke -q -o full"; do
    for to in /dev/full closed; do
        rm -rf full
        # shellcheck disable=SC2086
        if [ "$to" = closed ]; then
            "$TLBSTORM" $command >&- 2>err.txt
        else
            "$TLBSTORM" $command >"$to" 2>err.txt
        fi
        [ $? -eq 3 ] || fail "tlbstorm $command into $to ended well"
        one_line '^tlbstorm: cannot write to standard output'
    done
done

# Without memory: exit 3, whatever was being done (127: the loader had none; 134, of which nothing can
# be told: a library that is initialised before the program had none).
if (ulimit -v 100000 && "$TLBSTORM" --version) >/dev/null 2>&1; then # not so with sanitizers
    for kib in 15000 16400 17200 18000 19000 20000 22000 26000 100000; do
        for command in schema 'explain --all' "run $smoke --dry-run"; do
            # shellcheck disable=SC2086
            (ulimit -v "$kib" && "$TLBSTORM" $command) >/dev/null 2>err.txt
            got=$?
            [[ $got =~ ^(0|3|127)$ || ($got = 134 && $kib -lt 18000) ]] || fail "exit $got with $kib KiB: $command: $(cat err.txt)"
            [ "$got" -ne 3 ] || one_line 'memory'
        done
    done
    (ulimit -v 22000 && "$TLBSTORM" run "$smoke" -q -o small) >/dev/null 2>err.txt
    [ $? -eq 3 ] || fail "a run without memory: $(cat err.txt)"
    grep -q 'no memory\|not enough memory' err.txt || fail "no word of memory: $(cat err.txt)"
    [ ! -e small ] && [ ! -e small.partial ] || fail "a run without memory left a folder"
fi

run 0 --version
grep -q '^tlbstorm [0-9]' out.txt || fail "--version: $(cat out.txt)"
for command in '' run list explain trace 'trace info' schema; do
    # shellcheck disable=SC2086
    run 0 $command --help
    grep -q -- --help out.txt || fail "no help of $command"
done
# What has been seen to matter is said where the file is, and nothing where it is not.
mkdir -p kept/configs
printf '%s\n' result,parameter,mechanism,low,high,elasticity,standard_error \
    '"a storm, small",guest.irq_entry,kvm_pv,250cycles,1000cycles,-0.211,0.020' \
    ebizzy,guest.irq_entry,hyperv,250cycles,1000cycles,0.100,0.060 >kept/configs/sensitivity.csv
TLBSTORM_CONFIGS=kept/configs run 0 explain guest.irq_entry
grep -qx '  sensitivity: completion time of a storm, small, 250cycles to 1000cycles: -0.21 (kvm_pv), % for 1 % of the parameter' \
    out.txt || fail "sensitivity: $(cat out.txt)"
grep -qx '  sensitivity: completion time of ebizzy, 250cycles to 1000cycles: none seen' out.txt ||
    fail "a sensitivity within its error: $(cat out.txt)"
TLBSTORM_CONFIGS=kept/configs run 0 explain --all --markdown
grep -q '^| `irq_entry` .* | a storm -0.21 (kvm\\_pv) |$' out.txt || fail "sensitivity in the page"
TLBSTORM_CONFIGS=kept/configs run 0 explain guest.irq_exit
grep -q sensitivity out.txt && fail "a sensitivity of what was not varied"
echo other >kept/configs/sensitivity.csv
TLBSTORM_CONFIGS=kept/configs run 3 explain guest.irq_entry
one_line "kept/configs/sensitivity.csv: does not begin with 'result,parameter,"
finish
