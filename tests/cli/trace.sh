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
one_line '^(tlbstorm: )?fox.txt:1:4: not an strace text'

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

# In an experiment it is a parameter of the workload.
awk -v file="$field/stderr-mixed-in.strace" '
    /^workload:/ { print "workload: {kind: strace, file: " file "}"; skip = 1; next }
    /^[a-z]/ { skip = 0 }
    !skip' "$smoke" >e.yaml
run 0 run e.yaml --dry-run
run 2 run e.yaml -o out --set workload.strict=true --set repetitions=1
one_line 'stderr-mixed-in.strace:4:'
finish
