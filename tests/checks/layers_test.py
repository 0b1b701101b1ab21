# SPDX-License-Identifier: Apache-2.0
"""The layer check passes what the architecture allows and finds each arrow that it forbids: one
forbidden include is planted for every pair of folders without an arrow."""

import os
import sys
import unittest

import tree

sys.path.insert(0, os.path.join(tree.ROOT, "scripts", "checks"))
import layers  # noqa: E402

HARDWARE = ("topology", "interconnect", "line", "cache", "tlb", "mmu", "dvm", "interrupt", "cpu")
GUEST = ("lock", "core", "coherence", "mm", "os")
# Written out a second time, so that a row that allows too much is seen: (from, to).
MUST_BE_FORBIDDEN = tuple(
    [(f"models/guest/{g}", "models/hypervisor") for g in GUEST] +
    [("models/hypervisor", f"models/guest/{g}") for g in GUEST] +
    [(f"models/guest/{g}", "models/flush") for g in GUEST] +
    [("models/oracle", f"models/guest/{g}") for g in GUEST] +
    [("models/abi", f"models/guest/{g}") for g in GUEST] +
    [(f"models/guest/{low}", f"models/guest/{high}")
     for n, low in enumerate(GUEST) for high in GUEST[n + 1:]] +
    [("models/flush", "models/hypervisor"), ("models/hypervisor", "models/flush"),
     ("models/abi", "models/hypervisor"), ("models/abi", "models/oracle"),
     ("models/hypervisor", "models/oracle"), ("models/oracle", "models/abi"),
     ("models/machine", "models/study"), ("models/flush", "models/machine"),
     ("workloads", "models/machine"), ("sim", "workloads"), ("sim", "sim/front"),
     ("sim/front", "models/hypervisor"), ("sim/front", "models/guest/core"),
     ("sim/front", "sim/systemc"), ("tests/unit", "sim/systemc")] +
    [(f"models/{h}", above) for h in HARDWARE
     for above in ("models/abi", "models/guest/core", "models/hypervisor", "models/flush",
                   "models/oracle", "models/machine", "models/study", "workloads", "sim/front")] +
    [("sim", f"models/{h}") for h in HARDWARE])

ALLOWED = (
    ("sim/fiber.cpp", "<boost/context/detail/fcontext.hpp>"),
    ("models/flush/kvm_pv.c", '"models/flush/flush.h"'),
    ("models/flush/kvm_pv.c", '"models/flush/flush_kernel.h"'),
    ("sim/front/config.cpp", "<yaml-cpp/yaml.h>"),
    ("sim/front/main.cpp", "<CLI/CLI.hpp>"),
    ("sim/front/main.cpp", '"version.h"'),
    ("sim/systemc/host.hpp", "<systemc>"),
    ("tests/sysc/host_test.cpp", "<systemc>"),
    ("tests/unit/config_test.cpp", "<yaml-cpp/yaml.h>"),
    ("tests/unit/strace_testing.hpp", '"source_dir.h"'),
)
FORBIDDEN = (
    ("sim/engine.c", '"engine.h"'),
    ("sim/engine.c", '"version.h"'),
    ("sim/front/main.cpp", '"source_dir.h"'),
    ("sim/engine.c", "<boost/heap/heap.hpp>"),
    ("sim/param.c", "<yaml-cpp/yaml.h>"),
    ("sim/param.c", '"sim/param.hpp"'),
    ("models/tlb/tlb.c", '"../tlb/inval.h"'),
    ("models/tlb/tlb.c", "<systemc.h>"),
    ("models/flush/kvm_pv.c", '"models/flush/hyperv.h"'),
    ("models/flush/kvm_pv.c", '"models/flush/hyperv.c"'),
    ("workloads/kind_a.c", "<boost/iostreams/filter/zstd.hpp>"),
    ("sim/front/main.cpp", "<systemc>"),
    ("tests/unit/a_test.cpp", "<systemc>"),
)


def suffix_of(folder):
    return ".cpp" if folder.startswith(("tests", "bench", "sim/front", "sim/systemc")) else ".c"


class Layers(tree.TreeTest):
    def setUp(self):
        """A tree with a file in each folder."""
        super().setUp()
        for folder in layers.ROWS:
            self.write(f"{folder}/empty{suffix_of(folder)}", "")

    def findings(self):
        code, output = self.check("layers")
        lines = output.splitlines()[:-1]
        self.assertEqual(code, 1 if lines else 0)
        return lines

    def test_rows_forbid_what_they_must(self):
        for source, target in MUST_BE_FORBIDDEN:
            with self.subTest(source=source, target=target):
                self.assertIn(source, layers.ROWS)
                self.assertIn(target, layers.ROWS)
                self.assertNotIn(target, layers.ROWS[source])

    def test_no_two_way_arrows(self):
        """No folder reaches itself over the rows, except the folders of tests."""
        def reached(folder, seen):
            for target in layers.ROWS[folder]:
                if target not in seen:
                    reached(target, seen | {target})
                    seen.add(target)
            return seen
        for folder in layers.ROWS:
            if not folder.startswith("tests"):
                self.assertNotIn(folder, reached(folder, set()))

    def test_every_forbidden_pair_is_found(self):
        planted = set()
        for source in layers.ROWS:
            for n, target in enumerate(sorted(layers.ROWS)):
                if target != source and target not in layers.ROWS[source]:
                    path = f"{source}/planted_{n}{suffix_of(source)}"
                    self.write(path, f'\n#  include "{target}/a.h"\n')
                    planted.add(f'{path}:2: {source} may not include "{target}/a.h"')
        self.assertGreater(len(planted), 400)
        self.assertEqual(set(self.findings()), planted)

    def test_every_allowed_pair_passes(self):
        for source, targets in layers.ROWS.items():
            lines = [f'#include "{target}/a.h"\n' for target in targets]
            if source != "models/flush":
                lines.append(f'#include "{source}/a.h"\n')
            self.write(f"{source}/allowed{suffix_of(source)}", "".join(lines))
        self.assertEqual(self.findings(), [])

    def test_allowed(self):
        for path, header in ALLOWED:
            with self.subTest(path=path, header=header):
                self.write(path, f"#include {header}\n")
                self.assertEqual(self.findings(), [])

    def test_forbidden(self):
        for path, header in FORBIDDEN:
            with self.subTest(path=path, header=header):
                self.write(path, f"\n#  include {header}\n")
                self.assertTrue(any(line.startswith(f"{path}:2: ") for line in self.findings()))

    def test_folder_without_row(self):
        self.write("models/new/a.c", "")
        self.assertEqual(self.findings(),
                         ["models/new: has no row in scripts/checks/layers.py"])

    def test_row_without_folder(self):
        os.remove(os.path.join(self.root, "models/abi/empty.c"))
        self.assertEqual(self.findings(),
                         ["models/abi: has a row in scripts/checks/layers.py and no sources"])


if __name__ == "__main__":
    unittest.main()
