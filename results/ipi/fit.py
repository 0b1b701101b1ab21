#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fits what configs/hypervisors/kvm-4.19.yaml and kvm-5.17.yaml say is fitted: to the calibration
rows of E3 and E4 and to nothing else. Prints the values; with --write puts them into the two files.

E3: clock_read from dry_total; smp_call_target from the two figures of self; exit (= entry) from the
two of normal; inject from broadcast_total. Where a parameter has two figures, the sum of the squared
relative errors is least. E4: exit (= entry) from the difference of the two figures, transport_ps
from the figure with IPI virtualisation."""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CALLS = 100000 # of the published figures of E3


def published(name, key, value):
    with open(os.path.join(ROOT, "configs/reproduce", name), encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {k: float(v) for k, v in next(r for r in rows if r[key] == value).items()
                if k != key}


def simulate(tlbstorm, name, sets):
    """{folder of the point: (delay, total)} in picoseconds a call."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        words = [tlbstorm, "run", os.path.join(ROOT, "configs/experiments", name), "-q", "-o", out,
                 "--jobs", str(os.cpu_count())]
        for key, value in sets.items():
            words += ["--set", f"{key}={value}"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        points = {}
        for path, _, files in os.walk(out):
            if "stats.csv" not in files:
                continue
            with open(os.path.join(path, "stats.csv"), encoding="utf-8") as file:
                stats = {f"{r['group']}.{r['name']}": float(r["value"])
                         for r in csv.DictReader(file)}
            points[path] = tuple(stats[f"guest.call_{what}_ps.sum"] / stats["guest.calls"]
                                 for what in ("delay", "total"))
    return points


def point(points, *words):
    return next(v for k, v in points.items() if all(f"{w}/" in k or f"{w}," in k for w in words))


def two_figures(got, wanted):
    """What to add to both so that the squared relative errors are least."""
    weights = [1 / w ** 2 for w in wanted]
    return sum((w - g) * x for g, w, x in zip(got, wanted, weights)) / sum(weights)


def fit_e3(tlbstorm):
    want = {k: v / CALLS * 1000 for k, v in
            published("E3.csv", "mode", "x2apic_cluster_vanilla").items()}
    cycle, targets = 400, 79 # 2.5 GHz
    values = {"guest.clock_read": 30, "guest.smp_call_target": 197, "hypervisor.exit": 723,
              "hypervisor.inject": 1886}
    for _ in range(4):
        sets = {k: f"{v}cycles" for k, v in values.items()}
        sets.update({"hypervisor.entry": sets["hypervisor.exit"], "platforms": "cluster",
                     "workload.mode": "dry,self,normal,broadcast"})
        got = simulate(tlbstorm, "ipi-e3.yaml", sets)
        dry, own, normal, broadcast = (point(got, f"workload.mode={m}") for m in
                                       ("dry", "self", "normal", "broadcast"))
        more_self = two_figures(own, (want["self_sum"], want["self_total"])) / cycle
        more_normal = two_figures(normal, (want["normal_sum"], want["normal_total"])) / cycle
        more_broadcast = (want["broadcast_total"] - broadcast[1]) / cycle
        # A call makes one exit, one entry of the target and one injection; a broadcast five exits
        # and entries and 79 injections.
        more_normal -= more_self
        more_broadcast -= targets * more_self
        det = 2 * targets - 1 * 10
        values["guest.clock_read"] += round((want["dry_total"] - dry[1]) / cycle / 2)
        values["guest.smp_call_target"] += round(more_self)
        values["hypervisor.exit"] += round((more_normal * targets - more_broadcast) / det)
        values["hypervisor.inject"] += round((2 * more_broadcast - 10 * more_normal) / det)
    return {k: f"{v}cycles" for k, v in values.items()}


def fit_e4(tlbstorm):
    want = published("E4.csv", "apic", "xapic")
    cycle = 500 # 2.0 GHz
    exit_cycles, transport = 546, 1024
    for _ in range(3):
        sets = {"hypervisor.exit": f"{exit_cycles}cycles",
                "hypervisor.entry": f"{exit_cycles}cycles",
                "interrupt.transport_ps": f"{transport}ns",
                "interrupt.guest_mode": "xapic_phys", "workload.iterations": 2000}
        got = simulate(tlbstorm, "ipi-e4.yaml", sets)
        without, with_ipiv = (point(got, f"hypervisor.ipiv={v}")[1] / cycle
                              for v in ("false", "true"))
        difference = want["without"] - want["with_ipi_virtualization"]
        exit_cycles += round(difference - (without - with_ipiv))
        transport += round((want["with_ipi_virtualization"] - with_ipiv) * cycle / 1000)
    return {"hypervisor.exit": f"{exit_cycles}cycles", "interrupt.transport_ps": f"{transport}ns"}


def write(name, values):
    path = os.path.join(ROOT, "configs/hypervisors", name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    values = dict(values, **{"hypervisor.entry": values["hypervisor.exit"]})
    for key, value in values.items():
        text, n = re.subn(rf"(?m)^(  {key.split('.')[1]}: {{value: )\w+", rf"\g<1>{value}", text)
        if n != 1:
            raise SystemExit(f"fit.py: {path}: no single line of {key}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--tlbstorm", default=os.path.join(ROOT, "build/release/tlbstorm"))
    parser.add_argument("--write", action="store_true", help="put the values into the files")
    options = parser.parse_args()
    for name, fit in (("kvm-4.19.yaml", fit_e3), ("kvm-5.17.yaml", fit_e4)):
        values = fit(options.tlbstorm)
        for key, value in values.items():
            print(f"{name}: {key}: {value}")
        if options.write:
            write(name, values)
    return 0


if __name__ == "__main__":
    sys.exit(main())
