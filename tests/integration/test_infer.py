#!/usr/bin/python3
"""`yumen-site infer`: what a model says of a hospital's own rows is worked out here again from the model file's
parameters, for each family; rows that the plan cannot place are refused one by one; results carry their labels and
stay below the site's folder with mode 0600. Whoever withdrew or did not agree is in no result, the signed policy says
on what ground and how many rows an hour, and every run is in the ledger before its file is there."""

import csv
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_image_federation as images  # noqa: E402
import test_model_score as made_up  # noqa: E402
from federation import CMD, Daemon, Federation, SERVES_ALL  # noqa: E402

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
    # what somebody typed as an identifier is no formula for whoever opens the file
    with open(os.path.join(home, "typed.csv"), "w", encoding="utf-8") as f:
        f.write("id,age,days,pressure,grade\n=1+1,60,500,100,II\n@x,60,500,100,II\n")
    infer(home, "typed", "card.yaml", "--data", "typed.csv")
    assert {k[0] for k in result(home, "typed")[0]} == {"'=1+1", "'@x"}, result(home, "typed")
    with open(os.path.join(home, "own.csv"), "a", encoding="utf-8") as f:
        f.write("odd,sixty,1,100,I\n")
    p = infer(home, "odd", "card.yaml", "--data", "own.csv", code=2)
    assert "age" in p.stderr and not os.path.exists(os.path.join(home, "site", "inferred", "odd.csv")), p.stderr
    infer(home, "odd", "card.yaml", "--data", "own.csv", "--skip-bad")
    assert "odd" not in {k[0] for k in result(home, "odd")[0]}


def ledger(home):
    return Federation.read_leaves(None, os.path.join(home, "site", "ledger"))


def sign(home, inference):
    """The policy that serves everybody, with these words on inference. A seal of the same words in the same second is the
    same seal, and counts once."""
    time.sleep(1 - time.time() % 1)
    with open(os.path.join(home, "policy.yaml"), "w") as f:
        f.write(SERVES_ALL.split("inference:")[0] + inference)
    site(home, "policy", "sign", "policy.yaml", "--epsilon-cap", "5")


CONSENTS = """patient_identifier: hospital_id
border: {exporter: A Hospital, declares: {sensitive_pi: "yes", hgr: "no"}}
consent:
  given:
    secondary_use: {column: research, codes: ["1"]}
    sensitive_pi: {column: apart, codes: ["1"]}
  unless:
    vulnerable: {column: minor, codes: ["0"]}
  nobody: [bundled, broad]
"""


def scores_nobody_who_did_not_agree(home):
    """Of the last model. Who is out stands in no line of the file, and is counted."""
    people = [("%s-%d" % (kind, k), age, research, apart, minor) for k in range(4) for kind, age, research, apart, minor in
              (("good", 60, 1, 1, 0), ("unasked", 50, 0, 1, 0), ("bundle", 40, 1, 0, 0), ("child", 70, 1, 1, 1), ("left", 30, 1, 1, 0))]
    people.append(("good-0", 45, 1, 1, 0))
    people.append(("good-1", 45, 0, 1, 0))  # what one row does not give the patient does not
    with open(os.path.join(home, "wards.csv"), "w") as f:
        f.write("id,age,days,visits,pressure,sick,grade,died,research,apart,minor\n")
        f.writelines("%s,%d,5,1,100,no,II,no,%d,%d,%d\n" % p for p in people)
    with open(os.path.join(home, "wards.yaml"), "w") as f:
        f.write(made_up.card().replace("file: d.csv", "file: wards.csv").replace("name: d\n", "name: wards\n") + CONSENTS)
    site(home, "data", "add", "wards.yaml")
    for k in range(4):
        site(home, "withdraw", "left-%d" % k, "--dataset", "wards")
    sign(home, "inference: {basis: consent, rows_per_hour: 1000000}\n")
    assert "of those who agreed, at most 1000000 rows an hour" in site(home, "policy", "show").stdout
    p = infer(home, "agreed", "wards.yaml")
    got, head = result(home, "agreed")
    assert list(got) == [("good-0", "1"), ("good-2", "1"), ("good-3", "1"), ("good-0", "2")], list(got)  # as in the file
    assert all(r["yes"] and not r["refused"] for r in got.values()), got
    assert (head["left_out_withdrawn"], head["left_out_consent"], head["basis"]) == ("4", "13", "consent"), head
    assert "17 patients left out" in p.stdout and "4 patients" in p.stderr, p.stdout + p.stderr
    with open(os.path.join(home, "site", "inferred", "agreed.csv"), encoding="utf-8") as f:
        text = f.read()
    assert not any(word in text for word in ("unasked", "bundle", "child", "left-", "good-1")), text
    infer(home, "set", "wards")
    assert len(result(home, "set")[0]) == 4 and result(home, "set")[1]["left_out_withdrawn"] == "4"
    # whoever withdrew from one set is out of every other that tells the same people apart
    with open(os.path.join(home, "other.yaml"), "w") as f:
        f.write(made_up.card().replace("file: d.csv", "file: wards.csv").replace("name: d\n", "name: elsewhere\n") + CONSENTS)
    infer(home, "elsewhere", "other.yaml")
    assert list(result(home, "elsewhere")[0]) == list(got)
    # one word takes a patient out of every set, of those that come later too
    p = site(home, "withdraw", "good-3")
    assert "1 identifiers withdrawn from all data sets" in p.stdout and "; 1 of them are in one" in p.stdout, p.stdout
    with open(os.path.join(home, "later.yaml"), "w") as f:
        f.write(made_up.card().replace("file: d.csv", "file: wards.csv").replace("name: d\n", "name: later\n") + CONSENTS)
    site(home, "data", "add", "later.yaml")
    infer(home, "later", "later")
    assert len(result(home, "later")[0]) == 3 and result(home, "later")[1]["left_out_withdrawn"] == "5", result(home, "later")
    assert [leaf["dataset"] for leaf in ledger(home) if leaf["type"] == "withdrawal"][-1] == "_all"
    got = {k: v for k, v in got.items() if k[0] != "good-3"}
    # a card that says nothing of consent has nobody who agreed
    infer(home, "silent", "card.yaml", "--data", "own.csv", "--skip-bad")
    assert not result(home, "silent")[0] and result(home, "silent")[1]["left_out_withdrawn"] == "0"
    # a treating hospital asks no consent, by its signed word, and a withdrawal holds all the same
    sign(home, "inference: {basis: treatment, rows_per_hour: 1000000}\n")
    infer(home, "treated", "wards.yaml")
    treated, head = result(home, "treated")
    assert [k[0] for k in treated] == [p[0] for p in people if not p[0].startswith("left") and p[0] != "good-3"], list(treated)
    assert (head["left_out_withdrawn"], head["left_out_consent"]) == ("5", "0")
    assert all(abs(float(treated[k]["yes"]) - float(got[k]["yes"])) < 1e-9 for k in got)


def asks_the_policy_and_counts_rows(home):
    sign(home, "")
    p = infer(home, "no-word", "wards.yaml", code=1)
    assert "does not say that models may score" in p.stderr, p.stderr
    for attempt in range(2):  # the second if an hour began meanwhile
        hour = int(time.time()) // 3600
        before = sum(leaf["rows"] for leaf in ledger(home) if leaf["type"] == "inference" and leaf["time"] // 3600 == hour)
        sign(home, "inference: {basis: treatment, rows_per_hour: %d}\n" % (before + 199))
        infer(home, "first-%d" % attempt, "wards.yaml")
        p = subprocess.run([SITE, "infer", "m.safetensors", "wards.yaml", "--plan", "plan.yaml", "--out", "many", "--dir", "site"],
                           cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "YUMEN_LANG": "en"})
        if int(time.time()) // 3600 == hour:
            assert p.returncode == 1 and "more than the 99 that are left of this hour's" in p.stderr, p.stderr
            break
    assert not os.path.exists(os.path.join(home, "site", "inferred", "many.csv"))
    sign(home, "inference: {basis: treatment, rows_per_hour: 1000000}\n")


def every_run_is_on_record(home):
    """Each result's entry names model, content id and ground; nothing of whom, and counts in hundreds only."""
    leaves = ledger(home)
    names = [n for n in os.listdir(os.path.join(home, "site", "inferred"))]
    told = [result(home, n[:-4])[1] for n in names]
    mine = [leaf for leaf in leaves if leaf["type"] == "inference"]
    assert len(mine) == len(names) > 10
    for head in told:
        leaf = leaves[int(head["ledger_entry"])]
        assert leaf["type"] == "inference" and leaf["model"] == head["model"] and leaf["content_id"] == head["content_id"], (leaf, head)
        assert leaf["plan"] == head["plan"] and leaf["study"] == head["study"] and leaf["basis"] == head["basis"]
        assert leaf["rows"] % 100 == 0 < leaf["rows"] and leaf["left_out"] % 100 == 0
        assert set(leaf) == {"type", "v", "time", "by", "key", "sig", "study", "plan", "model", "content_id", "dataset",
                             "basis", "rows", "left_out"}
        assert head["hospital"] == "h1" and head["filing"] in ("none on record", "未登记"), head
    assert any(leaf["left_out"] == 100 for leaf in mine) and any(leaf["left_out"] == 0 for leaf in mine)


IMAGE_PLAN = """yumen: plan/1
study: films
sponsor: acme
title: A test
purpose: test
model:
  family: network
  inputs: [{name: scan, channels: 1, height: 4, width: 4, mean: 0.5, scale: 0.5}]
  outcome: {name: sick, levels: ["no", "yes"]}
  seed: 1
  layers: [tanh]
training: {rounds: 1, local_steps: 4, sampling_probability: 1, nominal_patients: 40, learning_rate: 0.5}
privacy: {noise_multiplier: 200, delta: 1e-5, epsilon: 5, min_patients: 1}
federation: {hospitals: [{name: h1}], quorum: 1}
"""


def scores_images_of_both_kinds(home):
    """The same pictures in an NPZ and in a folder of PNG, one after the other as they stand in the file: the same
    scores, which are those of the parameters worked out here."""
    drawn = [images.draw(images.random.Random(k)) for k in range(40)]
    for kind, write in (("npz", images.write_npz), ("png", images.write_folder)):
        os.makedirs(os.path.join(home, kind))
        with open(os.path.join(home, kind, "card.yaml"), "w") as f:
            f.write("yumen: card/1\nname: %s\ntitle: t\nsize_class: \"<100\"\ntier: general\n" % kind +
                    write(os.path.join(home, kind), drawn))
    with open(os.path.join(home, "plan.yaml"), "w") as f:
        f.write(IMAGE_PLAN)
    made_up.run(home, "simulate", "plan.yaml", "--site", "h1=npz/card.yaml", "--no-privacy", "--out", "m.safetensors")
    t = made_up.tensors(os.path.join(home, "m.safetensors"))
    infer(home, "films-npz", "npz/card.yaml")
    infer(home, "films-png", "png/card.yaml")
    npz, png = (list(result(home, "films-" + kind)[0].values()) for kind in ("npz", "png"))
    assert len(npz) == len(png) == 40
    site(home, "data", "add", "npz/card.yaml")
    infer(home, "films-set", "npz")
    assert sorted(r["yes"] for r in result(home, "films-set")[0].values()) == sorted(r["yes"] for r in npz)
    w, b = (next(v for k, v in t.items() if k.endswith(end)) for end in ("weight", "bias"))
    for (pixels, _), one, other in zip(drawn, npz, png):
        x = [math.tanh((v / 255 - 0.5) / 0.5) for v in pixels]
        z = [sum(a * c for a, c in zip(w[16 * k:16 * k + 16], x)) + b[k] for k in range(len(b))]
        mine = 1 / (1 + math.exp(-(z[0] if len(z) == 1 else z[1] - z[0])))
        assert abs(float(one["yes"]) - mine) < NEAR and one["yes"] == other["yes"], (one, other, mine)
    # where each row is a patient a withdrawal holds for the frozen rows alone: another file cannot be trusted
    site(home, "withdraw", "7", "--dataset", "npz")
    assert "score the registered data set" in infer(home, "films-again", "npz/card.yaml", code=1).stderr
    infer(home, "films-less", "npz")
    assert len(result(home, "films-less")[0]) == 39


def labels_every_row_and_keeps_them_here(home):
    """Of the last model."""
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
    # a notice that goes on with lines of its own, or hides what it says, is none
    for forged in ("p1\np2,1,reviewed by a doctor,x,,0.99", "x\u202ey", "\u001b[2J"):
        header = json.loads(raw[8:8 + n])
        header["__metadata__"]["producer"] = forged
        text = json.dumps(header).encode()
        with open(os.path.join(home, "bare.safetensors"), "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + raw[8 + n:])
        assert "producer" in site(home, *args, code=2).stderr, forged
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
        with open(os.path.join(home, "policy.yaml"), "w") as f:
            f.write(SERVES_ALL)
        site(home, "init", "--name", "h1", "--epsilon-cap", "5", "--policy", "policy.yaml", "--gateway", "gw", "--border-off", "a test")
        model(home, "logistic", "sick")
        assert "trainer" in infer(home, "alone", code=3).stderr
        trainer = Daemon("trainer", [os.path.join(CMD, "yumen-trainer"), "--dir", os.path.join(home, "site")], os.path.join(home, "trainer.log"))
        trainer.start()
        try:
            says_what_the_model_says(home, rows)
            refuses_rows_one_by_one(home)
            labels_every_row_and_keeps_them_here(home)
            refuses_what_is_no_labelled_model_of_the_plan(home)
            scores_nobody_who_did_not_agree(home)
            asks_the_policy_and_counts_rows(home)
            scores_images_of_both_kinds(home)
            every_run_is_on_record(home)
        finally:
            trainer.kill()


if __name__ == "__main__":
    main()
