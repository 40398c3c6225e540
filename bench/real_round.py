#!/usr/bin/python3
"""Time of a round with everything in it (hub, four gateways, four trainers, all fsyncs of five ledgers on one disk; the
training itself is two steps over 60 patients) against the 50 ms that a round may cost besides training. Two of a trainer's answers wait
for the public time grid (worker/trainer/work.h, at least 32 ms each), so that times tell nothing of cohorts: bench_round has the rest."""

import os
import re
import statistics
import sys
import time
from datetime import datetime

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
from federation import Federation  # noqa: E402

ROUNDS = 100
TARGET_MS = 50


def ready_ms(fed):
    """Median from the hub's asking to the last "ready": one answer on the time grid, and the log that it waits for."""
    asked, took = {}, []
    with open(fed.daemons["hub"].log_path, encoding="utf-8") as f:
        for at, number, phase in re.findall(r"^(\S+)Z info round.phase study=trial round=(\d+) attempt=1 phase=(deliver|ready)", f.read(), re.M):
            ms = datetime.fromisoformat(at).timestamp() * 1000
            if phase == "deliver":
                asked[number] = ms
            else:
                took.append(ms - asked[number])
    return statistics.median(took)


def main():
    with Federation() as fed:
        fed.up()
        fed.sponsor("study", "submit", fed.plan(rounds=ROUNDS, steps=2, noise="60", quorum=4))
        fed.approve_all()
        begin = time.monotonic()
        fed.sponsor("study", "watch", "trial", timeout=120)  # one call that lasts: asking again and again would cost what it measures
        ms = (time.monotonic() - begin) * 1000 / ROUNDS
        assert fed.study()["phase"] == "done"
        print(f"round: 4 hospitals as real processes, {ROUNDS} rounds: {ms:.1f} ms a round, {ms / TARGET_MS:.2f} of {TARGET_MS} ms; "
              f"deliver to ready {ready_ms(fed):.0f} ms at the median")


if __name__ == "__main__":
    main()
