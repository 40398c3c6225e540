#!/usr/bin/python3
"""A hospital's folder restored from an older copy, a hub restored with it, and a
second worker with a copy of the folder: nothing is spent twice, everybody is told,
and people take the lost entries back. Real processes throughout."""

import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Daemon, Federation  # noqa: E402


def charges(fed, folder):
    return [l for l in fed.leaves(folder) if l["type"] == "charge"]


def spent(fed, n):
    return json.loads(fed.site(n, "budget", "--json").stdout)["datasets"][0]["spent_micro"]


def recover(fed, n, *argv, **kw):
    return json.loads(fed.site(n, "recover", "--json", *argv, **kw).stdout)


def status(fed, n):
    return json.loads(fed.site(n, "status", "--json").stdout)


def copy(fed, what, to):
    shutil.rmtree(fed.path(to), ignore_errors=True)
    shutil.copytree(fed.path(what), fed.path(to), ignore=shutil.ignore_patterns("*.sock", "lock"))


def put_back(fed, what, kept):
    shutil.rmtree(fed.path(what))
    shutil.copytree(fed.path(kept), fed.path(what))


def run_study(fed, name, rounds=3, wait=True, **over):
    fed.sponsor("study", "submit", fed.plan(name, rounds=rounds, noise="30", **over))
    fed.approve_all(name)
    if wait:
        s = fed.wait_phase(("done", "paused", "aborted"), name)
        assert s["phase"] == "done", s
    return name


def restored_site(fed):
    """The usual accident: a backup of site/ is older than what was spent since."""
    t = fed.daemons["trainer-h1"]
    run_study(fed, "first")
    t.kill(15)
    copy(fed, "h1", "kept")
    t.start()
    run_study(fed, "second")
    before, made = spent(fed, "h1"), charges(fed, fed.path("h1", "ledger"))
    t.kill(15)
    put_back(fed, "h1", "kept")
    assert len(charges(fed, fed.path("h1", "ledger"))) == len(made) - 3
    t.start()
    fed.wait(lambda: status(fed, "h1")["log"] == "ledger_behind", 20, "h1 to notice that its ledger is older")

    # another study is offered: nothing is approved, nothing is charged
    fed.sponsor("study", "submit", fed.plan("third", rounds=2, noise="30", quorum=2, ready=3))
    fed.wait(lambda: "third" in fed.site("h1", "plans", "list").stdout, 20, "the plan")
    assert "was set back" in fed.site("h1", "status").stdout
    p = fed.site("h1", "plans", "approve", "third", "--dataset", "wards", check=False)
    assert p.returncode == 1 and "yumen-site recover" in p.stderr, p.stderr
    shown = fed.site("h1", "recover").stdout
    assert "charge" in shown and "second" in shown and "decide" in shown, shown
    assert "账本" in fed.site("h1", "recover", env={"YUMEN_LANG": "zh"}).stdout
    seen = recover(fed, "h1")
    assert seen["state"] == "ledger_behind" and seen["missing_count"] >= 7, seen  # approval, 3 charges, 3 releases
    assert len(charges(fed, fed.path("h1", "ledger"))) == len(made) - 3, "something was charged on an old ledger"

    # a restart forgets nothing of it
    t.kill()
    t.start()
    fed.wait(lambda: status(fed, "h1")["log"] == "ledger_behind", 20, "h1 to notice it again")
    done = recover(fed, "h1", "--reason", "restored the backup of the night; decided by A. Li and B. Wang")
    assert done["state"] == "good" and done["missing_count"] == 0, done
    assert spent(fed, "h1") >= before, "the budget shrank"
    assert [c for c in charges(fed, fed.path("h1", "ledger"))] == made, "the charges are not those that were lost"
    fed.site("h1", "plans", "approve", "third", "--dataset", "wards")
    for n in ("h2", "h3"):
        fed.site(n, "plans", "approve", "third", "--dataset", "wards")
    s = fed.wait_phase(("done", "paused", "aborted"), "third")
    assert s["phase"] == "done", s
    assert spent(fed, "h1") > before
    p = fed.verify(check=False)
    assert p.returncode == 0, p.stdout
    t.kill()  # the ledger with its recover entry reads again
    t.start()
    fed.wait(lambda: status(fed, "h1")["log"] == "good", 20, "h1 to agree")


def cloned_worker(fed):
    """A copy of site/ and gateway/ on a second machine."""
    copy(fed, "h1", "h1b")
    copy(fed, "gw-h1", "gw-h1b")
    path = fed.path("gw-h1b", "gateway.yaml")
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace(fed.path("h1") + "/", fed.path("h1b") + "/"))
    t = fed.daemon("trainer-h1b", "yumen-trainer", "--dir", fed.path("h1b")).start()
    g = fed.daemon("gateway-h1b", "yumen-gateway", "--dir", fed.path("gw-h1b")).start()
    fed.wait(lambda: status(fed, "h1b")["other_worker"], 20, "the second worker to be refused")
    assert "Another worker with this hospital's identity" in fed.site("h1b", "status").stdout
    fed.wait(lambda: any(l["type"] == "incident" for l in fed.leaves(fed.path("hub", "ledger"))), 10, "the hub's incident")
    fed.wait(lambda: any(l["type"] == "incident" for l in fed.leaves(fed.path("h1", "ledger"))), 10, "h1's own incident")
    run_study(fed, "fourth")  # the first one works on
    assert not status(fed, "h1")["other_worker"]
    assert not [c for c in charges(fed, fed.path("h1b", "ledger")) if c["study"] == "fourth"]

    # the first one ends; the second is let in, and finds that it lacks what the first was charged
    fed.daemons["gateway-h1"].kill()
    fed.daemons["trainer-h1"].kill()
    fed.wait(lambda: status(fed, "h1b")["log"] == "ledger_behind", 60, "the second worker to notice the first one's charges")
    t.kill()
    g.kill()
    fed.daemons["trainer-h1"].start()
    fed.daemons["gateway-h1"].start()
    fed.wait(lambda: status(fed, "h1")["log"] == "good" and status(fed, "h1")["hub"], 20, "the first worker to be back")


def restored_site_and_hub(fed):
    """Both go back to the same night: only the other hospitals know better."""
    for d in ("trainer-h1", "gateway-h1", "hub"):
        fed.daemons[d].kill(15)
    copy(fed, "h1", "kept-h1")
    copy(fed, "hub", "kept-hub")
    for d in ("hub", "trainer-h1", "gateway-h1"):
        fed.daemons[d].start()
    run_study(fed, "fifth")
    made = charges(fed, fed.path("h1", "ledger"))
    fed.wait(lambda: status(fed, "h2")["log"] == "good", 40, "h2 to have compared")
    for d in ("trainer-h1", "gateway-h1", "hub"):
        fed.daemons[d].kill()
    put_back(fed, "h1", "kept-h1")
    put_back(fed, "hub", "kept-hub")
    for d in ("trainer-h1", "gateway-h1"):
        fed.daemons[d].start()
    hub = Daemon("hub", fed.daemons["hub"].argv, fed.path("hub.log"))
    fed.daemons["hub"] = hub
    hub.start()
    fed.wait(lambda: not hub.alive(), 60, "the hub to end")
    assert hub.kill() == 3
    assert "older copy" in hub.tail(), hub.tail()
    assert len(charges(fed, fed.path("h1", "ledger"))) == len(made) - 3, "charged on two old copies"


def main():
    with Federation(sites=("h1", "h2", "h3")) as fed:
        fed.up()
        begin = time.monotonic()
        for case in (restored_site, cloned_worker, restored_site_and_hub):
            case(fed)
            print(f"{case.__name__}: {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main()
