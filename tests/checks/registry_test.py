# SPDX-License-Identifier: Apache-2.0
"""A file dropped into the folder is in the generated table, in the order of names, and changes the
meaning of no name and of no default."""

import glob
import os
import re
import shutil
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
        done = self.configure("m/flush/xen.c", "m/flush/free_flush.c", "m/flush/kvm_pv.c",
                              "m/flush/flush.c", "m/flush/flush_kernel.c", "m/flush/xen.h",
                              "m/tlb/replacement_lru.c", "m/tlb/tlb.c")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.table("ts_t")[0], ["ts_flush_free_flush", "ts_flush_kvm_pv",
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


# A table: the folder and prefix of its files, what the trial is a copy of, and the parameters that
# are one of it with their defaults. The trial's name comes first in its table, so that an index
# that somebody wrote down means another one now.
TABLES = (
    ("models/cpu", "sched_", "rr",
     {"host_sched.policy": "eevdf", "guest_sched.policy": "eevdf"}),
    ("models/tlb", "replacement_", "fifo",
     {"mmu.l1_replacement": "tree_plru", "mmu.replacement": "tree_plru",
      "mmu.walk_replacement": "tree_plru"}),
    ("models/interconnect", "fabric_", "ring",
     {"interconnect.fabric": "mesh", "noc_traffic.fabric": "mesh"}),
)

# Default, names and what a configured name stands for, of each parameter that is one of a table.
PROBE = r"""
#include <stdio.h>
#include "models/cpu/sched.h"
#include "models/interconnect/fabric.h"
#include "models/interconnect/interconnect.h"
#include "models/mmu/mmu.h"
#include "models/study/study.h"
#include "models/tlb/replacement.h"

extern const struct ts_study_ops ts_study_noc_traffic;

#define SHOW(params, key, table)                                                              \
    do {                                                                                      \
        const struct ts_param *row = ts_param_find(params, key);                              \
        uint64_t value = 0;                                                                   \
        struct ts_error err;                                                                  \
        char text[64];                                                                        \
        ts_param_format(row, row->def, text, sizeof(text));                                   \
        printf("%s.%s = %s, stands for %s\n", (params)->prefix, key, text,                    \
               (table)[row->def]->name);                                                      \
        for (size_t i = 0; row->enum_names[i]; i++) {                                         \
            if (ts_param_parse(row, row->enum_names[i], &value, &err) != TS_OK ||             \
                value > row->max)                                                             \
                return 1;                                                                     \
            printf("%s.%s: %s stands for %s\n", (params)->prefix, key, row->enum_names[i],    \
                   (table)[value]->name);                                                     \
        }                                                                                     \
    } while (0)

int main(void)
{
    SHOW(&ts_host_sched_param_table, "policy", ts_sched_table);
    SHOW(&ts_guest_sched_param_table, "policy", ts_sched_table);
    SHOW(&ts_mmu_param_table, "l1_replacement", ts_replacement_table);
    SHOW(&ts_mmu_param_table, "replacement", ts_replacement_table);
    SHOW(&ts_mmu_param_table, "walk_replacement", ts_replacement_table);
    SHOW(&ts_interconnect_param_table, "fabric", ts_fabric_table);
    SHOW(ts_study_noc_traffic.params, "fabric", ts_fabric_table);
    return 0;
}
"""


class DroppedFile(tree.TreeTest):
    """In a copy of the whole tree: drop a file, edit nothing."""

    def setUp(self):
        super().setUp()
        for name in ("cmake", "models", "sim", "workloads", "calibrate"):
            shutil.copytree(os.path.join(tree.ROOT, name), os.path.join(self.root, name))
        shutil.copy(os.path.join(tree.ROOT, "CMakeLists.txt"), self.root)
        self.write("probe.c", PROBE)
        self.cc = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
        if not self.cc:
            self.skipTest("no C compiler")

    def run_ok(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.root)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def shown(self):
        """What the probe says of the tree as it stands."""
        self.run_ok("cmake", "-S", ".", "-B", "build", "-D", "TS_TESTS=OFF", "-D", "TS_BENCH=OFF")
        sources = ["probe.c", "models/mmu/mmu_tables.c", "models/tlb/replacement.c",
                   "models/cpu/fifo.c",
                   "models/study/noc_traffic.c", "models/study/study_noc_traffic.c"]
        for pattern in ("models/cpu/sched*.c", "models/tlb/replacement_*.c",
                        "models/interconnect/*.c", "models/topology/*.c", "sim/*.c"):
            sources += sorted(glob.glob(pattern, root_dir=self.root))
        sources += [f"build/generated/ts_{name}_table.c"
                    for name in ("fabric", "replacement", "sched")]
        self.run_ok(self.cc, "-std=c11", "-O0", "-w", "-I.", "-Ibuild/generated", *sources, "-o",
                    "probe", "-lm")
        return self.run_ok(os.path.join(self.root, "probe")).splitlines()

    def drop(self, folder, prefix, model):
        path = os.path.join(self.root, folder, prefix)
        with open(f"{path}{model}.c", encoding="utf-8") as file:
            text = file.read()
        self.assertIn(f'"{model}"', text)
        text = text.replace(f'"{model}"', '"aaa"')
        text = text.replace(f"ts_{prefix}{model}", f"ts_{prefix}aaa")
        self.write(f"{path}aaa.c", text)

    def test_names_and_defaults_stay(self):
        expected = []
        for folder, prefix, model, parameters in TABLES:
            self.drop(folder, prefix, model)
            names = sorted(os.path.basename(path)[len(prefix):-len(".c")] for path in
                           glob.glob(os.path.join(self.root, folder, prefix + "*.c")))
            self.assertEqual(names[0], "aaa")
            for key, default in parameters.items():
                expected.append(f"{key} = {default}, stands for {default}")
                expected += [f"{key}: {name} stands for {name}" for name in names]
        self.assertEqual(self.shown(), expected)


if __name__ == "__main__":
    unittest.main()
