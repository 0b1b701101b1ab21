# SPDX-License-Identifier: Apache-2.0
"""scripts/plot_ipi.py: gathering statistics of runs, both figures, and bad input."""

import csv
import os
import unittest

import plotting

HEAD = ("case,inject_cycles,platform,vcpus,calls,mean_us,max_us,exits_per_call,icr_exits_per_call,"
        "hypercalls_per_call,wakeups_per_call\n")
SCALING = HEAD + "".join(f"{case},1900,{platform},{n},10,{n * slope},{n},1,0,1,0\n"
                         for case in ("idle", "running") for n in (16, 32)
                         for platform, slope in (("pv_sliding", 1), ("x2apic_phys", 1.6)))
ACCEL = HEAD + "".join(f"{case},{inject},{platform},{n},10,{n},{n},1,0,1,0\n"
                       for case in ("running", "polled", "blocked") for inject in (1900, 250)
                       for n in (4, 8) for platform in ("vmx_pv", "avic_flat"))
STATS = """group,name,unit,value
guest,calls,1,10
guest,call_total_ps.sum,ps,{sum}
guest,call_total_ps.max,ps,9000000
hypervisor,exits,1,40
hypervisor,exit_icr,1,30
hypervisor,exit_hypercall,1,0
hypervisor,wakeups,1,5
"""
CONFIG = """platforms:
set:
  hypervisor:
    inject: {inject}
  run:
    vcpus: {vcpus}
"""


class PlotIpi(plotting.PlotTest):
    SCRIPT = "plot_ipi.py"

    def run_folder(self, name, total_ps, inject="{value: 1900cycles, source: s} # s",
                   vcpus="4 # setting"):
        self.write(f"{name}/seed=1/stats.csv", STATS.format(sum=total_ps))
        self.write(f"{name}/seed=1/config.resolved.yaml",
                   CONFIG.format(inject=inject, vcpus=vcpus))

    def test_drawn_and_deterministic(self):
        self.check_drawn({"ipi_scaling.csv": SCALING, "ipi_accel.csv": ACCEL},
                         [f"ipi_{what}.{suffix}" for what in ("scaling", "accel")
                          for suffix in ("png", "svg")])

    def test_gathers_the_runs(self):
        self.run_folder("accel/fitted/running/4/vmx_pv/native_sequential", 20000000)
        self.run_folder("accel/fitted/running/8/vmx_pv/native_sequential", 50000000,
                        vcpus="{value: 8, source: s} # s")
        self.run_folder("accel/default/running/4/vmx_pv/native_sequential", 10000000,
                        inject="250cycles # assumed")
        self.write("reproduce/E3/reproduce.csv", "experiment\nE3\n")
        self.assertEqual(self.plot({"ipi_scaling.csv": SCALING}).returncode, 0)
        with open(os.path.join(self.root, "ipi_accel.csv"), encoding="utf-8", newline="") as file:
            rows = [(r["case"], r["inject_cycles"], r["vcpus"], r["mean_us"], r["exits_per_call"])
                    for r in csv.DictReader(file)]
        self.assertEqual(rows, [("running", "250", "4", "1", "4"), ("running", "1900", "4", "2", "4"),
                                ("running", "1900", "8", "5", "4")])
        with open(os.path.join(self.root, "e3.csv"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "experiment\nE3\n")

    def test_refused(self):
        for what, scaling in (("missing", None), ("empty", ""), ("no rows", HEAD),
                              ("column", SCALING.replace("vcpus", "cpus")),
                              ("number", SCALING.replace(",16,", ",few,")),
                              ("case", SCALING.replace("idle", "asleep")),
                              ("short row", SCALING + "idle,1900\n")):
            tables = {"ipi_accel.csv": ACCEL}
            if scaling is not None:
                tables["ipi_scaling.csv"] = scaling
            self.check_refused(what, tables, "ipi_scaling.png")

    def test_runs_that_cannot_be_read(self):
        for what, folder, config in (
                ("platform", "accel/fitted/running/4/unknown/x", "4"),
                ("case", "accel/fitted/4/vmx_pv/x", "4"),
                ("vcpus", "accel/fitted/running/4/vmx_pv/x", "many")):
            with self.subTest(what):
                self.setUp()
                self.run_folder(folder, 1000, vcpus=config)
                done = self.plot({"ipi_scaling.csv": SCALING})
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
