#!/usr/bin/python3
"""A ledger that was set back behind the leaf that named an office's new key: the approval which that key sealed comes
back with `recover`, and counts for nothing; one that keys in force sealed counts; restarts change nothing of it."""

import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402


def desk(fed, who, *argv, check=True):
    return fed.site("h1", *argv, "--offices", fed.path(who), check=check)


def decision(fed, study):
    rows = json.loads(fed.site("h1", "plans", "list", "--json").stdout)["plans"]
    return next(row["decision"] for row in rows if row["study"] == study)


def state(fed):
    return json.loads(fed.site("h1", "recover", "--json").stdout)["state"]


def offer(fed, study):
    fed.sponsor("study", "submit", fed.plan(study, quorum=1))
    fed.wait(lambda: study in fed.site("h1", "plans", "list").stdout, 20, "the plan")


def approve(fed, study, *who):
    p = desk(fed, who[0], "plans", "approve", study, "--dataset", "wards", check=False)
    item = re.search(r"yumen-site seal ([0-9a-f]{64})", p.stdout).group(1)
    desk(fed, who[1], "seal", item)
    fed.wait_phase({"done"}, study=study, timeout=90)


def replace_it(fed):
    made = fed.run("yumen-site", "offices", "make", "it", "--out", fed.path("li2")).stdout
    key = re.search(r"offices replace it (\S+)", made).group(1)
    item = re.search(r"seal ([0-9a-f]{64})", desk(fed, "wang", "offices", "replace", "it", key, check=False).stdout).group(1)
    desk(fed, "zhao", "seal", item)


def restarted(fed, want):
    trainer = fed.daemons["trainer-h1"]
    trainer.kill(15)
    trainer.start()
    fed.wait(lambda: state(fed) == want, 30, want)


def main():
    with Federation(sites=("h1",), epsilon_cap="10") as fed:
        fed.up()
        for person, office in (("li", "it"), ("wang", "data_office"), ("chen", "ethics"), ("zhao", "audit")):
            shutil.move(fed.path("h1", "offices", office), os.path.join(fed.path(person), office))
        trainer = fed.daemons["trainer-h1"]
        trainer.kill(15)
        shutil.copytree(fed.path("h1"), fed.path("kept"), ignore=shutil.ignore_patterns("*.sock", "lock"))
        trainer.start()
        replace_it(fed)
        for study, who in (("known", ("wang", "chen")), ("lost", ("li2", "wang"))):
            offer(fed, study)
            approve(fed, study, *who)
        before = fed.leaves(fed.path("h1", "ledger"))
        trainer.kill(15)
        shutil.rmtree(fed.path("h1"))
        shutil.copytree(fed.path("kept"), fed.path("h1"))
        trainer.start()
        fed.wait(lambda: state(fed) == "ledger_behind", 30, "h1 to notice")
        fed.site("h1", "recover", "--reason", "the backup of the night; A. Li and B. Wang")
        for again in (False, True):
            if again:
                restarted(fed, "good")
            fed.wait(lambda: "lost" in fed.site("h1", "plans", "list").stdout, 20, "the plans")
            assert (decision(fed, "known"), decision(fed, "lost")) == ("approved", "undecided"), again
        after = fed.leaves(fed.path("h1", "ledger"))
        assert [x for x in after if x["type"] == "approval"] == [x for x in before if x["type"] == "approval"]
        assert [x for x in after if x["type"] == "charge"] == [x for x in before if x["type"] == "charge"]
        assert "trainer.unsealed" in trainer.tail(300)
        # the key that the ledger knows again is IT's first one; the second is made known anew, and people go on
        refused = desk(fed, "li2", "policy", "sign", "--epsilon-cap", "11", check=False)
        assert refused.returncode == 1 and "does not fit" in refused.stderr, refused.stdout + refused.stderr
        replace_it(fed)
        offer(fed, "next")
        approve(fed, "next", "li2", "wang")
        fed.verify()
    return 0


if __name__ == "__main__":
    sys.exit(main())
