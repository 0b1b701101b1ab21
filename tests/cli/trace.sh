#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Recordings from the field: what is read, what is counted, and what --strict refuses.
. "$(dirname "$0")/lib.bash"

field=$TS_SOURCE_DIR/tests/data/strace/field

# says FILE ROW VALUE
says() {
    run 0 trace info "$1"
    grep -qE "^  $2 +$3 " out.txt || fail "$1: no '$2 $3': $(grep -E "^  $2 " out.txt)"
}

for file in "$field"/*.strace*; do
    says "$file" impossible_calls 0
done
says "$field/stderr-mixed-in.strace" foreign_lines 1
says "$field/stderr-mixed-in.strace" first_unread 4
says "$field/two-attached.strace.zst" separated 1
says "$field/two-attached.strace.zst" processes 2
says "$field/raw-clone.strace.zst" processes 4
says "$field/shm-hugetlb-pkey.strace" not_modelled 3
says "$field/shm-hugetlb-pkey.strace" huge_mappings 1

run 2 trace info "$field/stderr-mixed-in.strace" --strict
one_line 'stderr-mixed-in.strace:4:1[0-9]*: .*-o FILE'
run 2 trace info "$field/lastline-cut.strace" --strict
one_line 'lastline-cut.strace:2:'
run 0 trace info "$field/output-in-call.strace" --strict
echo 'The quick brown fox' >fox.txt
run 2 trace info fox.txt
one_line '^(tlbstorm: )?fox.txt:1:1: no recording of a known kind; known are'

"${TS_PYTHON:-python3}" - "$field/hexdump.strace" <<'EOP'
import bz2, lzma, sys
text = open(sys.argv[1], "rb").read()
open("t.xz", "wb").write(lzma.compress(text))
open("t.bz2", "wb").write(bz2.compress(text))
open("cut.xz", "wb").write(lzma.compress(text)[:-20])
open("cut.bz2", "wb").write(bz2.compress(text)[:-20])
EOP
for file in t.xz t.bz2; do
    says $file regions 1
    says $file notes 1
done
for format in xz bz2; do
    run 2 trace info cut.$format
    one_line "^(tlbstorm: )?cut.$format: the trace is truncated or damaged"
    [ "$(grep -o "cut.$format" err.txt | wc -l)" -eq 1 ] || fail "said twice: $(cat err.txt)"
done

# Every format: recognised, and the same recording as tlbstorm's own text.
traces=$TS_SOURCE_DIR/tests/data/traces
for file in "$traces"/*.*; do
    name=$(basename "$file")
    case $name in README.md | *no-pid*) continue ;; esac # the second is long
    format=${name%%[.-]*}
    run 0 trace info "$file" --json
    grep -q "^ \"format\": \"$format\"" out.txt || fail "$file: $(grep '"format"' out.txt)"
    run 0 trace validate "$file"
    run 0 trace convert "$file" -o own.txt.gz
    run 0 trace head -n 3 "$file"
    gzip -dc own.txt.gz >own.txt
    head -4 own.txt | cmp - out.txt || fail "$file: head is not what convert begins with"
    run 0 trace convert own.txt.gz
    cmp own.txt out.txt || fail "$file: not the same when converted again"
done
run 0 trace stats "$traces/perf_script.txt.zst"
grep -qE '^munmap +[0-9]+ +[0-9]+$' out.txt || fail "stats: $(cat out.txt)"
grep -qE '^  256-511 +41$' out.txt || fail "stats: $(cat out.txt)"
gzip -dc own.txt.gz | "$TLBSTORM" trace info - >out.txt || fail "info -"
for end in zst xz bz2; do
    run 0 trace convert "$traces/strace.txt.zst" -o "own.$end"
    run 0 trace info "own.$end"
    "$TLBSTORM" trace validate - <"own.$end" >out.txt || fail "validate - of $end"
done
run 3 trace convert "$traces/strace.txt.zst" -o no/such/folder.txt
[ -z "$(ls ./*.partial* 2>/dev/null)" ] || fail "convert left a part"

# What cannot be read is counted and named by its number; validate ends with 2.
{ xz -dc own.xz; echo nonsense; } >bad.txt
says bad.txt foreign_lines 1
says bad.txt first_unread "$(wc -l <bad.txt)"
run 2 trace validate bad.txt
one_line "^bad.txt:$(wc -l <bad.txt):1: expected a number"
run 2 trace info bad.txt --strict
run 0 trace convert bad.txt -o own2.txt
grep -q 'warning: bad.txt: 1 lines were not read' err.txt || fail "convert says nothing: $(cat err.txt)"

# The files of strace -ff: as what -f writes.
says "$TS_SOURCE_DIR/tests/data/strace/variants/ff" threads 3
says "$TS_SOURCE_DIR/tests/data/strace/variants/ff" stale_overlaps 0
run 0 trace convert "$TS_SOURCE_DIR/tests/data/strace/variants/ff"
grep -v '^#' out.txt | cut -d' ' -f1 | sort -nc || fail "strace -ff: lines are not by their times"
mkdir none two
run 2 trace info none
one_line 'none: none holds no files of strace -ff'
touch two/a.1 two/b.2
run 2 trace info two
one_line 'several recordings: a.\* and b.\*'

# Memory does not grow with the recording: 10 times as long, 4 MiB more at most.
"${TS_PYTHON:-python3}" - "$TLBSTORM" "$traces/perf_script.txt.zst" <<'EOP' || fail "memory"
import os, resource, subprocess, sys
program, trace = sys.argv[1:]
text = subprocess.run(["zstd", "-dcq", trace], capture_output=True, check=True).stdout
def peak(times):
    with open("long.txt", "wb") as file:
        for _ in range(times):
            file.write(text)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(program, [program, "trace", "info", "long.txt"])
    _, status, usage = os.wait4(child, 0)
    assert status == 0
    return usage.ru_maxrss
short, long = peak(10), peak(100)
assert long < short + 4096, f"{short} KiB, then {long} KiB"
EOP

# In an experiment it is a parameter of the workload.
awk -v file="$field/stderr-mixed-in.strace" '
    /^workload:/ { print "workload: {kind: strace, file: " file "}"; skip = 1; next }
    /^[a-z]/ { skip = 0 }
    !skip' "$smoke" >e.yaml
run 0 run e.yaml --dry-run
run 2 run e.yaml -o out --set workload.strict=true --set repetitions=1
one_line 'stderr-mixed-in.strace:4:'
finish
