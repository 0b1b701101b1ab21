# SPDX-License-Identifier: Apache-2.0
"""The figure of the network is drawn and compared, and a bad table is refused in one line."""

import csv
import os
import unittest

import plotting
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


class NocPlot(plotting.PlotTest):
    SCRIPT = "plot_noc.py"

    def test_drawn_compared_and_deterministic(self):
        done = self.check_drawn({"summary.csv": summary(1.01)}, OUTPUTS)
        self.assertEqual(done.stdout.count("latency within 1.00 % up to 80 %"), 4, done.stdout)
        self.assertEqual(done.stdout.count("throughput +0.00 %"), 4, done.stdout)
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
            self.check_refused(what, {} if table is None else {"summary.csv": table}, OUTPUTS[0])


if __name__ == "__main__":
    unittest.main()
