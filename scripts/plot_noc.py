#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws packet latency against load of the experiment noc-mesh-8x8 beside the reference of
tests/data/noc, from DIR/summary.csv into DIR/noc_mesh.png and .svg; prints the points of both with
the relative errors, and writes them to DIR/noc_mesh.csv.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import csv
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import plotting

NAME = "noc_mesh"
ROUTER, FLITS, LOAD = ("noc_traffic.router", "noc_traffic.packet_flits", "noc_traffic.load_ppm")
KEYS = ("metric", "mean", ROUTER, FLITS, LOAD)
METRICS = ("accepted", "packet_latency", "network_latency", "saturated")
REFERENCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                         "tests", "data", "noc", "mesh_8x8.csv")
ROUTERS = {"P4": "p4", "P2spec": "p2spec"}
TITLES = {"p4": "four stages", "p2spec": "speculative, two stages"}
COLOURS = {("p4", 1): "#1f77b4", ("p4", 5): "#d95f02", ("p2spec", 1): "#2ca02c",
           ("p2spec", 5): "#7b3294"}
COLUMNS = ("router", "packet_flits", "offered", "accepted", "accepted_reference",
           "accepted_error_percent", "packet_latency", "packet_latency_reference",
           "packet_latency_error_percent", "network_latency", "network_latency_reference",
           "network_latency_error_percent", "saturated", "saturated_reference")


def rows_of(path, keys):
    with plotting.reading(path), open(path, encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        plotting.check_columns(path, table.fieldnames or (), keys)
        return list(table)


def measured(path):
    """{(router, flits, load in ppm): {metric: mean}}"""
    points = {}
    for row in rows_of(path, KEYS):
        if row["metric"] not in METRICS:
            continue
        key = (row[ROUTER], int(plotting.number(path, row[FLITS])),
               int(plotting.number(path, row[LOAD])))
        if (key[0], key[1]) not in COLOURS:
            raise plotting.InputError(f"{path}: router {key[0]} with packets of {key[1]} flits is "
                                      "not in this figure")
        point = points.setdefault(key, {})
        if row["metric"] in point:
            raise plotting.InputError(f"{path}: a point appears twice; this figure shows one "
                                      "platform and one network")
        point[row["metric"]] = plotting.number(path, row["mean"])
    for metric in METRICS:
        if not points or any(metric not in point for point in points.values()):
            raise plotting.InputError(f"{path}: no rows of the metric {metric}")
    return points


def reference():
    points = {}
    for row in rows_of(REFERENCE, ("router", "packet_flits", "offered_flits_node_cycle")):
        key = (ROUTERS[row["router"]], int(row["packet_flits"]),
               round(float(row["offered_flits_node_cycle"]) * 1e6))
        points[key] = {"accepted": float(row["accepted_flits_node_cycle"]),
                       "packet_latency": float(row["avg_packet_latency"]),
                       "network_latency": float(row["avg_network_latency"]),
                       "saturated": 1.0 - float(row["stable"])}
    return points


def compare(ours, theirs):
    """The rows of the table, and the largest errors: of latency up to 80 % of saturation, and of the
    saturation throughput, by curve. Beyond 97 % queues grow for as long as one measures."""
    table, latency, throughput = [], {}, {}
    for curve in COLOURS:
        most = max((p["accepted"] for k, p in theirs.items() if k[:2] == curve), default=0)
        mine = max((p["accepted"] for k, p in ours.items() if k[:2] == curve), default=0)
        if mine > 0:
            throughput[curve] = 100 * (mine / most - 1)
        for key in sorted(k for k in ours if k[:2] == curve):
            row = {"router": key[0], "packet_flits": key[1], "offered": key[2] / 1e6,
                   "saturated": ours[key]["saturated"]}
            known = theirs.get(key)
            row["saturated_reference"] = known["saturated"] if known else ""
            for metric in METRICS[:3]:
                value = ours[key][metric]
                row[metric] = round(value, 4)
                row[metric + "_reference"] = known[metric] if known else ""
                row[metric + "_error_percent"] = (
                    round(100 * (value / known[metric] - 1), 2) if known else "")
            row["settled"] = bool(known) and key[2] <= 0.97e6 * most
            if known and key[2] <= 0.8e6 * most:
                error = row["packet_latency_error_percent"]
                latency[curve] = max(latency.get(curve, 0), error, key=abs)
            table.append(row)
    return table, latency, throughput


def show(table, latency, throughput):
    print("router  flits  offered  accepted (ref)      latency (ref)        error")
    for row in table:
        known = row["packet_latency_reference"] != ""
        print(f"{row['router']:7} {row['packet_flits']:5}  {row['offered']:7.3f}  "
              f"{row['accepted']:.4f} ({row['accepted_reference'] or '-'})".ljust(44) +
              f"{row['packet_latency']:9.2f} ({row['packet_latency_reference'] or '-'})".ljust(22) +
              (f"{row['packet_latency_error_percent']:+.2f} %" if row["settled"] else
               "at saturation" if known else ""))
    for curve, error in latency.items():
        print(f"{curve[0]}, packets of {curve[1]}: latency within {abs(error):.2f} % up to 80 % of "
              f"saturation; saturation throughput {throughput[curve]:+.2f} %")


def draw(pyplot, ours, theirs):
    figure, panels = pyplot.subplots(1, 2, layout="constrained", figsize=(11, 4.6))
    for axes, router in zip(panels, TITLES):
        for curve, colour in COLOURS.items():
            if curve[0] != router:
                continue
            for points, style, label in (
                    (theirs, {"linestyle": "-", "linewidth": 1.2, "alpha": 0.7}, "BookSim2"),
                    (ours, {"linestyle": "none", "marker": "o", "markersize": 5,
                            "markerfacecolor": "none"}, "tlbstorm")):
                keys = [k for k in sorted(points) if k[:2] == curve and
                        not points[k]["saturated"]]
                if keys:
                    axes.plot([points[k]["accepted"] for k in keys],
                              [points[k]["packet_latency"] for k in keys], color=colour,
                              label=f"{curve[1]} flit{'s' if curve[1] > 1 else ''}: {label}",
                              **style)
            most = max((p["accepted"] for k, p in theirs.items() if k[:2] == curve), default=None)
            if most:
                axes.axvline(most, color=colour, linestyle=":", linewidth=1)
        axes.set_title(f"router {router} ({TITLES[router]})")
        axes.set_xlabel("accepted load (flits per node and cycle; dotted: saturation, BookSim2)")
        axes.set_ylabel("packet latency (cycles)")
        axes.set_xlim(0, 0.45)
        axes.set_ylim(0, 120)
        axes.grid(True, **plotting.GRID)
        axes.legend(loc="upper left", frameon=False)
    figure.suptitle("8×8 mesh, uniform random traffic, 4 virtual channels of 8 flits: mean latency, "
                    "wait at the source included")
    return figure


def write_table(path, table):
    with plotting.whole(path) as name, open(name, "w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        out.writerows(table)


def work(folder):
    (pyplot,) = plotting.load()
    ours, theirs = measured(os.path.join(folder, "summary.csv")), reference()
    table, latency, throughput = compare(ours, theirs)
    figure = draw(pyplot, ours, theirs)
    show(table, latency, throughput)
    write_table(os.path.join(folder, NAME + ".csv"), table)
    plotting.save(figure, folder, NAME)


def main():
    return plotting.run(__file__, work, plotting.parser(__doc__).parse_args().folder)


if __name__ == "__main__":
    sys.exit(main())
