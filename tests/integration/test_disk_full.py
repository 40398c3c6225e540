#!/usr/bin/python3
"""A trainer that may write no further byte to any file: it lives on, charges and lets out nothing, says why; with room again
the study ends. The limit is the kernel's on the size of files, which the disk's own fullness looks like from inside."""

import json
import os
import resource
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402


def limit(fed, most):
    pid = fed.daemons["trainer-h1"].proc.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def row(fed):
    return json.loads(fed.site("h1", "plans", "list", "--json").stdout)["plans"][0]


def charges(fed):
    return [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == "charge"]


def main():
    with Federation(sites=("h1",)) as fed:
        fed.up()
        fed.sponsor("study", "submit", fed.plan(hospitals="{name: h1}", quorum=1, rounds=20, noise="60", ready=3, collect=5, attempts=50))
        fed.approve_all()
        fed.wait(lambda: charges(fed), 30, "a charge")
        limit(fed, 0)
        before = len(charges(fed))
        people = fed.site("h1", "withdraw", "h1-7", "--dataset", "wards", check=False)
        assert people.returncode != 0 and "File too large" in people.stderr, people.stdout + people.stderr
        # a charge that finds no room, or the next round's state, which is lost and comes again with the next attempt
        fed.wait(lambda: row(fed)["reason"] in ("disk", "state_mismatch"), 20, "a refusal")
        assert fed.daemons["trainer-h1"].alive()
        assert len(charges(fed)) <= before + 1
        limit(fed, resource.RLIM_INFINITY)
        fed.wait_phase({"done"}, timeout=60)
        fed.verify()
    return 0


if __name__ == "__main__":
    sys.exit(main())
