#!/usr/bin/python3
"""kill -9 of each daemon at random instants of a running study: the budget
never shrinks, each round counts once, finished bytes are re-sent identically,
and the study still ends. YM_SEED repeats a run."""

import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402

ROUNDS = 60
SEED = int(os.environ.get("YM_SEED", random.randrange(1 << 30)))


def releases(leaves):
    return {(l["study"], l["round"], l["attempt"]): l["update"] for l in leaves if l["type"] == "release"}


def charges(leaves):
    return [(l["study"], l["round"], l["attempt"]) for l in leaves if l["type"] == "charge"]


def check_ledgers(fed, before):
    for n in fed.names:
        leaves = fed.leaves(fed.path(n, "ledger"))
        assert len(leaves) >= before.get(n, 0), f"{n}: the ledger shrank from {before[n]} to {len(leaves)}"
        before[n] = len(leaves)
        made = charges(leaves)
        assert len(made) == len(set(made)), f"{n}: an attempt was charged twice: {made}"
        spent = [l["epsilon_spent_micro"] for l in leaves if l["type"] == "charge"]
        assert spent == sorted(spent), f"{n}: spent went down: {spent}"


def main():
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    with Federation() as fed:
        fed.up()
        fed.sponsor("study", "submit", fed.plan(rounds=ROUNDS, steps=2, noise="40", attempts=5, ready=4, collect=6, quorum=3))
        fed.approve_all()
        victims = ["hub"] + [f"{kind}-{n}" for n in fed.names[:2] for kind in ("trainer", "gateway")]
        before, killed, end = {}, [], time.monotonic() + 150
        while time.monotonic() < end:
            s = fed.study()
            if s and s["phase"] in ("done", "paused", "aborted"):
                break
            victim = victims[len(killed) % len(victims)] if len(killed) < 2 * len(victims) else None
            if victim is None:
                time.sleep(0.2)
                continue
            time.sleep(rng.uniform(0.02, 0.5))
            fed.daemons[victim].kill()
            killed.append(victim)
            check_ledgers(fed, before)
            fed.daemons[victim].start()
        s = fed.wait_phase(("done", "paused", "aborted"), timeout=60)
        assert s["phase"] == "done", f"the study ended as {s['phase']}({s.get('reason')})"
        assert len(killed) >= len(victims), f"the study was over after only {len(killed)} kills"
        check_ledgers(fed, before)

        hub = fed.leaves(fed.path("hub", "ledger"))
        results = [l["round"] for l in hub if l["type"] == "round_result"]
        assert results == list(range(1, ROUNDS + 1)), f"rounds in the hub's log: {results}"
        for n in fed.names:
            own = releases(fed.leaves(fed.path(n, "ledger")))
            for l in hub:
                if l["type"] == "release" and l["by"] == n:
                    assert own[(l["study"], l["round"], l["attempt"])] == l["update"], f"{n}: other bytes than its ledger says"
        p = fed.verify()
        print(p.stdout)
        print(f"{len(killed)} kills, study done, ledgers verified")


if __name__ == "__main__":
    main()
