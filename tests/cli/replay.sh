#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a recording to the table, and a recording's TLB flushes against the run's.
. "$(dirname "$0")/lib.bash"

traces=$TS_SOURCE_DIR/tests/data/traces

# says REGEX...: each is a line of the last output.
says() {
    for regex in "$@"; do
        grep -qE -- "$regex" out.txt || fail "no '$regex' in: $(cat out.txt)"
    done
}
warns() {
    grep -qE -- "$1" err.txt || fail "no warning '$1' in: $(cat err.txt)"
}

# The whole way. The experiment that it writes repeats it.
few="--mechanisms native_concurrent,hyperv --seeds 2"
one="--mechanisms native_concurrent --seeds 1"
run 0 replay "$traces/perf_script.txt.zst" $few -o storm
says '^Recording: .*text of perf script: 5 threads in 1 address space, [0-9]+ operations' \
    '^Touches:   as recorded' '^Between calls: computing and sleeping as recorded' \
    '^Machine:   x86-1s-12t, 12 pCPUs; host kvm-6.12, guest linux-6.12-x86, 5 vCPUs$' \
    '^  native_concurrent .* [1-9][0-9.]* +[1-9]' '^  hyperv ' '^Experiment: storm.yaml$'
run 0 run storm.yaml -o again
same_results storm again

# Compare with what was recorded.
run 0 trace compare "$traces/perf_script.txt.zst" storm
says '^replay/native_concurrent \(mean of 2 runs\)$' '^  remote IPI send +5 +[0-9.]+ +[0-9.]+$'
run 0 trace compare "$traces/perf_script.txt.zst" storm --json
"${TS_PYTHON:-python3}" - out.txt <<'EOP' || fail "compare --json"
import json, sys
all = json.load(open(sys.argv[1]))
assert all["recorded"]["remote IPI send"] == 5 and all["simulated"]["replay/hyperv"]["runs"] == 2
assert all["simulated"]["replay/native_concurrent"]["local MM shootdown"] > 30
EOP
run 2 trace compare "$traces/strace.txt.zst" storm
one_line 'strace.txt.zst: .*no TLB flush: record tlb:tlb_flush'
mkdir empty
run 2 trace compare "$traces/perf_script.txt.zst" empty
one_line 'empty holds no results of runs'

# Overcommitted: VMs that compute stand beside it.
run 0 replay "$traces/perf_trace.txt.zst" --overcommit 2 $few -o twice --dry-run
says '12 pCPUs; .* 5 vCPUs, beside 5 VMs of 4 vCPUs that compute: 2.08 vCPUs a pCPU'
# All mechanisms of the platform, without those with known faults.
run 0 replay "$traces/strace.txt.zst" -o all --dry-run --seeds 1
says '^Touches:   the first 16 pages of what becomes writable \(assumed' \
    '^  replay/kvm_pv/seed=1$' '^  replay/free_flush/seed=1$'
if grep -q '/hyperv_2017/\|/invlpgb/\|/tlbi' out.txt; then fail "a mechanism that cannot run there"; fi
run 0 replay "$traces/strace.txt.zst" -o bare --host none --dry-run --seeds 1
if grep -q '/kvm_pv/' out.txt; then fail "kvm_pv without KVM"; fi
run 0 replay "$traces/strace.txt.zst" -o arm --machine cortex-a76-1s-4c --dry-run --seeds 1
says '^Machine:   cortex-a76-1s-4c, 4 pCPUs; host kvm-arm64-6.12' '^  replay/tlbi_broadcast/seed=1$'

# Touches as they are asked for.
for policy in all random:7; do
    run 0 replay "$traces/perf_trace.txt.zst" --touch $policy $few -o touch --dry-run
    says '^Touches: '
done
run 2 replay "$traces/strace.txt.zst" --touch recorded -o bad
one_line '^--touch: the recording has no page faults'
run 2 replay "$traces/strace.txt.zst" --touch frst:3 -o bad
one_line "^--touch: 'frst:3' is none of .*did you mean 'first'"
run 2 replay "$traces/strace.txt.zst" --host none --overcommit 2 -o bad
one_line '^--overcommit: the host none has no VMs'
run 2 replay nothing.txt -o bad
one_line '^nothing.txt: no such recording'
run 2 replay "$traces/README.md" -o bad
one_line 'README.md:1:1: no recording of a known kind; known are bpftrace, '
[ ! -e bad.yaml ] || fail "a refused replay left its experiment"

# It says when it answers nothing, and why.
grep -v clone "$TS_SOURCE_DIR/tests/data/strace/variants/mini.nof-ttt-T.strace" >one.strace
run 0 replay one.strace $one -o one
warns 'the recording has one thread'
run 0 replay "$traces/ftrace-munmap-only.txt.zst" $one -o blind
warns 'unmaps, protects and drops nothing that was seen mapped; record mmap'
run 0 replay "$traces/strace.txt.zst" --touch none $one -o untouched
warns 'nothing is touched \(--touch none\)'
run 0 replay "$traces/lackey.txt" $one -o lackey
warns 'has one thread and unmaps nothing'
run 2 replay "$traces/bpftrace-counts.txt" -o bad
one_line 'has nothing that could be replayed: maps are counts'

# Standard input is kept; folders of -ff are one recording.
zstd -dcq "$traces/bpftrace.txt.zst" | "$TLBSTORM" replay - $one -o piped >out.txt 2>err.txt ||
    fail "replay -: $(cat err.txt)"
[ -s piped.recording ] || fail "no copy of standard input"
run 0 replay "$TS_SOURCE_DIR/tests/data/strace/variants/ff" $one -o folder
says 'ff, text of strace: 3 threads in 1 address space'
finish
