#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A run that was interrupted, started again, runs what is missing and nothing else, and ends as one
# that was not. TS_KILLS: how often it is killed at a random moment.
. "$(dirname "$0")/lib.bash"
kills=${TS_KILLS:-8}
RANDOM=$((${TS_KILL_SEED:-1}))

points=(--set run.vms=1,2 --set repetitions=10)
run 0 run "$smoke" -q -o whole "${points[@]}"
total=$(find whole -name result.json | wc -l)
[ "$total" -eq 40 ] || fail "points: $total"

# What is finished, with the time of its writing and its inode.
finished() {
    find "$1" -name result.json -printf '%P %T@ %i\n' 2>/dev/null | grep -v '\.partial/' | sort
}

# Killed at any moment, started again with any number of jobs: finished points are those of before,
# not run a second time, and in the end everything is as if nothing had been.
done_kills=0
starts=0
while [ "$done_kills" -lt "$kills" ]; do
    rm -rf cut
    longest=400 # ms; longer each time, so that a busy machine comes to an end, too
    while :; do
        finished cut.partial >before.txt
        starts=$((starts + 1))
        "$TLBSTORM" run "$smoke" -o cut "${points[@]}" --jobs "$((RANDOM % 3 + 1))" >out.txt 2>err.txt &
        pid=$!
        sleep "$(printf '%d.%03d' $((pause = RANDOM % longest, pause / 1000)) $((pause % 1000)))"
        longest=$((longest + 200))
        if kill -9 "$pid" 2>/dev/null; then
            done_kills=$((done_kills + 1))
            wait "$pid" 2>/dev/null
            [ ! -e cut ] || break
        else
            wait "$pid" 2>/dev/null || fail "a run that was not killed failed: $(cat err.txt)"
            break
        fi
        finished cut.partial >after.txt
        comm -23 before.txt after.txt >lost.txt
        [ ! -s lost.txt ] || fail "finished points were lost or run again: $(cat lost.txt)"
    done
    finished cut >after.txt
    comm -23 before.txt after.txt >lost.txt
    [ ! -s lost.txt ] || fail "finished points were run again at the end: $(cat lost.txt)"
    had=$(wc -l <before.txt)
    [ "$had" -eq 0 ] || grep -qx "$had of $total runs are there already" err.txt || [ ! -s err.txt ] ||
        fail "$had were there: $(cat err.txt)"
    same_results cut whole
    [ ! -e cut.partial ] || fail "cut.partial was left"
done
echo "$done_kills kills in $starts starts"

# slow ARGUMENTS...: 4 points of which the later two take long; sets pid when two are finished.
slow() {
    env --default-signal=INT "$TLBSTORM" "$@" --jobs 2 >out.txt 2>err.txt &
    pid=$!
    for _ in $(seq 300); do
        [ "$(finished "$waited" | wc -l)" -ge 2 ] && return
        sleep 0.1
    done
    fail "nothing finished: $*: $(cat err.txt)"
}
long=("$smoke" --set mechanisms=native_concurrent --set workload.rounds=3,3000000 --set run.limit=1000000s)

# Ctrl-C keeps what is finished and says so.
waited=stopped.partial slow run "${long[@]}" -q -o stopped
kill -INT "$pid"
wait "$pid"
[ $? -gt 128 ] || fail "SIGINT did not end it by the signal"
grep -qx 'interrupted; 2 of 4 runs are kept, and the same command goes on' err.txt || fail "$(cat err.txt)"
[ ! -e stopped ] && [ "$(finished stopped.partial | wc -l)" -eq 2 ] || fail "kept: $(find stopped.partial)"

# A folder in which something has been touched is told and left alone, and so is all the rest.
point=stopped.partial/default/native_concurrent/workload.rounds=3/seed=1
corrupt() {
    cp -r stopped.partial good
    eval "$2"
    find stopped.partial -type f -exec md5sum {} + | sort >before.txt
    run 3 run "${long[@]}" -q -o stopped
    one_line "^$point is corrupt \\($1\\) and is left alone; move it away to have it run again"
    find stopped.partial -type f -exec md5sum {} + | sort >after.txt
    cmp -s before.txt after.txt || fail "touched: $(diff before.txt after.txt)"
    rm -rf stopped.partial
    mv good stopped.partial
}
corrupt 'stats.csv has 10 bytes and not [0-9]*' 'truncate -s 10 $point/stats.csv'
corrupt 'no histograms.csv' 'rm $point/histograms.csv'
corrupt 'result.json has been changed' 'sed -i "s/\"completion_ps\": /&1/" $point/result.json'
corrupt 'result.json or run.json cannot be read' 'truncate -s 100 $point/result.json'
corrupt 'result.json or run.json cannot be read' 'echo >$point/run.json'
corrupt 'no result.json' 'rm $point/result.json'
corrupt 'config.resolved.yaml has been changed' 'sed -i "s/x86/X86/" $point/config.resolved.yaml'

# Points of another configuration, another version and without what is asked for are run again.
# again WANT CHANGE ARGUMENTS...: whether the two that are finished are taken over.
sub=default/native_concurrent/workload.rounds=3
again() {
    rm -rf short*
    cp -r stopped.partial short.partial
    eval "$2"
    run 0 run "$smoke" -o short --set mechanisms=native_concurrent --set workload.rounds=3,4 "${@:3}"
    [ "$(grep -cx '2 of 4 runs are there already' err.txt)" -eq "$1" ] || fail "${*:2}: $(cat err.txt)"
    [ "$(find short -name result.json | wc -l)" -eq 4 ] || fail "$(find short)"
}
limit=(--set run.limit=1000000s)
again 1 : "${limit[@]}"
again 0 :
again 0 : "${limit[@]}" --set run.vms=2
again 0 : "${limit[@]}" --timeline
again 0 'sed -i "s/\"version\": \"/&other/" short.partial/$sub/seed=*/run.json' "${limit[@]}"

# A run that takes too long fails; the others go on.
run 3 run "${long[@]}" -q -o late --timeout 1 --set repetitions=1
grep -q 'workload.rounds=3000000/seed=1: not finished after 1 s (--timeout)' err.txt || fail "$(cat err.txt)"
[ -s late/default/native_concurrent/workload.rounds=3/seed=1/result.json ] || fail "$(find late)"
for seconds in 0 -1 soon; do
    run 2 run "$smoke" -o never --timeout "$seconds"
    one_line timeout
done

# `reproduce` goes on in the same way.
cp -r "$configs" configs
sed 's/^baseline.*//; s/name: smoke/name: tiny/' "$smoke" >configs/experiments/tiny.yaml
printf '# from nowhere\nmode,n\na,1\n' >configs/reproduce/T1.csv
cat >configs/reproduce/T1.yaml <<'EOE'
schema: 1
title: a tiny reproduction
source: nowhere
published: T1.csv
experiments: {tiny: tiny}
rows:
  calls:
    role: predict
    unit: "1"
    simulated: {mechanism: native_concurrent, stat: result.shootdowns}
  no such:
    role: predict
    unit: "1"
    simulated: {mechanism: native_sequential, stat: result.shotdowns}
EOE
export TLBSTORM_CONFIGS=$tmp/configs
run 2 reproduce T1 -q -o both
one_line "no statistic 'result.shotdowns'"
[ ! -e both/T1 ] && [ "$(finished both/T1.partial | wc -l)" -eq 4 ] || fail "not kept: $(find both)"
finished both/T1.partial >before.txt
sed -i s/shotdowns/shootdowns/ configs/reproduce/T1.yaml
run 0 reproduce T1 -o both
grep -qx '4 of 4 runs are there already' err.txt || fail "reproduce runs again: $(cat err.txt)"
finished both/T1 | cmp -s - before.txt || fail "reproduce runs again"
run 0 reproduce T1 -o new
same_results both/T1 new/T1
# If a part fails, the others run and are kept.
echo 'sweep: {run.limit: [1us, 1000s]}' >>configs/experiments/tiny.yaml
sed -i "s/mechanism: native_concurrent,/& sweep: {run.limit: 1us},/
    s/mechanism: native_sequential,/& sweep: {run.limit: 1000s},/" configs/reproduce/T1.yaml
run 4 reproduce T1 -q -o part
grep -qx '2 of 4 runs failed' err.txt || fail "$(cat err.txt)"
[ ! -e part/T1 ] && [ "$(find part/T1.partial/tiny/failed -name failure.json | wc -l)" -eq 2 ] &&
    [ "$(finished part/T1.partial | wc -l)" -eq 2 ] || fail "$(find part)"
finish
