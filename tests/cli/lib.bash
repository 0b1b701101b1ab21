# SPDX-License-Identifier: Apache-2.0
# For the scripts of this folder: a throw-away folder, and checks that say what failed.
set -uo pipefail
: "${TLBSTORM:?names the program}" "${TS_SOURCE_DIR:?names the source tree}"
configs=$TS_SOURCE_DIR/configs
smoke=$configs/experiments/smoke.yaml
tmp=$(mktemp -d)
# A script that forgets to finish fails all the same.
trap 'rc=$?; rm -rf "$tmp"; [ "$failures" -eq 0 ] || exit 1; exit "$rc"' EXIT
failures=0
cd "$tmp" || exit 1

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

# run CODE ARGUMENTS...: the program must end with CODE. Output in out.txt and err.txt.
run() {
    local want=$1 got
    shift
    "$TLBSTORM" "$@" >out.txt 2>err.txt
    got=$?
    [ "$got" -eq "$want" ] || fail "exit $got, not $want: tlbstorm $*: $(head -3 err.txt)"
}

# The last error is one line that matches the regular expression.
one_line() {
    [ "$(wc -l <err.txt)" -eq 1 ] || fail "not one line: $(cat err.txt)"
    grep -qE -- "$1" err.txt || fail "'$(cat err.txt)' does not match '$1'"
}

# Equal but for run.json, the one file that tells of the host and the clock.
same_results() {
    diff -r --exclude=run.json "$1" "$2" >diff.txt || fail "$1 and $2 differ: $(head -3 diff.txt)"
}

finish() {
    [ "$failures" -eq 0 ] && echo passed
    exit "$((failures > 0))"
}
