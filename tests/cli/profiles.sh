#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every machine of configs/machines: a tiny storm by interrupts, and on arm64 also by broadcast TLBI,
# with every TLB hit judged by the oracle.
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

for file in "$configs"/machines/*.yaml; do
    machine=$(basename "$file" .yaml)
    if grep -q '^  arch:.*value: arm64' "$file"; then
        arm=(--set hypervisor=kvm-arm64-6.12 --set guest=linux-6.12-arm64)
        storm "$machine" native_concurrent "${arm[@]}"
        storm "$machine" tlbi_broadcast "${arm[@]}"
    else
        storm "$machine" native_concurrent
    fi
done
finish
