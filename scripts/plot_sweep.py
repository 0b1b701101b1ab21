#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws lines of a folder of results: see python/tlbstorm/lines.py."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import lines

if __name__ == "__main__":
    sys.exit(lines.main(__file__))
