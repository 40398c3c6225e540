#!/usr/bin/python3
"""Bad input against the real programs: each case ends in a clear message with
the right exit code, and nothing is lost or half written."""

import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import CMD, Federation  # noqa: E402

CASES = []


def case(f):
    CASES.append(f)
    return f


def says(p, code, *words):
    text = p.stdout + p.stderr
    assert p.returncode == code, f"exit {p.returncode}, expected {code}: {text}"
    for w in words:
        assert w in text, f"{w!r} is not in: {text}"


def edited(fed, path, old, new, name="edited.yaml"):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert old in text, f"{old!r} is not in {path}"
    out = os.path.join(os.path.dirname(path), name)
    with open(out, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))
    return out


def ledger_bytes(fed, name):
    out = []
    for here, dirs, files in sorted(os.walk(fed.path(name, "ledger"))):
        dirs.sort()
        for f in sorted(files):
            if f != "lock":
                with open(os.path.join(here, f), "rb") as h:
                    out.append((os.path.join(here, f), h.read()))
    return out


@case
def unknown_plan_key(fed):
    bad = edited(fed, fed.plan("bad1"), "clip_norm: 1", "clip_norm: 1\n  clip_nrom: 2")
    says(fed.run("yumen", "plan", "check", bad, check=False), 1, "edited.yaml:", "clip_nrom")


@case
def wrong_type_in_plan(fed):
    bad = edited(fed, fed.plan("bad2"), "rounds: 3", "rounds: many")
    says(fed.run("yumen", "plan", "check", bad, check=False), 1, "edited.yaml:", "rounds")


@case
def missing_file(fed):
    p = fed.run("yumen", "plan", "check", fed.path("nowhere.yaml"), check=False)
    assert p.returncode in (2, 3), p.returncode
    assert "nowhere.yaml" in p.stderr, p.stderr


@case
def missing_column(fed):
    before = ledger_bytes(fed, "h1")
    bad = edited(fed, fed.path("data-h1", "card.yaml"), "column: marker", "column: marker_x", "bad.yaml")
    says(fed.site("h1", "data", "add", bad, check=False), 1, "marker_x")
    assert ledger_bytes(fed, "h1") == before


@case
def non_numeric_cell_and_nan(fed):
    before = ledger_bytes(fed, "h1")
    folder = fed.path("data-h1")
    with open(os.path.join(folder, "cells.csv"), "w", encoding="utf-8") as f:
        f.write("pid,age,marker,sick\na,50,1,0\nb,old,2,1\nc,40,NaN,1\n")
    bad = edited(fed, os.path.join(folder, "card.yaml"), "file: d.csv", "file: cells.csv", "cells.yaml")
    p = fed.site("h1", "data", "check", bad, check=False)
    assert p.returncode in (1, 2), p.returncode
    text = p.stdout + p.stderr
    assert "3" in text and "age" in text and "4" in text and "marker" in text, text
    p = fed.site("h1", "data", "add", bad, check=False)
    assert p.returncode in (1, 2), p.returncode
    assert ledger_bytes(fed, "h1") == before


@case
def refused_init_leaves_nothing(fed):
    hub = fed.path("no-hub")
    for bad in (["--listen", "nonsense"], ["--enrol-listen", "nonsense"], ["--name", "a b"]):
        says(fed.run("yumen-coordinator", "init", "--dir", hub, "--federation", "x", *bad, check=False), 2, "name" if bad[0] == "--name" else "nonsense")
        assert not os.path.exists(hub), os.listdir(hub)


@case
def rows_added_without_a_trainer_are_not_kept(fed):
    site, card = fed.path("alone"), fed.path("data-h1", "card.yaml")
    fed.run("yumen-site", "init", "--dir", site, "--name", "alone", "--gateway", fed.path("gw-alone"))
    says(fed.run("yumen-site", "data", "add", card, "--dir", site, check=False), 3, "yumen-trainer --dir")
    assert not os.listdir(os.path.join(site, "data"))


@case
def unknown_names_are_named(fed):
    hub = fed.path("hub")
    says(fed.run("yumen-coordinator", "revoke", "stranger", "--dir", hub, check=False), 3, "'stranger'", "status")
    says(fed.run("yumen-coordinator", "resume", "no-study", "--dir", hub, check=False), 3, "'no-study'", "status")
    says(fed.run("yumen-site", "init", "--dir", fed.path("x"), "--name", "x", "--delta", "2", check=False), 2, "0.1")
    says(fed.site("h1", "enrol", "--token", "t", "--hub", "hub", check=False), 2, "HOST:PORT")


@case
def token_used_twice(fed):
    token = fed.token("hospital", "h9")
    fed.init_site("h9")
    fed.enrol_site("h9", token)
    fed.init_site("h8")
    p = fed.enrol_site("h8", token, check=False)
    assert p.returncode in (1, 2, 3), p.returncode
    assert p.stderr.strip(), "no message"


@case
def token_of_another_hub(fed):
    pin = "a" * 32
    p = fed.enrol_site("h8", "YJ1." + pin + ".0011223344556677." + "00" * 16, check=False)
    assert p.returncode in (1, 3), (p.returncode, p.stderr)
    assert p.stderr.strip(), "no message"


@case
def hub_that_is_not_there(fed):
    token = fed.token("hospital", "h8")
    p = fed.site("h8", "enrol", "--token", token, "--hub", "127.0.0.1:9", check=False)
    assert p.returncode == 3 and "127.0.0.1:" in p.stderr, (p.returncode, p.stderr)


@case
def two_daemons_on_one_folder(fed):
    for argv in (["yumen-trainer", "--dir", fed.path("h1")], ["yumen-gateway", "--dir", fed.path("gw-h1")],
                 ["yumen-coordinator", "serve", "--dir", fed.path("hub")]):
        p = subprocess.run([os.path.join(CMD, argv[0]), *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        assert p.returncode != 0, f"{argv[0]} started twice"
        assert any(c.isdigit() for c in p.stderr), f"no pid in {p.stderr!r}"
    assert all(d.alive() for d in fed.daemons.values())


@case
def unapproved_means_no(fed):
    fed.sponsor("study", "submit", fed.plan("unapproved", quorum=2, extra="  start_after_s: 1\n"))
    time.sleep(3)
    assert fed.study("unapproved")["phase"] == "offered"
    for n in fed.names:
        assert not [l for l in fed.leaves(fed.path(n, "ledger")) if l["type"] == "charge"], f"{n} charged without approval"


@case
def plan_asks_more_than_is_left(fed):
    plan = fed.plan("greedy", noise="0.7", epsilon="60", rounds=8, steps=4)
    fed.sponsor("study", "submit", plan)
    fed.wait(lambda: "greedy" in fed.site("h1", "plans", "list").stdout, 20, "h1 to see the plan")
    before = ledger_bytes(fed, "h1")
    p = fed.site("h1", "plans", "approve", "greedy", "--dataset", "wards", check=False)
    assert p.returncode == 1, (p.returncode, p.stdout, p.stderr)
    assert "epsilon" in (p.stdout + p.stderr).lower() or "budget" in (p.stdout + p.stderr).lower(), p.stderr
    assert ledger_bytes(fed, "h1") == before


@case
def a_plan_must_fit_to_its_end(fed):
    """One round of this plan fits what is left; all of them do not."""
    cap = 3
    plan = fed.plan("long", noise="3", epsilon="20", rounds=40, steps=2)
    fed.sponsor("study", "submit", plan)
    fed.wait(lambda: "long" in fed.site("h1", "plans", "list").stdout, 20, "h1 to see the plan")
    before = ledger_bytes(fed, "h1")
    p = fed.site("h1", "plans", "approve", "long", "--dataset", "wards", "--json", check=False)
    answer = json.loads(p.stdout)
    assert answer["epsilon_round_micro"] < cap * 10**6 < answer["epsilon_study_micro"], answer
    assert p.returncode == 1 and answer["runs"] and not answer["budget_fits"] and not answer["approved"], (p.returncode, answer)
    assert ledger_bytes(fed, "h1") == before


@case
def empty_cohort(fed):
    fed.site("h2", "data", "add", edited(fed, small_card(fed), "name: wards", "name: few", "few.yaml"))
    fed.sponsor("study", "submit", fed.plan("cohort"))
    fed.wait(lambda: "cohort" in fed.site("h2", "plans", "list").stdout, 20, "h2 to see the plan")
    p = fed.site("h2", "plans", "approve", "cohort", "--dataset", "few", check=False)
    assert p.returncode == 1, (p.returncode, p.stdout, p.stderr)


def small_card(fed):
    folder = fed.path("data-h2")
    with open(os.path.join(folder, "few.csv"), "w", encoding="utf-8") as f:
        f.write("pid,age,marker,sick\na,50,1,0\nb,51,2,1\n")
    return edited(fed, os.path.join(folder, "card.yaml"), "file: d.csv", "file: few.csv", "small.yaml")


@case
def revoked_site_is_cut_off(fed):
    fed.run("yumen-coordinator", "revoke", "h9", "--dir", fed.path("hub"))
    fed.wait(lambda: "revoke" in [l["type"] for l in fed.leaves(fed.path("hub", "ledger"))], 10, "the revocation to be logged")
    fed.wait(lambda: "denied" in fed.daemons["gateway-h9"].tail().lower() or "revoked" in fed.daemons["gateway-h9"].tail().lower(),
             20, "the gateway of h9 to be refused")
    assert fed.daemons["hub"].alive()


@case
def unreadable_ledger_is_a_full_stop(fed):
    fed.daemons["trainer-h3"].kill(signal.SIGTERM)  # it closes its ledger: after a crash the journal would mend the file
    target = None
    for here, _, files in os.walk(fed.path("h3", "ledger", "tile", "entries")):
        for f in files:
            target = os.path.join(here, f)
    with open(target, "r+b") as f:
        good = f.read()
        f.seek(40)
        f.write(bytes([good[40] ^ 1]))
    p = subprocess.run([os.path.join(CMD, "yumen-trainer"), "--dir", fed.path("h3")], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=20)
    assert p.returncode != 0 and "ledger" in p.stderr, (p.returncode, p.stderr)
    assert fed.site("h3", "budget", check=False).returncode != 0, "a budget was printed from a damaged ledger"
    assert fed.verify(check=False).returncode == 10
    with open(target, "r+b") as f:
        f.write(good)
    fed.daemons["trainer-h3"].start()
    assert fed.site("h3", "budget").returncode == 0


def main():
    wrong = []
    with Federation(sites=("h1", "h2", "h3"), epsilon_cap="3") as fed:
        fed.up()
        for f in CASES:
            if sys.argv[1:] and f.__name__ not in sys.argv[1:]:
                continue
            try:
                f(fed)
                print("ok  ", f.__name__, flush=True)
            except Exception as e:  # every case is tried; all failures are shown
                print("FAIL", f.__name__, type(e).__name__, str(e)[:1500], flush=True)
                wrong.append(f.__name__)
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(CASES)} failed: {' '.join(wrong)}")


if __name__ == "__main__":
    main()
