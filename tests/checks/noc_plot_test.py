# SPDX-License-Identifier: Apache-2.0
"""The figure of the network is drawn and compared, and a bad table is refused in one line."""

import csv
import os
import subprocess
import sys
import unittest

import tree

HEAD = ("study,platform,noc_traffic.router,noc_traffic.packet_flits,noc_traffic.load_ppm,metric,"
        "unit,mean,ci95,n\n")
REFERENCE = os.path.join(tree.ROOT, "tests", "data", "noc", "mesh_8x8.csv")
OUTPUTS = ("noc_mesh.csv", "noc_mesh.png", "noc_mesh.svg")


def summary(factor):
    """The reference, with all latencies times the factor."""
    lines = [HEAD]
    with open(REFERENCE, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = {"accepted": row["accepted_flits_node_cycle"],
                      "packet_latency": float(row["avg_packet_latency"]) * factor,
                      "network_latency": float(row["avg_network_latency"]) * factor,
                      "saturated": 1 - int(row["stable"]), "offered": 0}
            load = round(float(row["offered_flits_node_cycle"]) * 1e6)
            for metric, mean in values.items():
                lines.append(f"noc_traffic,x,{row['router'].lower()},{row['packet_flits']},{load},"
                             f"{metric},cycles,{mean},,1\n")
    return "".join(lines)


class NocPlot(tree.TreeTest):
    def plot(self, table):
        if table is not None:
            self.write("summary.csv", table)
        script = os.path.join(tree.ROOT, "scripts", "plot_noc.py")
        done = subprocess.run([sys.executable, script, self.root],
                              capture_output=True, text=True, check=False)
        if done.returncode == 3:
            self.skipTest(done.stderr)
        return done

    def outputs(self):
        result = []
        for name in OUTPUTS:
            with open(os.path.join(self.root, name), "rb") as file:
                result.append(file.read())
        return result

    def test_drawn_compared_and_deterministic(self):
        done = self.plot(summary(1.01))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("latency within 1.00 % up to 80 %"), 4, done.stdout)
        self.assertEqual(done.stdout.count("throughput +0.00 %"), 4, done.stdout)
        first = self.outputs()
        self.plot(summary(1.01))
        self.assertEqual(first, self.outputs())
        self.assertEqual(sorted(os.listdir(self.root)), sorted(OUTPUTS + ("summary.csv",)))
        with open(os.path.join(self.root, "noc_mesh.csv"), encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        with open(REFERENCE, encoding="utf-8") as file:
            self.assertEqual(len(rows), len(file.readlines()) - 1)
        self.assertEqual({row["packet_latency_error_percent"] for row in rows}, {"1.0"})

    def test_refused(self):
        good = summary(1)
        for what, table in (
                ("missing", None), ("empty", ""), ("no rows", HEAD),
                ("column", good.replace("load_ppm", "load")),
                ("number", good.replace("33.1793", "many")),
                ("metric", good.replace("packet_latency", "latency")),
                ("curve", good.replace(",p4,5,", ",p4,6,")),
                ("twice", good + good.splitlines()[1] + "\n")):
            with self.subTest(what):
                self.setUp()
                done = self.plot(table)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertFalse(os.path.exists(os.path.join(self.root, OUTPUTS[0])))


if __name__ == "__main__":
    unittest.main()
