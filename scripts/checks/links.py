#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that what text points to is there: relative links in *.md, and paths of the repository that
*.md, comments in YAML and comments in sources name."""

import difflib
import os
import re

import common

LINK = re.compile(r"\]\(([^)\s#]+)(#[^)]*)?\)")
TOP = ("sim", "models", "workloads", "calibrate", "tests", "bench", "configs", "docs", "scripts", "results",
       "cmake")
# A path has no wildcard, no placeholder in capitals, and an end that tells it from a phrase.
PATH = re.compile(r"(?<![\w/.~}-])((?:" + "|".join(TOP) + r")/[\w./+-]*[\w+-])(?![\w/*{<\[])")
ENDING = re.compile(r"^scripts/|\.(c|h|cpp|hpp|md|yaml|csv|py|sh|txt|cmake|svg|png|zst|list)$")
COMMENT = {".yaml": re.compile(r"(?:^|\s)#(.*)$")}
# A page or configuration named without its folder; EXPERIMENT.yaml is a placeholder.
BARE = re.compile(r"(?<![\w/.*<>-])[a-z][\w-]*[a-z_-][\w.-]*\.(?:md|yaml)(?!\w)")
# What builds, runs and calibrate make, and what the reader of the tutorial writes.
MADE = re.compile(r"_table\.h$|^config\.resolved\.yaml$|^question\.yaml$|^my-machine(-hypervisor)?\.yaml$")


def text_of(path, line):
    suffix = os.path.splitext(path)[1]
    if suffix == ".md":
        return line
    match = COMMENT[suffix].search(line)
    return match[1] if match else ""


def exists(root, path):
    return os.path.exists(os.path.join(root, path))


def findings_of(root, path, lines, files):
    for number, line in enumerate(lines, 1):
        place = f"{path}:{number}: "
        if path.endswith(".md"):
            for match in LINK.finditer(line):
                target = match[1]
                if re.match(r"[a-z]+:", target):
                    continue
                full = os.path.normpath(os.path.join(os.path.dirname(path), target))
                if not exists(root, full):
                    yield place + f"link to {target}, which is not there{nearest(full, files)}"
        for match in PATH.finditer(LINK.sub("]", text_of(path, line))):
            target = match[1]
            if re.search(r"[A-Z]{2}|\.\.\.", target.rpartition("/")[2].split(".")[0]):
                if not target.endswith(".md"):
                    continue # a placeholder: models/flush/NAME.c
            if MADE.search(target) or not ENDING.search(target):
                continue
            if not exists(root, target):
                yield place + f"{target} is not there{nearest(target, files)}"
        for match in BARE.finditer(LINK.sub("]", text_of(path, line))):
            known = any(file.endswith("/" + match[0]) or file == match[0] for file in files)
            if not known and not MADE.search(match[0]):
                yield place + f"no file is called {match[0]}{nearest(match[0], files)}"


def nearest(path, files):
    close = difflib.get_close_matches(path, files, 1, 0.6)
    return f"; did you mean {close[0]}?" if close else ""


def main():
    root = common.parser(__doc__).parse_args().root
    files = common.walk(root, ".")
    findings = []
    for path in files:
        if path.endswith((".md",) + tuple(COMMENT)):
            findings += findings_of(root, path, common.read_lines(root, path), files)
    common.report(findings, "links")


if __name__ == "__main__":
    main()
