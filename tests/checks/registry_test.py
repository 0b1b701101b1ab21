# SPDX-License-Identifier: Apache-2.0
"""A file dropped into the folder is in the generated table, in the order of names."""

import os
import re
import subprocess
import unittest

import tree

PROJECT = """cmake_minimum_required(VERSION 3.25)
project(p NONE)
include("{root}/cmake/RegistryTable.cmake")
ts_registry_table(out TABLE ts_t TYPE ts_ops FILES m/flush/*.c EXCLUDE "^flush(_.*)?$"
    SYMBOL ts_flush_ HEADER m/flush/flush.h)
ts_registry_table(out TABLE ts_r TYPE ts_rep FILES m/tlb/replacement_*.c STRIP replacement_
    SYMBOL ts_replacement_ HEADER m/tlb/replacement.h)
"""


class Registry(tree.TreeTest):
    def configure(self, *files):
        self.write("CMakeLists.txt", PROJECT.format(root=tree.ROOT))
        for file in files:
            self.write(file, "")
        build = os.path.join(self.root, "build")
        return subprocess.run(["cmake", "-S", self.root, "-B", build],
                              capture_output=True, text=True, check=False)

    def table(self, name):
        path = os.path.join(self.root, "build", "generated", name + ".c")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        rows = re.findall(r"^    &(\w+),$", text, re.M)
        externs = re.findall(r"^extern const struct \w+ (\w+);$", text, re.M)
        self.assertEqual(rows, externs)
        self.assertIn(f"const size_t {name}_count = {len(rows)};", text)
        return rows, text

    def test_sorted_without_helpers(self):
        done = self.configure("m/flush/xen.c", "m/flush/ideal.c", "m/flush/kvm_pv.c",
                              "m/flush/flush.c", "m/flush/flush_kernel.c", "m/flush/xen.h",
                              "m/tlb/replacement_lru.c", "m/tlb/tlb.c")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.table("ts_t")[0], ["ts_flush_ideal", "ts_flush_kvm_pv",
                                                 "ts_flush_xen"])
        rows, text = self.table("ts_r")
        self.assertEqual(rows, ["ts_replacement_lru"])
        self.assertIn('#include "m/tlb/replacement.h"', text)

    def test_new_file_is_seen(self):
        self.configure("m/flush/b.c")
        self.configure("m/flush/a.c")
        self.assertEqual(self.table("ts_t")[0], ["ts_flush_a", "ts_flush_b"])
        self.assertEqual(self.table("ts_r")[0], [])

    def test_bad_name(self):
        done = self.configure("m/flush/kvm-pv.c")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("kvm-pv.c", done.stderr)


if __name__ == "__main__":
    unittest.main()
