#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `tlbstorm sweep`, `status` and `collect`: axes, seeds, a folder that goes on where it was, points
# beside other processes, failures, and what a changed folder is told.
. "$(dirname "$0")/lib.bash"

cat >s.yaml <<'EOE'
schema: 1
name: s
workload: {kind: mmap_storm, threads: 2, rounds: 1, pages: 4, touch_pages: 1}
machine: {topology.sockets: 1, topology.cores_per_socket: 2, topology.threads_per_core: 1}
mechanisms: [native_sequential, native_concurrent]
baseline: native_sequential
seeds: [7, 1..2]
sweep:
  run.limit: [10s, 20s]
  zip: {guest.syscall: [100cycles, 200cycles], workload: {pages: [4, 5]}}
  list:
    - {run.vms: 1, run.vcpus: 2}
    - {run.vcpus: 3, run.vms: 1}
set: {run.vcpus: 2}
EOE
finished() {
    find "$1" -name result.json -printf '%P %T@ %i\n' | sort
}

# Everything is said before, and nothing is written.
run 0 sweep s.yaml --dry-run
head -1 out.txt | grep -qx '48 points, 48 to run:' || fail "--dry-run: $(cat out.txt)"
grep -qE '^  [0-9a-f]{12}  to run   default/native_concurrent/run.limit=20s,guest.syscall=200cycles,workload.pages=5,run.vms=1,run.vcpus=3/seed=7$' \
    out.txt || fail "$(cat out.txt)"
[ ! -e out ] || fail "--dry-run wrote something"

run 0 sweep s.yaml -q -o a --jobs 2
run 0 run s.yaml -q -o r --jobs 1
[ "$(finished a | wc -l)" -eq 48 ] || fail "points: $(finished a)"
diff -r --exclude=run.json --exclude=.lock --exclude=.tlbstorm a r >diff.txt || fail "run and sweep differ: $(head -3 diff.txt)"
head -1 a/summary.csv | grep -qx 'mechanism,platform,run.limit,guest.syscall,workload.pages,run.vms,run.vcpus,metric,unit,mean,ci95,n' ||
    fail "columns: $(head -1 a/summary.csv)"
grep -q '^native_concurrent,default,20,200,5,1,3,completion_time,s,.*,3$' a/summary.csv || fail "not numbers: $(head -3 a/summary.csv)"
for line in '^run.limit,swept,s,' '^guest.syscall,swept,cycles,' '^run.vms,swept,1,' '^shootdown_p99,metric,us,' '^speedup,metric,ratio,'; do
    grep -q "$line" a/columns.csv || fail "columns.csv: no $line"
done
run 0 status a
grep -qx 's: 48 points: 48 done' out.txt || fail "status: $(cat out.txt)"

# results.sqlite holds the same, for questions that only read.
run 0 query a 'SELECT mechanism, "run.limit" AS x, typeof("run.limit") AS type, count(*) AS n FROM runs GROUP BY 1, 2'
printf '%s\n' mechanism,x,type,n native_concurrent,10,real,12 native_concurrent,20,real,12 \
    native_sequential,10,real,12 native_sequential,20,real,12 | cmp -s - out.txt || fail "query: $(cat out.txt)"
run 0 query a 'SELECT avg(completion_time) FROM runs WHERE mechanism = "native_concurrent" AND "run.limit" = 20
    AND "guest.syscall" = 200 AND "workload.pages" = 5 AND "run.vms" = 1 AND "run.vcpus" = 3'
mean=$(tail -1 out.txt)
grep -q "^native_concurrent,default,20,200,5,1,3,completion_time,s,$mean,.*,3$" a/summary.csv || fail "mean $mean"
run 0 query a "SELECT unit FROM columns WHERE name = 'guest.syscall'"
[ "$(tail -1 out.txt)" = cycles ] || fail "columns: $(cat out.txt)"
run 0 query a 'SELECT count(*) FROM critical_path'
[ "$(tail -1 out.txt)" -eq $((48 * 12)) ] || fail "critical_path: $(cat out.txt)"
md5sum a/results.sqlite >sum.txt
wrong() {
    run 2 query a "$1"
    one_line "^query: $2"
}
wrong 'DELETE FROM runs' 'only statements that read'
wrong 'DROP TABLE runs' 'only statements that read'
wrong "ATTACH 'x.sqlite' AS x" 'only statements that read'
wrong 'SELECT 1; SELECT 2' 'more than one statement'
wrong 'SELECT mechanismm FROM runs' "no such column: mechanismm .did you mean 'mechanism'"
wrong 'SELECT * FROM results' 'no such table: results; there are runs, critical_path, columns, failures$'
wrong '' 'there is no statement'
[ ! -e x.sqlite ] && md5sum --status -c sum.txt || fail "a query wrote something"
mkdir bare
run 2 query bare 'SELECT 1'
one_line '^bare has no results.sqlite'

# Again: nothing to run. More values: the new points only.
finished a >before.txt
run 0 sweep s.yaml -o a
grep -qx '48 of 48 runs are there already' err.txt || fail "$(cat err.txt)"
finished a | cmp -s - before.txt || fail "points were run again"
sed 's/10s, 20s/10s, 20s, 30s/' s.yaml >more.yaml
run 0 sweep more.yaml -o a
grep -qx '48 of 72 runs are there already' err.txt || fail "$(cat err.txt)"
[ "$(comm -23 before.txt <(finished a) | wc -l)" -eq 0 ] || fail "points were run again"
run 0 sweep more.yaml -q -o b --jobs 1
diff -r --exclude=run.json a b >diff.txt || fail "grown and whole differ: $(head -3 diff.txt)"

# --set chooses among rows that belong together, and replaces the values of a key alone.
run 0 sweep s.yaml --dry-run --set workload.pages=5 --set run.limit=3s,4s --seed 3
head -1 out.txt | grep -qx '8 points, 8 to run:' || fail "$(cat out.txt)"
[ "$(grep -c 'guest.syscall=200cycles,workload.pages=5' out.txt)" -eq 8 ] || fail "$(cat out.txt)"
run 2 sweep s.yaml --dry-run --set workload.pages=6
one_line '^--set workload.pages: the sweep of guest.syscall, workload.pages has no row with workload.pages=6$'

# Another configuration in the same folder: nothing is replaced without a word.
cp -r a kept
run 2 sweep s.yaml -o a --set guest.mmap=77cycles
one_line '^a/default/native_sequential/run.limit=10s.*/seed=7 holds a run of another configuration; -o names another folder, --force replaces such points$'
diff -r a kept >diff.txt || fail "a refused sweep changed something: $(head -3 diff.txt)"
run 0 sweep s.yaml -q -o a --force --set guest.mmap=77cycles
run 0 sweep s.yaml -q -o c --set guest.mmap=77cycles
cmp -s a/summary.csv c/summary.csv || fail "--force"
mkdir theirs
echo precious >theirs/file
run 2 sweep s.yaml -o theirs
one_line '^theirs was not written by tlbstorm$'

# Points one by one, in any order, by the commands that --export-commands prints.
run 0 sweep s.yaml -o parts --export-commands
[ "$(wc -l <out.txt)" -eq 48 ] || fail "commands: $(cat out.txt)"
run 3 collect parts
grep -qx 's: 48 points: 0 done, 48 missing' out.txt || fail "$(cat out.txt)"
run 0 sweep s.yaml -o parts --export-commands
shuf --random-source="$TS_SOURCE_DIR/LICENSE" out.txt >commands.txt
head -24 commands.txt | xargs -P 3 -d '\n' -n 1 sh -c || fail "a command failed"
run 0 status parts --json
grep -q '"done": 24,' out.txt && grep -q '"missing": 24,' out.txt || fail "status: $(cat out.txt)"
cp -r parts/default half
run 0 sweep s.yaml -o parts --export-commands
[ "$(wc -l <out.txt)" -eq 24 ] || fail "commands: $(cat out.txt)"
cut -d' ' -f 1-100 out.txt | sed 's/.* //' >ids.txt
# Several processes with the same points: none is lost or doubled.
for _ in 1 2 3; do
    "$TLBSTORM" -q sweep s.yaml -o parts --points-from ids.txt 2>>raced.txt &
done
wait
[ ! -s raced.txt ] || fail "the same points at a time: $(cat raced.txt)"
run 0 collect parts
run 0 sweep s.yaml -q -o whole
diff -r --exclude=run.json whole parts >diff.txt || fail "in parts: $(head -3 diff.txt)"
# What a dead process has left half-written goes when somebody collects, unless others are at work.
left=parts/default/native_concurrent/left/seed=1.host-1.partial
mkdir -p "$left"
flock -s parts/.lock "$TLBSTORM" collect parts >out.txt 2>err.txt
[ -d "$left" ] || fail "collect removed what somebody may be writing"
run 0 collect parts
[ ! -e "$left" ] || fail "half-written points stay"
rmdir parts/default/native_concurrent/left
# While one process runs a part nobody takes the folder alone, and the other way round one waits.
exec 9>>parts/.lock
flock -s 9
run 2 sweep s.yaml -o parts
one_line '^parts: another tlbstorm is writing there$'
flock 9
"$TLBSTORM" -q sweep s.yaml -o parts --points-from ids.txt 9>&- &
pid=$!
sleep 0.5
kill -0 "$pid" 2>/dev/null || fail "a part did not wait for the folder"
exec 9>&-
wait "$pid" || fail "a part that has waited failed"
run 2 sweep s.yaml -o parts --point 0123456789
one_line "^no point of parts has the identity '0123456789'"
run 2 sweep s.yaml -o parts --point "$(head -1 ids.txt)" --set guest.mmap=77cycles
one_line 's.yaml has changed since the sweep was begun in parts$'
run 2 sweep s.yaml -o parts --point "$(head -1 ids.txt)" --dry-run
one_line 'go with the launcher local alone'
run 2 sweep s.yaml -o parts --chunk 3
one_line 'are of --launcher slurm'
run 2 sweep s.yaml --launcher slrum
one_line 'launcher'

# One that fails is kept apart and told at the end; tried again, it may finish.
sed 's/10s, 20s/1us, 20s/' s.yaml >bad.yaml
run 4 sweep bad.yaml -q -o bad
grep -qx 'bad: 48 points: 24 done, 24 failed' err.txt || fail "$(cat err.txt)"
grep -q '^reproduce: tlbstorm run bad.yaml .*run.limit=1us' err.txt || fail "$(cat err.txt)"
[ "$(wc -l <bad/failures.csv)" -eq 25 ] && [ "$(find bad/failed -name failure.json | wc -l)" -eq 24 ] || fail "failures.csv"
run 0 query bad 'SELECT exit_code, count(*) FROM failures GROUP BY 1'
[ "$(tail -1 out.txt)" = 4,24 ] || fail "failures: $(cat out.txt)"
run 0 query bad 'SELECT count(*) FROM runs'
[ "$(tail -1 out.txt)" = 24 ] || fail "runs: $(cat out.txt)"
grep -q ',0.000001,' bad/summary.csv && fail "failed points are in summary.csv"
run 0 status bad
grep -q '^  failed: default/native_sequential/run.limit=1us,.*: not finished after run.limit' out.txt || fail "status: $(cat out.txt)"
run 4 collect bad
finished bad >before.txt
run 4 sweep bad.yaml -q -o bad
finished bad | cmp -s - before.txt || fail "finished points were run again"
run 0 sweep bad.yaml -q -o bad --set run.limit=20s
[ ! -e bad/failures.csv ] || fail "failures.csv of a sweep without failures"

# A corrupt folder is told and left alone; the others run.
rm -rf whole/default/native_concurrent/*vcpus=3
point=$(find whole -name seed=7 | sort | head -1)
truncate -s 5 "$point/stats.csv"
run 3 sweep s.yaml -q -o whole
grep -qx "$point is corrupt (stats.csv has 5 bytes and not [0-9]*) and is left alone" err.txt || fail "$(cat err.txt)"
grep -qx 'whole: 48 points: 47 done, 1 corrupt' err.txt || fail "$(cat err.txt)"
[ ! -e whole/failed ] && [ "$(stat -c %s "$point/stats.csv")" -eq 5 ] || fail "the corrupt folder was touched"
run 0 status whole
grep -q "$point is corrupt" out.txt || fail "$(cat out.txt)"
rm -rf "$point"
run 0 sweep s.yaml -q -o whole
diff -r --exclude=run.json whole parts >diff.txt || fail "mended: $(head -3 diff.txt)"

# What is no folder of results.
mkdir none
for command in status collect; do
    run 2 "$command" none
    one_line '^none (holds no results of|was not written by) tlbstorm'
done
sed -i 's/"schema": 1/"schema": 9/' c/points.json
run 3 status c
one_line '^c/points.json cannot be read'

# bad EXPRESSION SED-SCRIPT: the sweep, changed, is refused with a matching line.
bad() {
    sed -E "$2" s.yaml >e.yaml
    run 2 sweep e.yaml -o new
    one_line "$1"
    [ ! -e new ] || fail "something was written for: $2"
}
bad "^e.yaml:10:66: zip: workload.pages has 3 values, and guest.syscall has 2" '10s/\[4, 5\]/[4, 5, 6]/'
bad "^e.yaml:10:9: unknown key 'guest.sycall' \(did you mean 'guest.syscall'" '10s/syscall/sycall/'
bad "^e.yaml:10:36: the sweep of guest.syscall, workload.pages names guest.syscall=100cycles, workload.pages=4 twice" '10s/.*/  zip: {guest.syscall: [100cycles, 100cycles], workload.pages: [4, 4]}/'
bad "^e.yaml:10:25: guest.syscall: '100' has no unit" '10s/100cycles/100/'
bad "^e.yaml:13:7: a row of list has no 'run.vms', which the first one has" '13s/, run.vms: 1//'
bad "^e.yaml:13:22: the first row of list has no 'run.window'" '13s/run.vms: 1/run.window: 1ms/'
bad "^e.yaml:13:22: unknown key 'run.vns' \(did you mean 'run.vms'" '13s/run.vms: 1/run.vns: 1/'
bad "^e.yaml:9:3: duplicate key 'run.vms' in sweep|duplicate key 'run.vms' in sweep" '9s/run.limit.*/run.vms: [1]/'
bad "list must be a list of maps" '12,13d; 11s/list:/list: 3/'
bad "^e.yaml:7:12: seeds: 2..1 ends before it begins" '7s/1..2/2..1/'
bad "^e.yaml:7:12: seeds names 7 twice" '7s/1..2/6..8/'
bad "^e.yaml:7:8: the list of seeds is empty" '7s/\[.*/[]/'
bad "^e.yaml:7:12: there are more than 10000 seeds" '7s/1..2/1..20000/'
bad "^e.yaml:7:8: seeds: '-1' is out of bounds" '7s/\[.*/-1/'
bad "'repetitions' does not go with 'seeds'" '7s/$/\nrepetitions: 2/'
finish
