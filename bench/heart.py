#!/usr/bin/python3
"""Utility per epsilon on the four heart hospitals, through `yumen simulate` (docs/heart.md).

    heart.py             the plan at epsilon 1 and 5, 20 seeds each, and without privacy; exit 1 below a bar
    heart.py --choose    what chose the plan's settings: cross-validation on the training rows alone

YUMEN_DATA names the folder with heart/flamby_table.csv, YM_BUILD_ROOT the build to run."""

import csv
import itertools
import json
import os
import random
import sys
import tempfile

from program import yumen

HERE = os.path.dirname(os.path.abspath(__file__))
PLAN = os.path.join(HERE, "heart", "plan.yaml")
CARD = os.path.join(HERE, "heart", "card.yaml")
CENTRES = ("cleveland", "hungarian", "switzerland", "va")
COLUMNS = ("source_line", "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "disease")
BARS = {"1": 0.78, "5": 0.79}
PUBLISHED = {"1": 0.685, "5": 0.704}  # FLamby, true epsilons up to 4.2 times as large
SEEDS = 20
FOLDS, PARTITIONS = 5, 2
GRID = {"steps": ((8, 1), (30, 1), (10, 3), (5, 6)), "sampling_probability": (0.5, 0.75, 1),
        "clip_norm": (0.5, 1), "step": (0.1, 0.2, 0.4)}  # step = learning_rate x clip_norm


def level(row, name, levels):
    """FLamby keeps indicators of all levels but the first; the plan's category has the same columns."""
    on = [k for k in levels[1:] if row["%s_%s" % (name, k)] == "1"]
    return on[0] if on else levels[0]


def read_rows(data):
    with open(os.path.join(data, "heart", "flamby_table.csv"), newline="") as f:
        for row in csv.DictReader(f):
            row.update(cp=level(row, "cp", "1234"), restecg=level(row, "restecg", "012"), disease=row["y"])
            yield row


def write_csv(path, rows):
    with open(path, "w", newline="") as f:
        out = csv.DictWriter(f, COLUMNS, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


def write_centres(home, train, test):
    """Four hospitals with their own rows; returns the options of `yumen simulate` that name them."""
    options = []
    with open(CARD) as f:
        card = f.read()
    for centre in CENTRES:
        folder = os.path.join(home, centre)
        os.makedirs(folder, exist_ok=True)
        mine = [r for r in train if r["center_name"] == centre]
        write_csv(os.path.join(folder, "train.csv"), mine)
        write_csv(os.path.join(folder, "test.csv"), [r for r in test if r["center_name"] == centre])
        with open(os.path.join(folder, "card.yaml"), "w") as f:
            f.write(card.replace("SIZE", "<100" if len(mine) < 100 else "100-499"))
        options += ["--site", "%s=%s" % (centre, folder), "--site-test", "%s=%s/test.csv" % (centre, folder)]
    return options


def split(rows):
    return [r for r in rows if r["set"] == "train"], [r for r in rows if r["set"] == "test"]


def sweep(home, train, test, plan=PLAN, seeds=SEEDS, epsilons="1,5"):
    options = write_centres(home, train, test)
    return yumen("simulate", plan, *options, "--epsilon", epsilons, "--seeds", str(seeds))


def measure(rows):
    """True when every bar is met."""
    good = True
    with tempfile.TemporaryDirectory(prefix="yumen-heart-") as home:
        train, test = split(rows)
        told = sweep(home, train, test)
        bare = yumen("simulate", PLAN, *write_centres(home, train, test), "--no-privacy")
    print("mean of the four centres' test accuracy, %d seeds, delta %s, each hospital's patients" % (told["seeds"], told["delta"]))
    for r in told["epsilons"]:
        a, bar = r["accuracy"], BARS[r["epsilon"]]
        centres = " ".join("%s %.3f" % (c, r["sites"][c]["accuracy"]["mean"]) for c in CENTRES)
        print("epsilon %s (spent %s, noise_multiplier %s): %.4f, 95 %% interval %.4f to %.4f, sd %.4f, worst %.4f; bar %.2f; FLamby published %.3f"
              % (r["epsilon"], "%.6f" % (r["epsilon_micro"] / 1e6), r["noise_multiplier"], a["mean"], a["low"], a["high"], a["sd"], min(a["values"]), bar,
                 PUBLISHED[r["epsilon"]]))
        print("  %s" % centres)
        good = good and a["mean"] >= bar and r["epsilon_micro"] <= int(float(r["epsilon"]) * 1e6)
    print("same plan without privacy: %.4f" % bare["final"]["centres"]["accuracy"])
    for r in told["epsilons"]:
        print("bench_heart epsilon %s ratio %.3f limit 1.000" % (r["epsilon"], BARS[r["epsilon"]] / r["accuracy"]["mean"]))
    return good


def folds(rows, partition):
    """Training rows in FOLDS parts, each label of each centre spread evenly."""
    draw = random.Random(partition)
    part = {}
    for centre, label in itertools.product(CENTRES, "01"):
        mine = [r for r in rows if r["center_name"] == centre and r["y"] == label]
        draw.shuffle(mine)
        first = draw.randrange(FOLDS)
        for i, r in enumerate(mine):
            part[r["center_name"], r["source_line"]] = (first + i) % FOLDS
    for k in range(FOLDS):
        yield ([r for r in rows if part[r["center_name"], r["source_line"]] != k],
               [r for r in rows if part[r["center_name"], r["source_line"]] == k])


def settings():
    for (rounds, steps), q, clip, step in itertools.product(*GRID.values()):
        yield {"rounds": rounds, "local_steps": steps, "sampling_probability": q, "clip_norm": clip, "learning_rate": round(step / clip, 6)}


def plan_with(values, path):
    with open(PLAN) as f:
        lines = f.read().splitlines()
    section = ""
    for i, line in enumerate(lines):
        key = line.split(":")[0].strip()
        section = line[:-1] if line and not line.startswith((" ", "#")) else section
        if key in values and section in ("training", "privacy"):
            lines[i] = "  %s: %s" % (key, values[key])
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    return path


def judge(values, train):
    """Mean over folds of the mean of centres, at each epsilon."""
    total = {}
    with tempfile.TemporaryDirectory(prefix="yumen-heart-") as home:
        plan = plan_with(values, os.path.join(home, "plan.yaml"))
        for partition in range(PARTITIONS):
            for rest, held_out in folds(train, partition):
                for r in sweep(home, rest, held_out, plan, SEEDS)["epsilons"]:
                    total[r["epsilon"]] = total.get(r["epsilon"], 0) + r["accuracy"]["mean"] / (FOLDS * PARTITIONS)
    return total, values


def choose(rows):
    train, _ = split(rows)
    judged = [judge(v, train) for v in settings()]
    judged.sort(key=lambda j: -sum(j[0].values()))
    for total, values in judged[:20]:
        print(" ".join("epsilon %s: %.4f" % e for e in total.items()), json.dumps(values))
    print("of %d settings; worst %s" % (len(judged), judged[-1]))


def main():
    data = os.environ.get("YUMEN_DATA")
    if not data:
        print("heart.py: not measured: YUMEN_DATA is not set")
        return 0
    rows = list(read_rows(data))
    if sys.argv[1:] == ["--choose"]:
        return choose(rows)
    return 0 if measure(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
