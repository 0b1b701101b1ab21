#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws where the time of a shootdown went: see python/tlbstorm/breakdown.py."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import breakdown

if __name__ == "__main__":
    sys.exit(breakdown.main(__file__))
