#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The mechanisms of the table are right: `tlbstorm check` finds nothing from TS_SEEDS seeds, which are
# others for each commit, with store buffers and without.
. "$(dirname "$0")/lib.bash"
export TLBSTORM_CONFIGS=$configs

commit=$(git -C "$TS_SOURCE_DIR" rev-parse --short=8 HEAD 2>/dev/null) || commit=0
first=$((0x${commit:0:8} + 1))
begin=$SECONDS
for memory in "" --weak-memory; do
    run 0 check --seeds "$first..$((first + ${TS_SEEDS:-40} - 1))" -q $memory
    cat out.txt
    cases=$(awk 'NR > 1 {sum += $2} END {print sum}' out.txt)
    [ "$failures" -gt 0 ] || [ "$cases" -ge $((10 * ${TS_SEEDS:-40})) ] || fail "only $cases cases"
    echo "$cases cases${memory:+ with $memory} in $((SECONDS - begin)) s"
done
finish
