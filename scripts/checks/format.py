#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the layout of all C and C++ files against .clang-format. Another release of clang-format
lays out some things otherwise, so the check wants 14, Debian 12's own."""

import collections
import re
import shutil
import subprocess
import sys

import common

RELEASE = "14"


def find_tool():
    for name in (f"clang-format-{RELEASE}", "clang-format"):
        path = shutil.which(name)
        if not path:
            continue
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        if re.search(rf"version {RELEASE}\.", said.stdout):
            return path
    return None


def main():
    root = common.parser(__doc__).parse_args().root
    tool = find_tool()
    if not tool:
        print(f"format: skipped, no clang-format {RELEASE}")
        sys.exit(common.SKIP_CODE)
    files = common.code_files(root)
    if not files:
        common.report([], "format")
    result = subprocess.run([tool, "--dry-run", "-Werror", "--style=file"] + files,
                            cwd=root, capture_output=True, text=True, check=False)
    places = collections.Counter(
        line.split(":", 1)[0] for line in result.stderr.splitlines() if " error: " in line)
    findings = [f"{path}: {count} place(s)" for path, count in places.items()]
    if result.returncode != 0 and not findings:
        findings = [result.stderr]
    common.report(findings, f"format ({tool} -i mends it)")


if __name__ == "__main__":
    main()
