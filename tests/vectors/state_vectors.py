#!/usr/bin/env python3
"""The state chain computed again, from docs/formats.md ("State") alone, with struct, json and math.

Without arguments: exit 0 when tests/vectors/state holds exactly what this script computes.
--write: write the files. Files of a case: CASE.0, CASE.1, ... states; CASE.sum1, ... the sums folded in.
"""

import hashlib
import json
import math
import os
import struct
import sys

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "state")
PLAN_HASH = bytes((i * 7 + 1) % 256 for i in range(32)).hex()
SITES = [("h1", 1), ("h2", 3), ("h3", 2)]
ADAPTIVE = ("fedadam", "fedyogi", "fedadagrad")
MASK = (1 << 64) - 1

CASES = {
    "fedavg": dict(widths=[3, 1], server="fedavg", lr=0.75, seed=1, scale=20),
    "fedadam": dict(widths=[5, 4, 3], server="fedadam", lr=0.1, b1=0.9, b2=0.99, eps=1e-3, seed=20240117, scale=24),
    "adaptive": dict(widths=[3, 1], server="fedadam", lr=0.1, b1=0.9, b2=0.99, eps=1e-3, seed=5, scale=28, clip=True),
    "fedavgm": dict(widths=[5, 4, 3], server="fedavgm", lr=0.5, b1=0.9, seed=7, scale=24),
    "fedyogi": dict(widths=[5, 4, 3], server="fedyogi", lr=0.1, b1=0.9, b2=0.99, eps=1e-3, seed=8, scale=24),
    "fedadagrad": dict(widths=[5, 4, 3], server="fedadagrad", lr=0.1, b1=0.25, eps=1e-3, seed=9, scale=24),
    # three server slots, and early stop on the AUC of the cells below
    "scaffold": dict(widths=[3, 1], server="fedadam", lr=0.1, b1=0.9, b2=0.99, eps=1e-3, seed=12, scale=24, clip=True,
                     pace=float(3) * 0.3, by=0.01),
    # round 1 learns the scaling; its sums behind the averaged coordinates are as below
    "scaling": dict(widths=[3, 1], server="fedadam", lr=0.1, b1=0.9, b2=0.99, eps=1e-3, seed=6, scale=28, clip=True, least=0.1),
}
STATISTICS = [3 << 30, -(5 << 29) - 77, 9 << 30, 1 << 20, (7 << 29) + 12345, 9 << 30, 12345]  # count, u [3], u^2 [3]
CELLS = [[160, 32, 47, 170], [-16, 16, 3, -3], [171, 10, 20, 180]]  # by label and bin, sixteenths; no patients in round 2
ROUNDS = [["h1", "h2", "h3"], ["h2"], ["h1", "h3"]]


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)


def float32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def initial(case):
    widths, rng, params = case["widths"], SplitMix64(case["seed"]), []
    for i, o in zip(widths, widths[1:]):
        bound = math.sqrt(6.0 / (i + o))
        for _ in range(i * o):
            params.append(float32(((rng.next() >> 11) * 2.0**-52 - 1) * bound) if len(widths) > 2 else 0.0)
        params += [0.0] * o
    return params


def header(case, meta):
    tensors, at = {"__metadata__": meta}, 0

    def put(name, dtype, shape, size):
        nonlocal at
        count = math.prod(shape)
        tensors[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size * count]}
        at += size * count

    for layer, (i, o) in enumerate(zip(case["widths"], case["widths"][1:])):
        put(f"layer{layer}.weight", "F32", [o, i], 4)
        put(f"layer{layer}.bias", "F32", [o], 4)
    dim = at // 4
    if case["server"] != "fedavg":
        put("server.m", "F64", [dim], 8)
    if case["server"] in ADAPTIVE:
        put("server.v", "F64", [dim], 8)
    if case.get("pace"):
        put("server.c", "F64", [dim], 8)
    if case.get("clip"):
        put("privacy.log_clip", "F64", [1], 8)
    if case.get("least"):
        put("scaling.mean", "F64", [case["widths"][0]], 8)
        put("scaling.scale", "F64", [case["widths"][0]], 8)
    if case.get("by"):
        put("stop.best", "F64", [1], 8)
        put("stop.since", "F64", [1], 8)
    text = json.dumps(tensors, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def estimate(case, sums):
    count = case["widths"][0]
    mean, scale = [], []
    for k in range(count):
        first, second = float(sums[1 + k]) / float(sums[0]), float(sums[1 + count + k]) / float(sums[0])
        centre = min(1.0, max(-1.0, first))
        spread = second - centre * centre
        mean.append(centre)
        scale.append(min(1.0, max(case["least"], math.sqrt(spread) if spread > 0 else 0.0)))
    return mean, scale


def area(cells):
    """AUC of counts in two bins, ties half; None where a label has nobody."""
    (n0, n1), (p0, p1) = [c / 16 for c in cells[:2]], [c / 16 for c in cells[2:]]
    n, p = n0 + n1, p0 + p1
    return (p0 * (0.0 + n0 / 2) + p1 * (n0 + n1 / 2)) / (p * n) if p > 0 and n > 0 else None


def stop_after(case, figure, stop):
    best, since = stop
    if figure is not None and (since < 0 or figure > best + case["by"]):
        return figure, 0.0
    return best, since + 1 if since >= 0 else since


def encode(case, meta, params, m, v, c, log_clip, scaling, stop):
    data = header(case, meta) + struct.pack(f"<{len(params)}f", *params)
    if case["server"] != "fedavg":
        data += struct.pack(f"<{len(m)}d", *m)
    if case["server"] in ADAPTIVE:
        data += struct.pack(f"<{len(v)}d", *v)
    if case.get("pace"):
        data += struct.pack(f"<{len(c)}d", *c)
    if case.get("clip"):
        data += struct.pack("<d", log_clip)
    if case.get("least"):
        for part in scaling:
            data += struct.pack(f"<{len(part)}d", *part)
    if case.get("by"):
        data += struct.pack("<2d", *stop)
    return data


def metadata(round_, previous, sum_, survivors):
    weights = dict(SITES)
    return {
        "format": "yumen-state/1",
        "plan": PLAN_HASH,
        "previous": previous,
        "round": str(round_),
        "study": "study-1",
        "sum": sum_,
        "survivors": ",".join(survivors),
        "weights": ",".join(str(weights[s]) for s in survivors),
    }


def make_sum(case, dim, round_, survivors):
    """Large and small values, both signs, some past 2^53 where the conversion to double rounds."""
    rng, weight, total = SplitMix64(1000 * round_ + case["seed"]), dict(SITES), [0] * dim
    for site in survivors:
        for j in range(dim):
            bits = (8, 20, 30, 58)[(j + round_) % 4]
            total[j] += weight[site] * ((rng.next() >> (64 - bits)) - (1 << (bits - 1)))
    return total


def second_moment(case, v, square):
    if case["server"] == "fedadagrad":
        return v + square
    if case["server"] == "fedyogi":
        return v - (1 - case["b2"]) * square * float((v > square) - (v < square))
    return case["b2"] * v + (1 - case["b2"]) * square


def advance(case, params, m, v, total, divisor):
    for j, s in enumerate(total[: len(params)]):
        mean = float(s) / divisor
        if case["server"] == "fedavg":
            move = case["lr"] * mean
        elif case["server"] == "fedavgm":
            m[j] = case["b1"] * m[j] + mean
            move = case["lr"] * m[j]
        else:
            m[j] = case["b1"] * m[j] + (1 - case["b1"]) * mean
            v[j] = second_moment(case, v[j], mean * mean)
            move = case["lr"] * m[j] / (math.sqrt(v[j]) + case["eps"])
        params[j] = float32(params[j] + move)


def correct(case, c, total, divisor, present):
    for j in range(len(c)):
        c[j] += present * (-(float(total[j]) / divisor) / case["pace"] - c[j])


def files(name, case):
    params = initial(case)
    dim = len(params)
    m, v = [0.0] * dim, [case.get("eps", 0.0) * case.get("eps", 0.0)] * dim
    averaged = dim + (1 if case.get("clip") else 0)
    log_clip, scaling, behind = 0.0, ([0.0] * case["widths"][0], [1.0] * case["widths"][0]), len(STATISTICS)
    c, stop = [0.0] * dim, (0.0, -1.0)
    state = encode(case, metadata(0, "", "", []), params, m, v, c, log_clip, scaling, stop)
    yield f"{name}.0", state
    for round_, survivors in enumerate(ROUNDS, 1):
        total = make_sum(case, averaged, round_, survivors)
        if case.get("least"):
            total += STATISTICS if round_ == 1 else [round_] * behind
        if case.get("by"):
            total += CELLS[round_ - 1]
            stop = stop_after(case, area(CELLS[round_ - 1]), stop)
        packed = struct.pack(f"<{len(total)}q", *total)
        yield f"{name}.sum{round_}", packed
        divisor = float(sum(dict(SITES)[s] for s in survivors)) * 2.0 ** case["scale"]
        learns = case.get("least") and round_ == 1
        if learns:
            scaling = estimate(case, total[averaged:])
        else:
            advance(case, params, m, v, total, divisor)
            if case.get("pace"):
                correct(case, c, total, divisor, sum(dict(SITES)[s] for s in survivors) / sum(w for _, w in SITES))
        if case.get("clip") and not learns:
            log_clip = max(-11.0, min(11.0, log_clip + float(total[dim]) / divisor))
        meta = metadata(round_, hashlib.sha256(state).hexdigest(), hashlib.sha256(packed).hexdigest(), survivors)
        state = encode(case, meta, params, m, v, c, log_clip, scaling, stop)
        yield f"{name}.{round_}", state


def main():
    wrong = 0
    for name, case in CASES.items():
        for file, data in files(name, case):
            path = os.path.join(FOLDER, file)
            if "--write" in sys.argv[1:]:
                with open(path, "wb") as f:
                    f.write(data)
                continue
            with open(path, "rb") as f:
                if f.read() != data:
                    print(f"{file} is not what {os.path.basename(__file__)} computes", file=sys.stderr)
                    wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
