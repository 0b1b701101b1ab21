#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: half an hour. usage: results/range-tlbi/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

for e in pages by-page initiators cores bystander bystander-vm loopers; do
    run range-tlbi-$e "$out/range-tlbi-$e"
done
reproduce E1 e1.csv
reproduce E2a e2a.csv
reproduce E2b e2b.csv
reproduce E2c e2c.csv
reproduce E2a-adjust e2a_adjust.csv
"$here/derive.py" "$out"

# curve CSV NAME ARGUMENTS: the figure NAME of a CSV file of this folder, or of two with one head.
curve() {
    local csv=$1 name=$2 at=$out/plots/$2 file
    shift 2
    mkdir -p "$at"
    head -n 1 "$here/${csv%%,*}" >"$at/summary.csv"
    for file in ${csv//,/ }; do
        tail -n +2 "$here/$file" >>"$at/summary.csv"
    done
    draw plot_sweep.py "$at" --name "$name" "$@"
}
curve by_page.csv,pages.csv range_tlbi_pages --x workload.pages --metric total --log-y \
    --keep workload.pages=1,4,16,64,256,1024,4096,16384,65536,262144,2097152 \
    --x-label "pages of the range" --label "flush and refill of 512 other pages" \
    --title "One flush on 64 cores: by page, by range, by ASID, of all"
curve cores.csv range_tlbi_cores --x topology.cores_per_socket --metric flush \
    --series dvm.sync_drain_ps --panel dvm.fanout --x-label cores --label "TLBI and DSB" \
    --title "TLBI and DSB of one core"
curve initiators.csv range_tlbi_initiators --x workload.threads --metric flush --log-y \
    --series dvm.sync_drain_ps --panel dvm.fanout --x-label "cores that flush at once" \
    --label "TLBI and DSB" --title "TLBI and DSB of many of 64 cores"
curve bystander.csv range_tlbi_bystander --x workload.loopers --metric lost_percent --linear-x \
    --series platform --x-label "threads that call mprotect" --label "lost by bystanders" \
    --title "Threads of another process, on other cores"
curve bystander_vm.csv range_tlbi_bystander_vm --x vms.neighbour.count --metric lost_percent \
    --linear-x --series platform --x-label "VMs of 4 mprotect loops" \
    --label "lost by the VM that computes" --title "A VM beside others, on other cores"
curve loopers.csv range_tlbi_loopers --x run.vms --metric record_rate --series platform \
    --x-label "VMs of one mprotect loop" --label "rounds a second of each" --log-y \
    --title "Loops of mprotect, each in a VM of its own, on 64 cores"
scripts/result-tables
