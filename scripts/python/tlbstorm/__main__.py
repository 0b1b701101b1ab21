# SPDX-License-Identifier: Apache-2.0
"""python3 -m tlbstorm plot|report: what `tlbstorm plot` and `tlbstorm report` call."""

import sys

from tlbstorm import plot, report

COMMANDS = {"plot": plot.main, "report": report.main}


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        print(f"usage: python3 -m tlbstorm {'|'.join(COMMANDS)} ...", file=sys.stderr)
        return 2
    return COMMANDS[name](f"tlbstorm {name}", sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
