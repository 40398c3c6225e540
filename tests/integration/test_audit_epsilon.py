#!/usr/bin/env python3
"""yumen-audit epsilon against tests/vectors/privacy: every figure of the JSON, both questions asked backwards, files of
charges, and what is refused with which exit code. Limits: README of the vectors; the certified figure within 1e-3."""

import csv
import json
import os
import subprocess
import sys
import tempfile

AUDIT = os.path.join(os.environ["YM_BUILD_ROOT"], "cmd", "yumen-audit")
VECTORS = os.path.join(os.environ["YM_SOURCE_ROOT"], "tests", "vectors", "privacy")
ENV = {**os.environ, "YUMEN_LANG": "en"}
PLAIN = {"noise-multiplier": "1.0", "sampling-probability": "0.01", "steps": "1000", "delta": "1e-5"}


def run(expect, env=ENV, **options):
    argv = [AUDIT, "epsilon"]
    for name, value in options.items():
        argv += [f"--{name.replace('_', '-')}"] + ([] if value is True else [value])
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
                       timeout=60)
    if p.returncode != expect:
        sys.exit(f"{' '.join(argv)}: exit {p.returncode}, expected {expect}\n{p.stdout}{p.stderr}")
    return p.stdout if expect == 0 else p.stderr


def ask(**options):
    text = run(0, json=True, **options)
    answer = json.loads(text)
    assert answer["unit"] == "patient" and answer["relation"] == "add-or-remove-one", answer
    return answer


def rows(name):
    with open(os.path.join(VECTORS, name), newline="") as f:
        return list(csv.DictReader(f))


def is_estimate(value, exact, tol=0.0):
    assert abs(value - exact) <= max(1e-6 * exact, 3 * tol, 1e-9), (value, exact)


def is_certified(value, exact, tol=0.0):
    assert exact - tol - 1e-7 * exact <= value <= exact * (1 + 1e-3) + 1e-5, (value, exact)


def every_accountant_meets_the_vectors():
    for r in rows("subsampled_gaussian.csv")[::9]:
        charge = {"noise_multiplier": r["sigma"], "sampling_probability": r["q"][:17], "steps": r["T"]}
        exact, tol = float(r["eps_exact"]), float(r["exact_tol"])
        default = ask(**charge, delta=r["delta"])
        assert default["accountant"] == "pld" and default["delta"] == float(r["delta"])
        is_certified(default["epsilon"], exact, tol)
        is_estimate(default["estimate"], exact, tol)
        assert ask(**charge, delta=r["delta"], accountant="pld") == default
        contour, rdp = (ask(**charge, delta=r["delta"], accountant=a) for a in ("contour", "rdp"))
        assert contour["epsilon"] == default["estimate"] and contour["accountant"] == "contour"
        assert rdp["epsilon"] == default["rdp"] >= exact - tol and rdp["accountant"] == "rdp"


def seventeen_digits_are_printed():
    text = run(0, json=True, **PLAIN)
    value = text.split('"epsilon": ')[1].split(",")[0]
    assert len(value.replace(".", "")) >= 16 and float(value) == json.loads(text)["epsilon"], value


def questions_asked_backwards():
    for r in rows("inverse_queries.csv"):
        back = {"target_epsilon": r["eps"], "sampling_probability": r["q"], "json": True}
        if r["query"] == "sigma_for_eps_delta":
            sigma, target = float(r["answer"]), float(r["eps"])
            got = json.loads(run(0, steps=r["T"], delta=r["delta"], **back))
            assert sigma <= got["noise_multiplier"] <= sigma * (1 + 1e-3) + 1e-6, (got, r)
            noise = repr(got["noise_multiplier"])
            assert got["epsilon"] <= target and len(noise.split(".")[1]) <= 6
            again = ask(noise_multiplier=noise, sampling_probability=r["q"], steps=r["T"], delta=r["delta"])
            assert again["epsilon"] == got["epsilon"]
            tight = json.loads(run(0, steps=r["T"], delta=r["delta"], accountant="contour", **back))
            assert abs(tight["noise_multiplier"] - sigma) <= 1.1e-6 + 1e-7 * sigma
        elif float(r["answer"]) > 1e-9:
            steps, delta = int(r["T"]), f"{float(r['answer']):.15f}"
            got = json.loads(run(0, noise_multiplier=r["sigma"], delta=delta, **back))
            assert steps * (1 - 3e-3) - 2 <= got["steps"] <= steps, (got, r)
            assert got["epsilon"] <= float(r["eps"])


def files_of_charges(folder):
    with open(os.path.join(VECTORS, "heterogeneous.json")) as f:
        cases = json.load(f)[:5]
    path = os.path.join(folder, "events.json")
    for case in cases:
        events = [{"noise_multiplier": f"{s:.12f}", "sampling_probability": f"{q:.14f}", "steps": n}
                  for s, q, n in case["rounds"]]
        with open(path, "w") as f:
            json.dump(events, f)
        got = ask(events=path, delta=repr(case["delta"]))
        is_certified(got["epsilon"], case["eps_exact"], 1e-5)
        assert abs(got["estimate"] - case["eps_exact"]) <= 1e-5 * case["eps_exact"]
    path = os.path.join(folder, "events.yaml")
    with open(path, "w") as f:
        f.write("- noise_multiplier: 1\n  sampling_probability: 0.01\n  steps: 400\n"
                "- {noise_multiplier: 1.0, sampling_probability: 1e-2, steps: 600}\n")
    assert ask(events=path, delta="1e-5") == ask(**PLAIN)
    # a charge on the line comes on top, and what is asked backwards pays for the file first
    assert ask(events=path, **PLAIN) == ask(**{**PLAIN, "steps": "2000"})
    more = ask(events=path, sampling_probability="0.01", steps="1000", delta="1e-5", target_epsilon="3")
    less = ask(sampling_probability="0.01", steps="1000", delta="1e-5", target_epsilon="3")
    assert more["noise_multiplier"] > less["noise_multiplier"] and more["epsilon"] <= 3


def what_is_wrong_is_refused(folder):
    for name, values, why in (
            ("noise-multiplier", ("0", "0.0", "-1", "65537", "inf", "", "1.0.0"), "--noise-multiplier: must be"),
            ("sampling-probability", ("0", "1.5", "1.000000000000001", "-0.1", "nan"), "--sampling-probability: must be"),
            ("steps", ("0", "-5", "1.5", "1000000001", "9" * 30, "ten"), "--steps: must be"),
            ("delta", ("0", "1", "1.5", "-1e-5", "x"), "--delta: must be"),
            ("target-epsilon", ("0", "-1", "e"), "--target-epsilon: must be"),
            ("accountant", ("gdp", ""), "--accountant: must be one of")):
        for value in values:
            assert why in run(2, **{**PLAIN, name: value}), (name, value)
    for name in PLAIN:
        assert f"--{name}: is missing" in run(2, **{k: v for k, v in PLAIN.items() if k != name}), name
    for left in ({"noise-multiplier": "1", "steps": "1"}, {}):
        said = run(2, delta="1e-5", sampling_probability="0.1", target_epsilon="1", **left)
        assert "the other is the answer" in said, said
    for text, why in (("[]", "list of 1 to"), ("{}", "list of 1 to"), ("a: [", "events"), ("- 5", "events[0]"),
                      ("- {noise_multiplier: 0, sampling_probability: 1, steps: 1}", "events[0].noise_multiplier"),
                      ("- {noise_multiplier: 1, sampling_probability: 2, steps: 1}", "events[0].sampling_probability"),
                      ("- {noise_multiplier: 1, sampling_probability: 1, steps: 0}", "events[0].steps"),
                      ("- {noise_multiplier: 1, sampling_probability: 1}", "events[0].steps: is missing"),
                      ("- {noise_multiplier: 1, sampling_probability: 1, steps: 1, sigma: 2}", "unknown key")):
        path = os.path.join(folder, "events.yaml")
        with open(path, "w") as f:
            f.write(text)
        assert why in run(2, events=path, delta="1e-5"), text
    run(3, events=os.path.join(folder, "absent.yaml"), delta="1e-5")


def what_has_no_answer_says_so():
    hopeless = {"sampling-probability": "1", "delta": "1e-9", "target-epsilon": "0.001"}
    assert "not one step" in run(1, **{**hopeless, "noise-multiplier": "1"})
    assert "no noise multiplier" in run(1, **{**hopeless, "steps": "1000000000", "target-epsilon": "0.000001"})
    assert "--accountant rdp" in run(1, **{**PLAIN, "noise-multiplier": "0.01"})
    assert ask(**{**PLAIN, "noise-multiplier": "0.01"}, accountant="rdp")["epsilon"] > 1e5


def people_are_told_what_it_means():
    said = run(0, **PLAIN)
    for word in ("epsilon 1.82", "certified", "estimate", "cap", "unit: patient", "add or remove one patient"):
        assert word in said, (word, said)
    assert "单位：患者" in run(0, env={**ENV, "YUMEN_LANG": "zh"}, **PLAIN)
    assert "smallest of six decimals" in run(0, target_epsilon="2", **{k: PLAIN[k] for k in PLAIN if k != "noise-multiplier"})


with tempfile.TemporaryDirectory() as where:
    every_accountant_meets_the_vectors()
    seventeen_digits_are_printed()
    questions_asked_backwards()
    files_of_charges(where)
    what_is_wrong_is_refused(where)
    what_has_no_answer_says_so()
    people_are_told_what_it_means()
