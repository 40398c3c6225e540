#!/usr/bin/python3
"""Resident memory of each daemon of an enrolled, idle federation against the 30 MB it may have."""

import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
from federation import Federation  # noqa: E402

LIMIT_KB = 30 * 1000


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def main():
    with Federation(sites=("h1",)) as fed:
        fed.up()
        time.sleep(3)  # past start-up
        for name, daemon in fed.daemons.items():
            kb = resident_kb(daemon.proc.pid)
            print(f"idle {name:12} {kb / 1000:6.1f} MB resident, {kb / LIMIT_KB:.2f} of the 30 MB limit")


if __name__ == "__main__":
    main()
