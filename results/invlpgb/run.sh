#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: half a minute. usage: results/invlpgb/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

reproduce E6 e6.csv
scripts/result-tables
