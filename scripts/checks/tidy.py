#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks text: no unfinished-work marks, no path of one machine; every code file names its licence.
Long files and functions are listed as warnings, which do not fail."""

import re

import common

FILE_LINES = 600
FUNCTION_LINES = 70

# In halves, so that this file passes its own check.
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
PATHS = re.compile(r"(?<![\w.~}-])/(wo" r"rk|ro" r"ot)/")
TEXT_SUFFIXES = common.CODE_SUFFIXES + (
    ".cmake", ".csv", ".json", ".md", ".py", ".sh", ".txt", ".yaml", ".yml", "")
LICENCE = "SPDX-License-Identifier: Apache-2.0"
# Recordings say what the recorded machine said.
RECORDINGS = re.compile(r"^(workloads/traces|tests/data|tests/fuzz/corpus)/")
BLOCK_OPENER = re.compile(r"^(namespace|extern|struct|class|union|enum)\b[^(]*$|=\s*$")


def is_text(path):
    name = path.rsplit("/", 1)[-1]
    suffix = "." + name.rsplit(".", 1)[1] if "." in name[1:] else ""
    return suffix in TEXT_SUFFIXES and not RECORDINGS.match(path)


def errors_of(path, lines):
    for number, line in enumerate(lines, 1):
        for pattern in (MARKS, PATHS):
            match = pattern.search(line)
            if match:
                yield f"{path}:{number}: {match.group(0)}"
    if path.endswith(common.CODE_SUFFIXES) and LICENCE not in "".join(lines[:1]):
        yield f"{path}:1: the first line is not the licence line"


def warnings_of(path, lines):
    if len(lines) > FILE_LINES:
        yield f"{path}: {len(lines)} lines"
    # .clang-format puts the braces of functions, and of little else, alone in the first column.
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{" and not BLOCK_OPENER.search(lines[number - 2]):
            start = number
        elif line.startswith("}"):
            if start and number - start + 1 > FUNCTION_LINES:
                yield f"{path}:{start - 1}: function of {number - start + 1} lines"
            start = None


def main():
    root = common.parser(__doc__).parse_args().root
    errors, warnings = [], []
    for path in filter(is_text, common.walk(root, ".")):
        try:
            lines = common.read_lines(root, path)
        except UnicodeDecodeError:
            continue # not text, whatever its name says
        errors += errors_of(path, lines)
        if path.endswith(common.CODE_SUFFIXES):
            warnings += warnings_of(path, lines)
    for warning in warnings:
        print(f"warning: {warning}")
    common.report(errors, "tidy")


if __name__ == "__main__":
    main()
