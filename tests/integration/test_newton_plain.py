#!/usr/bin/python3
"""`yumen simulate --no-privacy --newton` for several levels and with a penalty, against Newton's method written here in plain
Python, in the parametrisation of training: scaled columns, an output for every level. Made-up rows. Coefficients, standard errors and
log-likelihood within 1e-8. And the penalised fit is where plain training ends."""

import csv
import json
import math
import os
import random
import subprocess
import tempfile

YUMEN = os.path.join(os.environ["YM_BUILD_ROOT"], "cmd", "yumen")
ROWS, SITES = 360, 3
AGE, DOSE, YEARS = ("age", 20, 90), ("dose", 1, 100), ("years", 0.5, 20)
GROUP = ["a", "b", "c"]
OUTCOMES = {"logistic": '{name: sick, levels: ["no", "yes"]}', "multinomial": '{name: grade, levels: [I, II, III, IV]}',
            "poisson": "{name: visits, low: 0, high: 60}", "linear": "{name: pressure, low: 50, high: 250}"}


def draw():
    rng, rows = random.Random(3), []
    for i in range(ROWS):
        age, dose, group = rng.uniform(22, 88), math.exp(rng.uniform(0.1, 4.5)), rng.choice(GROUP)
        pull = (age - 55) / 20 + math.log(dose) / 3 - 1
        rows.append({"id": i, "age": age, "dose": dose, "group": group, "years": rng.uniform(0.6, 19), "gone": i % 9 == 0,
                     "sick": ["no", "yes"][rng.random() < 1 / (1 + math.exp(-pull))],
                     "grade": ["I", "II", "III", "IV"][min(3, max(0, int(1.5 + pull + rng.gauss(0, 1))))],
                     "visits": min(60, int(rng.expovariate(1 / math.exp(1 + pull / 3)))), "pressure": 120 + 10 * pull + rng.gauss(0, 12)})
    return rows


def formula(family):
    return "age + log(dose) + group" + (" + offset(log(years))" if family == "poisson" else "")


def write(home, rows, family, l2, rounds=1, steps=1):
    outcome = OUTCOMES[family]
    name = outcome[7:].split(",")[0]
    inputs = '    - {name: age, low: 20, high: 90, missing: indicator}\n    - {name: dose, low: 1, high: 100}\n    - {name: group, levels: [a, b, c]}\n'
    if family == "poisson":
        inputs += "    - {name: years, low: 0.5, high: 20}\n"
    with open(os.path.join(home, "plan.yaml"), "w") as f:
        f.write(f"yumen: plan/1\nstudy: newton\nsponsor: acme\ntitle: t\npurpose: p\nmodel:\n  family: {family}\n  inputs:\n{inputs}"
                f"  outcome: {outcome}\n  formula: \"{name} ~ {formula(family)}\"\n"
                f"training: {{rounds: {rounds}, local_steps: {steps}, sampling_probability: 0.5, nominal_patients: {ROWS // SITES}, learning_rate: 1, l2: {l2}}}\n"
                "update: {scale_bits: 30, width_bits: 50}\nprivacy: {noise_multiplier: 300, delta: 1e-5, epsilon: 9}\n"
                f"federation: {{hospitals: [{', '.join('{name: h%d}' % s for s in range(SITES))}]}}\n")
    columns = ["age", "dose", "group", "years", "sick", "grade", "visits", "pressure"]
    for s in range(SITES):
        os.makedirs(os.path.join(home, "h%d" % s), exist_ok=True)
        with open(os.path.join(home, "h%d" % s, "card.yaml"), "w") as f:
            f.write("yumen: card/1\nname: d\ntitle: t\nfile: d.csv\npatient_column: id\nsize_class: \"100-499\"\ntier: general\nvariables:\n"
                    "  - {name: age, column: age, low: 20, high: 90}\n  - {name: dose, column: dose, low: 1, high: 100}\n"
                    "  - {name: years, column: years, low: 0.5, high: 20}\n"
                    "  - {name: group, column: group, levels: [a, b, c], map: {a: a, b: b, c: c}}\n"
                    f"  - {outcome[:-1].replace('name: ' + name, 'name: ' + name + ', column: ' + name)}"
                    + {"logistic": ', map: {"no": "no", "yes": "yes"}', "multinomial": ", map: {I: I, II: II, III: III, IV: IV}"}.get(family, "") + "}\n")
        with open(os.path.join(home, "h%d" % s, "d.csv"), "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(["id"] + columns)
            for r in rows[s::SITES]:
                out.writerow([r["id"]] + ["" if c == "age" and r["gone"] else repr(r[c]) if isinstance(r[c], float) else r[c] for c in columns])


def run(home, *more):
    sites = [x for s in range(SITES) for x in ("--site", "h%d=h%d" % (s, s))]
    p = subprocess.run([YUMEN, "simulate", "plan.yaml", *sites, "--no-privacy", "--json", *more], cwd=home, capture_output=True, text=True)
    assert p.returncode == 0, p.stderr + p.stdout
    return json.loads(p.stdout)


# ---- the reference ----

def solve(a, columns):
    """Gauss with pivots: a^-1 times the columns of a matrix."""
    n = len(a)
    m = [row[:] + extra[:] for row, extra in zip(a, columns)]
    for k in range(n):
        top = max(range(k, n), key=lambda i: abs(m[i][k]))
        m[k], m[top] = m[top], m[k]
        m[k] = [v / m[k][k] for v in m[k]]
        for i in range(n):
            if i != k and m[i][k]:
                by = m[i][k]
                m[i] = [v - by * w for v, w in zip(m[i], m[k])]
    return [row[n:] for row in m]


def design(r):
    """As trained: intercept, age and its indicator, log(dose), two levels."""
    scaled = 0.0 if r["gone"] else 2 * (r["age"] - 20) / 70 - 1
    return [1.0, scaled, float(r["gone"]), 2 * math.log(r["dose"]) / math.log(100) - 1, float(r["group"] == "b"), float(r["group"] == "c")]


def slopes(family, row, x, theta, outputs):
    """Log-likelihood, its derivative by each predictor, and minus the second."""
    w = len(x)
    z = [sum(a * b for a, b in zip(x, theta[k * w:(k + 1) * w])) for k in range(outputs)]
    if family == "linear":
        return -(row["pressure"] - z[0]) ** 2 / 2, [row["pressure"] - z[0]], [[1.0]]
    if family == "poisson":
        eta = z[0] + math.log(row["years"])
        return row["visits"] * eta - math.exp(eta) - math.lgamma(row["visits"] + 1), [row["visits"] - math.exp(eta)], [[math.exp(eta)]]
    if family == "logistic":
        p, y = 1 / (1 + math.exp(-z[0])), row["sick"] == "yes"
        return math.log(p if y else 1 - p), [y - p], [[p * (1 - p)]]
    total = sum(map(math.exp, z))
    p, y = [math.exp(v) / total for v in z], ["I", "II", "III", "IV"].index(row["grade"])
    return math.log(p[y]), [(k == y) - p[k] for k in range(4)], [[p[a] * ((a == b) - p[b]) for b in range(4)] for a in range(4)]


def reference(rows, family, penalty):
    """theta, covariance, log-likelihood; the first level's intercept stays 0, and without a penalty its weights too."""
    outputs, w = (4 if family == "multinomial" else 1), 6
    free = [i for i in range(outputs * w) if not (outputs > 1 and (i == 0 or (i < w and penalty == 0)))]
    theta = [0.0] * (outputs * w)
    if family == "linear":
        theta[0] = 120.0
    for _ in range(40):
        loglik, g, h = 0.0, [0.0] * (outputs * w), [[0.0] * (outputs * w) for _ in range(outputs * w)]
        for r in rows:
            x = design(r)
            value, first, second = slopes(family, r, x, theta, outputs)
            loglik += value
            for a in range(outputs):
                for i in range(w):
                    g[a * w + i] += first[a] * x[i]
                    for b in range(outputs):
                        for j in range(w):
                            h[a * w + i][b * w + j] += second[a][b] * x[i] * x[j]
        for i in range(outputs * w):
            if i % w:
                g[i] -= penalty * theta[i]
                h[i][i] += penalty
        full = [[h[i][j] for j in free] for i in free]
        step = solve(full, [[g[i]] for i in free])
        for i, (v,) in zip(free, step):
            theta[i] += v
        if max(abs(v) for v, in step) < 1e-12:
            break
    inverse = solve(full, [[float(i == j) for j in range(len(free))] for i in range(len(free))])
    covariance = [[0.0] * (outputs * w) for _ in range(outputs * w)]
    for a, i in enumerate(free):
        for b, j in enumerate(free):
            covariance[i][j] = inverse[a][b]
    return theta, covariance, loglik


def told(theta, covariance, level):
    """Study units, against the first level: each coefficient as a sum of thetas."""
    half, span = 35, math.log(100) / 2
    # intercept a = c - age's weight * 55 / 35 - dose's * 1; the indicator of age gains what the intercept lost
    sums = [{0: 1, 1: -55 / half, 3: -1}, {1: 1 / half}, {2: 1, 1: 55 / half}, {3: 1 / span}, {4: 1}, {5: 1}]
    out = []
    for s in sums:
        v = {}
        for i, by in s.items():
            v[level * 6 + i] = v.get(level * 6 + i, 0) + by
            if level:
                v[i] = v.get(i, 0) - by
        out.append((sum(by * theta[i] for i, by in v.items()), math.sqrt(sum(a * b * covariance[i][j] for i, a in v.items() for j, b in v.items()))))
    return out


def near(got, want, what):
    assert abs(got - want) <= 1e-8 * max(abs(want), 1e-3), (what, got, want)


def check(home, rows, family, l2):
    write(home, rows, family, l2)
    got = run(home, "--newton")
    theta, covariance, loglik = reference(rows, family, l2 * ROWS)
    want = [c for level in ([1, 2, 3] if family == "multinomial" else [0]) for c in told(theta, covariance, level)]
    factor = 1.0
    if family == "linear":
        rss = -2 * loglik
        factor, loglik = math.sqrt(rss / (ROWS - 6)), -ROWS / 2 * (math.log(2 * math.pi * rss / ROWS) + 1)
    assert got["rows"] == ROWS and abs(got["penalty"] - l2 * ROWS) < 1e-9 and len(got["coefficients"]) == len(want)
    for c, (value, se) in zip(got["coefficients"], want):
        near(c["coefficient"], value, (family, l2, c))
        near(c["se"], se * factor, (family, l2, c))
    near(got["loglik"], loglik, (family, l2))
    if family == "multinomial":
        assert [c["level"] for c in got["coefficients"][::6]] == ["II", "III", "IV"]
    assert got["coefficients"][1]["term"] == "age" and got["coefficients"][2]["term"] == "age missing"
    return got


def training_ends_there(home, rows):
    """Full steps without noise, one a round, so that hospitals do not drift; each has nominal_patients. float32."""
    for family in ("logistic", "multinomial"):
        fit = check(home, rows, family, 0.05)
        write(home, rows, family, 0.05, rounds=1200)
        run(home, "--out", "m.safetensors")
        with open(os.path.join(home, "m.csv"), newline="") as f:
            trained = [float(r["study"]) for r in csv.DictReader(f)]
        for a, c in zip(trained, fit["coefficients"], strict=True):
            assert abs(a - c["coefficient"]) < 2e-5 * max(1, abs(a)), (family, a, c)


def separated_levels_have_a_penalised_fit_alone(home, rows):
    apart = [dict(r, sick="yes" if r["dose"] > 10 else "no") for r in rows]
    check(home, apart, "logistic", 0.01)
    write(home, apart, "logistic", 0)
    sites = [x for s in range(SITES) for x in ("--site", "h%d=h%d" % (s, s))]
    p = subprocess.run([YUMEN, "simulate", "plan.yaml", *sites, "--no-privacy", "--newton"], cwd=home, capture_output=True, text=True)
    assert p.returncode == 2 and "no maximum" in p.stderr, p


def main():
    with tempfile.TemporaryDirectory(prefix="yumen-newton-") as home:
        rows = draw()
        for family in OUTCOMES:
            for l2 in (0, 0.02, 1):
                check(home, rows, family, l2)
        training_ends_there(home, rows)
        separated_levels_have_a_penalised_fit_alone(home, rows)


main()
