#!/usr/bin/python3
"""`yumen simulate --no-privacy --newton` against R (reference_* files of $YUMEN_DATA, README there): plans, cards and CSV
files of hospitals go the whole way. Coefficients, standard errors and log-likelihood within 1e-8, C-index within 1e-8."""
import csv
import json
import os
import subprocess
import sys
import tempfile

DATA = os.environ.get("YUMEN_DATA")
YUMEN = os.path.join(os.environ["YM_BUILD_ROOT"], "cmd", "yumen")

PLAN = """yumen: plan/1
study: newton
sponsor: acme
title: t
purpose: p
model:
{model}
training: {{rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 20, learning_rate: 1}}
privacy: {{noise_multiplier: 10, delta: 1e-5, epsilon: 3}}
federation: {{hospitals: [{hospitals}]}}
"""
CARD = """yumen: card/1
name: d
title: t
file: d.csv
patient_column: row
size_class: "<100"
tier: general
variables:
{variables}
"""


def number(name, column, low, high):
    return name, column, f"low: {low}, high: {high}"


def two(name, column, no, yes):
    """Level no for the codes `no`, else yes."""
    codes = ", ".join(f'"{c}": "no"' for c in no) + ", " + ", ".join(f'"{c}": "yes"' for c in yes)
    return name, column, f'levels: ["no", "yes"], map: {{{codes}}}'


def variable(v, card):
    name, column, rest = v
    if not card:
        rest = rest.split(", map")[0]
    return f"{{name: {name}, {'column: ' + column + ', ' if card else ''}{rest}}}"


def hospitals_of(folder, rows, variables, key):
    """A folder for each value of the key column: its card and its rows."""
    names = sorted({r[key] for r in rows}) if key else ["all"]
    for name in names:
        at = os.path.join(folder, "h" + name)
        os.makedirs(at)
        with open(os.path.join(at, "card.yaml"), "w") as f:
            f.write(CARD.format(variables="\n".join("  - " + variable(v, True) for v in variables)))
        with open(os.path.join(at, "d.csv"), "w", newline="") as f:
            w = csv.writer(f)
            w.writerow(["row"] + [v[1] for v in variables])
            for i, r in enumerate(rows):
                if not key or r[key] == name:
                    w.writerow([i] + [r[v[1]] for v in variables])
    return ["h" + n for n in names]


def fit(rows, variables, key, model):
    with tempfile.TemporaryDirectory() as folder:
        names = hospitals_of(folder, rows, variables, key)
        plan = os.path.join(folder, "plan.yaml")
        with open(plan, "w") as f:
            f.write(PLAN.format(model=model, hospitals=", ".join(f"{{name: {n}}}" for n in names)))
        sites = [x for n in names for x in ("--site", f"{n}={os.path.join(folder, n)}")]
        done = subprocess.run([YUMEN, "simulate", plan, *sites, "--no-privacy", "--newton", "--json"],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)


def near(got, want, what):
    assert abs(got - want) <= 1e-8 * abs(want), f"{what}: {got!r} is not {want!r}"


def rows_of(name):
    with open(os.path.join(DATA, name), newline="") as f:
        return list(csv.DictReader(f))


def check(result, kind, dataset, model, **more):
    """Every term of the reference by its place; the log-likelihood and C of its summary."""
    want = {"dataset": dataset, "model": model, **more}
    folder = "survival" if kind == "cox" else "tabular"
    coef = [r for r in rows_of(f"{folder}/reference_{kind}_coef.csv") if all(r[k] == v for k, v in want.items())]
    summary = [r for r in rows_of(f"{folder}/reference_{kind}_summary.csv") if all(r[k] == v for k, v in want.items())]
    assert len(summary) == 1 and len(coef) == len(result["coefficients"]), (len(coef), result)
    assert result["private"] is False and "NOT PRIVATE: simulation without noise" in result["marks"]
    assert result["rows"] == int(summary[0]["n"])
    for r, c in zip(coef, result["coefficients"]):
        near(c["coefficient"], float(r["coef"]), f"{dataset} {r['term']}")
        near(c["se"], float(r["se"]), f"{dataset} se of {r['term']}")
    near(result["loglik"], float(summary[0]["loglik"]), f"{dataset} log-likelihood")
    if kind == "cox":
        near(result["concordance"], float(summary[0]["concordance"]), f"{dataset} C")
        near(result["concordance_se"], float(summary[0]["concordance_se"]), f"{dataset} se of C")


def cox_model(variables, time, outcome, formula, ties, strata):
    inputs = "\n".join("    - " + variable(v, False) for v in variables if v not in (time, outcome))
    return (f"  family: cox\n  ties: {ties}\n  strata: {strata}\n  inputs:\n{inputs}\n  outcome: {variable(outcome, False)}\n"
            f"  time: {variable(time, False)}\n  formula: \"Surv({time[0]}, {outcome[0]}) ~ {formula}\"")


def lung(ties, strata, baseline):
    rows = [r for r in rows_of("survival/lung.csv") if r["inst"] or strata == "pooled"]
    for r in rows:
        r["site"] = r["inst"] or "0"
    time, died = number("days", "time", 0, 1100), two("died", "status", "1", "2")
    v = [number("age", "age", 30, 90), number("sex", "sex", 1, 2), number("ecog", "ph.ecog", 0, 4), time, died]
    result = fit(rows, v, "site", cox_model(v, time, died, "age + sex + ecog", ties, strata))
    check(result, "cox", "lung", "age_sex_ecog", ties=ties, baseline=baseline)
    assert [c["term"] for c in result["coefficients"]] == ["age", "sex", "ecog"]


def pbc3(ties):
    time, failed = number("days", "days", 0, 3000), two("failed", "status", "0", "12")
    v = [number("tment", "tment", 0, 1), number("sex", "sex", 0, 1), number("age", "age", 20, 90),
         number("alb", "alb", 10, 60), number("bili", "bili", 1, 600), number("bleed", "gibleed", 0, 1), time, failed]
    model = cox_model(v, time, failed, "tment + sex + age + alb + log(bili) + bleed", ties, "hospital")
    check(fit(rows_of("survival/pbc3.csv"), v, "unit", model), "cox", "pbc3", "failure_full", ties=ties,
          baseline="strata:unit")


def veteran_by_column():
    time, died = number("days", "time", 0, 1000), two("died", "status", "0", "1")
    cells = ("cells", "celltype", "levels: [squamous, smallcell, adeno, large]")
    v = [number("trt", "trt", 1, 2), number("karno", "karno", 0, 100), number("diagtime", "diagtime", 0, 100),
         number("age", "age", 20, 90), number("prior", "prior", 0, 10), cells, time, died]
    rows = rows_of("survival/veteran.csv")
    for i, r in enumerate(rows):
        r["site"] = str(i % 3)
    model = cox_model(v, time, died, "trt + karno + diagtime + age + prior", "efron", "cells")
    check(fit(rows, v, "site", model), "cox", "veteran", "by_celltype", ties="efron", baseline="strata:celltype")


def rotterdam(ties):
    time, died = number("days", "dtime", 0, 7500), two("died", "death", "0", "1")
    size = ("size", "size", 'levels: ["<=20", "20-50", ">50"]')
    v = [number("age", "age", 20, 95), number("meno", "meno", 0, 1), size, number("grade", "grade", 2, 3),
         number("nodes", "nodes", 0, 40), number("pgr", "pgr", 0, 6000), number("er", "er", 0, 4000),
         number("hormon", "hormon", 0, 1), number("chemo", "chemo", 0, 1), time, died]
    rows = rows_of("survival/rotterdam.csv")
    for i, r in enumerate(rows):
        r["site"] = str(i % 3)
    terms = "age + meno + size + grade + log1p(nodes) + log1p(pgr) + log1p(er) + hormon + chemo"
    check(fit(rows, v, "site", cox_model(v, time, died, terms, ties, "pooled")), "cox", "rotterdam", "death", ties=ties,
          baseline="pooled")


def wdbc():
    rows = rows_of("tabular/wdbc.csv")
    for i, r in enumerate(rows):
        r["site"] = str(i % 4)
    out = two("malignant", "benign", "1", "0")
    v = [number("texture", "mean_texture", 5, 50), number("area", "mean_area", 100, 3000),
         number("smooth", "mean_smoothness", 0, 1), number("points", "mean_concave_points", 0, 1),
         number("worst", "worst_texture", 5, 60), out]
    inputs = "\n".join("    - " + variable(x, False) for x in v[:-1])
    model = f"  family: logistic\n  inputs:\n{inputs}\n  outcome: {variable(out, False)}"
    check(fit(rows, v, "site", model), "logit", "wdbc", "mle5")


def main():
    if not DATA:
        sys.exit(77)
    for ties in ("efron", "breslow"):
        lung(ties, "hospital", "strata:inst")
        lung(ties, "pooled", "pooled")
        pbc3(ties)
        rotterdam(ties)
    veteran_by_column()
    wdbc()


main()
