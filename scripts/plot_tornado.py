#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws which assumed parameters results hang on: see python/tlbstorm/tornado.py."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import tornado

if __name__ == "__main__":
    sys.exit(tornado.main(__file__))
