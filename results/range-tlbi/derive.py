#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the CSV files of this folder from the results of the experiments range-tlbi-* in OUT.

by_page.csv and pages.csv: the flush itself (guest.range_flush_ps), what the flushing thread's reading takes longer for
it (user time, less that of the platform `nothing`), and the sum. initiators.csv and cores.csv: the
mean flush. bystander.csv and bystander_vm.csv: what the bystanders lose of their records a second,
against those without company. loopers.csv: rounds of each VM."""

import csv
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FIXED = ("metric", "unit", "mean", "ci95", "n")


def points(folder, experiment):
    """(platform, mechanism, swept keys as the experiment has them, metrics, statistics) of every run, in its order."""
    root = os.path.join(folder, experiment)
    with open(os.path.join(root, "summary.csv"), encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    with open(os.path.join(root, "points.json"), encoding="utf-8") as f:
        made = json.load(f)
    keys = [c["key"] for c in made["columns"]]
    seen = {}
    for r in rows:
        point = (r["platform"], r["mechanism"], *(r[k] for k in keys))
        seen.setdefault(point, {})[r["metric"]] = float(r["mean"])
    for run in made["runs"]:
        with open(os.path.join(root, run["folder"], "stats.csv"), encoding="utf-8") as f:
            stats = {f"{r['group']}.{r['name']}": int(r["value"]) for r in csv.DictReader(f)}
        metrics = seen[run["platform"], run["subject"], *run["numbers"]]
        yield run["platform"], run["subject"], dict(zip(keys, run["swept"])), metrics, stats


def write(name, keys, rows):
    with open(os.path.join(HERE, name), "w", encoding="utf-8", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow([*keys, *FIXED])
        for *values, metric, unit, mean in rows:
            out.writerow([*values, metric, unit, f"{mean:.9g}", "", 1])


def flush_us(stats):
    return stats["guest.range_flush_ps.sum"] / stats["guest.range_flushes"] / 1e6


def pages(folder):
    runs = [(p, v["workload.pages"], m, s) for p, _, v, m, s in points(folder, "range-tlbi-pages")]
    base = {n: s["result.user_time"] for p, n, _, s in runs if p == "nothing"}
    runs = [("by_page", v["workload.pages"], m, s)
            for _, _, v, m, s in points(folder, "range-tlbi-by-page")] + runs
    rows = []
    for way, n, _, stats in runs:
        if way == "nothing":
            continue
        refill = (stats["result.user_time"] - base[n]) / stats["guest.range_flushes"] / 1e6
        flush = flush_us(stats)
        rows += [(way, n, "flush", "us", flush), (way, n, "refill", "us", refill),
                 (way, n, "total", "us", flush + refill)]
    keys = ("mechanism", "workload.pages")
    write("by_page.csv", keys, [row for row in rows if row[0] == "by_page"])
    write("pages.csv", keys, [row for row in rows if row[0] != "by_page"])


def latency(folder, experiment, name, key):
    rows = [(v[key], v["dvm.sync_drain_ps"], v["dvm.fanout"], "flush", "us", flush_us(s))
            for _, _, v, _, s in points(folder, experiment)]
    write(name, (key, "dvm.sync_drain_ps", "dvm.fanout"), rows)


def bystander(folder, experiment, name, key):
    runs = [(p, v[key], m["record_rate"]) for p, _, v, m, _ in points(folder, experiment)]
    alone = {p: rate for p, n, rate in runs if n == "0"}
    write(name, ("platform", key),
          [(p, n, "lost_percent", "%", 100 * (1 - rate / alone[p])) for p, n, rate in runs])


def loopers(folder):
    write("loopers.csv", ("platform", "run.vms"),
          [(p, v["run.vms"], "record_rate", "1/s", m["record_rate"])
           for p, _, v, m, _ in points(folder, "range-tlbi-loopers")])


def main():
    if len(sys.argv) != 2:
        sys.exit("derive.py OUT: the folder with the results of range-tlbi-*")
    out = sys.argv[1]
    pages(out)
    latency(out, "range-tlbi-initiators", "initiators.csv", "workload.threads")
    latency(out, "range-tlbi-cores", "cores.csv", "topology.cores_per_socket")
    bystander(out, "range-tlbi-bystander", "bystander.csv", "workload.loopers")
    bystander(out, "range-tlbi-bystander-vm", "bystander_vm.csv", "vms.neighbour.count")
    loopers(out)


if __name__ == "__main__":
    main()
