#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `tlbstorm check`: what it prints, writes and refuses.
. "$(dirname "$0")/lib.bash"
export TLBSTORM_CONFIGS=$configs

# Right mechanisms: a table, exit code 0.
run 0 check kvm_pv tlbi_range --seeds 1..20 -q
grep -q '^kvm_pv .* none$' out.txt || fail "no row for kvm_pv: $(cat out.txt)"
grep -q '^tlbi_range .* none$' out.txt || fail "no row for tlbi_range: $(cat out.txt)"

# A wrong one: exit code 4, a small case, its story, and the command that repeats it.
run 4 check hyperv_2017 --seeds 1..400 -j 2 -q -o found
one_line 'mechanism is wrong'
grep -v '^Results:' out.txt >two.txt
run 4 check hyperv_2017 --seeds 1..400 -j 1 -q
mv out.txt one.txt
cmp -s two.txt one.txt || fail "the number of jobs changes what is printed"
grep -q 'stale translation used.*its flush had returned' one.txt || fail "no story: $(cat one.txt)"
seed=$(sed -n 's/^repeat: tlbstorm check hyperv_2017 --seeds //p' one.txt)
[ -n "$seed" ] || fail "no command that repeats it"
run 4 check hyperv_2017 --seeds "$seed" -q
cmp -s <(sed -n '/what happens/,$p' one.txt) <(sed -n '/what happens/,$p' out.txt) ||
    fail "another story when it is repeated"
operations=$(tail -1 found/check.csv | cut -d, -f11)
[ "$operations" -le 24 ] || fail "the case has $operations operations still"
grep -q "^repeat: tlbstorm check hyperv_2017 --seeds $seed$" found/finding-1.txt ||
    fail "no story in the folder"
gzip -dc found/finding-1.timeline.json.gz | "$TS_PYTHON" -c 'import json, sys; json.load(sys.stdin)' ||
    fail "the timeline is no JSON"
run 2 check hyperv_2017 --seeds 1 -o found
one_line '--force'

# As it was drawn it is longer.
run 4 check hyperv_2017 --seeds "$seed" -q --no-shrink
[ "$(grep -c '^    ' out.txt)" -gt "$(grep -c '^    ' one.txt)" ] || fail "--no-shrink shrinks"

# With store buffers: they are told among the settings if nothing is taken away, and are repeated.
run 4 check hyperv_2017 --seeds "$seed" -q --no-shrink --weak-memory
grep -Eq ' line.store_delay=(2us|50us|1ms)( guest|$)' out.txt || fail "no store buffer: $(cat out.txt)"
mv out.txt one.txt
eval "set -- $(sed -n 's/^repeat: tlbstorm //p' one.txt)"
[[ " $* " == *" --weak-memory "* ]] || fail "is not repeated with store buffers: $*"
run 4 "$@" -q --no-shrink
cmp -s one.txt out.txt || fail "another story when it is repeated with store buffers"

# Small machines only, which other seeds find something in.
run 4 check hyperv_2017 --seeds 1..400 --small -q
grep -q ' topology.sockets=1 .*run.vms=1 \|run.vms=1 .*topology.sockets=1 ' out.txt ||
    fail "no small machine: $(cat out.txt)"
mv out.txt one.txt
eval "set -- $(sed -n 's/^repeat: tlbstorm //p' one.txt)"
[[ " $* " == *" --small "* ]] || fail "is not repeated with small machines: $*"
run 4 "$@" -q
cmp -s <(sed -n '/what happens/,$p' one.txt) <(sed -n '/what happens/,$p' out.txt) ||
    fail "another story when it is repeated with small machines"

# In the machines of an experiment.
run 0 check --config "$smoke" --seeds 1..3 -q
[ "$(grep -c ' none$' out.txt)" -ge 2 ] || fail "no rows of the experiment: $(cat out.txt)"
run 0 check native_concurrent --config "$smoke" --set run.vcpus=2 --seeds 1..3 -q
[ "$(grep -c ' none$' out.txt)" -eq 1 ] || fail "not one mechanism alone: $(cat out.txt)"

# Order by order: how many orders there are, and a case with what is put off in it.
run 0 check native_concurrent --systematic --put-offs 1 --seeds 1..2 -q
grep -Eq '^native_concurrent +2 +2 +[0-9]+ +[0-9]+ .* none$' out.txt || fail "$(cat out.txt)"
mv out.txt two.txt
run 0 check native_concurrent --systematic --put-offs 1 --seeds 1..2 -q -j 3
cmp -s two.txt out.txt || fail "the number of jobs changes what is printed: $(cat out.txt)"
for seed in 7 8; do # one is put off, and of every eighth case two
    run 0 check native_concurrent --systematic --runs 600 --seeds $seed -q
    mv out.txt one.txt
    run 0 check native_concurrent --systematic --runs 600 --seeds $seed --put-offs $((seed - 6)) -q
    cmp -s one.txt out.txt || fail "seed $seed: not with $((seed - 6)) put off: $(cat one.txt out.txt)"
    run 0 check native_concurrent --systematic --runs 600 --seeds $seed --put-offs $((9 - seed)) -q
    ! cmp -s one.txt out.txt || fail "seed $seed: the same with $((9 - seed)) put off"
done
run 0 check native_concurrent --systematic --runs 30 --seeds 1 -q -o orders
grep -Eq '^native_concurrent +1 +0 +30 ' out.txt || fail "30 runs: $(cat out.txt)"
tail -1 orders/check.csv | grep -Eq '^native_concurrent,1,.*,none,,,30,[0-9]+,0$' || fail "$(cat orders/check.csv)"
run 4 check hyperv_2017 --systematic --seeds 1..8 -q
grep -Eq '^  at [0-9.]+ us \(step [0-9]+\) vCPU . of VM 0 (is preempted|stands still) before it .*, for [0-9.]+ us$' out.txt ||
    fail "does not say what is put off: $(cat out.txt)"
mv out.txt one.txt
eval "set -- $(sed -n 's/^repeat: tlbstorm //p' one.txt)"
run 4 "$@" -q
cmp -s <(sed -n '/what happens/,$p' one.txt) <(sed -n '/what happens/,$p' out.txt) ||
    fail "another story when it is repeated"

# Wrong input: one clear line, and nothing is written.
refused() {
    local want=$1
    shift
    run 2 check "$@" -o nothing
    one_line "$want"
    [ ! -e nothing ] || fail "$*: leaves a folder"
}
refused "no mechanism 'kvm_pw' .did you mean 'kvm_pv'" kvm_pw
refused 'seeds 0: must be like' kvm_pv --seeds 0
refused 'seeds 5..x: must be like' kvm_pv --seeds 5..x
refused 'the last is before the first' kvm_pv --seeds 9..5
refused 'time 3 parsecs' kvm_pv --time '3 parsecs'
refused 'set is for a --config' kvm_pv --set run.vms=2
refused 'nowhere.yaml' --config nowhere.yaml
refused 'none of its mechanisms is named' xen --config "$smoke"
refused 'not with --config' --systematic --config "$smoke"
refused 'small is of machines that are drawn at random: not with --config' --small --config "$smoke"
refused 'small is of machines that are drawn at random: not with --systematic' --small --systematic
refused 'put-offs.*9' kvm_pv --systematic --put-offs 9
refused 'runs.*0' kvm_pv --systematic --runs 0
finish
