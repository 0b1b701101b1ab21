#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: ten minutes. usage: results/free-flush/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

run free-flush "$out"
cp "$out/summary.csv" "$out/critical_path.csv" "$here/"
scripts/result-tables
