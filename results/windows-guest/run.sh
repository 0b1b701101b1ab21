#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: ten minutes. usage: results/windows-guest/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

reproduce E8 e8.csv
run windows-rules "$out/rules"
cp "$out/rules/summary.csv" "$here/rules.csv"
scripts/result-tables
