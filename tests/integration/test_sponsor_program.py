#!/usr/bin/python3
"""The sponsor's program without a hub: plans, simulation, languages, exit codes."""

import json
import os
import random
import subprocess
import tempfile

YUMEN = os.path.join(os.environ.get("YM_BUILD_ROOT", "build"), "cmd", "yumen")

PLAN = """yumen: plan/1
study: trial
sponsor: acme
title: A test
purpose: test
model:
  family: logistic
  inputs:
    - {name: age, unit: year, low: 0, high: 120}
    - {name: marker, unit: mg/L, low: 0, high: 10}
  outcome: {name: sick, levels: ["no", "yes"]}
  seed: 1
training:
  rounds: 3
  local_steps: 2
  sampling_probability: 0.5
  nominal_patients: 60
  learning_rate: 0.5
  max_records_per_patient: 1
privacy:
  clip_norm: 1
  noise_multiplier: 6
  delta: 1e-5
  epsilon: 3
  min_patients: 5
server: {optimizer: fedavg, learning_rate: 1}
federation:
  hospitals: [{name: h1}, {name: h2}]
  quorum: 2
"""
CARD = """yumen: card/1
name: wards
title: test wards
file: d.csv
encoding: utf-8
separator: ","
patient_column: pid
size_class: "<100"
tier: general
variables:
  - {name: age, column: age, unit: year, low: 0, high: 120}
  - {name: marker, column: marker, unit: mg/L, low: 0, high: 10}
  - {name: sick, column: sick, map: {"0": "no", "1": "yes"}, levels: ["no", "yes"]}
"""
NOT_PRIVATE = {"en": "NOT PRIVATE: simulation without noise", "zh": "不具隐私性：无噪声模拟"}
SEEDED = {"en": "SEEDED: not private", "zh": "固定种子：不具隐私性"}


def run(*argv, code=0, lang="en", env=None):
    p = subprocess.run([YUMEN, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       timeout=60, env={**os.environ, "YUMEN_LANG": lang, **(env or {})})
    assert p.returncode == code, f"{argv}: exit {p.returncode}, not {code}\n{p.stdout}{p.stderr}"
    return p


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def hospital(home, name):
    rng = random.Random(name)
    rows = "".join(f"{name}-{i},{rng.uniform(20, 90):.2f},{m:.3f},{int(m > 5)}\n"
                   for i, m in enumerate(rng.uniform(0, 10) for _ in range(40)))
    write(f"{home}/{name}/d.csv", "pid,age,marker,sick\n" + rows)
    write(f"{home}/{name}/card.yaml", CARD)


def good_plan_tells_its_cost(home):
    plan = write(f"{home}/plan.yaml", PLAN)
    for lang, word in (("en", "one patient"), ("zh", "一名患者")):
        out = run("plan", "check", plan, lang=lang).stdout
        assert word in out and "0.00001" in out and "24" in out, out
    cost = json.loads(run("plan", "check", plan, "--json").stdout)
    assert cost["ok"] is True and cost["update_bytes"] == 8 * cost["parameters"] == 24
    assert 0 < cost["epsilon_first_round_micro"] < cost["epsilon_micro"] <= 3_000_000
    canonical = run("plan", "show", plan, "--json").stdout.rstrip("\n")
    import hashlib
    assert hashlib.sha256(canonical.encode()).hexdigest() == cost["plan"]
    return cost


def bad_plan_tells_every_problem(home):
    bad = PLAN.replace("family: logistic", "family: oracle").replace("quorum: 2", "quorum: 9\n  extra: 1")
    path = write(f"{home}/bad.yaml", bad)
    for lang in ("en", "zh"):
        out = run("plan", "check", path, code=1, lang=lang).stdout
        for where in ("bad.yaml:7", "model.family", "federation.extra", "federation.quorum"):
            assert where in out, (where, out)
    listed = json.loads(run("plan", "check", path, "--json", code=1).stdout)
    assert listed["ok"] is False and len(listed["problems"]) >= 3
    assert all(p["line"] > 0 and p["message"] for p in listed["problems"])
    run("plan", "check", write(f"{home}/broken.yaml", "yumen: [plan"), code=1)
    run("plan", "check", f"{home}/absent.yaml", code=3)


def costly_plan_is_refused(home):
    path = write(f"{home}/costly.yaml", PLAN.replace("noise_multiplier: 6", "noise_multiplier: 0.5"))
    out = run("plan", "check", path, code=1).stdout
    assert "noise_multiplier" in out, out


def marks_are_in_every_output(home):
    sim = ["simulate", f"{home}/plan.yaml", "--site", f"h1={home}/h1", "--site", f"h2={home}/h2/card.yaml"]
    for lang in ("en", "zh"):
        plain = run(*sim, lang=lang).stdout
        assert NOT_PRIVATE[lang] not in plain and SEEDED[lang] not in plain
        bare = run(*sim, "--no-privacy", lang=lang).stdout
        assert bare.count(NOT_PRIVATE[lang]) == 2 and "epsilon" not in bare, bare
        seeded = run(*sim, "--seed", "5", lang=lang).stdout
        assert seeded.count(SEEDED[lang]) == 2, seeded
        assert seeded == run(*sim, "--seed", "5", lang=lang).stdout
    for extra, marked in (([], False), (["--no-privacy"], True), (["--seed", "1"], True)):
        value = json.loads(run(*sim, *extra, "--json").stdout)
        assert value["private"] is not marked
        text = " ".join(value["marks"])
        assert ("NOT PRIVATE" in text) == ("--no-privacy" in extra) and ("SEEDED" in text) == ("--seed" in extra)


def figures_fit_each_other(home, cost):
    test = write(f"{home}/test.csv", "sick,marker,age\nyes,9,50\nno,1,60\nyes,8,40\nno,2,30\n")
    sim = ["simulate", f"{home}/plan.yaml", "--site", f"h1={home}/h1", "--site", f"h2={home}/h2", "--test", test, "--json"]
    value = json.loads(run(*sim, "--seed", "3", "--params").stdout)
    assert [r["round"] for r in value["rounds"]] == [0, 1, 2, 3]
    assert value["final"] == value["rounds"][-1]
    assert value["final"]["epsilon_micro"] == cost["epsilon_micro"] == value["sites"]["h1"]["epsilon_micro"]
    assert value["rounds"][1]["epsilon_micro"] == cost["epsilon_first_round_micro"]
    assert value["plan"] == cost["plan"] and len(value["params"]) == cost["parameters"]
    assert value["final"]["pooled"]["rows"] == 80 and value["final"]["test"]["rows"] == 4
    assert value["rounds"][0]["pooled"]["auc"] == 0.5
    bare = json.loads(run(*sim, "--no-privacy").stdout)
    assert bare["final"]["epsilon_micro"] is None and bare["final"]["test"]["auc"] == 1.0
    assert bare["final"]["pooled"]["loss"] < bare["rounds"][0]["pooled"]["loss"]
    assert "params" not in bare


def misuse_is_explained(home):
    sim = ["simulate", f"{home}/plan.yaml"]
    sites = ["--site", f"h1={home}/h1", "--site", f"h2={home}/h2"]
    for argv, code in (([*sim], 2), ([*sim, "--site", "h1"], 2), ([*sim, *sites, "--seed", "-1"], 2),
                       ([*sim, *sites, "--params"], 2), ([*sim, *sites[:2]], 1), ([*sim, *sites, "--site", f"h1={home}/h1"], 2),
                       ([*sim, "--site", f"h1={home}/absent", *sites[2:]], 3), (["study", "list", "--dir", home], 3),
                       (["study", "wach", "x"], 2), (["enrol"], 2), (["enrol", "--token", "x", "--hub", "h:1"], 2)):
        err = run(*argv, code=code).stderr
        assert err.startswith("yumen"), err
    write(f"{home}/h1/identity.key", "key")
    assert "identity.key" in run(*sim, *sites, code=1).stderr
    os.unlink(f"{home}/h1/identity.key")


def help_speaks_both_languages():
    en, zh = run("--help").stdout, run("--help", lang="zh").stdout
    assert "simulate" in en and "simulate" in zh and en != zh
    assert any("\u4e00" <= c <= "\u9fff" for c in zh) and not any("\u4e00" <= c <= "\u9fff" for c in en)


def main():
    with tempfile.TemporaryDirectory(prefix="yumen-") as home:
        hospital(home, "h1")
        hospital(home, "h2")
        cost = good_plan_tells_its_cost(home)
        bad_plan_tells_every_problem(home)
        costly_plan_is_refused(home)
        marks_are_in_every_output(home)
        figures_fit_each_other(home, cost)
        misuse_is_explained(home)
    help_speaks_both_languages()


if __name__ == "__main__":
    main()
