#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that each header compiles by itself, included twice: *.h as C11 and as C++17, *.hpp as
C++17."""

import concurrent.futures
import os
import shutil
import subprocess
import sys

import common

# The warnings of cmake/Compile.cmake.
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
C = ["gcc", "-std=c11", "-x", "c", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes",
     "-Wvla"]
CPP = ["g++", "-std=c++17", "-x", "c++", "-Wshadow=local"]


def compile_alone(root, includes, path, command):
    text = f'#include "{path}"\n' * 2
    result = subprocess.run(
        command + WARNINGS + ["-fsyntax-only", "-I", root] + includes + ["-"],
        input=text, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return None
    return f"{path}: does not compile alone with {' '.join(command[:2])}\n{result.stderr}"


def jobs_of(root):
    for folder in ("sim", "models", "workloads", "calibrate"):
        for path in common.walk(root, folder):
            if path.endswith(".h"):
                yield path, C
                yield path, CPP
            elif path.endswith(".hpp") and not path.startswith("sim/systemc/"):
                yield path, CPP


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--include", action="append", default=[], help="a further include folder")
    args = parser.parse_args()
    if not (shutil.which("gcc") and shutil.which("g++")):
        print("headers: skipped, no gcc and g++")
        sys.exit(common.SKIP_CODE)
    root = os.path.abspath(args.root)
    includes = [word for folder in args.include for word in ("-I", folder)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda job: compile_alone(root, includes, *job), jobs_of(root))
        common.report([r for r in results if r], "headers")


if __name__ == "__main__":
    main()
