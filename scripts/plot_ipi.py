#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the IPI experiments: what results/ipi/run.sh has left in DIR.

Where DIR has the runs themselves, their statistics are first gathered into DIR/ipi_scaling.csv and
DIR/ipi_accel.csv; without runs these files are drawn as they are. Makes ipi_scaling and ipi_accel,
.png and .svg, and, of reproduce.csv in DIR/reproduce/E3 and E4, DIR/e3.csv and DIR/e4.csv.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import csv
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import plotting

COLUMNS = ("case", "inject_cycles", "platform", "vcpus", "calls", "mean_us", "max_us",
           "exits_per_call", "icr_exits_per_call", "hypercalls_per_call", "wakeups_per_call")
COLOURS = {"x2apic_phys": "#1f77b4", "x2apic_cluster": "#17becf", "pv_sliding": "#d62728",
           "pv_absolute128": "#ff7f0e", "pv_cluster128": "#9467bd", "pv_cluster192": "#2ca02c",
           "vmx_native": "#1f77b4", "vmx_pv": "#d62728", "vmx_ipiv": "#2ca02c",
           "svm_native": "#7f7f7f", "svm_pv": "#ff7f0e", "avic_flat": "#8c564b",
           "avic_phys": "#e377c2", "x2avic_cluster": "#17becf", "x2avic_phys": "#9467bd",
           "x2avic_pv": "#bcbd22"}
LABELS = {"x2apic_phys": "x2APIC physical", "x2apic_cluster": "x2APIC cluster",
          "pv_sliding": "PV IPI, sliding 128 (merged)", "pv_absolute128": "PV IPI, absolute 128",
          "pv_cluster128": "PV IPI, cluster 128", "pv_cluster192": "PV IPI, cluster 192",
          "vmx_native": "VMX: x2APIC physical", "vmx_pv": "VMX: PV IPI",
          "vmx_ipiv": "VMX: IPI virtualisation", "svm_native": "SVM: x2APIC physical",
          "svm_pv": "SVM: PV IPI", "avic_flat": "AVIC, xAPIC flat (up to 8)",
          "avic_phys": "AVIC, xAPIC physical", "x2avic_cluster": "x2AVIC, cluster",
          "x2avic_phys": "x2AVIC, physical", "x2avic_pv": "x2AVIC with PV IPI"}
CASES = {"running": "all targets run", "polled": "targets halted, host polls",
         "blocked": "targets halted, blocked", "idle": "targets halted"}


def statistics(path):
    """stats.csv as {"group.name": value}."""
    with open(path, newline="", encoding="utf-8") as file:
        return {f"{row['group']}.{row['name']}": float(row["value"])
                for row in csv.DictReader(file)}


def configured(folder, section, key):
    """A plain number of config.resolved.yaml, where it stands in its section."""
    now = None
    with open(os.path.join(folder, "config.resolved.yaml"), encoding="utf-8") as file:
        for line in file:
            head = re.match(r" *(\w+):$", line)
            if head:
                now = head[1]
            value = re.match(rf" +{key}: (?:\{{value: )?(\d+)", line)
            if value and now == section:
                return int(value[1])
    raise plotting.InputError(f"{folder}: config.resolved.yaml does not say {section}.{key}")


def row_of(folder, case, platform):
    stats = statistics(os.path.join(folder, "stats.csv"))
    calls = stats["guest.calls"]
    if calls == 0:
        raise plotting.InputError(f"{folder}: no calls")
    return {"case": case, "inject_cycles": configured(folder, "hypervisor", "inject"),
            "platform": platform, "vcpus": configured(folder, "run", "vcpus"),
            "calls": int(calls),
            "mean_us": stats["guest.call_total_ps.sum"] / calls * 1e-6,
            "max_us": stats["guest.call_total_ps.max"] * 1e-6,
            "exits_per_call": stats["hypervisor.exits"] / calls,
            "icr_exits_per_call": stats["hypervisor.exit_icr"] / calls,
            "hypercalls_per_call": stats["hypervisor.exit_hypercall"] / calls,
            "wakeups_per_call": stats["hypervisor.wakeups"] / calls}


def gather(root, what):
    """Rows of all runs below root/what; a folder on the way is named as the case."""
    rows = []
    top = os.path.join(root, what)
    for folder, _, files in os.walk(top):
        if "stats.csv" not in files:
            continue
        parts = os.path.relpath(folder, top).split(os.sep)
        platform = next((part for part in parts if part in LABELS), None)
        case = next((part for part in parts if part in CASES), None)
        if platform is None or case is None:
            raise plotting.InputError(
                f"{folder}: a platform or case that this figure does not know")
        rows.append(row_of(folder, case, platform))
    rows.sort(key=lambda r: (r["inject_cycles"], r["case"], r["platform"], r["vcpus"]))
    return rows


def write(path, rows):
    plotting.write_csv(path, COLUMNS,
                       [[f"{row[c]:.6g}" if isinstance(row[c], float) else row[c] for c in COLUMNS]
                        for row in rows])


def read(path):
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise plotting.InputError(f"{path} is not there, and neither are the runs: "
                                  "results/ipi/run.sh makes them") from error
    for row in rows:
        if None in row.values() or set(row) != set(COLUMNS):
            raise plotting.InputError(f"{path}: its columns are not {', '.join(COLUMNS)}")
        for key in ("vcpus", "mean_us"):
            row[key] = float(row[key])
    if not rows:
        raise plotting.InputError(f"{path} has no rows")
    return rows


def table(root, what):
    path = os.path.join(root, f"ipi_{what}.csv")
    if os.path.isdir(os.path.join(root, what)):
        rows = gather(root, what)
        if not rows:
            raise plotting.InputError(f"{os.path.join(root, what)} holds no run")
        write(path, rows)
    return read(path)


def draw_panel(axes, rows, base):
    """Times, or, with a base, how often the base's time."""
    of_base = {r["vcpus"]: r["mean_us"] for r in rows if r["platform"] == base}
    for number, platform in enumerate(LABELS):
        points = sorted((r["vcpus"], r["mean_us"] / of_base.get(r["vcpus"], 1))
                        for r in rows if r["platform"] == platform)
        if points:
            axes.plot(*zip(*points), marker="os^Dv<>PX*"[number % 10], markersize=5,
                      linewidth=1.3, linestyle=("-", "--", "-.")[number % 3],
                      color=COLOURS[platform], label=LABELS[platform])
    axes.set_xscale("log", base=2)
    counts = sorted({r["vcpus"] for r in rows})
    axes.set_xticks(counts, [f"{c:g}" for c in counts])
    axes.minorticks_off()
    if not base:
        axes.set_yscale("log")
    axes.set_xlabel("vCPUs")
    axes.grid(True, **plotting.GRID)


def draw(pyplot, rows, title, base):
    """A column a case. A row of times at the first cost of injection, then a row of ratios to the
    base for each."""
    injects = sorted({r["inject_cycles"] for r in rows}, key=lambda i: -int(i))
    cases = [c for c in CASES if any(r["case"] == c for r in rows)]
    unknown = {r["case"] for r in rows} - set(cases)
    if unknown:
        raise plotting.InputError(f"unknown case {', '.join(sorted(unknown))}")
    lines = [(injects[0], None)] + [(inject, base) for inject in injects]
    figure, grid = pyplot.subplots(len(lines), len(cases), squeeze=False, sharey="row",
                                   layout="constrained",
                                   figsize=(3 + 4.4 * len(cases), 0.6 + 3.6 * len(lines)))
    for (inject, over), line in zip(lines, grid):
        for case, axes in zip(cases, line):
            chosen = [r for r in rows if r["case"] == case and r["inject_cycles"] == inject]
            draw_panel(axes, chosen, over)
            axes.set_title(f"{CASES[case]}; injection {inject} cycles", fontsize=10)
        if over:
            line[0].set_ylim(0, 1.05 * line[0].get_ylim()[1])
        line[0].set_ylabel(f"time over that of\n{LABELS[over]}" if over
                           else "one call to all others (µs)")
    known = {label: handle for axes in grid[0]
             for handle, label in zip(*axes.get_legend_handles_labels())}
    shown = [label for label in LABELS.values() if label in known]
    grid[0][-1].legend([known[label] for label in shown], shown, loc="upper left",
                       bbox_to_anchor=(1.01, 1), frameon=False)
    figure.suptitle(title)
    return figure


def draw_all(pyplot, folder):
    for what, base, title in (
            ("scaling", "pv_sliding", "Broadcast call in one VM: x2APIC and KVM PV IPIs"),
            ("accel", "vmx_pv", "Broadcast call in one VM: the hypercall and the hardware")):
        plotting.save(draw(pyplot, table(folder, what), title, base), folder, f"ipi_{what}",
                      salt=what, dpi=110)
    for name in ("E3", "E4"):
        made = os.path.join(folder, "reproduce", name, "reproduce.csv")
        if os.path.exists(made):
            shutil.copyfile(made, os.path.join(folder, f"{name.lower()}.csv"))


def work(folder):
    (pyplot,) = plotting.load()
    try:
        draw_all(pyplot, folder)
    except (OSError, ValueError, KeyError) as error:
        raise plotting.InputError(f"{folder}: cannot be read or written: {error!r}") from error


def main():
    parser = plotting.parser(__doc__, "folder that results/ipi/run.sh has made")
    return plotting.run(__file__, work, parser.parse_args().folder)


if __name__ == "__main__":
    sys.exit(main())
