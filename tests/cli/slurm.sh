#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `sweep --launcher slurm` against a real slurmctld and two slurmd on this machine: arrays below
# MaxArraySize, a job that collects, and with TS_NODE_DIES=1 a node that dies in the middle: Slurm puts
# its task back, which takes it two minutes. Nothing is lost or doubled.
# Everything of Slurm's is in a folder of its own. Exit code 77: there is no Slurm here.
for program in munged slurmctld slurmd sbatch scontrol squeue; do
    if [ "$(id -u)" -ne 0 ] || ! command -v "$program" >/dev/null; then
        echo "skipped: needs root, and $program (packages slurmctld slurmd slurm-client munge)"
        exit 77
    fi
done
. "$(dirname "$0")/lib.bash"

dies=${TS_NODE_DIES:-0}
chunk=2 rounds=300 tasks=5 jobs='[0-9]+ [0-9]+'
if [ "$dies" -eq 1 ]; then
    chunk=1 rounds=3000 tasks=10 jobs='[0-9]+ [0-9]+ [0-9]+ [0-9]+'
fi
daemons=()
stop() {
    rc=$?
    [ "$rc" -eq 0 ] || tail -5 "$tmp"/slurm/*.log "$tmp"/d/slurm/*/*.log >&2 2>/dev/null
    for file in "$tmp"/slurm/*.pid; do
        kill "$(cat "$file")" 2>/dev/null
    done
    for pid in "${daemons[@]}" $(of_node n1) $(of_node n2); do
        kill -9 "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$tmp"
    [ "$failures" -eq 0 ] || exit 1
    exit "$rc"
}
trap stop EXIT

# Processes of tasks on a node, their shepherds (slurmstepd) included.
of_node() {
    "${TS_PYTHON:-python3}" - "$1" "$SLURM_CONF" <<'EOP'
import glob
import sys

want = {f"SLURMD_NODENAME={sys.argv[1]}".encode(), f"SLURM_CONF={sys.argv[2]}".encode()}
found = set()
for name in glob.glob("/proc/[0-9]*"):
    try:
        if not want <= set(open(name + "/environ", "rb").read().split(b"\0")):
            continue
        found.add(name[6:])
        parent = open(name + "/stat").read().rpartition(")")[2].split()[1]
        if "slurmstepd" in open(f"/proc/{parent}/comm").read():
            found.add(parent)
    except OSError:
        pass
print(*found)
EOP
}

mkdir -m 700 slurm
chmod 755 "$tmp"
port=$((20000 + RANDOM % 20000))
export SLURM_CONF=$tmp/slurm/slurm.conf
head -c 1024 /dev/urandom >slurm/munge.key
chmod 600 slurm/munge.key
munged --force --foreground --key-file="$tmp/slurm/munge.key" --socket="$tmp/slurm/munge.socket" \
    --pid-file="$tmp/slurm/munged.pid" --seed-file="$tmp/slurm/munge.seed" >slurm/munged.log 2>&1 &
daemons+=($!)
cat >"$SLURM_CONF" <<EOC
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$tmp/slurm/munge.socket
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SlurmdParameters=config_overrides
ReturnToService=2
MaxArraySize=4
SlurmdTimeout=6
KillWait=1
InactiveLimit=0
SlurmctldPort=$port
StateSaveLocation=$tmp/slurm/state
SlurmdSpoolDir=$tmp/slurm/spool.%n
SlurmctldPidFile=$tmp/slurm/slurmctld.pid
SlurmdPidFile=$tmp/slurm/slurmd.%n.pid
SlurmctldLogFile=$tmp/slurm/slurmctld.log
SlurmdLogFile=$tmp/slurm/slurmd.%n.log
NodeName=n1 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=1 RealMemory=500
NodeName=n2 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=1 RealMemory=500
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
EOC
mkdir slurm/state
slurmctld -D >slurm/ctld.out 2>&1 &
daemons+=($!)
for node in n1 n2; do
    slurmd -D -N "$node" >"slurm/$node.out" 2>&1 &
    daemons+=($!)
done
for _ in $(seq 120); do
    [ "$(sinfo -h -N -o '%N %t' 2>/dev/null | grep -c idle)" -eq 2 ] && break
    sleep 0.5
done
[ "$(sinfo -h -N -o '%N %t' | grep -c idle)" -eq 2 ] || {
    fail "Slurm did not start: $(sinfo 2>&1; cat slurm/*.out)"
    finish
}

cat >s.yaml <<EOE
schema: 1
name: s
workload: {kind: mmap_storm, threads: 4, rounds: $rounds, pages: 64, touch_pages: 16}
machine: {topology.sockets: 1, topology.cores_per_socket: 4, topology.threads_per_core: 1}
hypervisor: kvm-6.12
guest: linux-6.12-x86
mechanisms: [native_sequential, native_concurrent]
baseline: native_sequential
repetitions: 5
set: {run.vcpus: 4, run.limit: 1000s}
EOE
export TLBSTORM_CONFIGS=$configs
finished() {
    find "$1" -name result.json -printf '%P %T@ %i\n' 2>/dev/null | grep -v '\.partial/' | sort
}
# In arrays of 3 tasks (indices below 4) at most.
run 0 sweep s.yaml -o d --launcher slurm --jobs 1 --chunk "$chunk" --sbatch=--mem=100
grep -qE "^10 points in $tasks tasks: job $jobs; job [0-9]+ collects\." out.txt || fail "$(cat out.txt err.txt)"
run 0 status d
grep -q '^s: 10 points: ' out.txt || fail "status: $(cat out.txt)"

# When some points are done and a task runs on it, node n2 dies: no word, no goodbye.
: >before.txt
if [ "$dies" -eq 1 ]; then
    for _ in $(seq 600); do
        [ "$(finished d | wc -l)" -ge 2 ] && [ -n "$(of_node n2)" ] && break
        sleep 0.1
    done
    [ -n "$(of_node n2)" ] || fail "nothing runs on n2: $(squeue)"
    kill -9 "${daemons[3]}" $(of_node n2) 2>/dev/null
    finished d >before.txt
    [ "$(wc -l <before.txt)" -lt 10 ] || fail "all were done before the node died"
fi
for _ in $(seq 600); do
    grep -qs ' done' d/slurm/1/collect.log && break
    sleep 1
done
[ -e d/summary.csv ] || fail "nobody has collected: $(squeue; sinfo)"
grep -qx 's: 10 points: 10 done' d/slurm/1/collect.log || fail "$(cat d/slurm/1/collect.log)"
[ "$(comm -23 before.txt <(finished d) | wc -l)" -eq 0 ] || fail "points were lost or run again"
[ "$dies" -eq 0 ] || sinfo -h -N -o '%N %t' | grep -q '^n2 down' || fail "the node did not die: $(sinfo)"
run 0 sweep s.yaml -q -o whole
rm -rf d/.lock
diff -r --exclude=run.json --exclude=slurm --exclude=.lock --exclude=.tlbstorm d whole >diff.txt ||
    fail "on Slurm and here differ: $(head -3 diff.txt)"

# What is done is not submitted; one that is missing is.
run 0 sweep s.yaml -q -o d --launcher slurm
[ ! -e d/slurm/2 ] || fail "nothing was missing, and something was submitted"
rm -rf d/default/native_concurrent/seed=3
run 0 sweep s.yaml -o d --launcher slurm --jobs 1 --sbatch=--mem=100
grep -q '^1 points in 1 tasks: job ' out.txt || fail "$(cat out.txt)"
for _ in $(seq 120); do
    grep -qs '10 done' d/slurm/2/collect.log && break
    sleep 0.5
done
grep -qx 's: 10 points: 10 done' d/slurm/2/collect.log || fail "$(cat d/slurm/2/*)"

# Without Slurm's programs, and with a Slurm that refuses.
PATH=/nowhere run 3 sweep s.yaml -o other --launcher slurm
one_line '^--launcher slurm: scontrol is not there'
run 3 sweep s.yaml -q -o other --launcher slurm --sbatch=--no-such-option
grep -q '^--launcher slurm: sbatch has failed$' err.txt || fail "$(cat err.txt)"
finish
