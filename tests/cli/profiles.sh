#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every machine of configs/machines: a tiny storm by interrupts, and on arm64 also by broadcast TLBI,
# with every TLB hit judged by the oracle; and a tiny profile of its core's TLBs, walk caches and
# caches, in a guest.
. "$(dirname "$0")/lib.bash"
export TLBSTORM_CONFIGS=$configs

# Random touches come back to a page, so that there are hits to judge.
tiny=(-q --check --set repetitions=1 --set run.vms=1 --set run.vcpus=4 --set workload.threads=3
    --set workload.rounds=2 --set workload.placement=random --set workload.pages=16
    --set workload.touch_pages=32)

# counted FILE GROUP NAME: the counter is there and not 0.
counted() {
    grep -qE "^$2,$3,1,[1-9]" "$1" || fail "$1: $2.$3 is 0"
}

# storm MACHINE MECHANISM SETTINGS...
storm() {
    local machine=$1 mechanism=$2 stats=$1.$2/$1/$2/seed=1/stats.csv
    shift 2
    run 0 run "$smoke" "${tiny[@]}" -o "$machine.$mechanism" --set machine="$machine" \
        --set mechanisms="$mechanism" --set baseline="$mechanism" "$@"
    if [ ! -e "$stats" ]; then
        fail "no $stats"
        return
    fi
    counted "$stats" guest shootdowns
    counted "$stats" oracle hits_checked
}

# value FILE GROUP NAME: of the counter; nothing if it is not there.
value() {
    sed -n "s/^$2,$3,1,\([0-9]*\)$/\1/p" "$1"
}

# profile OUT PAGE STREAMS MACHINES...: of data and of code.
profile() {
    local out=$1 page=$2 streams=$3 machine stats name
    shift 3
    cat >"$out.yaml" <<EOE
schema: 1
name: tiny
study: tlb_profile
workload:
  {kind: access_stream, accesses: 4000, warmup: 500, footprint: 256MiB, code_footprint: 256MiB,
   threads: $streams}
machines: [$(
        IFS=,
        echo "$*"
    )]
repetitions: 1
set:
  cache.walks: true
  tlb_profile: {regime: nested, backing: large, page: $page, streams: $streams}
EOE
    run 0 run "$out.yaml" -q -o "$out"
    for machine; do
        stats=$out/$machine/seed=1/stats.csv
        if [ ! -e "$stats" ]; then
            fail "no $stats"
            continue
        fi
        for name in l1_hits l2_hits walks fetch_walks walk_cache_hits; do
            counted "$stats" mmu "$name"
        done
        # Every fetch of a walk is charged by the machine's caches.
        counted "$stats" cache fetches
        [ "$(value "$stats" cache fetches)" = "$(value "$stats" mmu walk_fetches)" ] ||
            fail "$stats: walk fetches that the caches have not seen"
    done
}

all=() arm64=() smt=()
for file in "$configs"/machines/*.yaml; do
    machine=$(basename "$file" .yaml)
    all+=("$machine")
    if grep -q '^  arch:.*value: arm64' "$file"; then
        arm64+=("$machine")
        arm=(--set hypervisor=kvm-arm64-6.12 --set guest=linux-6.12-arm64)
        storm "$machine" native_concurrent "${arm[@]}"
        storm "$machine" tlbi_broadcast "${arm[@]}"
    else
        storm "$machine" native_concurrent
    fi
done

profile base base 1 "${all[@]}"
for machine in "${all[@]}"; do
    grep -qE '^ *threads_per_core: {value: 2,' "base/$machine/seed=1/config.resolved.yaml" &&
        smt+=("$machine")
done
# Siblings share.
profile smt base 2 "${smt[@]}"
for machine in "${smt[@]}"; do
    one=$(value "base/$machine/seed=1/stats.csv" mmu accesses)
    two=$(value "smt/$machine/seed=1/stats.csv" mmu accesses)
    [ "${two:-0}" = "$((2 * one))" ] || fail "$machine: $two accesses of two threads, $one of one"
done
profile contiguous contiguous 1 "${arm64[@]}"
for machine in "${arm64[@]}"; do
    runs=$(value "contiguous/$machine/seed=1/stats.csv" mmu walks)
    pages=$(value "base/$machine/seed=1/stats.csv" mmu walks)
    if grep -q '^ *contiguous: {value: true,' "base/$machine/seed=1/config.resolved.yaml"; then
        [ "${runs:-0}" -lt "${pages:-0}" ] || fail "$machine: $runs walks for runs, $pages for pages"
    else
        [ "${runs:-0}" = "$pages" ] || fail "$machine: $runs walks for runs, $pages for pages"
    fi
done
# AMD's guests are tagged by ASID.
for machine in "${all[@]}"; do
    tags=vpid_ept
    grep -qE '^title: .*(EPYC|Zen)' "$configs/machines/$machine.yaml" && tags=svm_asid
    grep -qE "^ +(hypervisor\.)?tlb_tags: .*$tags" \
        "base/$machine/seed=1/config.resolved.yaml" || fail "$machine: tags are not $tags"
done
finish
