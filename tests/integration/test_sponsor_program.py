#!/usr/bin/python3
"""The sponsor's program without a hub: plans, simulation, languages, exit codes."""

import decimal
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
    assert cost["border"] is None
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


def diff_names_what_changed(home):
    old = write(f"{home}/old.yaml", PLAN)
    same = write(f"{home}/same.yaml", PLAN.replace("delta: 1e-5", "delta: 0.000010").replace("  min_patients: 5\n", "")
                 .replace("  clip_norm: 1\n", "  min_patients: 5\n"))  # other spelling, order, a default left out
    for lang, word in (("en", "the same"), ("zh", "相同")):
        assert word in run("plan", "diff", old, same, lang=lang).stdout
    told = json.loads(run("plan", "diff", old, same, "--json").stdout)
    assert told["ok"] and told["same"] and told["changes"] == [] and told["old"] == told["new"]

    text = PLAN
    for find, put in (("rounds: 3", "rounds: 2"), ("noise_multiplier: 6", "noise_multiplier: 7.5"),
                      ("    - {name: age, unit: year, low: 0, high: 120}\n", ""),
                      ("high: 10}\n", "high: 20}\n    - {name: sex, levels: [f, m]}\n"), ("{name: h2}", "{name: h2, weight: 4}"),
                      ("optimizer: fedavg, learning_rate: 1", "optimizer: fedadam")):
        assert find in text
        text = text.replace(find, put)
    new = write(f"{home}/new.yaml", text)
    told = json.loads(run("plan", "diff", old, new, "--json", code=1).stdout)
    changes = {c["path"]: (c["old"], c["new"]) for c in told["changes"]}
    assert len(changes) == len(told["changes"]) and told["same"] is False
    age = {"name": "age", "unit": "year", "low": "0", "high": "120", "missing": "drop"}
    assert changes == {
        "training.rounds": (3, 2), "privacy.noise_multiplier": ("6", "7.5"), "model.inputs[age]": (age, None),
        "model.inputs[marker].high": ("10", "20"),
        "model.inputs[sex]": (None, {"name": "sex", "levels": ["f", "m"], "missing": "drop"}),
        "federation.hospitals[h2].weight": (1, 4), "server.optimizer": ("fedavg", "fedadam"),
        "server.learning_rate": ("1", "0.01"), "server.beta1": (None, "0.9"), "server.beta2": (None, "0.99"),
        "server.tau": (None, "0.001")}, changes
    for side, path in (("old", old), ("new", new)):
        assert told[side] == json.loads(run("plan", "check", path, "--json").stdout)
    assert told["new"]["epsilon_micro"] < told["old"]["epsilon_micro"]
    lines = run("plan", "diff", old, new, code=1).stdout.splitlines()
    assert "training.rounds: 3 -> 2" in lines and "model.inputs[age]: " in "".join(lines) and "differences: 11" in lines
    assert any(told["old"]["plan"] in line for line in lines) and any(told["new"]["plan"] in line for line in lines)


def order_of_inputs_is_a_difference(home):
    age, marker = (f"    - {v}\n" for v in ("{name: age, unit: year, low: 0, high: 120}", "{name: marker, unit: mg/L, low: 0, high: 10}"))
    assert age + marker in PLAN
    turned = write(f"{home}/turned.yaml", PLAN.replace(age + marker, marker + age))
    told = json.loads(run("plan", "diff", f"{home}/old.yaml", turned, "--json", code=1).stdout)
    assert told["changes"] == [{"path": "model.inputs", "old": ["age", "marker"], "new": ["marker", "age"]}]
    assert told["old"]["plan"] != told["new"]["plan"]


def diff_tells_problems_of_both(home):
    one = write(f"{home}/one.yaml", PLAN.replace("rounds: 3", "rounds: 0"))
    two = write(f"{home}/two.yaml", PLAN.replace("quorum: 2", "quorum: 9"))
    out = run("plan", "diff", one, two, code=2).stdout
    assert "one.yaml:14: training.rounds" in out and "two.yaml:29: federation.quorum" in out, out
    told = json.loads(run("plan", "diff", one, two, "--json", code=2).stdout)
    assert told["ok"] is False and [p["key"] for p in told["problems"]] == ["training.rounds", "federation.quorum"]
    run("plan", "diff", f"{home}/old.yaml", two, code=2)
    run("plan", "diff", f"{home}/old.yaml", f"{home}/absent.yaml", code=3)
    run("plan", "diff", f"{home}/old.yaml", code=2)


def less_by_a_millionth(text):
    return str(decimal.Decimal(text) - decimal.Decimal("0.000001"))


def advised_noise_is_the_least_that_passes(home, path, told, epsilon="3"):
    for table in told["tables"]:
        assert sum(r["own"] for r in table["samplings"]) == 1
        best = [r for r in table["samplings"] if r["best"]]
        assert len(best) == 1 and best[0]["noise_per_patient"] == min(r["noise_per_patient"] for r in table["samplings"])
        for row in table["samplings"]:
            q, z = row["sampling_probability"], row["noise_multiplier"]
            assert abs(row["noise_per_patient"] - float(z) * 1 / (float(q) * 60)) < 1e-12
            text = PLAN.replace("sampling_probability: 0.5", f"sampling_probability: {q}").replace("epsilon: 3", f"epsilon: {epsilon}")
            text = text.replace("rounds: 3", f"rounds: {table['rounds']}")
            for noise, code in ((z, 0), (less_by_a_millionth(z), 1)):
                write(path, text.replace("noise_multiplier: 6", f"noise_multiplier: {noise}"))
                cost = json.loads(run("plan", "check", path, "--json", code=code).stdout)
                if code == 0:
                    assert cost["epsilon_micro"] == row["epsilon_micro"]
                else:
                    assert [p["key"] for p in cost["problems"]] == ["privacy.epsilon"]


def advice_is_for_plans_that_cost_too_much(home):
    costly = f"{home}/costly.yaml"
    told = json.loads(run("plan", "advise", costly, "--json").stdout)
    assert told["ok"] and told["plan_passes"] is False and told["epsilon_limit"] == "3" and told["delta"] == "0.00001"
    assert [t["rounds"] for t in told["tables"]] == [3, 1, 6]
    assert [r["sampling_probability"] for r in told["tables"][0]["samplings"]] == ["0.05", "0.1", "0.25", "0.5", "1"]
    assert told["noise_multiplier"] == [r for r in told["tables"][0]["samplings"] if r["own"]][0]["noise_multiplier"]
    advised_noise_is_the_least_that_passes(home, f"{home}/advised.yaml", told)
    assert json.loads(run("plan", "advise", f"{home}/old.yaml", "--json").stdout) == {**told, "plan_passes": True}
    other = json.loads(run("plan", "advise", f"{home}/old.yaml", "--epsilon", "0.5", "--json").stdout)
    assert other["plan_passes"] is False and other["epsilon_limit"] == "0.5"
    advised_noise_is_the_least_that_passes(home, f"{home}/advised.yaml", other, "0.5")
    for lang, words in (("en", ("not accuracy", "least noise", "does not pass")), ("zh", ("不谈准确率", "噪声最小", "不能通过"))):
        out = run("plan", "advise", costly, lang=lang).stdout
        assert all(w in out for w in (*words, "yumen simulate", told["noise_multiplier"])), out


def advice_needs_the_rest_of_the_plan(home):
    out = run("plan", "advise", f"{home}/bad.yaml", code=1).stdout
    assert "bad.yaml:7: model.family" in out and "federation.quorum" in out and "privacy" not in out, out
    odd = write(f"{home}/odd.yaml", PLAN.replace("sampling_probability: 0.5", "sampling_probability: 0.3")
                .replace("  noise_multiplier: 6\n", "").replace("rounds: 3", "rounds: 1"))
    told = json.loads(run("plan", "advise", odd, "--json").stdout)
    assert [t["rounds"] for t in told["tables"]] == [1, 2]
    assert [r["sampling_probability"] for r in told["tables"][0]["samplings"]] == ["0.05", "0.1", "0.25", "0.3", "0.5", "1"]
    for epsilon in ("0", "-1", "101", "much"):
        assert run("plan", "advise", odd, "--epsilon", epsilon, code=2).stderr.startswith("yumen")
    rows = json.loads(run("plan", "advise", odd, "--epsilon", "0.00001", "--json").stdout)["tables"][0]["samplings"]
    assert [r["fits"] for r in rows] == [True] * 5 + [False] and "noise_multiplier" not in rows[-1] and not rows[-1]["best"]
    assert "no noise fits" in run("plan", "advise", odd, "--epsilon", "0.00001").stdout
    long = write(f"{home}/long.yaml", PLAN.replace("rounds: 3", "rounds: 10000"))
    assert "privacy.epsilon" in run("plan", "advise", long, "--epsilon", "0.00001", code=1).stdout
    told = json.loads(run("plan", "advise", long, "--json").stdout)
    assert [t["rounds"] for t in told["tables"]] == [10000, 5000]


def plan_of(model, sections, hospitals=3):
    """A plan with the sections as the program printed them."""
    family, shape = model.split(":")
    first, *more = [int(n) for n in shape.split("x")]
    inputs = "".join(f"    - {{name: x{i}, low: -1, high: 1}}\n" for i in range(first))
    if family == "network":
        inputs = f"    - {{name: x, channels: {more[0]}, height: {first}, width: {first}}}\n"
    outcome = "{name: y, low: -1, high: 1}" if family == "linear" else "{name: y, low: 0, high: 100}" if family == "poisson" else "{name: y, levels: [%s]}" % ", ".join(
        "l%d" % i for i in range(more[0] if family == "multinomial" else 2))
    hidden = f"  hidden: {more}\n" if family == "mlp" else ""
    if family in ("discrete_hazard", "piecewise_exponential"):
        hidden = f"  time: {{name: t, high: {more[0]}}}\n  cuts: {list(range(1, more[0]))}\n"
    if family == "network":
        hidden = "  layers: [%s]\n" % ", ".join("conv2d: {channels: %d, kernel: 3, stride: 2, padding: 1}, tanh" % c for c in more[1:])
    names = ", ".join("{name: h%d}" % i for i in range(hospitals))
    return (f"yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\nmodel:\n  family: {family}\n{hidden}"
            f"  inputs:\n{inputs}  outcome: {outcome}\n{sections}federation:\n  hospitals: [{names}]\n")


def proposal_can_be_pasted_and_passes(home):
    ask = ["plan", "advise", "--epsilon", "1.5", "--patients", "50-199,200-499,300"]
    for model, parameters in (("logistic:13", 14), ("linear:2", 3), ("multinomial:5x3", 18), ("mlp:4x3", 19), ("poisson:4", 5),
                              ("discrete_hazard:3x4", 7), ("piecewise_exponential:6x2", 8), ("network:9x2x3x4", 57 + 112 + 37)):
        told = json.loads(run(*ask, "--model", model, "--json").stdout)["proposal"]
        out = run(*ask, "--model", model).stdout
        sections = out[out.index("training:"):out.index("\n\n", out.index("privacy:"))] + "\n"
        cost = json.loads(run("plan", "check", write(f"{home}/pasted.yaml", plan_of(model, sections)), "--json").stdout)
        assert cost["epsilon_micro"] == told["epsilon_micro"] and 1490000 < cost["epsilon_micro"] <= 1500000
        assert cost["parameters"] == told["parameters"] == parameters and cost["delta"] == "0.0001"
        chosen = [r for r in told["alternatives"] if r["chosen"]]
        assert len(chosen) == 1 and chosen[0]["noise_multiplier"] == told["privacy"]["noise_multiplier"]
        assert chosen[0]["rounds"] * chosen[0]["local_steps"] == cost["rounds"] * cost["steps_per_round"]
        z, q, n = (float(v) for v in (chosen[0]["noise_multiplier"], chosen[0]["sampling_probability"], told["training"]["nominal_patients"]))
        noise = z * float(told["privacy"]["clip_norm"]) / (q * n * 3 ** 0.5)
        assert abs(chosen[0]["noise_per_coordinate"] / noise - 1) < 1e-9 and told["nominal_batch"] == q * n
    file = run("plan", "advise", f"{home}/old.yaml", "--patients", "40,60-100", "--json").stdout
    told = json.loads(file)["proposal"]
    assert told["privacy"]["epsilon"] == "3" and told["privacy"]["delta"] == "0.00001" and told["training"]["nominal_patients"] == 59
    assert "yumen simulate" in run(*ask, "--model", "logistic:3").stdout and "不保证" in run(*ask, "--model", "logistic:3", lang="zh").stdout
    for bad in (["--model", "logistic:0"], ["--model", "logistic"], ["--model", "tree:3"], ["--model", "mlp:3"], ["--model", "logistic:3x2"],
                ["--model", "network:28"], ["--model", "network:28x1"], ["--model", "poisson:3x2"], ["--model", "discrete_hazard:3"],
                ["--model", "piecewise_exponential:3x1"], ["--model", "piecewise_exponential:3x102"], ["--model", "cox:3"],
                ["--model", "logistic:3", "--delta", "1e-3"], ["--model", "logistic:3", "--delta", "0"], []):
        assert run(*ask, *bad, code=2).stderr.startswith("yumen")
    for bad in ("", "0", "9-3", "5,", "a", "99999999999999999999"):
        assert run("plan", "advise", "--epsilon", "1", "--model", "logistic:3", "--patients", bad, code=2).stderr.startswith("yumen")
    for bad in (["--model", "logistic:3"], ["--delta", "1e-6"], ["--patients", "50"]):
        assert run("plan", "advise", f"{home}/old.yaml", *bad, code=2).stderr.startswith("yumen")
    assert run("plan", "advise", code=2).stderr.startswith("yumen")


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


def seeds_are_spread_for_each_epsilon(home):
    test = write(f"{home}/test.csv", "sick,marker,age\nyes,9,50\nno,1,60\nyes,8,40\nno,2,30\n")
    write(f"{home}/loud.yaml", PLAN.replace("noise_multiplier: 6", "noise_multiplier: 0.5"))
    sim = ["simulate", f"{home}/loud.yaml", "--site", f"h1={home}/h1", "--site", f"h2={home}/h2"]
    sweep = [*sim, "--site-test", f"h1={test}", "--site-test", f"h2={test}", "--epsilon", "0.5,2", "--seeds", "5"]
    value = json.loads(run(*sweep, "--json").stdout)
    assert value["private"] is False and "SEEDED: not private, seeds 1 to 5" in value["marks"] and value["measured_on"] == "site_tests"
    assert [r["epsilon"] for r in value["epsilons"]] == ["0.5", "2"]
    for r in value["epsilons"]: # what is simulated is the plan that the check passes
        path = write(f"{home}/sweep.yaml", PLAN.replace("epsilon: 3", f"epsilon: {r['epsilon']}")
                     .replace("noise_multiplier: 6", f"noise_multiplier: {r['noise_multiplier']}"))
        cost = json.loads(run("plan", "check", path, "--json").stdout)
        assert cost["plan"] == r["plan"] and cost["epsilon_micro"] == r["epsilon_micro"] <= float(r["epsilon"]) * 1e6
        sites = [f for a in ("h1", "h2") for f in ("--site", f"{a}={home}/{a}", "--site-test", f"{a}={test}")]
        one = json.loads(run("simulate", path, *sites, "--seed", "4", "--json").stdout)["final"]
        assert one["centres"]["loss"] == r["loss"]["values"][3] and set(one["site_tests"]) == {"h1", "h2"}
        mean = sum(r["loss"]["values"]) / 5
        assert abs(mean - r["loss"]["mean"]) < 1e-12 and r["loss"]["low"] < mean < r["loss"]["high"] and len(set(r["loss"]["values"])) == 5
        assert set(r["sites"]) == {"h1", "h2"}
    assert value == json.loads(run(*sweep, "--json").stdout)
    assert json.loads(run(*sim, "--test", test, "--epsilon", "1", "--seeds", "2", "--json").stdout)["measured_on"] == "test"
    for lang, words in (("en", ("Student", "interval")), ("zh", ("Student", "区间"))):
        out = run(*sweep, lang=lang).stdout
        assert out.count(SEEDED[lang]) == 2 and all(w in out for w in words), out
    for extra in (["--no-privacy"], ["--params", "--json"], ["--test", test]):
        assert run(*sweep, *extra, code=2).stderr.startswith("yumen")
    for bad in ("", "1,", "0", "1,x", "101"):
        assert run(*sim, "--epsilon", bad, code=2).stderr.startswith("yumen")
    for bad in ("1", "0", "x", "10001"):
        assert run(*sim, "--seeds", bad, code=2).stderr.startswith("yumen")
    assert "no noise" in run(*sim, "--epsilon", "0.0000001", code=2).stderr
    for extra in (["--site-test", "h1"], ["--site-test", f"h3={test}"], ["--site-test", f"h1={test}", "--site-test", f"h1={test}"]):
        assert run(*sim[:1], f"{home}/plan.yaml", *sim[2:], *extra, code=2).stderr.startswith("yumen")


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
        diff_names_what_changed(home)
        order_of_inputs_is_a_difference(home)
        diff_tells_problems_of_both(home)
        advice_is_for_plans_that_cost_too_much(home)
        advice_needs_the_rest_of_the_plan(home)
        proposal_can_be_pasted_and_passes(home)
        marks_are_in_every_output(home)
        figures_fit_each_other(home, cost)
        seeds_are_spread_for_each_epsilon(home)
        misuse_is_explained(home)
    help_speaks_both_languages()


if __name__ == "__main__":
    main()
