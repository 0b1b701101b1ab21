# SPDX-License-Identifier: Apache-2.0
"""Reads timeline.json.gz of a run: the slices that lie in a stretch of time. Line by line, so that memory does
not grow with the file."""

import gzip
import json
import re

from tlbstorm import plotting

UNITS_US = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
HOST = 0 # the group of the pCPUs; that of VM v is v + 1


def duration_us(text, what):
    """'200us' in microseconds."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(ns|us|ms|s)", text)
    if not match or float(match[1]) == 0:
        raise plotting.InputError(f"{what} {text}: a time such as 200us is wanted")
    return float(match[1]) * UNITS_US[match[2]]


def records(path):
    """The records of the file, each a dict; times are in microseconds."""
    with plotting.reading(path), gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            if line.startswith('{"ph"'):
                yield json.loads(line.rstrip().rstrip(","))


class Window:
    """slices: (group, track, begin, end, name, depth), flows: (begin, (group, track), end, (group,
    track), name), marks: (time, group, track, name); within begin..end, in microseconds, in order of
    time."""

    def __init__(self, path, begin, end):
        self.begin, self.end = begin, end
        self.slices, self.flows, self.marks = [], [], []
        self._open, self._arrows = {}, {}
        for record in records(path):
            if record["ph"] == "M":
                continue
            if record["ts"] > end:
                break
            self._add(record)
        for track, stack in self._open.items():
            while stack:
                self._close(track, stack, end)
        self.slices.sort(key=lambda s: (s[2], s[0], s[1], s[5]))

    def _close(self, track, stack, at):
        name, since = stack.pop()
        if at >= self.begin:
            self.slices.append((*track, max(since, self.begin), min(at, self.end), name, len(stack)))

    def _add(self, record):
        kind, at, track = record["ph"], record["ts"], (record["pid"], record["tid"])
        stack = self._open.setdefault(track, [])
        if kind == "B":
            stack.append((record["name"], at))
        elif kind == "E":
            if stack:
                self._close(track, stack, at)
        elif kind == "s":
            self._arrows[record["id"]] = (at, track, record["name"])
        elif kind == "f" and record["id"] in self._arrows:
            since, sender, name = self._arrows.pop(record["id"])
            if at >= self.begin:
                self.flows.append((since, sender, at, track, name))
        elif kind == "i" and at >= self.begin:
            self.marks.append((at, *track, record["name"]))
