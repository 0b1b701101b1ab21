#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the arrows of the architecture: which layer may include which header."""

import re

import common

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')

# Layer, first match wins: (files, own headers they may include).
LAYERS = (
    ("sim/systemc", r"^sim/systemc/", r"^(sim|models|workloads)/"),
    ("sim/front", r"^sim/front/", r"^(sim/(?!systemc/)|models/|workloads/|version\.h$)"),
    ("sim", r"^sim/", r"^sim/[^/]+$"),
    ("models/flush", r"^models/flush/",
     r"^(sim/[^/]+$|workloads/workload\.h$|models/(?!flush/)|models/flush/flush(_\w+)?\.h$)"),
    ("models", r"^models/", r"^(sim/[^/]+$|workloads/workload\.h$|models/)"),
    ("workloads", r"^workloads/", r"^(sim/[^/]+$|workloads/)"),
    ("tests", r"^(tests|bench)/", r"^(sim|models|workloads|tests|bench)/|^version\.h$"),
)

# Third-party headers that belong to some layers only.
EDGES = r"^(sim/front|sim/systemc|tests|bench)/"
LIBRARIES = (
    ("SystemC", r"^(systemc|tlm|tlm_utils|tlm_core|sysc)(\.h)?(/|$)",
     r"^(sim/systemc|tests/sysc)/"),
    ("yaml-cpp", r"^yaml-cpp/", EDGES),
    ("CLI11", r"^CLI/", EDGES),
    ("nlohmann-json", r"^nlohmann/", EDGES),
    ("Boost", r"^boost/", EDGES[:-2] + r"/|sim/fiber\.cpp$)"),
)
CPP_HEADER = re.compile(r"\.hpp$")


def findings_of(path, lines):
    layer, _, allowed = next(row for row in LAYERS if re.match(row[1], path))
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, header = match.groups()
        place = f"{path}:{number}: "
        if quote == '"' and not re.match(allowed, header):
            yield place + f'{layer} may not include "{header}"'
        if path.endswith((".c", ".h")) and CPP_HEADER.search(header):
            yield place + f"C includes the C++ header {header}"
        if header.startswith("sim/systemc/") and not re.match(LIBRARIES[0][2], path):
            yield place + f"{header} belongs to sim/systemc"
        for name, headers, users in LIBRARIES:
            if re.match(headers, header) and not re.match(users, path):
                yield place + f"{name} may not be used here"


def main():
    root = common.parser(__doc__).parse_args().root
    findings = []
    for path in common.code_files(root):
        findings += findings_of(path, common.read_lines(root, path))
    common.report(findings, "layers")


if __name__ == "__main__":
    main()
