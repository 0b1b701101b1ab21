# SPDX-License-Identifier: Apache-2.0
"""The shootdowns of a run, or of all runs, that took longest, with the parts of their critical path."""

import heapq
import os

PARTS_END = "_ps"


def parts_of(columns):
    """The columns of the parts, in the order of the file."""
    return [c for c in columns if c.endswith(PARTS_END) and c not in ("started_ps", "total_ps")]


def of_run(results, folder, n):
    table = results.shootdowns(folder)
    # Equal ones in the order of their numbers, whatever pandas does.
    return table.sort_values(["total_ps", "number"], ascending=[False, True], kind="stable").head(n)


def of_all(results, n):
    """(run's row, shootdown's row), longest first."""
    best = []
    for place, (run, folder) in enumerate(results.run_folders()):
        if not os.path.exists(os.path.join(folder, "flushes.csv.zst")):
            continue
        for _, row in of_run(results, run["folder"], n).iterrows():
            best.append((int(row["total_ps"]), -place, -int(row["number"]), run, row))
        best = heapq.nlargest(n, best, key=lambda entry: entry[:3])
    return [(run, row) for _, _, _, run, row in best]
