#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: two minutes. usage: results/latr/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

for e in cores pages sockets; do
    run latr-$e "$out/$e"
    cp "$out/$e/summary.csv" "$here/$e.csv"
done
draw plot_sweep.py "$out/cores" --name latr_cores --keep workload.unmap=munmap --linear-x \
    --x workload.touchers --metric munmap_mean --unit us --label "munmap of one page" \
    --x-label "other cores that have touched the page" --title "munmap of one page, 2 sockets of 8 cores"
draw plot_sweep.py "$out/cores" --name latr_madvise --keep workload.unmap=madvise_dontneed --linear-x \
    --x workload.touchers --metric shootdown_mean --label "flush of MADV_DONTNEED" \
    --x-label "other cores that have touched the page" --title "MADV_DONTNEED of one page, 2 sockets of 8 cores"
draw plot_sweep.py "$out/sockets" --name latr_sockets --linear-x --x workload.touchers \
    --metric munmap_mean --unit us --label "munmap of one page" \
    --x-label "other cores that have touched it" --title "munmap of one page, 8 sockets of 15 cores"
draw plot_sweep.py "$out/pages" --name latr_pages --x workload.pages --metric munmap_mean --unit us \
    --log-y --panel platform --label munmap --x-label pages \
    --title "munmap of pages that one other core has touched"
scripts/result-tables
