#!/usr/bin/python3
"""PneumoniaMNIST over four hospitals through `yumen simulate` (docs/imaging.md): test AUC at epsilon 3 and without privacy.

    pneumonia.py             3 seeds at epsilon 3, and without privacy; exit 1 below a bar
    pneumonia.py --choose    what chose the plan's rate: the validation part, never the test part

Every film counts as a patient: the set names none. YUMEN_DATA names the folder with imaging/pneumoniamnist.npz,
YM_BUILD_ROOT the build to run."""

import os
import random
import sys
import tempfile

import images
from program import yumen

HERE = os.path.dirname(os.path.abspath(__file__))
PLAN = os.path.join(HERE, "imaging", "pneumonia.yaml")
CARD = os.path.join(HERE, "imaging", "pneumonia-card.yaml")
HOSPITALS = ("h1", "h2", "h3", "h4")
BAR, WITHIN, EPSILON, SEEDS = 0.955, 0.03, 3.0, 3
RATES = (0.05, 0.1, 0.2)


def write(home, npz):
    """The training films dealt out to the hospitals; returns the options that name them, and the two other parts."""
    part = {p: (images.read_npz(npz, p + "_images"), images.read_npz(npz, p + "_labels")) for p in ("train", "val", "test")}
    rows = list(range(len(part["train"][1])))
    random.Random(1).shuffle(rows)
    sites = []
    for k, name in enumerate(HOSPITALS):
        sites += images.write_site(home, name, CARD, *images.pick(*part["train"], rows[k::len(HOSPITALS)]))
    for p in ("val", "test"):
        images.write_npz(os.path.join(home, p + ".npz"), *part[p])
    return sites


def plan_with(home, rate):
    path = os.path.join(home, "plan.yaml")
    with open(PLAN) as f, open(path, "w") as out:
        for line in f:
            out.write("  learning_rate: %s\n" % rate if line.startswith("  learning_rate:") else line)
    return path


def auc(told):
    return told["final"]["test"]["auc"]


def measure(home, sites):
    test = ("--test", os.path.join(home, "test.npz"))
    bare = auc(yumen("simulate", PLAN, *sites, *test, "--no-privacy"))
    print("without privacy: test AUC %.4f; bar %.3f" % (bare, BAR), flush=True)
    told = [yumen("simulate", PLAN, *sites, *test, "--seed", str(seed)) for seed in range(1, SEEDS + 1)]
    each = [auc(t) for t in told]
    mean, epsilon = sum(each) / SEEDS, max(s["epsilon_micro"] for t in told for s in t["sites"].values()) / 1e6
    print("epsilon %.6f at delta %s: test AUC %s, mean %.4f; bar %.4f" % (epsilon, told[0]["delta"], " ".join("%.4f" % a for a in each), mean, bare - WITHIN))
    print("bench_pneumonia bare ratio %.3f limit 1.000" % (BAR / bare))
    print("bench_pneumonia private ratio %.3f limit 1.000" % ((bare - WITHIN) / mean))
    return bare >= BAR and mean >= bare - WITHIN and epsilon <= EPSILON


def choose(home, sites):
    validation = ("--test", os.path.join(home, "val.npz"))
    for rate in RATES:
        plan = plan_with(home, rate)
        private = [auc(yumen("simulate", plan, *sites, *validation, "--seed", str(seed))) for seed in (11,)]
        print("learning_rate %s: validation AUC %s private" % (rate, " ".join("%.4f" % a for a in private)), flush=True)


def main():
    data = os.environ.get("YUMEN_DATA")
    if not data:
        print("pneumonia.py: not measured: YUMEN_DATA is not set")
        return 0
    with tempfile.TemporaryDirectory(prefix="yumen-pneumonia-") as home:
        sites = write(home, os.path.join(data, "imaging", "pneumoniamnist.npz"))
        if sys.argv[1:] == ["--choose"]:
            choose(home, sites)
            return 0
        return 0 if measure(home, sites) else 1


if __name__ == "__main__":
    sys.exit(main())
