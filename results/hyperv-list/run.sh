#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: three minutes. usage: results/hyperv-list/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

run hyperv-list "$out"
cp "$out/summary.csv" "$here/"
draw plot_sweep.py "$out" --name hyperv_list --keep workload.unmap=madvise_dontneed \
    --keep mechanism=hyperv --keep platform=kvm,kvm_thp,kvm_1g_ceiling,kvm_thp_1g_ceiling_split \
    --x workload.pages --metric shootdown_mean \
    --series flush.hyperv.max_gvas --panel platform --log-y --title "MADV_DONTNEED by list length"
scripts/result-tables
