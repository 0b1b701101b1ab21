#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A storm of 4,096 vCPUs in one VM: memory and time; and too little memory. For builds as they are used: sanitizers take a
# multiple of both, and more address space than a limit allows.
. "$(dirname "$0")/lib.bash"
if ! (ulimit -v 100000 && "$TLBSTORM" --version) >/dev/null 2>&1; then
    echo "skipped: not for this build"
    exit 0
fi

cat >e.yaml <<'YAML'
schema: 1
name: large
workload: {kind: mmap_storm, threads: 64, rounds: 1, pages: 4, touch_pages: 1,
           start_stagger: 20us}
machine: x86-2s-64t
hypervisor: kvm-6.12
guest: linux-6.12-x86
mechanisms: [native_concurrent]
set: {run.vms: 1, run.limit: 60s}
YAML
export TLBSTORM_CONFIGS=$configs

cat >measure.py <<'PYTHON'
import resource
import subprocess
import sys

code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_maxrss, round(1000 * (used.ru_utime + used.ru_stime)))
PYTHON

# measure VCPUS ARGUMENTS...: one thread a vCPU. Sets code, KiB resident and milliseconds of CPU time.
measure() {
    local n=$1
    shift
    read -r code kib ms < <("$TS_PYTHON" measure.py "$TLBSTORM" run e.yaml -q --force -o out \
        --set "run.vcpus=$n" --set "workload.threads=$n" "$@" 2>err.txt)
    [ "$code" -eq 0 ] || fail "exit $code with $n vCPUs: $(cat err.txt)"
}

# On 1,024 pCPUs. The whole run takes less time than the first shootdown may; time on the CPU, as
# other tests run beside this one.
measure 4096 --set topology.sockets=8 --set topology.cores_per_socket=64
[ "$(awk -F, 'NR == 2 { print NF }' out/summary.csv)" -gt 3 ] || fail "no results"
[ "$kib" -lt 1048576 ] || fail "4096 vCPUs take $kib KiB"
[ "$ms" -lt 10000 ] || fail "the storm of 4096 vCPUs took $ms ms"

# Linear in the vCPUs: the second doubling costs twice the first (2.1 times was measured; a square that
# takes a third of it makes 2.7).
measure 1024
small=$kib
measure 2048
middle=$kib
measure 4096
[ $(((kib - middle) * 10)) -lt $(((middle - small) * 25)) ] ||
    fail "memory of 1024, 2048, 4096 vCPUs: $small, $middle, $kib KiB"

# Not enough of it, while the machine is made and while it runs: one line that says so, and nothing is
# left.
starve() {
    local want=$1 limit=$2
    shift 2
    (ulimit -v "$limit" && "$TLBSTORM" run e.yaml -q -o starved "$@") >/dev/null 2>err.txt
    got=$?
    [ "$got" -eq 3 ] || fail "exit $got with $limit KiB: $(cat err.txt)"
    [ "$(grep -cv '^reproduce: ' err.txt)" -eq 1 ] || fail "not one line: $(cat err.txt)"
    grep -q "$want" err.txt || fail "'$(cat err.txt)' does not match '$want'"
    [ ! -e starved ] && [ ! -e starved.partial ] || fail "a run without memory left a folder"
}
starve 'out of memory for 4096 ' 56000 --set run.vcpus=4096 --set workload.threads=4096
starve 'cannot map a stack.*memory' 300000 --set run.vcpus=4096 --set workload.threads=4096
starve 'memory' 40000 --set run.vcpus=2 --set workload.threads=1 \
    --set workload.pages=1000000 --set workload.touch_pages=1000000 \
    --set topology.sockets=1 --set topology.cores_per_socket=2
finish
