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

# A sweep of which a part fails: what has finished is kept, and which failed is said; the exit code
# is that of the worst.
part=(--set run.limit=1000s,1us)
run 4 run "$smoke" -q -o part "${part[@]}" --jobs 2
[ "$(grep -c 'run.limit=1us/seed=[12]: not finished after run.limit' err.txt)" -eq 4 ] ||
    fail "failed runs are not named: $(cat err.txt)"
grep -qx '4 of 8 runs failed (part/failures.csv); the results of the others are in part' err.txt ||
    fail "what became of the others: $(cat err.txt)"
tail -1 err.txt | grep -q '^reproduce: tlbstorm run .* --set run.limit=1us .*--seed 1$' ||
    fail "the last line does not repeat the run: $(tail -1 err.txt)"
grep -q '^default, run.limit = 1000s' out.txt || fail "the table: $(cat out.txt)"
grep -q '1us' out.txt && fail "the table shows failed runs"
[ "$(find part -name stats.csv | wc -l)" -eq 4 ] || fail "finished: $(find part)"
# Each is kept apart, with its error and its configuration, and nowhere else.
left() {
    find part -path part/failed -prune -o '(' -name '*1us*' -o -name '*.partial' -o -empty ')' -print
}
[ -z "$(left)" ] || fail "left of failed runs: $(left)"
apart=part/failed/default/native_concurrent/run.limit=1us/seed=2
[ "$(find part/failed -type f | wc -l)" -eq 8 ] || fail "failed/: $(find part/failed)"
grep -q '"exit_code": 4' $apart/failure.json && grep -q 'not finished after run.limit' $apart/failure.json ||
    fail "failure.json: $(cat $apart/failure.json)"
run 4 run $apart/config.resolved.yaml -q -o again
grep -q '^native_concurrent,default,1000,speedup,ratio,.*,2$' part/summary.csv ||
    fail "summary.csv of the finished: $(cat part/summary.csv)"
grep -q ',0.000001,' part/summary.csv && fail "summary.csv has rows of failed runs"
[ "$(grep -c '^default/.*/run.limit=1us/seed=[12],4,.*,tlbstorm run ' part/failures.csv)" -eq 4 ] ||
    fail "failures.csv: $(cat part/failures.csv)"
run 4 run "$smoke" -q -o part1 "${part[@]}" --jobs 1
same_results part part1
run 0 run "$smoke" -q -o whole --set run.limit=1000s,2000s
for file in stats.csv config.resolved.yaml; do
    cmp -s {part,whole}"/default/native_concurrent/run.limit=1000s/seed=2/$file" &&
        continue
    fail "a failed run changed $file of another"
done
# It does not replace what is there, but stands beside it.
cp -r a before3
run 4 run "$smoke" -q -o a --force "${part[@]}"
same_results a before3
[ "$(find a.incomplete -name stats.csv | wc -l)" -eq 4 ] || fail "a.incomplete: $(find a.incomplete)"
grep -q 'the results of the others are in a.incomplete$' err.txt || fail "$(cat err.txt)"
run 4 run "$smoke" -q -o a --force "${part[@]}"
same_results a before3
same_results a.incomplete part
# A machine without memory for it comes first, one that is too slow is worse.
if (ulimit -v 100000 && "$TLBSTORM" --version) >/dev/null 2>&1; then # not so with sanitizers
    (ulimit -v 60000 && "$TLBSTORM" run "$smoke" -q -o worst --jobs 1 --set run.vcpus=4000,4 \
        --set mechanisms=native_sequential --set repetitions=1 --set run.limit=1us) 2>err.txt
    [ $? -eq 4 ] || fail "the exit code is not the worst: $(cat err.txt)"
    grep -q '^\(tlbstorm: \)\?default/.*: out of memory' err.txt || fail "no word of memory: $(cat err.txt)"
fi

# --force keeps what tlbstorm did not write.
cp -r a mixed
echo note >mixed/note.txt
echo mine >mixed/default/native_concurrent/seed=7/mine.txt
mkdir -p mixed/plots/empty
ln -s nowhere mixed/plots/link
echo changed >>mixed/summary.csv
run 0 run "$smoke" -q -o mixed --force
[ "$(cat mixed/note.txt)" = note ] && [ -d mixed/plots/empty ] && [ -L mixed/plots/link ] &&
    [ "$(cat mixed/default/native_concurrent/seed=7/mine.txt)" = mine ] ||
    fail "--force removed a file that tlbstorm did not write: $(find mixed)"
[ "$(ls mixed/default/native_concurrent/seed=7)" = mine.txt ] || fail "--force left old results"
cmp -s mixed/summary.csv before/summary.csv || fail "--force did not replace summary.csv"
run 0 run "$smoke" -q -o mixed --force
[ "$(cat mixed/note.txt)" = note ] || fail "kept once only"
# Where it cannot know what is whose, it replaces nothing.
cp -r a old
sed -i '2,$d' old/.tlbstorm
run 2 run "$smoke" -q -o old --force
one_line 'old/.tlbstorm does not list what tlbstorm wrote there'
same_results old/default a/default

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

# Names that are too long for a folder end in a hash: the dry run and the run agree.
keys=(alloc_table fault_anon fault_entry fault_file free_page invlpg irq_entry irq_exit mmap \
    mprotect munmap smp_call_handler smp_call_setup smp_call_target spawn syscall touch)
sweep=()
for key in "${keys[@]}"; do
    sweep+=("$key: [100cycles, 200cycles]")
done
(IFS=, && sed "\$a sweep: {guest: {${sweep[*]}}}" "$smoke" >long.yaml)
one=(--set mechanisms=native_sequential --set repetitions=1)
for key in "${keys[@]:1}"; do
    one+=(--set "guest.$key=100cycles")
done
run 0 run long.yaml "${one[@]}" --dry-run
grep '^  default/' out.txt | sed 's/^ *//' | sort >names.txt
[ "$(sort -u names.txt | wc -l)" -eq 2 ] || fail "names: $(cat names.txt)"
[ "$(tr / '\n' <names.txt | awk '{ print length }' | sort -n | tail -1)" -eq 200 ] ||
    fail "a name is too long: $(cat names.txt)"
run 0 run long.yaml "${one[@]}" -q -o long
(cd long && find default -name 'seed=*') | sort >ran.txt
diff names.txt ran.txt >diff.txt || fail "the dry run and the run differ: $(cat diff.txt)"
[ "$(grep -c '^native_sequential,default,[12]00,.*,completion_time' long/summary.csv)" -eq 2 ] ||
    fail "summary.csv of long names"

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
find killed.partial | sort >held.txt
run 2 run "$smoke" -q -o killed
one_line 'killed.partial: another tlbstorm is writing there'
run 2 run "$smoke" -q -o killed --force
[ "$(find killed.partial | sort)" = "$(cat held.txt)" ] ||
    fail "a refused run touched the partial folder of another"
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
