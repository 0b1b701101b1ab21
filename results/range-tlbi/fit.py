#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fits the structural constants of the two machines of experiment E1 to the published rows of 1 to 16
pages, and prints them as keys of configs/experiments/range-tlbi-e1-*.yaml.

The constants: how many TLBIs a core has outstanding (dvm.rn_tracker; as many at the misc node,
dvm.mn_snoops, where that has more than its least), what issuing one takes (guest.tlbi_issue), how
long a core takes to answer a snoop (dvm.forward_cycles) and a Sync (dvm.sync_drain_ps). Of each depth
and issue, forward is sought by going down with steps that are halved; the drain, which adds the same
to each flush, follows. The measure is the mean of the absolute relative errors, so that one row that
is out of line moves nothing. Where that leaves more than 1 %, the two best depths try other issues,
and take one only if it takes off a tenth of the error: where one TLBI is outstanding, issue and
forward are nearly one constant.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16)
DEPTHS = (1, 2, 4, 8, 16)
ITERATIONS = 10
GAIN = 0.1
GOOD = 0.01
START_FORWARD, MOST_FORWARD, FIRST_STEP = 64, 1000, 256
DRAIN_PS = 2_000_000  # of the runs; the drain of the fit follows from them
ISSUE_CYCLES = 12     # of the machines
ISSUES = (6, 18, 24, 30, 36, 42, 48, 54)
UNITS = {"dvm.forward_cycles": "cycles", "dvm.sync_drain_ps": "ps", "guest.tlbi_issue": "cycles"}


def published(column):
    with open(os.path.join(ROOT, "configs/reproduce/E1.csv"), encoding="utf-8") as f:
        rows = csv.DictReader(line for line in f if not line.startswith("#"))
        return {int(r["pages"]): float(r[column]) for r in rows}


def mean_flush(path):
    with open(path, encoding="utf-8") as f:
        stats = {(r["group"], r["name"]): int(r["value"]) for r in csv.DictReader(f)}
    return stats["guest", "range_flush_ps.sum"] / stats["guest", "range_flushes"] / 1000


class Machine:
    def __init__(self, program, machine):
        self.program = program
        self.file = os.path.join(ROOT, f"configs/experiments/range-tlbi-e1-{machine.lower()}.yaml")
        self.published = published({"M1": "M1_ns", "M2": "M2_loop_ns"}[machine])
        self.runs = 0

    def times(self, depth, values):
        """Nanoseconds of a flush, by pages."""
        sets = {"workload.iterations": ITERATIONS, "mechanisms": "tlbi_broadcast",
                "workload.pages": ",".join(map(str, ROWS)),
                "dvm.rn_tracker": depth, "dvm.mn_snoops": max(depth, 2)}
        sets.update({k: f"{v}{UNITS[k]}" for k, v in values.items()})
        with tempfile.TemporaryDirectory() as folder:
            command = [self.program, "run", self.file, "-o", folder, "--force"]
            for key, value in sets.items():
                command += ["--set", f"{key}={value}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False,
                                  env=dict(os.environ, TLBSTORM_CONFIGS=os.path.join(ROOT, "configs")))
            if done.returncode:
                sys.exit(f"{' '.join(command)}: {done.stderr}")
            self.runs += 1
            result = {}
            for at, _, files in os.walk(folder):
                for part in at.split(os.sep):
                    if part.startswith("workload.pages=") and "stats.csv" in files:
                        result[int(part.split("=")[1])] = mean_flush(os.path.join(at, "stats.csv"))
        return result

    def error(self, times):
        return sum(abs(times[n] / self.published[n] - 1) for n in ROWS) / len(ROWS)

    def tried(self, depth, forward, issue):
        """Error and constants with the best drain: each flush has one Sync, which it prolongs."""
        times = self.times(depth, constants(forward, DRAIN_PS, issue))
        shifts = [max(self.published[n] - times[n], -DRAIN_PS / 1000) for n in ROWS]
        fits = [(self.error({n: times[n] + shift for n in ROWS}), shift) for shift in shifts]
        error, shift = min(fits)
        return error, constants(forward, DRAIN_PS + round(shift * 1000), issue)

    def best_forward(self, depth, issue, step):
        """Down along forward from START, with steps that are halved."""
        at, best = START_FORWARD, self.tried(depth, START_FORWARD, issue)
        while step >= 1:
            for sign in (1, -1):
                while 0 <= at + sign * step <= MOST_FORWARD:
                    tried = self.tried(depth, at + sign * step, issue)
                    if tried[0] >= best[0]:
                        break
                    at, best = at + sign * step, tried
            step //= 2
        return best

    def best_issue(self, depth, fit):
        for issue in ISSUES:
            tried = self.best_forward(depth, issue, FIRST_STEP)
            if tried[0] < fit[0] * (1 - GAIN):
                fit = tried
        return fit


def constants(forward, drain, issue):
    return {"dvm.forward_cycles": forward, "dvm.sync_drain_ps": drain, "guest.tlbi_issue": issue}


def show(depth, error, values):
    print(f"depth {depth}: mean error {100 * error:.2f} %, "
          + ", ".join(f"{k} {v}{UNITS[k]}" for k, v in values.items()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machine", choices=("M1", "M2"))
    parser.add_argument("--program", default=os.path.join(ROOT, "build/release/tlbstorm"))
    parser.add_argument("--depths", default=",".join(map(str, DEPTHS)))
    args = parser.parse_args()
    machine = Machine(args.program, args.machine)
    fits = []
    for depth in map(int, args.depths.split(",")):
        fits.append((machine.best_forward(depth, ISSUE_CYCLES, FIRST_STEP), depth))
        show(depth, *fits[-1][0])
    fits.sort(key=lambda fit: fit[0][0])
    for i, (fit, depth) in enumerate(fits[:2]):
        if fits[0][0][0] > GOOD:
            fits[i] = (machine.best_issue(depth, fit), depth)
            show(depth, *fits[i][0])
    (_, values), depth = min(fits[:2], key=lambda fit: fit[0][0])
    error = machine.error(machine.times(depth, values))
    print(f"# {args.machine}: mean error {100 * error:.2f} % over {len(ROWS)} rows; {machine.runs} runs")
    print(f"  dvm.rn_tracker: {depth}\n  dvm.mn_snoops: {max(depth, 2)}")
    for key, value in values.items():
        print(f"  {key}: {value}{UNITS[key]}")


if __name__ == "__main__":
    main()
