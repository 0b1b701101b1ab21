# SPDX-License-Identifier: Apache-2.0
"""What the checks of the tree share. A check prints one line per finding and exits 1 if there is
any; 77 tells ctest that it could not be run."""

import argparse
import os
import sys

SKIP_CODE = 77
CODE_FOLDERS = ("sim", "models", "workloads", "calibrate", "tests", "bench")
CODE_SUFFIXES = (".c", ".h", ".cpp", ".hpp")


def parser(description):
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--root", default=".", help="root of the source tree")
    return result


def walk(root, folder):
    """Paths of the files under root/folder, relative to root, sorted; build trees left out."""
    found = []
    for here, folders, files in os.walk(os.path.join(root, folder)):
        relative = os.path.relpath(here, root)
        folders[:] = [f for f in folders if not is_left_out(relative, f)]
        # A linked worktree has a file of that name.
        found += [os.path.normpath(os.path.join(relative, name)) for name in files
                  if name != ".git"]
    return sorted(found)


def is_left_out(parent, folder):
    if folder in (".git", "__pycache__"):
        return True
    return parent == "." and (folder.startswith("build") or folder == "out")


def code_files(root, suffixes=CODE_SUFFIXES):
    return [p for folder in CODE_FOLDERS for p in walk(root, folder) if p.endswith(suffixes)]


def read_lines(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read().splitlines()


def report(findings, what):
    for finding in findings:
        print(finding)
    print(f"{what}: {len(findings)} finding(s)")
    sys.exit(1 if findings else 0)
