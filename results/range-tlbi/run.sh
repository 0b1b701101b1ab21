#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the figures of this folder anew, from runs in OUT (default out/range-tlbi): some minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$root/out/range-tlbi}
program=${TLBSTORM:-$root/build/release/tlbstorm}
export TLBSTORM_CONFIGS=$root/configs

if [ -z "${DRAW_ONLY:-}" ]; then
    for e in pages by-page initiators cores bystander bystander-vm; do
        "$program" run "$root/configs/experiments/range-tlbi-$e.yaml" -o "$out/range-tlbi-$e" --force
    done
    "$program" reproduce E1 -o "$out/reproduce" --force
    cp "$out/reproduce/E1/reproduce.csv" "$here/e1.csv"
fi
"$here/derive.py" "$out"

# draw CSV NAME ARGUMENTS: the figure NAME of a CSV file of this folder, or of two with one head.
draw() {
    local csv=$1 name=$2 at=$out/plots/$2 file
    shift 2
    mkdir -p "$at"
    head -n 1 "$here/${csv%%,*}" >"$at/summary.csv"
    for file in ${csv//,/ }; do
        tail -n +2 "$here/$file" >>"$at/summary.csv"
    done
    "$root/scripts/plot_sweep.py" "$at" --name "$name" "$@"
    cp "$at/$name.png" "$at/$name.svg" "$here/"
}
draw by_page.csv,pages.csv range_tlbi_pages --x workload.pages --metric total --log-y \
    --keep workload.pages=1,4,16,64,256,1024,4096,16384,65536,262144,2097152 \
    --x-label "pages of the range" --label "flush and refill of 512 other pages" \
    --title "One flush on 64 cores: by page, by range, by ASID, of all"
draw cores.csv range_tlbi_cores --x topology.cores_per_socket --metric flush \
    --series dvm.sync_drain_ps --panel dvm.fanout --x-label cores --label "TLBI and DSB" \
    --title "TLBI and DSB of one core"
draw initiators.csv range_tlbi_initiators --x workload.threads --metric flush --log-y \
    --series dvm.sync_drain_ps --panel dvm.fanout --x-label "cores that flush at once" \
    --label "TLBI and DSB" --title "TLBI and DSB of many of 64 cores"
draw bystander.csv range_tlbi_bystander --x workload.loopers --metric lost_percent --linear-x \
    --series platform --x-label "threads that call mprotect" --label "lost by bystanders" \
    --title "Threads of another process, on other cores"
draw bystander_vm.csv range_tlbi_bystander_vm --x vms.neighbour.count --metric lost_percent \
    --linear-x --series platform --x-label "VMs of 4 mprotect loops" \
    --label "lost by the VM that computes" --title "A VM beside others, on other cores"
"$root/scripts/result-tables"
