#!/usr/bin/python3
"""No, at any time and without a reason: a hospital that has said ready vetoes, or pauses, while the hub is away. It counts
from the moment the command returns; when the hub is back it asks for the round, and nothing is charged and nothing leaves.
What a policy forbids meanwhile is not charged either."""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402


def of(fed, name, kind, study):
    return [x for x in fed.leaves(fed.path(name, "ledger")) if x["type"] == kind and x.get("study") == study]


def ready(fed, name, study):
    log = fed.daemons["trainer-" + name]
    fed.wait(lambda: f"type=say_ready study={study}" in log.tail(400), 40, f"{name} to be ready for {study}")


def stopped_while_the_hub_is_away(fed, study, *command):
    """h1 is ready, the others have approved and are silent: the hub waits for them, and goes."""
    hub, silent = fed.daemons["hub"], [fed.daemons["gateway-h2"].proc, fed.daemons["gateway-h3"].proc]
    fed.sponsor("study", "submit", fed.plan(study, rounds=1, quorum=3, ready=12, collect=12, attempts=2))
    for name in ("h2", "h3", "h1"):
        fed.wait(lambda n=name: study in fed.site(n, "plans", "list").stdout, 20, "the plan")
    for name in ("h2", "h3"):
        fed.site(name, "plans", "approve", study, "--dataset", "wards")
    fed.wait(lambda: [x["phase"] for x in fed.study(study)["sites"]].count("approved") == 2, 20, "two approvals at the hub")
    for gateway in silent:
        gateway.send_signal(signal.SIGSTOP)
    fed.site("h1", "plans", "approve", study, "--dataset", "wards")
    ready(fed, "h1", study)
    hub.kill()
    fed.site("h1", *command)  # at once, though nobody can be told
    for gateway in silent:
        gateway.send_signal(signal.SIGCONT)
    hub.start()
    over = re.compile(rf"study={study} round=1 attempt=1 phase=(open|paused|aborted) reason=[a-z]")
    fed.wait(lambda: over.search(hub.tail(400)), 60, "the attempt to fail: it cannot be without h1")
    for kind in ("charge", "release"):
        assert of(fed, "h1", kind, study) == [], f"h1: {kind} of {study} after it said no"
    assert not os.listdir(fed.path("h1", "outbox"))


def main():
    with Federation(sites=("h1", "h2", "h3"), epsilon_cap="10") as fed:
        fed.up()
        stopped_while_the_hub_is_away(fed, "vetoed", "plans", "veto", "vetoed")
        stopped_while_the_hub_is_away(fed, "paused", "plans", "pause", "paused")
        stopped_while_the_hub_is_away(fed, "forbidden", "policy", "sign", "--epsilon-cap", "0.01")
        fed.verify()
    return 0


if __name__ == "__main__":
    sys.exit(main())
