#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws packet latency against load of the experiment noc-mesh-8x8 beside the reference of
tests/data/noc, from DIR/summary.csv into DIR/noc_mesh.png and .svg; prints the points of both with
the relative errors, and writes them to DIR/noc_mesh.csv.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import argparse
import csv
import os
import sys

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


class InputError(Exception):
    pass


def rows_of(path, keys):
    try:
        with open(path, encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            missing = [key for key in keys if key not in (table.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: no column {missing[0]}")
            return list(table)
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there: run the experiment first") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def number(path, text):
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {text!r} is not a number") from error


def measured(path):
    """{(router, flits, load in ppm): {metric: mean}}"""
    points = {}
    for row in rows_of(path, KEYS):
        if row["metric"] not in METRICS:
            continue
        key = (row[ROUTER], int(number(path, row[FLITS])), int(number(path, row[LOAD])))
        if (key[0], key[1]) not in COLOURS:
            raise InputError(f"{path}: router {key[0]} with packets of {key[1]} flits is not in "
                             "this figure")
        point = points.setdefault(key, {})
        if row["metric"] in point:
            raise InputError(f"{path}: a point appears twice; this figure shows one platform and "
                             "one network")
        point[row["metric"]] = number(path, row["mean"])
    for metric in METRICS:
        if not points or any(metric not in point for point in points.values()):
            raise InputError(f"{path}: no rows of the metric {metric}")
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
        axes.grid(True, linewidth=0.4, alpha=0.6)
        axes.legend(loc="upper left", frameon=False)
    figure.suptitle("8×8 mesh, uniform random traffic, 4 virtual channels of 8 flits: mean latency, "
                    "wait at the source included")
    return figure


def write(path, save):
    """The file appears whole or not at all."""
    save(path + ".tmp")
    os.replace(path + ".tmp", path)
    print(path)


def write_table(path, table):
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        out.writerows(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("folder", metavar="DIR", help="result folder with summary.csv")
    folder = parser.parse_args().folder
    try:
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as pyplot
    except ImportError as error:
        print(f"plot_noc.py: {error}. Install python3-matplotlib (scripts/setup does) and use "
              "/usr/bin/python3.", file=sys.stderr)
        return 3
    matplotlib.rcParams["svg.hashsalt"] = NAME
    try:
        ours, theirs = measured(os.path.join(folder, "summary.csv")), reference()
        table, latency, throughput = compare(ours, theirs)
        figure = draw(pyplot, ours, theirs)
        show(table, latency, throughput)
        base = os.path.join(folder, NAME)
        write(base + ".csv", lambda path: write_table(path, table))
        for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            # The same input gives the same bytes.
            write(f"{base}.{suffix}", lambda path, s=suffix, m=metadata: figure.savefig(
                path, format=s, dpi=130, metadata=m))
    except InputError as error:
        print(f"plot_noc.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"plot_noc.py: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
