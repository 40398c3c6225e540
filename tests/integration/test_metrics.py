#!/usr/bin/python3
"""Released metrics from end to end: a federation whose plan asks for them, read by the sponsor and the auditor; and on
real data, where $YUMEN_DATA is set, the figures of the noised counts against the exact ones.

False alarms: a figure is wrong by more than Z of its stated deviations with probability 4e-12 (the AUC's second order
widens the tails a little), about a hundred figures a run: below 1e-6."""

import csv
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import CMD, Federation  # noqa: E402

ROUNDS, Z = 5, 7
METRICS = "metrics: {every: 2, bins: 16, noise_multiplier: 8, per_site: true}\n"
SIGMA = 8 << 24


def near(figure, exact, slack=0.0):
    assert abs(figure["value"] - exact) <= Z * figure["sd"] + slack, (figure, exact, slack)


def tie_slack(cells, sd):
    """What bins may hide of the AUC: half of all pairs that share one, as far as noised counts can tell."""
    n, p = sum(cells[0]), sum(cells[1])
    pairs = sum((max(a, 0) + Z * sd) * (max(b, 0) + Z * sd) for a, b in zip(*cells))
    return min(pairs / 2 / max(n * p, 1), 1)


def watched(fed):
    out = fed.sponsor("study", "watch", "trial", "--json").stdout.splitlines()
    return {e["round"]: e for e in map(json.loads, out) if e["type"] == "round"}


def federation_releases_and_charges():
    with Federation(sites=("h1", "h2", "h3"), delta="1e-4") as fed:  # 60 patients each
        fed.up()
        plan = fed.plan(rounds=ROUNDS, noise="12", epsilon="4", delta="1e-4", extra=METRICS,
                        hospitals="{name: h1, weight: 3}, {name: h2}, {name: h3}")
        fed.sponsor("study", "submit", plan)
        fed.approve_all()
        fed.wait_phase({"done"}, timeout=90)
        rounds = watched(fed)
        due = [2, 4, 5]
        for r, e in rounds.items():
            assert ("metrics" in e) == (r in due), e
        for r in due:
            m = rounds[r]["metrics"]
            assert m["of"] == r - 1 and len(m["cells"]) == 2 and len(m["cells"][0]) == 16, m
            assert abs(m["count_sd"] - 3 ** 0.5 * 8) < 0.01, m  # three hospitals, each counted once whatever its weight
            near(m["patients"], 3 * 60)
            assert sorted(m["sites"]) == ["h1", "h2", "h3"], m
            for s in m["sites"].values():  # each one's own noise, and together the sum
                assert abs(s["count_sd"] - 8) < 0.01 and len(s["cells"]) == 2, s
                near(s["patients"], 60)
            for label in range(2):
                for k in range(16):
                    assert sum(s["cells"][label][k] for s in m["sites"].values()) == m["cells"][label][k], m
        card = json.loads(fed.sponsor("model", "get", "trial", "--out", fed.path("m.safetensors"), "--json").stdout)
        assert card["metrics"] == rounds[5]["metrics"], card
        for n in fed.names:
            for c in (x for x in fed.leaves(fed.path(n, "ledger")) if x["type"] == "charge"):
                want = [{"for": "metric", "noise_variance": str(SIGMA ** 2), "sampling_k": str(2 ** 64 - 1), "steps": 1}]
                assert c["also"] == (want if c["round"] in due else []), c
            charges = [x for x in fed.leaves(fed.path(n, "ledger")) if x["type"] == "charge"]
            assert charges[1]["epsilon_round_micro"] > charges[0]["epsilon_round_micro"]
        dirs = [fed.path("hub", "ledger")] + [fed.path(n, "ledger") for n in fed.names]
        fed.run("yumen-audit", "verify", *dirs, "--trust", fed.trust_file(), "--objects", fed.path("hub", "objects"))
        text = fed.sponsor("study", "watch", "trial").stdout
        assert text.count("AUC") == len(due) or "model of round 4" in text, text


PLAN = """yumen: plan/1
study: pima
sponsor: acme
title: diabetes
purpose: test
model:
  family: logistic
  inputs:
    - {name: npreg, low: 0, high: 17}
    - {name: glu, low: 50, high: 200}
    - {name: bmi, low: 15, high: 60}
    - {name: age, low: 20, high: 80}
  outcome: {name: diabetes, levels: ["0", "1"]}
training: {rounds: 8, local_steps: 4, sampling_probability: 0.5, nominal_patients: 530, learning_rate: 2}
privacy: {noise_multiplier: 12, delta: 1e-4, epsilon: 6, min_patients: 1}
metrics: {every: 1, noise_multiplier: 4}
federation: {hospitals: [{name: h1}], quorum: 1}
"""

CARD = """yumen: card/1
name: pima
title: diabetes
file: d.csv
encoding: utf-8
separator: ","
patient_column: id
patient_identifier: study_id
size_class: "500-1999"
tier: general
variables:
  - {name: npreg, column: npreg, unit: "", low: 0, high: 17}
  - {name: glu, column: glu, unit: "", low: 50, high: 200}
  - {name: bmi, column: bmi, unit: "", low: 15, high: 60}
  - {name: age, column: age, unit: "", low: 20, high: 80}
  - {name: diabetes, column: diabetes, map: {"0": "0", "1": "1"}, levels: ["0", "1"]}
"""


def those_held_out_are_counted_alone(d, plan):
    """A fifth never trains and is what metrics count: 101 of 532; the 431 others are ten deviations more."""
    with open(plan, "w") as f:
        f.write(PLAN + "evaluation: {holdout: 0.2}\n")
    out = subprocess.run([os.path.join(CMD, "yumen"), "simulate", plan, "--site", "h1=" + os.path.join(d, "card.yaml"), "--json"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert out.returncode == 0, out.stderr
    r = json.loads(out.stdout)
    held, trained = r["final"]["site_tests"]["h1"]["rows"], r["final"]["pooled"]["rows"]
    assert (held, trained) == (101, 431), (held, trained)  # the simulator's salt is fixed
    near(r["final"]["metrics"]["patients"], held)
    assert sum(x["metrics"]["patients"]["value"] for x in r["rounds"][1:]) / 8 < 250  # sd of the mean of 8: 11


def counts_tell_the_truth_on_real_data(path):
    with tempfile.TemporaryDirectory() as d:
        plan, data = os.path.join(d, "plan.yaml"), os.path.join(d, "d.csv")
        with open(plan, "w") as f:
            f.write(PLAN)
        with open(os.path.join(d, "card.yaml"), "w") as f:
            f.write(CARD)
        with open(path) as f, open(data, "w", newline="") as g:
            rows = list(csv.DictReader(f))
            w = csv.writer(g)
            names = ["npreg", "glu", "bmi", "age", "diabetes"]
            w.writerow(["id"] + names)
            w.writerows([i] + [r[n] for n in names] for i, r in enumerate(rows))
        out = subprocess.run([os.path.join(CMD, "yumen"), "simulate", plan, "--site", "h1=" + os.path.join(d, "card.yaml"),
                              "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert out.returncode == 0, out.stderr
        rounds = {r["round"]: r for r in json.loads(out.stdout)["rounds"]}
        for r in range(1, 9):
            m, exact = rounds[r]["metrics"], rounds[r - 1]["pooled"]
            near(m["patients"], exact["rows"])
            near(m["accuracy"], exact["accuracy"])
            near(m["auc"], exact["auc"], tie_slack(m["cells"], m["count_sd"]))
        those_held_out_are_counted_alone(d, plan)
        print("  real data: AUC of the last model before the end %.4f, of the noised counts %.4f (sd %.4f)"
              % (exact["auc"], m["auc"]["value"], m["auc"]["sd"]))


federation_releases_and_charges()
real = os.path.join(os.environ.get("YUMEN_DATA", ""), "tabular", "pima_ripley.csv")
if os.path.exists(real):
    counts_tell_the_truth_on_real_data(real)
else:
    print("  YUMEN_DATA is not set: real data skipped")
