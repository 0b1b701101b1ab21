#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# docs/parameters.md is what the tables say now.
. "$(dirname "$0")/lib.bash"

run 0 explain --all --markdown
cmp -s out.txt "$TS_SOURCE_DIR/docs/parameters.md" ||
    fail "docs/parameters.md is stale: tlbstorm explain --all --markdown > docs/parameters.md"
finish
