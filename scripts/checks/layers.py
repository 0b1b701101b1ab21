#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the arrows of the architecture: which folder may include headers of which.

ROWS has one row a folder of C or C++ sources, and each folder has a row. A folder may always include
its own headers."""

import re

import common

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')

HARDWARE = tuple("models/" + name for name in (
    "topology", "interconnect", "line", "cache", "tlb", "mmu", "dvm", "interrupt", "cpu"))
# Both sides of the seam between guest and host stand on these and on no more of each other.
SEAM = ("sim",) + HARDWARE + ("models/abi",)
# The guest's folders, each on those before it.
GUEST = tuple("models/guest/" + name for name in ("lock", "core", "coherence", "mm", "nt", "os"))
KERNEL = SEAM + ("models/oracle", "workloads")
MODELS = HARDWARE + ("models/abi", "models/oracle") + GUEST + (
    "models/hypervisor", "models/flush", "models/machine", "models/study")
ALL = ("sim", "sim/front", "sim/front/check", "sim/front/calibrate", "workloads",
       "calibrate") + MODELS
TEST_TOOLS = ("tests", "tests/support", "tests/conformance")

# Folder: folders whose headers it may include.
ROWS = {
    "sim": (),
    "sim/front": ("sim", "sim/front/check", "sim/front/calibrate", "workloads", "models/machine", "models/study", "models/flush",
                  "models/guest/coherence", "models/tlb", "models/interconnect", "models/cpu"),
    # The search for races, which the command line calls.
    "sim/front/check": ("sim", "sim/front", "workloads", "models/machine", "models/flush",
                        "models/interconnect"),
    # Calibration: what is measured of the host, and what the simulator says of the same.
    "sim/front/calibrate": ("sim", "sim/front", "sim/front/check", "workloads", "models/machine",
                            "models/study", "models/flush", "calibrate"),
    "calibrate": (),
    # The C library: the front end and one MMU behind extern "C". Its header includes nothing.
    "sim/api": ("sim", "sim/front", "workloads", "models/machine", "models/mmu", "models/tlb"),
    "sim/api/examples": ("sim/api",),
    "sim/systemc": ("sim", "sim/front", "workloads"),
    # TLM-2.0 modules: headers for users in tlbstorm/, which include each other in <>.
    "sim/systemc/tlbstorm": (),
    "sim/systemc/modules": ("sim", "sim/api", "sim/systemc") + HARDWARE,
    "sim/systemc/examples": (),
    "models/topology": ("sim",),
    "models/interconnect": ("sim", "models/topology"),
    "models/line": ("sim", "models/topology", "models/interconnect"),
    "models/cache": ("sim", "models/topology"),
    "models/tlb": ("sim",),
    "models/mmu": ("sim", "models/tlb"),
    "models/dvm": ("sim", "models/topology", "models/interconnect", "models/tlb"),
    "models/interrupt": ("sim", "models/topology", "models/interconnect"),
    "models/cpu": ("sim", "models/topology", "models/interconnect", "models/line", "models/tlb",
                   "models/dvm", "models/interrupt"),
    "models/abi": ("sim",) + HARDWARE,
    "models/oracle": ("sim",) + HARDWARE,
    "models/guest/lock": KERNEL,
    "models/guest/core": KERNEL + GUEST[:1],
    "models/guest/coherence": KERNEL + GUEST[:2],
    "models/guest/mm": KERNEL + GUEST[:3],
    "models/guest/nt": KERNEL + GUEST[:4],
    "models/guest/os": KERNEL + GUEST[:5],
    "models/hypervisor": SEAM,
    "models/flush": SEAM + GUEST,
    "models/machine": ("sim", "workloads") + tuple(
        m for m in MODELS if m not in ("models/machine", "models/study")),
    "models/study": ("sim", "workloads", "models/machine") + HARDWARE,
    "workloads": ("sim",),
    "workloads/traces": (),
    "tests": ALL + TEST_TOOLS,
    "tests/support": ALL + TEST_TOOLS,
    "tests/conformance": ALL + TEST_TOOLS,
    "tests/examples": SEAM + GUEST + ("models/flush",), # mechanisms, in no table
    "tests/unit": ALL + TEST_TOOLS,
    "tests/timing": ALL + TEST_TOOLS,
    "tests/formula": ALL + TEST_TOOLS,
    "tests/diff": ALL + TEST_TOOLS,
    "tests/swarm": ALL + TEST_TOOLS,
    "tests/fuzz": ALL + TEST_TOOLS,
    "tests/sysc": ALL + TEST_TOOLS + ("sim/systemc",),
    "tests/tlm": ALL + TEST_TOOLS + ("sim/systemc", "sim/systemc/modules", "tests/tlm"),
    "tests/api": (), # from outside, as tests/package
    "tests/package/subdirectory": (),
    "bench": ALL + TEST_TOOLS,
}

# Generated, in no folder.
GENERATED = {"version.h": r"^(sim/front|tests|bench)\b", "install_paths.h": r"^sim/front\b",
             "source_dir.h": r"^tests\b"}
# A mechanism stands alone: of its own folder it includes these only.
MECHANISM_HEADERS = re.compile(r"^models/flush/flush(_\w+)?\.h$")

# Third-party headers that belong to some folders only.
EDGES = r"^(sim/front|sim/api|sim/systemc|tests|bench)/"
LIBRARIES = (
    ("SystemC", r"^(systemc|tlm|tlm_utils|tlm_core|sysc)(\.h)?(/|$)",
     r"^(sim/systemc|tests/sysc|tests/tlm)/"),
    ("yaml-cpp", r"^yaml-cpp/", EDGES),
    ("CLI11", r"^CLI/", EDGES),
    ("nlohmann-json", r"^nlohmann/", EDGES),
    ("OpenSSL", r"^openssl/", EDGES),
    ("SQLite", r"^sqlite3\.h$", EDGES),
    ("Boost", r"^boost/", EDGES[:-2] + r"/|sim/fiber\.cpp$)"),
)


def folder_of(path):
    return path.rpartition("/")[0]


# Written as their users write them: a header beside the file has no folder.
BESIDE = ("sim/systemc/examples",)


def may_include(folder, header):
    if folder in BESIDE and "/" not in header:
        return True
    if header in GENERATED:
        return re.match(GENERATED[header], folder) is not None
    target = folder_of(header)
    if target == folder:
        return folder != "models/flush" or MECHANISM_HEADERS.match(header) is not None
    return target in ROWS[folder]


def findings_of(path, lines):
    folder = folder_of(path)
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, header = match.groups()
        place = f"{path}:{number}: "
        if quote == '"' and not may_include(folder, header):
            yield place + f'{folder} may not include "{header}"'
        if path.endswith((".c", ".h")) and header.endswith(".hpp"):
            yield place + f"C includes the C++ header {header}"
        for name, headers, users in LIBRARIES:
            if re.match(headers, header) and not re.match(users, path):
                yield place + f"{name} may not be used here"


def main():
    root = common.parser(__doc__).parse_args().root
    findings = []
    folders = set()
    for path in common.code_files(root):
        folder = folder_of(path)
        folders.add(folder)
        if folder in ROWS:
            findings += findings_of(path, common.read_lines(root, path))
    findings += [f"{folder}: has no row in scripts/checks/layers.py"
                 for folder in sorted(folders - set(ROWS))]
    findings += [f"{folder}: has a row in scripts/checks/layers.py and no sources"
                 for folder in sorted(set(ROWS) - folders)]
    common.report(findings, "layers")


if __name__ == "__main__":
    main()
