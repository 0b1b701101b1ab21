# SPDX-License-Identifier: Apache-2.0
"""Folders of results of tlbstorm, as pandas tables.

    import tlbstorm
    results = tlbstorm.load("out/mmapstorm-overcommit")
    results.runs.groupby(["mechanism", "run.vms"])["completion_time"].mean()

docs/python.md has more. pandas is needed; figures need matplotlib, and shootdowns python3-zstandard."""

from tlbstorm.results import Results, load

__all__ = ["Results", "load"]
