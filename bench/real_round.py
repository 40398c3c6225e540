#!/usr/bin/python3
"""Time of a round with everything in it (hub, four gateways, four trainers, all fsyncs of five ledgers on one disk; the
training itself is two steps over 60 patients) against the 50 ms that a round may cost besides training. Two of a trainer's answers wait
for the public time grid (worker/trainer/work.h, at least 32 ms each), so that times tell nothing of cohorts: bench_round has the rest."""

import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
from federation import Federation  # noqa: E402

ROUNDS = 100
TARGET_MS = 50


def main():
    with Federation() as fed:
        fed.up()
        fed.sponsor("study", "submit", fed.plan(rounds=ROUNDS, steps=2, noise="60", quorum=4))
        fed.approve_all()
        begin = time.monotonic()
        fed.sponsor("study", "watch", "trial", timeout=120)  # one call that lasts: asking again and again would cost what it measures
        ms = (time.monotonic() - begin) * 1000 / ROUNDS
        assert fed.study()["phase"] == "done"
        print(f"round: 4 hospitals as real processes, {ROUNDS} rounds: {ms:.1f} ms a round, {ms / TARGET_MS:.2f} of {TARGET_MS} ms")


if __name__ == "__main__":
    main()
