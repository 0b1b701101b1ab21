# SPDX-License-Identifier: Apache-2.0
"""The layer check passes what the architecture allows and finds each arrow that it forbids."""

import unittest

import tree

ALLOWED = (
    ("sim/engine.c", '"sim/engine.h"'),
    ("sim/fiber.cpp", "<boost/context/detail/fcontext.hpp>"),
    ("models/tlb/tlb.c", '"sim/engine.h"'),
    ("models/tlb/tlb.c", '"models/tlb/inval.h"'),
    ("models/guest/guest.c", '"workloads/workload.h"'),
    ("models/flush/kvm_pv.c", '"models/flush/flush.h"'),
    ("models/flush/kvm_pv.c", '"models/flush/flush_kernel.h"'),
    ("models/flush/kvm_pv.c", '"models/guest/guest.h"'),
    ("workloads/kind_a.c", '"workloads/workload.h"'),
    ("sim/front/config.cpp", "<yaml-cpp/yaml.h>"),
    ("sim/front/main.cpp", "<CLI/CLI.hpp>"),
    ("sim/front/main.cpp", '"models/machine/machine.h"'),
    ("sim/front/main.cpp", '"version.h"'),
    ("sim/systemc/host.hpp", "<systemc>"),
    ("tests/sysc/host_test.cpp", "<systemc>"),
    ("tests/unit/config_test.cpp", "<yaml-cpp/yaml.h>"),
    ("tests/unit/tlb_test.cpp", '"models/tlb/tlb.h"'),
)
FORBIDDEN = (
    ("sim/engine.c", '"models/tlb/tlb.h"'),
    ("sim/engine.c", '"workloads/workload.h"'),
    ("sim/engine.c", '"sim/front/config.hpp"'),
    ("sim/engine.c", '"sim/systemc/host.hpp"'),
    ("sim/engine.c", '"engine.h"'),
    ("sim/engine.c", "<boost/heap/heap.hpp>"),
    ("sim/param.c", "<yaml-cpp/yaml.h>"),
    ("models/tlb/tlb.c", '"sim/front/config.hpp"'),
    ("models/tlb/tlb.c", '"workloads/reader.h"'),
    ("models/tlb/tlb.c", '"../tlb/inval.h"'),
    ("models/tlb/tlb.c", "<systemc.h>"),
    ("models/flush/kvm_pv.c", '"models/flush/hyperv.h"'),
    ("models/flush/kvm_pv.c", '"models/flush/hyperv.c"'),
    ("workloads/kind_a.c", '"models/machine/machine.h"'),
    ("workloads/kind_a.c", "<boost/iostreams/filter/zstd.hpp>"),
    ("sim/front/main.cpp", '"sim/systemc/host.hpp"'),
    ("sim/front/main.cpp", "<systemc>"),
    ("tests/unit/a_test.cpp", "<systemc>"),
    ("tests/unit/a_test.cpp", '"sim/systemc/host.hpp"'),
)


class Layers(tree.TreeTest):
    def test_allowed(self):
        for path, header in ALLOWED:
            with self.subTest(path=path, header=header):
                self.setUp()
                self.write(path, f"#include {header}\n")
                self.assertEqual(self.check("layers"), (0, "layers: 0 finding(s)\n"))

    def test_forbidden(self):
        for path, header in FORBIDDEN:
            with self.subTest(path=path, header=header):
                self.setUp()
                self.write(path, f"\n#  include {header}\n")
                code, output = self.check("layers")
                self.assertEqual(code, 1)
                self.assertIn(f"{path}:2: ", output)


if __name__ == "__main__":
    unittest.main()
