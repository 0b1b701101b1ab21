#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: six minutes and the build. usage: results/effective-overcommit/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

[ -n "${DRAW_ONLY:-}" ] || scripts/run -o "$out"
for workload in recorded busy ebizzy; do
    cp "$out/$workload/summary.csv" "$here/$workload.csv"
done
cp "$out/busy/critical_path.csv" "$out"/busy/critical_path.{png,svg} \
    "$out"/effective_overcommit.{png,svg} "$here/"
scripts/result-tables
