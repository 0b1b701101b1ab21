#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The results folder: never written over, never half-written under its own name.
. "$(dirname "$0")/lib.bash"

run 0 run "$smoke" -q -o a
run 2 run "$smoke" -q -o a
one_line 'a exists and is not empty; --force replaces it'
cp -r a before
run 0 run "$smoke" -q -o a/ --force --seed 7
[ -d a/default/native_concurrent/seed=7 ] && [ ! -e a/default/native_concurrent/seed=1 ] ||
    fail "--force did not replace"
[ ! -e a.partial ] || fail "a.partial was left"

# A failed run leaves what was there.
cp -r a before2
run 4 run "$smoke" -q -o a --force --set run.limit=1us
same_results a before2
run 2 run "$smoke" -q -o a --force --set run.vcpus=0
same_results a before2

# Others' folders and files are theirs.
mkdir theirs
echo precious >theirs/file
run 2 run "$smoke" -q -o theirs --force
one_line 'theirs was not written by tlbstorm'
echo precious >plain
run 2 run "$smoke" -q -o plain --force
one_line 'plain exists and is no folder'
mkdir b.partial
echo precious >b.partial/file
run 2 run "$smoke" -q -o b
one_line 'b.partial exists and was not written by tlbstorm'
[ "$(cat theirs/file plain b.partial/file | sort -u)" = precious ] || fail "a file was touched"
mkdir empty
run 0 run "$smoke" -q -o empty
[ -e empty/summary.csv ] || fail "an empty folder was not used"
run 0 run "$smoke" -q
[ -e out/smoke/summary.csv ] || fail "not written to out/smoke"

# Killed in the middle: no folder of that name, no process left, and the next run takes over.
long=(run "$smoke" -q --jobs 2 --set workload.rounds=3000000 --set run.limit=1000000s)
started() {
    for _ in $(seq 100); do
        [ -n "$(find "$1.partial" -name '*.partial' 2>/dev/null)" ] && return
        sleep 0.1
    done
    fail "$1 did not start"
}
ended() {
    for _ in $(seq 100); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done
    return 1
}
"$TLBSTORM" "${long[@]}" -o killed 2>/dev/null &
pid=$!
started killed
child=$(pgrep -P "$pid" | head -1)
run 2 run "$smoke" -q -o killed
one_line 'killed.partial: another tlbstorm is writing there'
kill -9 "$pid"
wait "$pid" 2>/dev/null
ended "$child" || fail "a run outlived its parent"
[ ! -e killed ] || fail "kill -9 left a folder that looks finished"
run 0 run "$smoke" -q -o killed
same_results killed before
[ ! -e killed.partial ] || fail "the rest of the killed run was left"

for signal in INT TERM; do
    # Background processes of a script ignore SIGINT; env gives it back.
    env --default-signal=INT "$TLBSTORM" "${long[@]}" -o stopped 2>err.txt &
    pid=$!
    started stopped
    child=$(pgrep -P "$pid" | head -1)
    kill -"$signal" "$pid"
    wait "$pid"
    [ $? -gt 128 ] || fail "SIG$signal did not end it by the signal"
    grep -qx 'interrupted; nothing was kept' err.txt || fail "SIG$signal: $(cat err.txt)"
    kill -0 "$child" 2>/dev/null && fail "SIG$signal left a process"
    [ ! -e stopped ] && [ ! -e stopped.partial ] || fail "SIG$signal left a folder"
done
finish
