#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the signals of a VCD file as SVG: bits and small numbers as steps, a row a signal, in the
order of the file.

The file is read as SystemC writes it: $var lines, `0id`, `1id` and `b... id` changes, `#time`.
Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import plotting

SCALE = 1e6 # ps to us


def signals_of(lines):
    """Names by their short codes, and changes as (time, code, value), up to the last time."""
    names, changes, scope, now = {}, [], [], 0
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if words[0] == "$scope":
            scope.append(words[2])
        elif words[0] == "$upscope":
            scope.pop()
        elif words[0] == "$var":
            names[words[3]] = ".".join(scope[1:] + [words[4]])
        elif words[0].startswith("#"):
            now = int(words[0][1:])
        elif words[0][0] in "01" and words[0][1:] in names:
            changes.append((now, words[0][1:], int(words[0][0])))
        elif words[0][0] == "b" and len(words) == 2:
            if words[1] not in names:
                raise plotting.InputError(f"line {number}: no signal {words[1]}")
            changes.append((now, words[1], int(words[0][1:] or "0", 2)))
    if not changes:
        raise plotting.InputError("the file holds no changes")
    return names, changes, max(now, changes[-1][0])


def draw(path, target, chosen, start, end):
    (plt,) = plotting.load()
    with plotting.reading(path), open(path, encoding="ascii") as file:
        names, changes, last = signals_of(file)
    codes = [code for code in names if not chosen or names[code] in chosen]
    missing = set(chosen) - set(names.values())
    if missing:
        raise plotting.InputError(f"{path} has no signal {', '.join(sorted(missing))}")
    plt.rcParams["svg.hashsalt"] = "tlbstorm"
    figure, axes = plt.subplots(len(codes), 1, sharex=True, squeeze=False,
                                figsize=(9, 0.55 * len(codes) + 0.7))
    for axis, code in zip(axes[:, 0], codes):
        mine = [(time / SCALE, value) for time, other, value in changes if other == code]
        mine.append((last / SCALE, mine[-1][1]))
        axis.step([time for time, _ in mine], [value for _, value in mine], where="post",
                  linewidth=1.1, color="#1f77b4")
        axis.set_ylabel(names[code], rotation=0, ha="right", va="center", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.yaxis.set_major_locator(plt.MaxNLocator(2, integer=True))
        axis.margins(y=0.2)
        axis.grid(axis="x", **plotting.GRID)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    axes[-1, 0].set_xlabel("us")
    axes[-1, 0].set_xlim(start, last / SCALE if end is None else end)
    figure.align_ylabels()
    figure.savefig(target, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def main():
    parser = plotting.parser(__doc__, folder="VCD file")
    parser.add_argument("-o", dest="target", required=True, metavar="FILE.svg")
    parser.add_argument("--signal", action="append", default=[], help="these only (several)")
    parser.add_argument("--from", dest="start", type=float, default=0, metavar="US")
    parser.add_argument("--to", dest="end", type=float, metavar="US")
    args = parser.parse_args()
    return plotting.run(__file__, draw, args.folder, args.target, args.signal, args.start, args.end)


if __name__ == "__main__":
    sys.exit(main())
