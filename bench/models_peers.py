#!/usr/bin/python3
"""Dense models: private steps of yumen (real Poisson sampling, exact noise, one round of many steps) beside plain training without
privacy in PyTorch (batches ready-made in memory), in turns in one run, the fastest turn of each. One thread, CPU time, because other
programs share the machine. Peers run under the same OPENBLAS_CORETYPE as we do: OpenBLAS 0.3.21 does not know newer processors.
    YUMEN_DATA  folder with tabular/wdbc.csv and imaging/pneumoniamnist.npz; without it, numbers drawn by numpy
Exit code: 0, or 1 if a row misses its minimum."""

import os
import re
import subprocess
import sys
import tempfile
import time

BENCH = os.path.join(os.environ["YM_BUILD_ROOT"], "bench", "bench_models")
TURNS = int(os.environ.get("TURNS", "5"))
# name, columns, hidden, outputs, batch, people, steps a turn, least and aimed ratio to plain PyTorch
ROWS = [("logistic 30", 30, "-", 1, 256, 3983, 400, 4.0, 6.0),
        ("MLP 30-64-32-2", 30, "64,32", 1, 64, 3983, 200, 2.5, 4.0),
        ("MLP 30-64-32-2", 30, "64,32", 1, 256, 3983, 100, 2.5, 4.0),
        ("MLP 784-512-256-10", 784, "512,256", 10, 256, 5856, 40, 0.9, 1.0),
        ("MLP 784-512-256-10", 784, "512,256", 10, 2048, 5856, 8, 0.9, 1.0)]
LEAST_TWO, SHARED_DIM = 1.7, 784  # two threads over one, where a step is large enough to be shared


def settle_environment():
    """The kernels that bench_models chooses for itself, for everybody."""
    flags = re.search(r"^flags.*", open("/proc/cpuinfo").read(), re.M)
    words = flags.group(0).split() if flags else []
    if "OPENBLAS_CORETYPE" not in os.environ and "avx512vl" in words:
        os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["YUMEN_THREADS"] = "1"


def torch_here():
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch


def real_rows(numpy, columns):
    root = os.environ.get("YUMEN_DATA")
    if not root:
        return None
    if columns == 30:
        data = numpy.genfromtxt(os.path.join(root, "tabular", "wdbc.csv"), delimiter=",", skip_header=1)
        x, y = data[:, :30], data[:, 30]
        x = (x - x.mean(0)) / x.std(0) / 4
        return numpy.tile(x, (7, 1)), numpy.tile(y, 7)  # 569 people are fewer than a step's 4,000
    data = numpy.load(os.path.join(root, "imaging", "pneumoniamnist.npz"))
    parts = ("train", "val", "test")
    x = numpy.concatenate([data[p + "_images"] for p in parts]).reshape(-1, 784) / 127.5 - 1
    return x, numpy.concatenate([data[p + "_labels"] for p in parts]).ravel()


def rows(numpy, columns, people):
    found = real_rows(numpy, columns)
    if found is None:
        rng = numpy.random.Generator(numpy.random.PCG64(1))
        found = rng.uniform(-1, 1, (people, columns)), rng.integers(0, 2, people)
    return tuple(numpy.ascontiguousarray(v[:people], numpy.float32) for v in found)


def torch_step(torch, row, x, y):
    _, columns, hidden, outputs, batch, _, steps, _, _ = row
    widths = [columns] + [int(w) for w in hidden.split(",") if w != "-"] + [outputs]
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    loss = torch.nn.BCEWithLogitsLoss() if outputs == 1 else torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    chosen = [torch.randperm(len(x))[:batch] for _ in range(4)]
    target = torch.from_numpy(y)[:, None] if outputs == 1 else torch.from_numpy(y).long()
    batches = [(torch.from_numpy(x)[c], target[c]) for c in chosen]

    def turn():
        start = time.process_time()
        for i in range(steps):
            bx, by = batches[i % 4]
            optimizer.zero_grad()
            loss(model(bx), by).backward()
            optimizer.step()
        return (time.process_time() - start) * 1e6 / steps

    turn()
    return turn


def our_turn(path, row, route, threads=1):
    _, columns, hidden, outputs, batch, people, steps, _, _ = row
    out = subprocess.run([BENCH, path, str(people), str(columns), hidden, str(outputs), str(batch), route,
                          str(steps if route == "bounded" else max(2, steps // 4)), "2"],
                         stdout=subprocess.PIPE, text=True, check=True, env=dict(os.environ, YUMEN_THREADS=str(threads))).stdout
    return {k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)", out)}


def measure(numpy, torch, row):
    x, y = rows(numpy, row[1], row[5])
    best = {}
    with tempfile.NamedTemporaryFile() as f:
        f.write(x.tobytes() + y.tobytes())
        f.flush()
        plain = torch_step(torch, row, x, y) if torch else None
        for _ in range(TURNS):
            for route in ("integer", "bounded"):
                got = our_turn(f.name, row, route)
                best[route] = min(best.get(route, got["step_cpu_us"]), got["step_cpu_us"])
                best["products"] = min(best.get("products", got["products_us"]), got["products_us"])
                if route == "bounded":
                    best["memory"] = got["peak_kb"] / 1024
                    best["one"] = min(best.get("one", got["step_us"]), got["step_us"])
            if row[1] == SHARED_DIM:
                two = our_turn(f.name, row, "bounded", 2)["step_us"]
                best["two"] = min(best.get("two", two), two)
            if plain:
                best["plain"] = min(best.get("plain", 1e30), plain())
    return best


def report(row, best):
    name, batch, least, aim = row[0], row[4], row[7], row[8]
    ours = best["bounded"]
    print("%-20s batch %4d: bounded %9.0f examples/s, integer %9.0f; %3.0f %% of sgemm; %5.1f MiB" %
          (name, batch, batch / ours * 1e6, batch / best["integer"] * 1e6, 100 * best["products"] / ours, best["memory"]), end="")
    if "two" in best:
        print("; two threads over one (wall) %.2f, least %.1f" % (best["one"] / best["two"], LEAST_TWO), end="")
    if "plain" not in best:
        print("; plain PyTorch: not measured here")
        return True
    ratio = best["plain"] / ours
    print("; plain PyTorch %9.0f: ratio %.2f, least %.1f, aim %.1f" % (batch / best["plain"] * 1e6, ratio, least, aim))
    return ratio >= least


def main():
    settle_environment()
    import numpy
    torch = torch_here()
    print("threads=1, CPU time, least of %d turns, relu, SGD, OPENBLAS_CORETYPE=%s, numpy %s, torch %s, data: %s" %
          (TURNS, os.environ.get("OPENBLAS_CORETYPE", "unset"), numpy.__version__, torch.__version__ if torch else "-",
           "real" if os.environ.get("YUMEN_DATA") else "drawn"))
    good = [report(row, measure(numpy, torch, row)) for row in ROWS]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
