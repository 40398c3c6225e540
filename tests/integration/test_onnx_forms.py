#!/usr/bin/python3
"""ONNX files of formulas, offsets, survival models and networks: checked by python3-onnx, run by OpenCV's dnn module on raw
values, against the parameters (safetensors) worked out here in double from docs/plan.md, and, by the loss, against yumen's own
forward pass on the same rows. Made-up rows: what is tested is arithmetic. Skipped without python3-onnx and python3-opencv."""

import csv
import json
import math
import os
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

YUMEN = os.path.join(os.environ["YM_BUILD_ROOT"], "cmd", "yumen")
TOLERANCE = 1e-5  # relative; float32 has 6e-8 and a handful of roundings
ROWS = 400
RNG = np.random.default_rng(11)

AGE = {"name": "age", "low": 20, "high": 90}
BILI = {"name": "bili", "low": 0.1, "high": 600}
NODES = {"name": "nodes", "low": 0, "high": 40, "missing": "indicator"}
GRAFT = {"name": "graft", "low": 0, "high": 400}
SEX = {"name": "sex", "levels": ["f", "m"]}
STAGE = {"name": "stage", "levels": ["I", "II", "III"], "missing": "indicator"}
YEARS = {"name": "years", "low": 0.01, "high": 30}
SHIFT = {"name": "shift", "low": -1, "high": 2}
DIED = {"name": "died", "levels": ["no", "yes"]}
DAYS = {"name": "days", "low": 0, "high": 3000}
FORMULA = "age + nodes + sex + stage + log(bili) + log1p(graft) + age:sex + sex:stage + age:sex:log(bili)"


def draw(v):
    """Below and above the declared range too."""
    if "levels" in v:
        return [v["levels"][k] for k in RNG.integers(0, len(v["levels"]), ROWS)]
    reach = 1.1 * v["high"]
    if v["low"] > 0:
        return list(np.exp(RNG.uniform(math.log(v["low"] / 2), math.log(reach), ROWS)))
    return list(RNG.uniform(0, reach, ROWS).round(3))


def table_of(variables):
    columns = {v["name"]: draw(v) for v in variables}
    for v in variables:
        if v.get("missing") == "indicator":
            for i in range(0, ROWS, 7):
                columns[v["name"]][i] = ""
    if "died" in columns and "days" in columns:
        age = np.array([float(a) for a in columns["age"]])
        columns["days"] = list(np.minimum(RNG.exponential(60000 / age), 3200).round(1) + 0.5)
    return [dict(zip(columns, r), id=i) for i, r in enumerate(zip(*columns.values()))]


def plan_of(model, **training):
    return {"yumen": "plan/1", "study": "onnx", "sponsor": "acme", "title": "t", "purpose": "test", "model": model,
            "training": {"rounds": 3, "local_steps": 20, "sampling_probability": 1, "nominal_patients": ROWS,
                         "learning_rate": 0.3, **training},
            "privacy": {"noise_multiplier": 200, "delta": 1e-4, "epsilon": 5, "min_patients": 1},
            "federation": {"hospitals": [{"name": "h1"}], "quorum": 1}}


def card_of(file, variables):
    card = {"yumen": "card/1", "name": "d", "title": "t", "file": file, "size_class": "100-499", "tier": "general", "variables": []}
    for v in variables:
        v = {k: v[k] for k in v if k not in ("missing", "mean", "scale")}
        more = {} if "channels" in v else {"map": {k: k for k in v["levels"]}} if "levels" in v else {"unit": ""}
        card["variables"].append(dict(v, column=v["name"], **more))
    return card


def put(home, name, value):
    with open(os.path.join(home, name), "w", encoding="utf-8") as f:
        json.dump(value, f)


def tensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    del header["__metadata__"]
    return {name: np.frombuffer(data[8 + n:], "<f4")[t["data_offsets"][0] // 4:t["data_offsets"][1] // 4].astype(float)
            .reshape(t["shape"]) for name, t in header.items()}


def train(home, test):
    p = subprocess.run([YUMEN, "simulate", "plan.yaml", "--site", "h1=card.yaml", "--test", test, "--no-privacy", "--json",
                        "--out", "model.safetensors"], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 0, p.stderr + p.stdout
    onnx.checker.check_model(onnx.load(os.path.join(home, "model.onnx")), True)
    with open(os.path.join(home, "model.onnx"), "rb") as f:
        net = cv2.dnn.readNetFromONNX(f.read())
    with open(os.path.join(home, "model.json"), encoding="utf-8") as f:
        card = json.load(f)
    return json.loads(p.stdout)["final"]["test"]["loss"], tensors(os.path.join(home, "model.safetensors")), net, card


def judge(name, got, want, ours, loss):
    worst = (abs(got - want) / np.maximum(abs(want), 1e-3)).max()
    off = abs(loss - ours) / max(1, abs(ours))
    assert got.shape == want.shape and want.std() > 1e-4, (name, got.shape, want.shape, want.std())
    assert worst < TOLERANCE and off < TOLERANCE, (name, worst, off)
    print("  %s: %d rows, worst score off by %.1e, loss by %.1e" % (name, len(got), worst, off))


# ---- tables ----

def raw(rows, fed):
    out = []
    for r in rows:
        x = []
        for v in fed:
            value = r[v["name"]]
            x.append(-5.0 if value == "" else v["levels"].index(value) if "levels" in v else float(value))
            if v.get("missing") == "indicator":
                x.append(float(value == ""))
        out.append(x)
    return np.array(out, np.float32)


def factor(row, text, variables):
    """Columns of one factor, in double: docs/plan.md, "Formula"."""
    how, name = text[:-1].split("(") if "(" in text else ("", text)
    v, value = variables[name], row[name]
    if "levels" in v:
        return [float(value == k) for k in v["levels"][1:]]
    if value == "":
        return [0.0]
    f = {"": float, "log": math.log, "log1p": math.log1p}[how]
    low, high = f(v["low"]), f(v["high"])
    return [2 * (f(min(max(float(value), v["low"]), v["high"])) - low) / (high - low) - 1]


def design(rows, formula, variables):
    table = []
    for r in rows:
        x = []
        for term in formula.split(" + "):
            product = [1.0]
            for part in term.split(":"):
                product = [p * f for f in factor(r, part, variables) for p in product]
            x += product
            if variables.get(term, {}).get("missing") == "indicator":
                x.append(float(r[term] == ""))
        table.append(x)
    return np.array(table)


def fit(home, model, formula, outcome, extra=(), **training):
    inputs = [AGE, BILI, NODES, GRAFT, SEX, STAGE] + list(extra)
    variables = inputs + [outcome] + ([DAYS] if "time" in model else [])
    rows = table_of(variables)
    put(home, "plan.yaml", plan_of(dict(model, inputs=inputs, outcome=outcome), **training))
    put(home, "card.yaml", dict(card_of("d.csv", variables), patient_column="id"))
    with open(os.path.join(home, "d.csv"), "w", newline="", encoding="utf-8") as f:
        out = csv.DictWriter(f, ["id"] + [v["name"] for v in variables], lineterminator="\n")
        out.writeheader()
        out.writerows(rows)
    ours, t, net, card = train(home, "d.csv")
    net.setInput(raw(rows, inputs))
    named = {v["name"]: v for v in inputs}
    x = design(rows, formula, named)
    w, b = t["layer0.weight"], t["layer0.bias"]
    z = x @ w[:, :x.shape[1]].T + b
    return rows, z, w[0, x.shape[1]:], ours, net.forward().astype(float), card


def formula_of_a_logistic_model(home):
    rows, z, _, ours, got, card = fit(home, {"family": "logistic", "formula": "died ~ " + FORMULA}, FORMULA, DIED)
    y = np.array([r["died"] == "yes" for r in rows])
    assert card["onnx"]["columns"] == ["age", "bili", "nodes", "nodes.missing", "graft", "sex", "stage", "stage.missing"]
    assert card["onnx"]["scores"] == ["yes"]
    judge("logistic, formula", got, 1 / (1 + np.exp(-z)), ours, (np.log1p(np.exp(z[:, 0])) - y * z[:, 0]).mean())


def offset_of_a_poisson_model(home):
    count = {"name": "visits", "low": 0, "high": 50}
    for offset, v, at in (("offset(log(years))", YEARS, lambda v: math.log(v / 30)), ("offset(shift)", SHIFT, lambda v: v),
                          ("", SHIFT, lambda v: 0)):
        terms = FORMULA if offset else "shift + " + FORMULA
        rows, z, _, ours, got, _ = fit(home, {"family": "poisson", "formula": "visits ~ " + terms + (" + " + offset if offset else "")},
                                       terms, count, [v], learning_rate=1e-3)
        z = z[:, 0] + [at(min(max(float(r[v["name"]]), v["low"]), v["high"])) for r in rows]
        y = np.minimum([float(r["visits"]) for r in rows], 50)
        judge("poisson " + (offset or "alone"), got[:, 0], np.exp(z), ours, (np.exp(z) - y * z).mean())


def hazards_of_a_survival_model(home):
    cuts = [365, 730, 1500.5]
    ends = cuts + [3000]
    for family in ("discrete_hazard", "piecewise_exponential"):
        for formula in (FORMULA, "age + bili + nodes + graft + sex + stage"):
            given = {"formula": "Surv(days, died) ~ " + formula} if formula == FORMULA else {}
            rows, z, bins, ours, got, card = fit(home, dict({"family": family, "time": DAYS, "cuts": cuts}, **given), formula, DIED)
            z = z + np.concatenate([[0], bins])
            assert card["onnx"]["scores"] == ["0-365", "365-730", "730-1500.5", "1500.5-3000"] and len(card["onnx"]["columns"]) == 8
            losses = []
            for i, r in enumerate(rows):
                t, died, begin, loss, counted = min(float(r["days"]), 3000), r["died"] == "yes" and float(r["days"]) <= 3000, 0, 0, 0
                for k, end in enumerate(ends):
                    event = died and t <= end
                    if family == "discrete_hazard" and (event or t >= end):
                        loss, counted = loss + math.log1p(math.exp(z[i, k])) - event * z[i, k], 1
                    elif family == "piecewise_exponential":
                        log_spent = math.log((min(t, end) - begin) / 3000)
                        loss, counted = loss + math.exp(z[i, k] + log_spent) - event * (z[i, k] + log_spent), 1
                    if t <= end:
                        break
                    begin = end
                losses += [loss] if counted else []
            want = 1 / (1 + np.exp(-z)) if family == "discrete_hazard" else np.exp(z) / 3000
            scale = 1 if family == "discrete_hazard" else 3000
            judge(family + (", formula" if given else ""), got * scale, want * scale, ours, sum(losses) / len(losses))


# ---- images ----

LAYERS = [{"conv2d": {"channels": 6, "kernel": 3, "stride": 2, "padding": 1}}, {"group_norm": {"groups": 3}}, "relu",
          {"residual": [{"conv2d": {"channels": 6, "kernel": 3, "padding": 1}}, "tanh"]}, {"max_pool": {"size": 3, "stride": 2}},
          {"avg_pool": {"size": 2, "stride": 1}}, {"dense": {"width": 7}}, "tanh"]


def windows(x, k, stride, padding):
    """[N][height][width][channels] to [N][rows][cols][k][k][channels]."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    v = np.lib.stride_tricks.sliding_window_view(x, (k, k), (1, 2))[:, ::stride, ::stride]
    return v.transpose(0, 1, 2, 4, 5, 3)


class Forward:
    def __init__(self, t):
        self.t, self.number = t, {}

    def take(self, stem):
        self.number[stem] = self.number.get(stem, 0) + 1
        name = "%s%d" % (stem, self.number[stem])
        return self.t[name + ".weight"], self.t[name + ".bias"]

    def norm(self, x, groups):
        scale, shift = self.take("norm")
        g = x.reshape(x.shape[:3] + (groups, -1))
        g = (g - g.mean((1, 2, 4), keepdims=True)) / np.sqrt(g.var((1, 2, 4), keepdims=True) + 1e-5)
        return g.reshape(x.shape) * scale + shift

    def layer(self, x, layer):
        kind, a = (layer, {}) if isinstance(layer, str) else next(iter(layer.items()))
        if kind == "conv2d":
            w, b = self.take("conv")
            return np.einsum("nyxhwc,ohwc->nyxo", windows(x, a["kernel"], a.get("stride", 1), a.get("padding", 0)), w) + b
        if kind == "dense":
            w, b = self.take("dense")
            return (x.reshape(len(x), -1) @ w.T + b).reshape(len(x), 1, 1, -1)
        if kind == "residual":
            return x + self.stack(x, a)
        if kind == "group_norm":
            return self.norm(x, a["groups"])
        if kind in ("max_pool", "avg_pool"):
            v = windows(x, a["size"], a.get("stride", a["size"]), 0)
            return v.max((3, 4)) if kind == "max_pool" else v.mean((3, 4))
        return np.tanh(x) if kind == "tanh" else np.maximum(x, 0)

    def stack(self, x, layers):
        for layer in layers:
            x = self.layer(x, layer)
        return x


def images_of_a_network(home):
    for channels, levels in ((1, ["no", "yes"]), (3, ["a", "b", "c"])):
        scan = {"name": "scan", "channels": channels, "height": 13, "width": 10, "mean": 0.4, "scale": 0.3}
        outcome = {"name": "finding", "levels": levels}
        pixels = RNG.integers(0, 256, (ROWS, 13, 10, channels), dtype=np.uint8)
        y = RNG.integers(0, len(levels), ROWS, dtype=np.uint8)
        put(home, "plan.yaml", plan_of({"family": "network", "inputs": [scan], "outcome": outcome, "layers": LAYERS}, local_steps=3))
        put(home, "card.yaml", dict(card_of("d.npz", [scan, dict(outcome)]), patient_identifier="row"))
        np.savez(os.path.join(home, "d.npz"), scan=pixels if channels > 1 else pixels[..., 0], finding=y)
        card = json.load(open(os.path.join(home, "card.yaml"), encoding="utf-8"))
        card["variables"][1]["map"] = {str(i): k for i, k in enumerate(levels)}
        put(home, "card.yaml", card)
        np.savez(os.path.join(home, "test.npz"), scan=pixels if channels > 1 else pixels[..., 0], finding=np.array(levels)[y])
        ours, t, net, _ = train(home, "test.npz")
        z = Forward(t).stack((pixels / 255 - 0.4) / 0.3, LAYERS + [{"dense": {}}])[:, 0, 0]
        blob = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32)
        got = []
        for image in blob:
            net.setInput(image[None])
            got.append(net.forward()[0].astype(float))
        if len(levels) == 2:
            want, loss = 1 / (1 + np.exp(-z)), np.log1p(np.exp(z[:, 0])) - y * z[:, 0]
        else:
            want = np.exp(z) / np.exp(z).sum(1, keepdims=True)
            loss = -np.log(want[np.arange(ROWS), y])
        judge("network of %d channels" % channels, np.array(got), want, ours, loss.mean())


for case in (formula_of_a_logistic_model, offset_of_a_poisson_model, hazards_of_a_survival_model, images_of_a_network):
    with tempfile.TemporaryDirectory(prefix="yumen-onnx-") as place:
        case(place)
