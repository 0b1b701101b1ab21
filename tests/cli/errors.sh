#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Wrong input: one line that names the place, exit 2, and nothing written.
. "$(dirname "$0")/lib.bash"

good='schema: 1
name: t
workload: {kind: mmap_storm, threads: 1, rounds: 1, pages: 4, touch_pages: 1}
machine: x86-2s-64t
hypervisor: kvm-6.12
guest: linux-6.12-x86
mechanisms: [native_concurrent]
set: {run.vcpus: 2}'
export TLBSTORM_CONFIGS=$configs

# bad EXPRESSION SED-SCRIPT: the good experiment, changed, is refused with a matching line.
bad() {
    printf '%s\n' "$good" | sed -E "$2" >e.yaml
    run 2 run e.yaml
    one_line "$1"
    [ ! -e out ] || fail "something was written for: $2"
}

printf '%s\n' "$good" >e.yaml
run 0 run e.yaml --dry-run
[ ! -e out ] || fail "--dry-run wrote something"

# Keys, values and units.
bad "^e.yaml:8:7: unknown key 'run.vcpu' \(did you mean 'run.vcpus'\?\)" 's/run.vcpus/run.vcpu/'
bad "^e.yaml:1:1: unknown key 'shema' .*did you mean 'schema'" 's/^schema/shema/'
bad "^e.yaml:3:30: unknown key 'workload.thread' \(did you mean 'workload.threads'" 's/threads/thread/'
bad "^e.yaml:8:18: run.vcpus: '0' is out of bounds: must be 1 to 4096" 's/vcpus: 2/vcpus: 0/'
bad "^e.yaml:8:18: run.vcpus: '5000' is out of bounds" 's/vcpus: 2/vcpus: 5000/'
bad "^e.yaml:8:18: run.vcpus: '2GHz' has an unknown unit" 's/vcpus: 2/vcpus: 2GHz/'
bad "^e.yaml:8:18: run.limit: '5' has no unit: expected a time" 's/run.vcpus: 2/run.limit: 5/'
bad "^e.yaml:8:26: mmu.l2_hit_cycles: '3ns' has an unknown unit" 's/run.vcpus: 2/mmu.l2_hit_cycles: 3ns/'
bad "^e.yaml:8:18: run.vcpus must be a single value, or a map" 's/vcpus: 2/vcpus: {a: 2}/'
bad "^e.yaml:8:18: run.vcpus must be a single value, not a list" 's/vcpus: 2/vcpus: [2]/'
bad "^e.yaml:8:18: run.vcpus has no value" 's/vcpus: 2/vcpus: /'
bad "unknown key 'sorce' of run.vcpus" 's/vcpus: 2/vcpus: {value: 2, sorce: x}/'
bad "run.vcpus: a source needs its confidence" 's/vcpus: 2/vcpus: {value: 2, source: x}/'
bad "unknown confidence 'gues' \(did you mean 'guess'" 's/vcpus: 2/vcpus: {value: 2, confidence: gues}/'
bad "mmu.replacement: 'tree_plu' is unknown, did you mean 'tree_plru'" 's/run.vcpus: 2/mmu.replacement: tree_plu/'
bad "interconnect.fabric: 'mush' is unknown, did you mean 'mesh'\?" 's/run.vcpus: 2/interconnect.fabric: mush/'
bad "^e.yaml:8:21: duplicate key 'run.vcpus', first on line 8" 's/vcpus: 2/vcpus: 2, run.vcpus: 3/'
bad "^e.yaml:8:27: duplicate key 'run.vcpus', first on line 8" 's/vcpus: 2/vcpus: 2, run: {vcpus: 3}/'
bad "^e.yaml:9:1: duplicate key 'name', first on line 2" '8a name: u'
bad "^e.yaml:8:[0-9]+: not valid YAML" '8s/\}/]/'

bad "^e.yaml:8:20: guest.linux: version '6.18' is unknown, the nearest known is 6.17 " 's/run.vcpus: 2/guest.linux: 6.18/'
bad "^e.yaml:8:20: guest.linux: version '6.12.3' is unknown, the nearest known is 6.12 " 's/run.vcpus: 2/guest.linux: 6.12.3/'
bad "^e.yaml:8:20: guest.linux: 'new' is no version of Linux: expected one of 4.14 to 4.20" 's/run.vcpus: 2/guest.linux: new/'

# The experiment itself.
bad "^e.yaml:1:9: schema: '2' is out of bounds" 's/schema: 1/schema: 2/'
bad "the experiment has no 'workload'" '/^workload/d'
bad "the experiment has no 'name'" '/^name/d'
bad "^e.yaml:2:7: the name '../t' must be of letters" 's|name: t|name: ../t|'
bad "no 'mechanisms' are named" '/^mechanisms/d'
bad "^e.yaml:7:1: the list of mechanisms is empty" 's/\[native_concurrent\]/[]/'
bad "^e.yaml:9:14: repetitions: '0' is out of bounds: must be a whole number from 1" '8a repetitions: 0'
bad "^e.yaml:9:14: repetitions: '-3' is out of bounds" '8a repetitions: -3'
bad "^e.yaml:9:14: repetitions: '1.5' is out of bounds" '8a repetitions: 1.5'
bad "^e.yaml:9:7: seed: 'x' is out of bounds" '8a seed: x'
bad "^e.yaml:7:14: unknown mechanism 'native_concurent' \(did you mean 'native_concurrent'" 's/native_concurrent/native_concurent/'
bad "^e.yaml:7:33: the mechanism 'native_concurrent' is named twice" 's/native_concurrent/&, &/'
bad "^e.yaml:7:14: x86-2s-64t: mechanism 'tlbi_range' cannot run here: it is an arm64 mechanism" 's/native_concurrent/tlbi_range/'

# What belongs to one operating system, asked of the other.
bad "^e.yaml:7:14: x86-2s-64t: mechanism 'kvm_pv' cannot run here: it is of Linux \(guest.os is windows, which has free_flush, hyperv_windows, native_concurrent, native_sequential\)" 's/native_concurrent/kvm_pv/; s/vcpus: 2/vcpus: 2, guest.os: windows/'
bad "^e.yaml:7:14: x86-2s-64t: mechanism 'hyperv_windows' cannot run here: it is of a Windows guest" 's/native_concurrent/hyperv_windows/'
bad "^e.yaml:8:42: x86-2s-64t: guest.flush_ceiling is of Linux, and guest.os is windows: its own rule is nt.flush_list_max" 's/vcpus: 2/vcpus: 2, guest.flush_ceiling: 10, guest.os: windows/'
bad "^e.yaml:8:.*nt.free_batch is of a Windows-like guest: it needs guest.os windows" 's/vcpus: 2/vcpus: 2, nt.free_batch: 7/'
bad "it needs a hypervisor" 's/native_concurrent/kvm_pv/; s/kvm-6.12/none/'
bad "^e.yaml:9:11: unknown mechanism 'fast'" '8a baseline: fast'
bad "^e.yaml:3:18: unknown workload kind 'mmap_strom' \(did you mean 'mmap_storm'" 's/mmap_storm/mmap_strom/'
bad "the sweep of run.vms is empty" '8a sweep: {run.vms: []}'
bad "the sweep of run.vms names 2 twice" '8a sweep: {run.vms: [2, 2]}'
bad "^e.yaml:9:22: run.vms: 'many' is no number" '8a sweep: {run.vms: [1, many]}'
bad "^e.yaml:9:9: unknown key 'run.vns' \(did you mean 'run.vms'" '8a sweep: {run.vns: [1]}'
bad "'machine' belongs into each platform" '8a platforms: {a: {mechanisms: [free_flush]}}'

# Workloads without an end.
bad "^e.yaml:3:18: x86-2s-64t: the workload ebizzy has no end: set run.window" 's/mmap_storm, .*/ebizzy}/'
bad "^e.yaml:3:18: x86-2s-64t: the workload mprotect_loop has no end" 's/mmap_storm, .*/mprotect_loop}/'
bad "^e.yaml:3:18: x86-2s-64t: the workload bystander has no end" 's/mmap_storm, .*/bystander, records: 1}/'
bad "^e.yaml:3:18: x86-2s-64t: the workload ebizzy has no end" '3s/mmap_storm, .*/ebizzy}/; 8a sweep: {run.window: [1ms, 0]}'
bad "^e.yaml:3:38: x86-2s-64t: chunk_size is not a multiple of 8 bytes" '3s/mmap_storm, .*/ebizzy, chunk_size: 4100B, records: 1}/'
bad "^e.yaml:8:19: x86-2s-64t: run.window ends at 2000000000000000 ps" 's/run.vcpus: 2/run.window: 2000s/'
printf '%s\n' "$good" | sed '3s/mmap_storm, .*/ebizzy, records: 1}/' >e.yaml
run 0 run e.yaml --dry-run
printf '%s\n' "$good" | sed '3s/mmap_storm, .*/ebizzy}/; s/run.vcpus: 2/&, run.window: 1ms/' >e.yaml
run 0 run e.yaml --dry-run

# What does not go together, at every point, where the file or the command line says it.
bad "^e.yaml:8:38: x86-2s-64t: hypervisor.avic is AMD's" 's/vcpus: 2/vcpus: 2, hypervisor.avic: avic/'
bad "^e.yaml:9:32: x86-2s-64t, hypervisor.avic=avic: hypervisor.avic is AMD's" '8a sweep: {hypervisor.avic: [off, avic]}'
bad "^e.yaml:3:76: x86-2s-64t: touch_pages is larger than pages" 's/touch_pages: 1/touch_pages: 5/'
bad "^e.yaml:9:35: x86-2s-64t, workload.touch_pages=5: touch_pages is larger than pages" '8a sweep: {workload.touch_pages: [1, 5]}'
bad "^e.yaml:6:8: x86-2s-64t: guest linux-6.12-arm64 is for arm64 \([^ ]*linux-6.12-arm64.yaml:3:7: arch\), but machine x86-2s-64t is x86 \([^ ]*x86-2s-64t.yaml:[0-9]+:[0-9]+: topology.arch\)$" 's/linux-6.12-x86/linux-6.12-arm64/'
bad "^e.yaml:5:13: x86-2s-64t: hypervisor kvm-arm64-6.12 is for arm64 \([^ ]*kvm-arm64-6.12.yaml:3:7: arch\), but machine x86-2s-64t is x86" 's/kvm-6.12/kvm-arm64-6.12/'
bad "^e.yaml:5:13: x86-2s-64t: hypervisor kvm-arm64-6.12-nofb is for arm64" 's/kvm-6.12/kvm-arm64-6.12-nofb/'
bad "^e.yaml:5:13: arm-64c: hypervisor kvm-6.12 is for x86 \([^ ]*kvm-6.12.yaml:3:7: arch\), but machine arm-64c is arm64 \([^ ]*arm-64c.yaml:[0-9]+:[0-9]+: topology.arch\)$" 's/x86-2s-64t/arm-64c/'
bad "^e.yaml:6:1: x86-2s-64t: guest is for arm64 \(e.yaml:6:15: arch\)" 's/linux-6.12-x86/{arch: arm64}/'
bad "^e.yaml:6:15: topology.arch: 'arm63' is unknown, did you mean 'arm64'" 's/linux-6.12-x86/{arch: arm63}/'
bad "^e.yaml:9:11: the baseline 'kvm_pv' is not among the mechanisms" '8a baseline: kvm_pv'
for kind in guest hypervisor; do
    for file in "$configs/${kind}s"/*.yaml; do
        [[ $file == */none.yaml ]] || grep -qE '^arch: (x86|arm64)$' "$file" ||
            fail "$file does not say its architecture"
    done
done

# Files.
mkdir folder
bad "^e.yaml:4:10: no machine 'x86-2s-65t' \(did you mean 'x86-2s-64t'\?\)" 's/x86-2s-64t/x86-2s-65t/'
bad "^e.yaml:4:10: no such file: ./nothing.yaml" 's|x86-2s-64t|./nothing.yaml|'
bad "^e.yaml:9:10: no such file: nothing.yaml" '8a include: nothing.yaml'
bad "^e.yaml:9:10: 'folder' is a folder" '8a include: folder'
printf 'include: b.yaml\n' >a.yaml
printf 'include: a.yaml\n' >b.yaml
bad "^b.yaml:1:10: include cycle: a.yaml" '8a include: a.yaml'
bad "^e.yaml:9:10: include cycle: e.yaml" '8a include: e.yaml'
printf 'topology: {sockets: 99}\n' >m.yaml
bad "^m.yaml:1:21: topology.sockets: '99' is out of bounds" 's/x86-2s-64t/m.yaml/'
printf 'topolgy: {sockets: 2}\n' >m.yaml
bad "^m.yaml:1:11: unknown key 'topolgy.sockets' \(did you mean 'topology.sockets'" 's/x86-2s-64t/m.yaml/'
run 2 run nothing.yaml
one_line 'no such file: nothing.yaml'
: >empty.yaml
run 2 run empty.yaml
one_line '^empty.yaml:1:1: the file is empty'
head -c 4000 /dev/urandom >garbage.yaml
run 2 run garbage.yaml
one_line '^garbage.yaml:'

# Traces.
trace=$TS_SOURCE_DIR/workloads/traces/mmapstorm.strace.zst
head -c 50000 "$trace" >cut.zst
head -c 9 "$trace" >short.zst
head -c 50000 /dev/zero | tr '\0' '\377' >garbage.strace
printf '\x1f\x8b\x08garbage' >garbage.gz
: >empty.strace
strace='s/kind: mmap_storm.*/kind: strace, file: FILE}/'
bad "cut.zst: the trace is truncated or damaged \(zstd\)" "${strace/FILE/cut.zst}"
bad "short.zst: the trace is truncated or damaged \(zstd\)" "${strace/FILE/short.zst}"
bad "garbage.gz: the trace cannot be decompressed" "${strace/FILE/garbage.gz}"
bad "garbage.strace" "${strace/FILE/garbage.strace}"
bad "^e.yaml:3:32: empty.strace is empty" "${strace/FILE/empty.strace}"
bad "^e.yaml:3:32: no such file: no.strace" "${strace/FILE/no.strace}"
bad "the workload strace reads a trace and has no 'file'" 's/kind: mmap_storm.*/kind: strace}/'
bad "the workload mmap_storm reads no file" 's/kind: mmap_storm/&, file: cut.zst/'

# The command line.
printf '%s\n' "$good" >e.yaml
run 2 run e.yaml --set run.vcpus
one_line 'expected KEY=VALUE'
run 2 run e.yaml --set run.vcpu=3
one_line "^--set run.vcpu: unknown key 'run.vcpu'"
run 2 run e.yaml --set run.vcpus=0
one_line "^--set run.vcpus: run.vcpus: '0' is out of bounds"
run 2 run e.yaml --set platforms=arm
one_line "no platform 'arm'"
run 2 run e.yaml --set mechanisms=tlbi_range
one_line "^--set mechanisms: x86-2s-64t: mechanism 'tlbi_range' cannot run here"
run 2 run e.yaml --set hypervisor.avic=off,avic
one_line "^--set hypervisor.avic: x86-2s-64t, hypervisor.avic=avic: hypervisor.avic is AMD's"
run 2 run e.yaml --set hypervisor.avic=off,avic --dry-run
one_line "^--set hypervisor.avic: x86-2s-64t, hypervisor.avic=avic: hypervisor.avic is AMD's"
run 2 run e.yaml --set guest=linux-6.12-arm64
one_line '^--set guest: x86-2s-64t: guest linux-6.12-arm64 is for arm64'
run 2 run e.yaml --set machine=arm-64c
one_line '^e.yaml:5:13: arm-64c: hypervisor kvm-6.12 is for x86'
run 2 run e.yaml --set baseline=kvm_pv
one_line "^--set baseline: the baseline 'kvm_pv' is not among the mechanisms"
run 2 run e.yaml --set mechanisms=free_flush,kvm_pv --set baseline=native_concurrent
one_line "^--set baseline: the baseline 'native_concurrent' is not among the mechanisms"
run 0 run e.yaml --set mechanisms=free_flush,kvm_pv --set baseline=kvm_pv --dry-run
run 0 run "$smoke" --set mechanisms=free_flush --dry-run # leaves the file's baseline out
run 2 run e.yaml --seed -1
one_line "^--set seed: seed: '-1' is out of bounds"
run 2 run e.yaml --jobs 0
one_line 'jobs'
run 2 run e.yaml --kernel fast
one_line 'kernel'
run 2 run e.yaml -o .
one_line 'name a folder of its own'
run 2 run
one_line 'EXPERIMENT is required'
run 2 rum e.yaml
one_line 'tlbstorm: '
run 2
one_line 'subcommand'
[ ! -e out ] || fail "something was written"
finish
