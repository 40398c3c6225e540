#!/usr/bin/python3
"""ONNX files of trained models: checked by python3-onnx, run by OpenCV's dnn module on raw rows, against the parameters
(safetensors) worked out here in double, and against the loss of yumen's own forward pass on the same rows.

Rows are heart patients where $YUMEN_DATA is set, else made up. Skipped without python3-onnx and python3-opencv."""

import csv
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile

try:
    import cv2
    import numpy as np
    import onnx
except ImportError:
    print("  python3-onnx or python3-opencv is not installed: skipped")
    sys.exit(77)

ROOT = os.environ["YM_SOURCE_ROOT"]
YUMEN = os.path.join(os.environ["YM_BUILD_ROOT"], "cmd", "yumen")
sys.path.insert(0, os.path.join(ROOT, "bench"))
import heart  # noqa: E402

TOLERANCE = 1e-5  # of a score; float32 has 6e-8 and a handful of roundings, age's range of 50 around 2000 costs 40 of them

NUMBERS = {"birth": (1950, 2000), "trestbps": (90, 180), "chol": (100, 400), "thalach": (70, 200)}
LEVELS = {"sex": "01", "cp": "1234", "restecg": "012", "disease": "01"}
MISSING = {"chol": "indicator", "restecg": "indicator", "cp": "constant"}


def rows():
    rng = random.Random(7)
    data = os.environ.get("YUMEN_DATA", "")
    if os.path.exists(os.path.join(data, "heart", "flamby_table.csv")):
        source = list(heart.read_rows(data))
    else:
        print("  YUMEN_DATA is not set: made-up patients")
        source = [{"age": rng.randrange(28, 80), "trestbps": rng.randrange(80, 200), "chol": rng.choice([0, 210, 333, 500]),
                   "thalach": rng.randrange(60, 210), "sex": rng.choice("01"), "cp": rng.choice("1234"),
                   "restecg": rng.choice("012"), "disease": rng.choice("01")} for _ in range(300)]
    for i, r in enumerate(source):
        r["id"], r["birth"] = i, 2020 - float(r["age"])
        r["chol"] = "" if float(r["chol"]) == 0 else r["chol"]  # 0: not measured
        r["restecg"] = "" if i % 11 == 0 else r["restecg"]
        r["cp"] = "" if i % 7 == 0 else r["cp"]
    return source


def variable(name, **more):
    v = {"name": name}
    if name in NUMBERS:
        v["low"], v["high"] = NUMBERS[name]
    else:
        v["levels"] = list(LEVELS[name])
    v.update(more)
    return v


def write(home, source, family, outcome, model):
    inputs = [n for n in list(NUMBERS) + list(LEVELS) if n != outcome and not (outcome == "cp" and n == "disease")]
    plan = {"yumen": "plan/1", "study": "onnx", "sponsor": "acme", "title": "t", "purpose": "test",
            "model": {"family": family, "outcome": variable(outcome), "inputs": [
                variable(n, **({"missing": MISSING[n]} if n in MISSING else {}), **({"constant": "3"} if n == "cp" else {}))
                for n in inputs], **model},
            "training": {"rounds": 3, "local_steps": 20, "sampling_probability": 1, "nominal_patients": 700,
                         "learning_rate": 0.5},
            "privacy": {"noise_multiplier": 200, "delta": 1e-4, "epsilon": 5, "min_patients": 1},
            "federation": {"hospitals": [{"name": "h1"}], "quorum": 1}}
    names = inputs + [outcome]
    card = {"yumen": "card/1", "name": "d", "title": "t", "file": "d.csv", "patient_column": "id", "size_class": "500-1999",
            "tier": "general", "variables": [dict(variable(n), column=n, **({"unit": ""} if n in NUMBERS else {
                "map": {k: k for k in LEVELS[n]}})) for n in names]}
    for name, value in (("plan.yaml", plan), ("card.yaml", card)):
        with open(os.path.join(home, name), "w") as f:
            f.write(json.dumps(value))
    for name, first in (("d.csv", ["id"]), ("test.csv", [])):
        with open(os.path.join(home, name), "w", newline="") as f:
            out = csv.DictWriter(f, first + names, extrasaction="ignore", lineterminator="\n")
            out.writeheader()
            out.writerows(source)
    return inputs


def simulate(home):
    p = subprocess.run([YUMEN, "simulate", "plan.yaml", "--site", "h1=card.yaml", "--test", "test.csv", "--no-privacy", "--json",
                        "--out", "model.safetensors"], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)["final"]["test"]


def tensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    header, out = json.loads(data[8:8 + n]), {}
    meta = header.pop("__metadata__")
    for name, t in header.items():
        a, b = t["data_offsets"]
        assert t["dtype"] == "F32" and b - a == 4 * math.prod(t["shape"])
        out[name] = np.frombuffer(data[8 + n + a:8 + n + b], "<f4").astype(float).reshape(t["shape"])
    return meta, out


def usable(source, inputs, outcome):
    return [r for r in source if all(r[n] != "" or n in MISSING for n in inputs) and r[outcome] != ""]


def raw(source, inputs):
    """What the header of models/results/onnx.h tells a stranger to feed."""
    table = []
    for r in source:
        x = []
        for n in inputs:
            v = r[n] if r[n] != "" or n != "cp" else "3"
            gone = v == ""
            x.append(-777.0 if gone else float(v) if n in NUMBERS else LEVELS[n].index(v))
            if MISSING.get(n) == "indicator":
                x.append(float(gone))
        table.append(x)
    return np.array(table, np.float32)


def design(source, inputs):
    """docs/plan.md, "Variables", in double."""
    table = []
    for r in source:
        x = []
        for n in inputs:
            v = r[n] if r[n] != "" or n != "cp" else "3"
            gone = v == ""
            if n in NUMBERS:
                low, high = NUMBERS[n]
                x.append(0.0 if gone else 2 * (min(max(float(v), low), high) - low) / (high - low) - 1)
            else:
                x += [float(v == k) for k in LEVELS[n][1:]]
            if MISSING.get(n) == "indicator":
                x.append(float(gone))
        table.append(x)
    return np.array(table)


def forward(t, x, family, outcome, relu):
    layers = len(t) // 2
    for i in range(layers):
        x = x @ t["layer%d.weight" % i].T + t["layer%d.bias" % i]
        if i + 1 < layers:
            x = np.maximum(x, 0) if relu else np.tanh(x)
    if family == "linear":
        low, high = NUMBERS[outcome]
        return low + (x + 1) / 2 * (high - low)
    if x.shape[1] == 1:
        return 1 / (1 + np.exp(-x))
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def loss(score, source, family, outcome):
    if family == "linear":
        low, high = NUMBERS[outcome]
        y = np.array([2 * (min(max(float(r[outcome]), low), high) - low) / (high - low) - 1 for r in source])
        return (0.5 * (2 * (score[:, 0] - low) / (high - low) - 1 - y) ** 2).mean()
    y = np.array([LEVELS[outcome].index(r[outcome]) for r in source])
    p = np.where(y == 1, score[:, 0], 1 - score[:, 0]) if score.shape[1] == 1 else score[np.arange(len(y)), y]
    return -np.log(p).mean()


def check(source, family, outcome, model=None):
    model = model or {}
    with tempfile.TemporaryDirectory(prefix="yumen-onnx-") as home:
        inputs = write(home, source, family, outcome, model)
        ours = simulate(home)
        path = os.path.join(home, "model.onnx")
        onnx.checker.check_model(onnx.load(path), True)
        notes = {p.key: p.value for p in onnx.load(path).metadata_props}
        meta, t = tensors(os.path.join(home, "model.safetensors"))
        with open(os.path.join(home, "model.json")) as f:
            card = json.load(f)
        columns = [c for n in inputs for c in [n] + ([n + ".missing"] if MISSING.get(n) == "indicator" else [])]
        assert json.loads(notes.pop("columns")) == columns == card["onnx"]["columns"]
        assert json.loads(notes.pop("scores")) == card["onnx"]["scores"]
        assert notes == meta and meta["plan"] == card["plan"] and "人工智能" in meta["notice_zh"], notes
        with open(path, "rb") as f:
            net = cv2.dnn.readNetFromONNX(f.read())
    mine = usable(source, inputs, outcome)
    net.setInput(raw(mine, inputs))
    got = net.forward().astype(float)
    want = forward(t, design(mine, inputs), family, outcome, model.get("activation") == "relu")
    span = NUMBERS[outcome][1] - NUMBERS[outcome][0] if family == "linear" else 1
    worst = abs(got - want).max() / span
    off = abs(loss(got, mine, family, outcome) - ours["loss"])
    assert ours["rows"] == len(mine) and want.std() / span > 1e-3, (len(mine), want.std())
    assert worst < TOLERANCE and off < TOLERANCE, (family, worst, off)
    print("  %s %s: %d rows, worst score off by %.1e, loss by %.1e" % (family, model or "", len(mine), worst, off))


def golden_file_is_onnx():
    """tests/unit/test_onnx.c holds its bytes: x in [0, 8], weight -0.9, bias 0.9."""
    path = os.path.join(ROOT, "tests", "vectors", "onnx", "logistic.onnx")
    onnx.checker.check_model(onnx.load(path), True)
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(np.array([[6.0], [100.0], [-3.0]], np.float32))
    assert abs(net.forward()[:, 0] - [1 / (1 + math.exp(-z)) for z in (0.45, 0.0, 1.8)]).max() < 1e-6


golden_file_is_onnx()
everybody = rows()
check(everybody, "logistic", "disease")
check(everybody, "linear", "thalach")
check(everybody, "multinomial", "restecg")
check(everybody, "mlp", "disease", {"hidden": [16, 8]})
check(everybody, "mlp", "restecg", {"hidden": [12], "activation": "relu"})
