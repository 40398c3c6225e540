#!/usr/bin/python3
"""`yumen model score` on made-up rows: every figure is worked out here again from the model file's parameters, in plain
Python; `simulate --test` says the same; a model of another plan is refused."""

import json
import math
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import tensors  # noqa: E402

YUMEN = os.path.join(os.environ.get("YM_BUILD_ROOT", "build"), "cmd", "yumen")
NEAR = 2e-5  # the model's own float32 scores
ROWS = 500
AGE = "{name: age, low: 20, high: 90}"
LEVELS = {"sick": ["no", "yes"], "grade": ["I", "II", "III"], "died": ["no", "yes"]}
OUTCOME = {name: "{name: %s, levels: [%s]}" % (name, ", ".join('"%s"' % k for k in levels)) for name, levels in LEVELS.items()}
OUTCOME["visits"] = "{name: visits, low: 0, high: 40}"
OUTCOME["pressure"] = "{name: pressure, low: 80, high: 200}"
DAYS, CUTS, HIGH = "{name: days, low: 0, high: 1000}", [200, 500], 1000


def plan(family, outcome, more="", rounds=3):
    return f"""yumen: plan/1
study: trial
sponsor: acme
title: A test
purpose: test
model:
  family: {family}
  inputs: [{AGE}]
  outcome: {OUTCOME[outcome]}
{more}
training: {{rounds: {rounds}, local_steps: 20, sampling_probability: 1, nominal_patients: {ROWS}, learning_rate: 0.5}}
privacy: {{noise_multiplier: 200, delta: 1e-5, epsilon: 5, min_patients: 1}}
federation: {{hospitals: [{{name: h1}}], quorum: 1}}
"""


def card():
    lines = [("age", AGE[1:-1]), ("days", DAYS[1:-1]), ("visits", OUTCOME["visits"][1:-1]), ("pressure", OUTCOME["pressure"][1:-1])]
    lines += [(n, OUTCOME[n][1:-1] + ", map: {%s}" % ", ".join('"%s": "%s"' % (k, k) for k in LEVELS[n])) for n in LEVELS]
    return ("yumen: card/1\nname: d\ntitle: t\nfile: d.csv\npatient_column: id\nsize_class: \"500-1999\"\ntier: general\nvariables:\n" +
            "".join("  - {column: %s, %s}\n" % line for line in lines))


def draw():
    rng, rows = random.Random(5), []
    for i in range(ROWS):
        age = rng.randrange(20, 91)
        p = 1 / (1 + math.exp(-(age - 55) / 15))
        rows.append({"id": i, "age": age, "sick": LEVELS["sick"][rng.random() < p], "grade": rng.choice(LEVELS["grade"]),
                     "died": LEVELS["died"][rng.random() < 0.6], "days": round(min(1200, rng.expovariate(age / 30000)) + 0.5, 1),
                     "visits": min(40, int(rng.expovariate(1 / (1 + age / 10)))), "pressure": 100 + age // 2 + rng.randrange(20)})
    return rows


def run(home, *args, code=0):
    p = subprocess.run([YUMEN, *args], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == code, (args, p.returncode, p.stderr, p.stdout)
    return p


def near(got, want, what):
    assert abs(got - want) <= NEAR * max(1, abs(want)), (what, got, want)


def concordance(risk, time, event):
    """Pairs by their definition, and the infinitesimal jackknife."""
    n, right, pairs = len(risk), [0.0] * len(risk), [0.0] * len(risk)
    for i in range(n):
        for j in range(n):
            if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
                s = 1 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0
                right[i], right[j], pairs[i], pairs[j] = right[i] + s, right[j] + s, pairs[i] + 1, pairs[j] + 1
    total = sum(pairs) / 2
    c = sum(right) / 2 / total
    return c, math.sqrt(sum(((a - c * m) / total) ** 2 for a, m in zip(right, pairs)))


def calibration(p, y):
    a, b, x = 0.0, 1.0, [math.log(q / (1 - q)) for q in p]
    for _ in range(30):
        m = [1 / (1 + math.exp(-(a + b * v))) for v in x]
        g = [sum(t - q for t, q in zip(y, m)), sum((t - q) * v for t, q, v in zip(y, m, x))]
        h = [sum(q * (1 - q) * v ** k for q, v in zip(m, x)) for k in range(3)]
        det = h[0] * h[2] - h[1] ** 2
        a, b = a + (h[2] * g[0] - h[1] * g[1]) / det, b + (h[0] * g[1] - h[1] * g[0]) / det
    return a, b


def made(home, family, outcome, more=""):
    with open(os.path.join(home, "plan.yaml"), "w") as f:
        f.write(plan(family, outcome, more))
    told = run(home, "simulate", "plan.yaml", "--site", "h1=card.yaml", "--no-privacy", "--json", "--test", "test.csv", "--out", "m.safetensors")
    got = json.loads(run(home, "model", "score", "m.safetensors", "test.csv", "--plan", "plan.yaml", "--json").stdout)
    final = json.loads(told.stdout)["final"]["test"]
    assert {k: v for k, v in got.items() if k not in ("study", "round", "plan", "state", "producer", "content_id", "notice", "notice_zh")} == final, (got, final)
    assert got["study"] == "trial" and got["round"] == "3" and len(got["plan"]) == 64
    assert got["content_id"] == "simulated:" + got["state"] and "AI-generated" in got["notice"], got
    t = tensors(os.path.join(home, "m.safetensors"))
    return got, t["layer0.weight"], t["layer0.bias"]


def scaled(row):
    return 2 * (row["age"] - 20) / 70 - 1


def two_levels(home, rows):
    got, w, b = made(home, "logistic", "sick")
    p, y = [1 / (1 + math.exp(-(w[0] * scaled(r) + b[0]))) for r in rows], [r["sick"] == "yes" for r in rows]
    near(got["loss"], -sum(math.log(q if t else 1 - q) for q, t in zip(p, y)) / ROWS, "loss")
    near(got["accuracy"], sum((q >= 0.5) == t for q, t in zip(p, y)) / ROWS, "accuracy")
    near(got["brier"], sum((q - t) ** 2 for q, t in zip(p, y)) / ROWS, "brier")
    auc, se = concordance([r["age"] for r in rows], [1 if t else 2 for t in y], y)  # ties are those of the one input
    near(got["auc"], auc, "AUC")
    near(got["auc_se"], se, "se of AUC")
    a, slope = calibration(p, y)
    near(got["calibration_intercept"], a, "intercept")
    near(got["calibration_slope"], slope, "slope")
    assert got["confusion"] == {"levels": ["no", "yes"], "counts": [
        [sum(t == i and (q >= 0.5) == k for q, t in zip(p, y)) for k in (False, True)] for i in (False, True)]}
    bins = [[(q, t) for q, t in zip(p, y) if min(int(q * 10), 9) == k] for k in range(10)]
    for told, (k, mine) in zip(got["reliability"], [(k, m) for k, m in enumerate(bins) if m], strict=True):
        assert told["count"] == len(mine) and abs(told["from"] - k / 10) < 1e-12
        near(told["expected"], sum(q for q, _ in mine) / len(mine), "bin's mean")
        near(told["observed"], sum(t for _, t in mine) / len(mine), "bin's share")


def three_levels(home, rows):
    got, w, b = made(home, "multinomial", "grade")
    z = [[w[k] * scaled(r) + b[k] for k in range(3)] for r in rows]
    best = [max(range(3), key=lambda k: v[k]) for v in z]
    y = [LEVELS["grade"].index(r["grade"]) for r in rows]
    assert got["confusion"]["counts"] == [[sum(t == i and m == k for t, m in zip(y, best)) for k in range(3)] for i in range(3)]
    assert got["auc"] is None and got["reliability"] is None
    near(got["accuracy"], sum(t == m for t, m in zip(y, best)) / ROWS, "accuracy")


def numbers(home, rows):
    got, w, b = made(home, "linear", "pressure")
    mine = [140 + 60 * (w[0] * scaled(r) + b[0]) for r in rows]
    near(got["rmse"], math.sqrt(sum((m - r["pressure"]) ** 2 for m, r in zip(mine, rows)) / ROWS), "rmse")
    got, w, b = made(home, "poisson", "visits")
    mine = [math.exp(w[0] * scaled(r) + b[0]) for r in rows]
    near(got["expected"], sum(mine), "expected")
    near(got["observed"], sum(r["visits"] for r in rows), "observed")


def survival(home, rows):
    for family in ("discrete_hazard", "piecewise_exponential"):
        got, w, b = made(home, family, "died", f"  time: {DAYS}\n  cuts: {CUTS}")
        patients = []
        for r in rows:
            time, event = min(r["days"], HIGH), r["died"] == "yes" and r["days"] <= HIGH
            expected, begin, bins = 0, 0, 0
            for k, end in enumerate(CUTS + [HIGH]):
                z = w[0] * scaled(r) + b[0] + (w[k] if k else 0)
                if family == "piecewise_exponential":
                    expected += math.exp(z) * (min(time, end) - begin) / HIGH
                elif (event and time <= end) or time >= end:
                    expected += 1 / (1 + math.exp(-z))
                else:
                    break
                begin, bins = end, bins + 1
                if time <= end:
                    break
            if bins:
                patients.append((r["age"], time, event, expected))
        c, se = concordance([p[0] for p in patients], [p[1] for p in patients], [p[2] for p in patients])
        near(got["concordance"], c, "C")
        near(got["concordance_se"], se, "se of C")
        near(got["expected_events"], sum(p[3] for p in patients), "expected")
        near(got["observed_events"], sum(p[2] for p in patients), "observed")
        assert sum(k["count"] for k in got["reliability"]) == len(patients) and len(got["reliability"]) == 10
        near(sum(k["expected"] for k in got["reliability"]), got["expected_events"], "tenths' expected")
        near(sum(k["observed"] for k in got["reliability"]), got["observed_events"], "tenths' observed")
        assert all(a["to"] <= b["from"] for a, b in zip(got["reliability"], got["reliability"][1:]))


def other_plans_are_refused(home):
    """m.safetensors is of the last survival plan."""
    with open(os.path.join(home, "other.yaml"), "w") as f:
        f.write(plan("piecewise_exponential", "died", f"  time: {DAYS}\n  cuts: {CUTS}", rounds=4))
    assert "not trained by this plan" in run(home, "model", "score", "m.safetensors", "test.csv", "--plan", "other.yaml", code=2).stderr
    assert "--plan" in run(home, "model", "score", "m.safetensors", "test.csv", code=2).stderr
    assert "not a model file" in run(home, "model", "score", "test.csv", "test.csv", "--plan", "plan.yaml", code=2).stderr
    with open(os.path.join(home, "m.safetensors"), "rb") as f:
        data = f.read()
    with open(os.path.join(home, "short.safetensors"), "wb") as f:
        f.write(data[:-1])
    assert "shape" in run(home, "model", "score", "short.safetensors", "test.csv", "--plan", "plan.yaml", code=2).stderr


def people_read_a_table(home):
    for lang, words in (("en", ("standard error", "expected over seen", "risk ")), ("zh", ("标准误", "预期与实际之比", "风险"))):
        text = subprocess.run([YUMEN, "model", "score", "m.safetensors", "test.csv", "--plan", "plan.yaml"], cwd=home, text=True,
                              stdout=subprocess.PIPE, env=dict(os.environ, YUMEN_LANG=lang, LANG="")).stdout
        assert all(w in text for w in words) and len(text.splitlines()) > 13, text


def main():
    with tempfile.TemporaryDirectory(prefix="yumen-score-") as home:
        rows = draw()
        for name, first in (("d.csv", ["id"]), ("test.csv", [])):
            with open(os.path.join(home, name), "w") as f:
                columns = first + ["age", "sick", "grade", "died", "days", "visits", "pressure"]
                f.write("\n".join([",".join(columns)] + [",".join(str(r[c]) for c in columns) for r in rows]) + "\n")
        with open(os.path.join(home, "card.yaml"), "w") as f:
            f.write(card())
        two_levels(home, rows)
        three_levels(home, rows)
        numbers(home, rows)
        survival(home, rows)
        other_plans_are_refused(home)
        people_read_a_table(home)


if __name__ == "__main__":
    main()
