#!/usr/bin/python3
"""A plan whose model is domestic-only: hospitals train as ever; its sponsor and the auditor get no state and no sum from
the hub by any hash of the log, and are told why. They get what the hospitals released and charged beside it: the counts
that end a sum, to the byte, and never a coordinate before them. The same sponsor's open study stays open."""

import hashlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import BUILD, Federation  # noqa: E402

PLAN = """border:
  recipient: Example Company
  contact: privacy@example.cn
  method: download of the model
  categories: laboratory values
  rights: by letter to the hospital
  storage: Shanghai
  foreign_law: none
  declares: {recipient: mainland, overseas_access: none, public_service: "no"}
metrics: {every: 2, bins: 8, noise_multiplier: 30, per_site: true}
"""
ONLY = PLAN.replace("  declares:", "  model_release: domestic_only\n  declares:")
CELLS = 2 * 8
WHOLE, METRICS = 0, 1


def run_study(fed, study, extra):
    fed.sponsor("study", "submit", fed.plan(study=study, rounds=3, quorum=2, noise="40", extra=extra))
    fed.approve_all(study)
    fed.wait(lambda: (fed.study(study) or {}).get("phase") == "done", 60, "the end of " + study)


def fetch(fed, who, name, part):
    """Bytes, or what the hub said instead."""
    out = fed.path("fetched")
    p = subprocess.run([os.path.join(BUILD, "tests", "fetch_object"), fed.path(who), fed.hub_addr, name, str(part), out],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if p.returncode != 0:
        return p.stderr
    with open(out, "rb") as f:
        return f.read()


def object_of(fed, name):
    with open(fed.path("hub", "objects", name), "rb") as f:
        return f.read()


def results_of(fed, study):
    return [x for x in fed.leaves(fed.path("hub", "ledger")) if x["type"] == "round_result" and x["study"] == study]


def nothing_of_the_model_is_served(fed, who):
    for r in results_of(fed, "kept"):
        for name in (r["state_after"], r["sum"], r["state_before"]):
            assert os.path.exists(fed.path("hub", "objects", name))
            said = fetch(fed, who, name, WHOLE)
            assert isinstance(said, str) and "domestic_only" in said, (who, name, said)
        for name in (r["state_after"], r["state_before"]):  # moments and parameters lie where a sum has its counts
            said = fetch(fed, who, name, METRICS)
            assert isinstance(said, str) and "no_metrics" in said, (who, name, said)


def counts_are_served_and_nothing_before_them(fed, who):
    for r in results_of(fed, "kept"):
        tail, whole = fetch(fed, who, r["sum"], METRICS), object_of(fed, r["sum"])
        assert hashlib.sha256(whole).hexdigest() == r["sum"]
        counts = CELLS * (1 + (2 if r["round"] in (2, 3) else 0))  # pooled, and each hospital's own where counted
        assert isinstance(tail, bytes) and len(tail) == 8 * counts, (who, r["round"], tail)
        assert tail == whole[-8 * counts:], (who, r["round"])
        assert len(whole) == 8 * (3 + counts), len(whole)  # two inputs and an intercept


def the_auditor_verifies_the_rest(fed):
    """With the plan, all an auditor can get: charges are the plan's, budgets hold, and who is in which sum."""
    plan = next(x["plan"] for x in fed.leaves(fed.path("hub", "ledger")) if x["type"] == "plan" and x["study"] == "kept")
    os.makedirs(fed.path("seen"), exist_ok=True)
    got = fetch(fed, "auditor", plan, WHOLE)
    assert hashlib.sha256(got).hexdigest() == plan
    with open(fed.path("seen", plan), "wb") as f:
        f.write(got)
    fed.run("yumen", "log", "fetch", fed.path("seen-log"), "--dir", fed.path("auditor"))
    dirs = [fed.path("seen-log")] + [fed.path(n, "ledger") for n in fed.names]
    fed.run("yumen-audit", "verify", *dirs, "--trust", fed.trust_file())
    p = fed.run("yumen-audit", "verify", *dirs, "--trust", fed.trust_file(), "--objects", fed.path("seen"), "--json", check=False)
    said = json.loads(p.stdout)  # states are a gap, told as one; nothing else is missing or wrong
    assert p.returncode == 11 and {f["reason"] for f in said["findings"]} == {"object_missing"}, p.stdout


def watched(fed, study):
    events = [json.loads(line) for line in fed.sponsor("study", "watch", study, "--json").stdout.splitlines()]
    return events[-1], {e["round"]: e for e in events if e["type"] == "round"}


def metrics_are_shown_as_of_an_open_study(fed):
    last, rounds = watched(fed, "kept")
    assert last["phase"] == "done" and sorted(rounds) == [1, 2, 3], rounds
    assert [r for r in rounds if "metrics" in rounds[r]] == [2, 3], rounds
    for r in (2, 3):
        m = rounds[r]["metrics"]
        assert m["of"] == r - 1 and sorted(m["sites"]) == ["h1", "h2"] and rounds[r]["epsilon_micro"] > 0, m
        whole = object_of(fed, next(x["sum"] for x in results_of(fed, "kept") if x["round"] == r))
        cells = [int.from_bytes(whole[24 + 8 * i:32 + 8 * i], "little", signed=True) / 16 for i in range(CELLS)]
        assert m["cells"] == [cells[:8], cells[8:]], (m, cells)
    text = fed.sponsor("study", "watch", "kept").stdout
    assert text.count("released at the hospitals") == 2, text  # figures themselves may drown in the noise
    p = fed.sponsor("study", "watch", "kept", "--test", fed.path("data-h1", "d.csv"), check=False)
    assert p.returncode == 2 and "model_release" in p.stderr, (p.returncode, p.stderr)


def main():
    with Federation(sites=("h1", "h2")) as fed:
        fed.up()
        fed.run("yumen", "enrol", "--dir", fed.path("auditor"), "--token", fed.token("auditor", "aud"), "--hub", fed.hub_addr)
        run_study(fed, "kept", ONLY)
        out = fed.path("kept.safetensors")
        p = fed.sponsor("model", "get", "kept", "--out", out, check=False)
        assert p.returncode != 0 and "domestic_only" in p.stderr and not os.path.exists(out), (p.returncode, p.stderr)
        for who in ("sponsor", "auditor"):
            nothing_of_the_model_is_served(fed, who)
            counts_are_served_and_nothing_before_them(fed, who)
        the_auditor_verifies_the_rest(fed)
        metrics_are_shown_as_of_an_open_study(fed)
        run_study(fed, "open", PLAN)
        fed.sponsor("model", "get", "open", "--out", fed.path("open.safetensors"))
        for r in results_of(fed, "open"):
            assert fetch(fed, "auditor", r["state_after"], WHOLE) == object_of(fed, r["state_after"])
            assert "no_metrics" in fetch(fed, "sponsor", r["state_after"], METRICS)


if __name__ == "__main__":
    main()
