#!/usr/bin/python3
"""Fashion-MNIST at epsilon 2.7 through `yumen simulate` (docs/imaging.md): mean test accuracy of three seeds, and the time.

    fashion.py [SEEDS]     exit 1 below the bar

FASHION_MNIST names the folder with the four .gz files; without it, where Debian's dataset-fashion-mnist puts them.
YM_BUILD_ROOT is the build to run."""

import os
import sys
import tempfile
import time

import images
from program import yumen

HERE = os.path.dirname(os.path.abspath(__file__))
PLAN = os.path.join(HERE, "imaging", "fashion.yaml")
CARD = os.path.join(HERE, "imaging", "fashion-card.yaml")
DATA = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
BAR, AIM, SECONDS, EPSILON = 0.857, 0.861, 90, 2.7
PUBLISHED = 0.860  # Tramer and Boneh 2021, at epsilon 3


def part(name):
    return (images.read_idx(os.path.join(DATA, name + "-images-idx3-ubyte.gz")),
            images.read_idx(os.path.join(DATA, name + "-labels-idx1-ubyte.gz")))


def main():
    seeds = int(sys.argv[1]) if sys.argv[1:] else 3
    if not os.path.exists(os.path.join(DATA, "train-images-idx3-ubyte.gz")):
        print("fashion.py: not measured: install dataset-fashion-mnist, or say in FASHION_MNIST where it lies")
        return 0
    accuracy, seconds = [], []
    with tempfile.TemporaryDirectory(prefix="yumen-fashion-") as home:
        site = images.write_site(home, "all", CARD, *part("train"))
        test = os.path.join(home, "test.npz")
        images.write_npz(test, *part("t10k"))
        for seed in range(1, seeds + 1):
            begun = time.monotonic()
            told = yumen("simulate", PLAN, *site, "--test", test, "--seed", str(seed))
            seconds.append(time.monotonic() - begun)
            accuracy.append(told["final"]["test"]["accuracy"])
            epsilon = told["sites"]["all"]["epsilon_micro"] / 1e6
            print("seed %d: test accuracy %.4f, epsilon %.6f at delta %s, %.1f s" % (seed, accuracy[-1], epsilon, told["delta"], seconds[-1]), flush=True)
    mean, slowest = sum(accuracy) / len(accuracy), max(seconds)
    print("mean %.4f of %d seeds; bar %.3f, aim %.3f, published %.3f at epsilon 3" % (mean, len(accuracy), BAR, AIM, PUBLISHED))
    print("bench_fashion accuracy ratio %.3f limit 1.000" % (BAR / mean))
    print("bench_fashion seconds %.1f of %d ratio %.3f limit 1.000" % (slowest, SECONDS, slowest / SECONDS))
    return 0 if mean >= BAR and epsilon <= EPSILON else 1


if __name__ == "__main__":
    sys.exit(main())
