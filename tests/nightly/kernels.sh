#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every experiment of the repository gives the same bytes inside SystemC, and takes at most 1.5 times
# as long there. What takes longer than TS_SECONDS (300) is cut: the runs that both kernels have
# finished are compared, and its time does not count. usage: kernels.sh [EXPERIMENT.yaml...]
set -euo pipefail

root=$TS_SOURCE_DIR
export TLBSTORM_CONFIGS=$root/configs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
[ -x "$(dirname "$TLBSTORM")/tlbstorm-systemc" ] || { echo "no SystemC"; exit 77; }
[ $# -gt 0 ] || set -- "$root"/configs/experiments/*.yaml
failed=0 compared=0
declare -A took codes total=([native]=0 [systemc]=0)
for experiment in "$@"; do
    name=$(basename "$experiment" .yaml)
    if grep -q '^study:' "$experiment"; then
        echo "$name: a study, without a kernel"
        continue
    fi
    for kernel in native systemc; do
        rm -rf "$kernel" "$kernel.partial"
        begin=$(date +%s%N)
        timeout "${TS_SECONDS:-300}" "$TLBSTORM" run "$experiment" -o "$kernel" -q -j1 \
            --kernel "$kernel" >"$kernel.txt" 2>&1 && code=0 || code=$?
        took[$kernel]=$((($(date +%s%N) - begin) / 1000000))
        codes[$kernel]=$code
    done
    said=
    if [ "${codes[native]}" = 124 ] || [ "${codes[systemc]}" = 124 ]; then
        said="cut"
    else
        [ "${codes[native]}" = "${codes[systemc]}" ] || { echo "$name: exit codes differ"; failed=1; }
        for kernel in native systemc; do
            total[$kernel]=$((total[$kernel] + took[$kernel]))
        done
        said="native ${took[native]} ms, systemc ${took[systemc]} ms"
    fi
    # What both have finished; of a run that was cut, in the folder that it left.
    before=$compared
    for kernel in native systemc; do
        [ -d "$kernel" ] || { [ ! -d "$kernel.partial" ] || mv "$kernel.partial" "$kernel"; }
    done
    [ -d native ] && [ -d systemc ] || { echo "$name: $said, nothing compared"; continue; }
    for file in $(cd native && find . -path '*partial*' -prune -o \
        \( -name stats.json -o -name flushes.csv.zst -o -name vms.csv \) -print); do
        [ -e "systemc/$file" ] || continue
        compared=$((compared + 1))
        if ! cmp -s "native/$file" "systemc/$file"; then
            echo "$name: $file differs"
            failed=1
        fi
    done
    echo "$name: $said, $((compared - before)) files compared"
done
echo "$compared files compared; native ${total[native]} ms, systemc ${total[systemc]} ms"
[ "$compared" -gt 0 ] || failed=1
[ $((total[systemc] * 2)) -le $((total[native] * 3)) ] || { echo "more than 1.5 times as long"; failed=1; }
exit $failed
