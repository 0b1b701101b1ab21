#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew on the machine that it runs on: four minutes, in which nothing else should run.
# usage: results/validation/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

if [ -z "${DRAW_ONLY:-}" ]; then
    mkdir -p "$out"
    "$program" calibrate --time 60s --force -o "$out/machine.yaml" >"$out/calibrate.txt"
    "$program" validate "$out/machine.yaml" --time 90s --force -o "$out/validate" >/dev/null
fi
cp "$out/machine.yaml" "$out/calibrate.txt" "$here/"
[ ! -f "$out/machine-hypervisor.yaml" ] || cp "$out/machine-hypervisor.yaml" "$here/"
cp "$out/validate/validation.csv" "$out/validate/verdict.txt" "$here/"
# Where it was written to is nobody's business.
sed -i '/^wrote /d' "$here/calibrate.txt"
# Nor how its kernel's build is called.
sed -i -E 's/(Linux [0-9.]+)-[-[:alnum:]]+/\1/' "$here"/*.yaml "$here/calibrate.txt"
scripts/result-tables
