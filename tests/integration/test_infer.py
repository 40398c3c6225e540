#!/usr/bin/python3
"""`yumen-site infer`: what a model says of a hospital's own rows is worked out here again from the model file's
parameters, for each family; rows that the plan cannot place are refused one by one; results carry their labels, stay
below the site's folder with mode 0600, and need no trainer."""

import csv
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_model_score as made_up  # noqa: E402

SITE = os.path.join(os.environ.get("YM_BUILD_ROOT", "build"), "cmd", "yumen-site")
NEAR = 2e-6
HIGH, CUTS = made_up.HIGH, made_up.CUTS
BINS = f"  time: {made_up.DAYS}\n  cuts: {CUTS}"
RULES = """  - {name: age, low: 20, high: 90}
  - {name: days, low: 0, high: 1000, missing: indicator}
  - {name: pressure, low: 80, high: 200, missing: constant, constant: 120}
  - {name: grade, levels: [I, II, III]}"""


def site(home, *args, code=0, lang="en"):
    p = subprocess.run([SITE, *args, "--dir", "site"], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       env={**os.environ, "YUMEN_LANG": lang})
    assert p.returncode == code, (args, p.returncode, p.stderr, p.stdout)
    return p


def result(home, name):
    """{(patient, record): row} below the head, and the head."""
    with open(os.path.join(home, "site", "inferred", name + ".csv"), encoding="utf-8", newline="") as f:
        lines = f.read().splitlines()
    head = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    rows = list(csv.DictReader(line for line in lines if not line.startswith("# ")))
    return {(r["patient"], r["record"]): r for r in rows}, head


def model(home, family, outcome, more="", plan=None):
    with open(os.path.join(home, "plan.yaml"), "w") as f:
        f.write(plan or made_up.plan(family, outcome, more))
    made_up.run(home, "simulate", "plan.yaml", "--site", "h1=card.yaml", "--no-privacy", "--out", "m.safetensors")
    return made_up.tensors(os.path.join(home, "m.safetensors"))


def infer(home, name, card="new.yaml", *args, **kw):
    return site(home, "infer", "m.safetensors", card, "--plan", "plan.yaml", "--out", name, *args, **kw)


def says_what_the_model_says(home, rows):
    wanted = {
        "logistic": ("sick", "", lambda z: [1 / (1 + math.exp(-z[0]))]),
        "multinomial": ("grade", "", lambda z: [math.exp(v) / sum(map(math.exp, z)) for v in z]),
        "linear": ("pressure", "", lambda z: [140 + 60 * z[0]]),
        "poisson": ("visits", "", lambda z: [math.exp(z[0])]),
        "discrete_hazard": ("died", BINS, lambda z: [1 / (1 + math.exp(-v)) for v in z]),
        "piecewise_exponential": ("died", BINS, lambda z: [math.exp(v) / HIGH for v in z]),
    }
    for family, (outcome, more, link) in wanted.items():
        t = model(home, family, outcome, more)
        w, b = t["layer0.weight"], t["layer0.bias"]
        infer(home, family)
        got, head = result(home, family)
        assert len(got) == len(rows), family
        for r in rows:
            x = made_up.scaled(r)
            z = [w[0] * x + b[0] + (w[k] if k else 0) for k in range(3)] if more else [w[k] * x + b[k] for k in range(len(b))]
            mine = link(z)
            told = [float(v) for v in list(got[str(r["id"]), "1"].values())[5:]]
            assert len(told) == len(mine), (family, told)
            assert all(abs(a - m) <= NEAR * max(1, abs(m)) for a, m in zip(told, mine)), (family, told, mine)
    names = list(next(iter(got.values())))[5:]
    assert names == ["0-200", "200-500", "500-1000"], names


def refuses_rows_one_by_one(home):
    plan = made_up.plan("logistic", "sick").replace(f"[{made_up.AGE}]", "\n" + RULES)
    t = model(home, None, None, plan=plan)
    w, b = t["layer0.weight"], t["layer0.bias"][0]
    rows = [("fine", "60", "500", "100", "II"), ("young", "19.99", "500", "100", "II"), ("old", "90", "1000", "200", "I"),
            ("older", "90.5", "500", "100", "I"), ("no age", "", "500", "100", "I"), ("no days", "60", "", "100", "I"),
            ("no pressure", "60", "500", "", "III"), ("no grade", "60", "500", "100", ""), ("二号", "60", "1001", "", "I")]
    rows.append(("fine", "30", "0", "80", "III"))
    with open(os.path.join(home, "own.csv"), "w", encoding="utf-8") as f:
        f.write("id,age,days,pressure,grade\n" + "".join(",".join(r) + "\n" for r in rows))
    infer(home, "rules", "card.yaml", "--data", "own.csv")
    got, _ = result(home, "rules")
    refused = {k[0]: r["refused"] for k, r in got.items() if r["refused"]}
    assert refused == {"young": "out_of_range: age", "older": "out_of_range: age", "no age": "missing: age",
                       "no grade": "missing: grade", "二号": "out_of_range: days"}, refused
    assert all((r["yes"] == "") == (r["refused"] != "") for r in got.values()), got
    unit = {"age": lambda v: 2 * (v - 20) / 70 - 1, "days": lambda v: 2 * v / 1000 - 1, "pressure": lambda v: 2 * (v - 80) / 120 - 1}
    count = {}
    for who, age, days, pressure, grade in rows:
        count[who] = count.get(who, 0) + 1
        row = got[who, str(count[who])]
        if row["refused"]:
            continue
        x = [unit["age"](float(age)), unit["days"](float(days)) if days else 0, 0 if days else 1,
             unit["pressure"](float(pressure or 120)), grade == "II", grade == "III"]
        mine = 1 / (1 + math.exp(-(sum(a * c for a, c in zip(w, x)) + b)))
        assert abs(float(row["yes"]) - mine) < NEAR, (who, row, mine)
    with open(os.path.join(home, "own.csv"), "a", encoding="utf-8") as f:
        f.write("odd,sixty,1,100,I\n")
    p = infer(home, "odd", "card.yaml", "--data", "own.csv", code=2)
    assert "age" in p.stderr and not os.path.exists(os.path.join(home, "site", "inferred", "odd.csv")), p.stderr
    infer(home, "odd", "card.yaml", "--data", "own.csv", "--skip-bad")
    assert "odd" not in {k[0] for k in result(home, "odd")[0]}


def labels_every_row_and_keeps_them_here(home):
    """Of the last model; no trainer ever ran here."""
    got, head = result(home, "rules")
    with open(os.path.join(home, "m.safetensors"), "rb") as f:
        raw = f.read()
    meta = json.loads(raw[8:8 + struct.unpack("<Q", raw[:8])[0]])["__metadata__"]
    assert {k: head[k] for k in meta} == meta and head["derived_from_patient_data"] == "yes", head
    assert all("AI-generated" in r["label"] and r["content_id"] == meta["content_id"] for r in got.values()), got
    infer(home, "zh", "card.yaml", "--data", "own.csv", "--skip-bad", lang="zh")
    assert all("人工智能生成" in r["label"] for r in result(home, "zh")[0].values())
    folder = os.path.join(home, "site", "inferred")
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert all(os.stat(os.path.join(folder, n)).st_mode & 0o777 == 0o600 for n in os.listdir(folder))
    before = sorted(os.listdir(home)), sorted(os.listdir(os.path.join(home, "gw")))
    for name in ("../gw/x", "/tmp/x", os.path.join(home, "gw", "x"), ".x", "a/b", "", "a" * 65):
        assert "inferred" in infer(home, name, code=2).stderr, name
    assert "already" in infer(home, "rules", code=1).stderr
    assert (sorted(os.listdir(home)), sorted(os.listdir(os.path.join(home, "gw")))) == before


def refuses_what_is_no_labelled_model_of_the_plan(home):
    with open(os.path.join(home, "m.safetensors"), "rb") as f:
        raw = f.read()
    n = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + n])
    del header["__metadata__"]["notice_zh"]
    text = json.dumps(header).encode()
    with open(os.path.join(home, "bare.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + raw[8 + n:])
    args = ["infer", "bare.safetensors", "card.yaml", "--plan", "plan.yaml", "--out", "bare"]
    assert "notice_zh" in site(home, *args, code=2).stderr
    assert "does not hold the plan" in site(home, "infer", "m.safetensors", "card.yaml", "--out", "bare", code=3).stderr
    with open(os.path.join(home, "other.yaml"), "w") as f:
        f.write(made_up.plan("logistic", "sick", rounds=4))
    args[1:5] = ["m.safetensors", "card.yaml", "--plan", "other.yaml"]
    assert "not trained by this plan" in site(home, *args, code=2).stderr
    assert not os.path.exists(os.path.join(home, "site", "inferred", "bare.csv"))


def main():
    with tempfile.TemporaryDirectory(prefix="yumen-infer-") as home:
        rows = made_up.draw()
        with open(os.path.join(home, "d.csv"), "w", newline="") as f:
            w = csv.DictWriter(f, ["id"] + list(rows[0])[1:])
            w.writeheader()
            w.writerows(rows)
        with open(os.path.join(home, "card.yaml"), "w") as f:
            f.write(made_up.card())
        # whom a model is asked about has no outcome yet
        with open(os.path.join(home, "new.csv"), "w", newline="") as f:
            f.write("id,age\n" + "".join("%s,%s\n" % (r["id"], r["age"]) for r in rows))
        with open(os.path.join(home, "new.yaml"), "w") as f:
            f.write(made_up.card().replace("file: d.csv", "file: new.csv"))
        site(home, "init", "--name", "h1", "--epsilon-cap", "5", "--gateway", "gw", "--border-off", "a test")
        says_what_the_model_says(home, rows)
        refuses_rows_one_by_one(home)
        labels_every_row_and_keeps_them_here(home)
        refuses_what_is_no_labelled_model_of_the_plan(home)


if __name__ == "__main__":
    main()
