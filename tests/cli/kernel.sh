#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --kernel systemc: the same bytes where it is built, a clear sentence where it is not.
. "$(dirname "$0")/lib.bash"

run 0 run "$smoke" -q -o native
if [ -x "$(dirname "$TLBSTORM")/tlbstorm-systemc" ]; then
    run 0 run "$smoke" -q -o systemc --kernel systemc
    for file in $(cd native && find . -name stats.json -o -name flushes.csv.zst); do
        cmp -s "native/$file" "systemc/$file" || fail "$file differs between the kernels"
    done
    grep -q '"kernel": "systemc"' systemc/default/native_concurrent/seed=1/run.json ||
        fail "run.json does not name the kernel"
fi
mkdir alone
cp "$TLBSTORM" alone/tlbstorm
TLBSTORM=$PWD/alone/tlbstorm
run 3 run "$smoke" -q -o none --kernel systemc
one_line 'tlbstorm-systemc is not there; it is built where SystemC'
[ ! -e none ] || fail "something was written"
finish
