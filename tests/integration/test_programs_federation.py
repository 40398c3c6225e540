#!/usr/bin/python3
"""Training programs between real processes, read from outside: control variates (the hospital walks from its own last
release, whatever is killed or lost meanwhile; the state's server.c is that of the sums), a study that stops on its
released figures before the last round, and images augmented. The auditor recomputes every state of each."""

import hashlib
import json
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation, tensors  # noqa: E402
from test_image_federation import Images  # noqa: E402

ROUNDS, STEPS, RATE = 6, 3, 0.5
DIM = 3


def results(fed, study):
    return [x for x in fed.leaves(fed.path("hub", "ledger")) if x["type"] == "round_result" and x["study"] == study]


def sum_of(fed, result):
    with open(fed.path("hub", "objects", result["sum"]), "rb") as f:
        raw = f.read()
    return struct.unpack(f"<{len(raw) // 8}q", raw)


def edited(path, find, text):
    with open(path, encoding="utf-8") as f:
        old = f.read()
    assert old.count(find) == 1, find
    with open(path, "w", encoding="utf-8") as f:
        f.write(old.replace(find, text))
    return path


def outbox(fed, name):
    return sorted(x for x in os.listdir(fed.path(name, "outbox")) if x.endswith(".update"))


def recomputed(fed, states):
    said = json.loads(fed.verify("--objects", fed.path("hub", "objects"), "--json").stdout)
    assert sum(log.get("states", 0) for log in said["logs"]) == states, said


def kept_is_the_last_release(fed, name):
    last = [x for x in fed.leaves(fed.path(name, "ledger")) if x["type"] == "release"][-1]
    with open(fed.path(name, "outbox", last["charge"] + ".update"), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest() == last["update"]


def control_variates(fed):
    plan = edited(fed.plan(quorum=2, rounds=ROUNDS, steps=STEPS, noise="9", epsilon="6", ready=8, collect=8, attempts=9), "  learning_rate: 0.5\n  max",
                  "  learning_rate: 0.5\n  correction: scaffold\n  max")
    fed.sponsor("study", "submit", plan)
    fed.approve_all()
    fed.wait(lambda: len(results(fed, "trial")) >= 1, 30, "a round")
    fed.daemons["trainer-h1"].kill()  # its last release is a file
    fed.daemons["trainer-h1"].start()
    fed.wait(lambda: len(results(fed, "trial")) >= 3, 30, "three rounds")
    fed.daemons["trainer-h2"].kill()
    assert kept_is_the_last_release(fed, "h2")
    for name in outbox(fed, "h2"):  # and once it is lost
        os.unlink(fed.path("h2", "outbox", name))
    fed.daemons["trainer-h2"].start()
    fed.wait_phase({"done"})
    fed.wait(lambda: len(results(fed, "trial")) == ROUNDS, 10, "the log")
    c, all_results = [0.0] * DIM, results(fed, "trial")
    assert [x["last"] for x in all_results] == [False] * (ROUNDS - 1) + [True], all_results
    for r in all_results:
        present = len(r["survivors"])
        mean = [v / (present * 2.0 ** 20) for v in sum_of(fed, r)]
        c = [old + present / 2 * (-m / (STEPS * RATE) - old) for old, m in zip(c, mean)]
        assert tensors(fed.path("hub", "objects", r["state_after"]))["server.c"] == tuple(c), r
    assert any(abs(v) > 1e-3 for v in c), c
    for name in fed.names:
        fed.wait(lambda n=name: not outbox(fed, n), 10, "a closed study to leave nothing behind")


def stops_early(fed):
    """Accuracy never gains more than 1: the second figure is the last, in round 4 of 12."""
    plan = fed.plan("short", quorum=2, rounds=12, noise="12", epsilon="6",
                    extra="metrics: {every: 2, bins: 2, noise_multiplier: 20, stop: {figure: accuracy, by: 1, after: 1}}\n")
    assert "early stop" in fed.run("yumen", "plan", "show", plan).stdout
    fed.sponsor("study", "submit", plan)
    fed.approve_all("short")
    fed.wait_phase({"done"}, "short")
    fed.wait(lambda: len(results(fed, "short")) == 4, 10, "the log")
    found = results(fed, "short")
    assert [x["last"] for x in found] == [False, False, False, True], found
    state = tensors(fed.path("hub", "objects", found[-1]["state_after"]))
    cells = sum_of(fed, found[1])[-4:]
    assert abs(state["stop.best"][0] - (cells[0] + cells[3]) / sum(cells)) < 1e-12, (state, cells)
    assert state["stop.since"] == (1.0,), state
    for n in fed.names:
        charged = [x for x in fed.leaves(fed.path(n, "ledger")) if x["type"] == "charge" and x["study"] == "short"]
        assert len(charged) == 4, charged
        fed.wait(lambda n=n: "short" in fed.site(n, "plans", "list").stdout, 5, "the list")
    said = json.loads(fed.sponsor("model", "get", "short", "--out", fed.path("m.safetensors"), "--json").stdout)
    assert said["round"] == 4, said


def augmented():
    with Images(sites=("h1", "h2")) as fed:
        fed.up()
        plan = edited(fed.plan(quorum=2, rounds=2), "  learning_rate: 0.5\n",
                      "  learning_rate: 0.5\n  augmentation: {flip: horizontal, shift: 1, views: 4}\n")
        assert "4 views" in fed.run("yumen", "plan", "show", plan).stdout
        fed.sponsor("study", "submit", plan)
        fed.approve_all()
        fed.wait_phase({"done"})
        recomputed(fed, 2)


def main():
    with Federation(sites=("h1", "h2"), epsilon_cap="20") as fed:
        fed.up()
        control_variates(fed)
        stops_early(fed)
        recomputed(fed, ROUNDS + 4)
    augmented()


if __name__ == "__main__":
    main()
