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
    cmp -s <(grep -v '^$' "$TS_SOURCE_DIR/docs/systemc/$platform.txt") "$platform.first.out" ||
        fail "docs/systemc/$platform.txt is not what the platform prints: $(cat "$platform.first.out")"
done
# Signals that must have moved, by the reader of the script that draws them.
PYTHONPATH=$TS_SOURCE_DIR/scripts "${TS_PYTHON:-python3}" - <<'END'
import plot_vcd
WANTED = {"shootdown": ("mmu1.walks", "mmu1.hits", "mmu0.walking", "ipis_pending", "irq1", "dvm_trackers",
                        "bus_transactions", "frame_at_core1", "router3.flits"),
          "storm": ("native.shootdowns", "paravirtual.shootdowns", "native.ipis", "native.tlb_walks",
                    "native.messages", "native.vcpu0", "paravirtual.vcpu3")}
for platform, wanted in WANTED.items():
    with open(f"{platform}.first.vcd", encoding="ascii") as file:
        names, changes, _ = plot_vcd.signals_of(file)
    for signal in wanted:
        values = [value for _, code, value in changes if names[code] == signal]
        assert len(set(values)) >= 2, f"{platform}: {signal} never moves"
END
