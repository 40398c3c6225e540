#!/usr/bin/python3
"""Exact noise beside the generators of numpy and torch, one thread each, taken in turns in one run so that the machine's speed
cancels; the thread's own time counts. Those are fast on purpose: floating point, ordinary generators, neither exact nor secret. A peer that is not installed is
said to be "not measured here"; for Debian: python3-numpy (5 MB to fetch), python3-torch (48 MB, 175 packages).
Exit code: bench_noise's own."""

import os
import re
import subprocess
import sys
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

DRAWS = 10000000
TURNS = 3  # the fastest of each counts: what else runs on the machine only slows down
BENCH = os.path.join(os.environ["YM_BUILD_ROOT"], "bench", "bench_noise")


def ns_a_draw(draw):
    start = time.thread_time()
    draw()
    return (time.thread_time() - start) * 1e9 / DRAWS


def numpy_peers():
    import numpy

    rng = numpy.random.Generator(numpy.random.PCG64())
    doubles, floats = numpy.zeros(DRAWS), numpy.zeros(DRAWS, numpy.float32)
    return {"numpy %s PCG64 float64" % numpy.__version__: lambda: rng.standard_normal(DRAWS, out=doubles),
            "numpy %s PCG64 float32" % numpy.__version__: lambda: rng.standard_normal(DRAWS, numpy.float32, out=floats)}


def torch_peers():
    import torch

    torch.set_num_threads(1)
    floats, doubles = torch.zeros(DRAWS), torch.zeros(DRAWS, dtype=torch.float64)
    return {"torch %s float64" % torch.__version__: doubles.normal_, "torch %s float32" % torch.__version__: floats.normal_}


def peers():
    found = {}
    for name, make in (("numpy", numpy_peers), ("torch", torch_peers)):
        try:
            found.update(make())
        except ImportError:
            print("%s: not measured here (not installed for %s)" % (name, sys.executable))
    return found


def our_figures(best):
    """Runs bench_noise; keeps the fastest figure of each line. Returns its exit code and what it said."""
    done = subprocess.run([BENCH], stdout=subprocess.PIPE, text=True)
    for key, pattern in (("keystream", r"keystream: ([0-9.]+) ns"), ("sigma 16777216", r"sigma 16777216: ([0-9.]+) ns")):
        ns = float(re.search(pattern, done.stdout).group(1))
        best[key] = min(ns, best.get(key, ns))
    return done.returncode, done.stdout


def main():
    found, best, code = peers(), {}, 1
    for _ in range(TURNS):
        now, text = our_figures(best)
        code = min(code, now)
        for name, draw in found.items():
            ns = ns_a_draw(draw)
            best[name] = min(ns, best.get(name, ns))
    print(text, end="")
    ours = best["sigma 16777216"]
    print("threads=1, %d draws, fastest of %d turns; million samples a second and core, and how yumen compares (above 1: yumen is faster):"
          % (DRAWS, TURNS))
    print("  %-34s %8.0f" % ("yumen, exact, sigma 2^24", 1e3 / ours))
    for name, ns in best.items():
        if name != "sigma 16777216":
            label = "keystream limit, 8 bytes each" if name == "keystream" else name
            print("  %-34s %8.0f  ratio %.2f" % (label, 1e3 / ns, ns / ours))
    return code


if __name__ == "__main__":
    sys.exit(main())
