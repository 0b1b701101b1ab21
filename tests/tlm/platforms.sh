#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The example platforms run to a right end, print and trace the same bytes each time, and their
# traces hold what docs/systemc.md shows.
set -euo pipefail

tests=$(dirname "$TLBSTORM")/tests
export TLBSTORM_CONFIGS=$TS_SOURCE_DIR/configs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() {
    echo "FAIL: $*" >&2
    exit 1
}
for platform in shootdown storm; do
    for time in first second; do
        "$tests/platform_$platform" "$platform.$time" >"$platform.$time.out" ||
            fail "$platform: $(cat "$platform.$time.out")"
    done
    cmp "$platform.first.vcd" "$platform.second.vcd" || fail "$platform: the trace differs"
    cmp "$platform.first.out" "$platform.second.out" || fail "$platform: the output differs"
    head -3 "$platform.first.vcd" | tail -2 | grep -q '(none)' || fail "a date in the header"
    cmp -s <(grep -v '^$' "$TS_SOURCE_DIR/docs/data/$platform.txt") "$platform.first.out" ||
        fail "docs/data/$platform.txt is not what the platform prints: $(cat "$platform.first.out")"
done
# Signals that must have moved.
for signal in mmu1.walks ipis_pending irq1 dvm_trackers bus_transactions frame_at_core1; do
    id=$(awk -v s="$signal" '$1 == "$var" && $5 ~ "^" s { print $4; exit }' shootdown.first.vcd)
    [ -n "$id" ] || fail "no $signal in the trace"
    [ "$(grep -c "[ 01]$id\$" shootdown.first.vcd)" -ge 3 ] || fail "$signal never moves"
done
