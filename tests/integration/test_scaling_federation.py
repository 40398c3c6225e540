#!/usr/bin/python3
"""A study whose clip adapts and whose scaling is learned, between real processes:
it ends, the model that is taken away has scaling folded in, each charge is what the
plan asks of its round, and the auditor recomputes every state from the sums."""

import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation, tensors  # noqa: E402

ROUNDS = 4


def float32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def check_model(fed):
    out = fed.path("model.safetensors")
    fed.sponsor("model", "get", "trial", "--out", out)
    state, model = tensors(fed.path("hub", "objects", fed.study()["state"])), tensors(out)
    (clip,), mean, scale = state["privacy.log_clip"], state["scaling.mean"], state["scaling.scale"]
    assert clip != 0 and abs(clip) <= 11, clip
    assert len(mean) == len(scale) == 2 and all(abs(v) <= 1 for v in mean) and all(0.1 <= v <= 1 for v in scale), state
    weight, shift = [], 0.0
    for w, m, s in zip(state["layer0.weight"], mean, scale):
        weight.append(float32(w / s))
        shift += w / s * m
    assert model["layer0.weight"] == tuple(weight), (model, weight)
    assert model["layer0.bias"] == (float32(state["layer0.bias"][0] - shift),)


def check_charges(fed):
    for name in fed.names:
        charges = [x for x in fed.leaves(fed.path(name, "ledger")) if x["type"] == "charge"]
        assert [x["round"] for x in charges] == list(range(1, ROUNDS + 1)), charges
        assert all(x["route"] == "bounded" for x in charges), charges
        first, later = charges[0], charges[1:]
        assert (first["sampling_k"], first["steps"]) == (str(2**64 - 1), 1), first
        assert first["noise_variance"] == str((9 << 24) ** 2), first
        assert all((x["sampling_k"], x["steps"]) == (str(1 << 63), 2) for x in later), later
        assert all(x["noise_variance"] == str((6 << 24) ** 2) for x in later), later


def main():
    with Federation(sites=("h1", "h2")) as fed:
        fed.up()
        privacy = "  route: bounded\n  adaptive_clip: {learning_rate: 1}\n  scaling: {noise_multiplier: 9}\n"
        fed.sponsor("study", "submit", fed.plan(quorum=2, rounds=ROUNDS, privacy=privacy))
        fed.approve_all()
        fed.wait_phase(("done",))
        check_model(fed)
        check_charges(fed)
        said = fed.verify("--objects", fed.path("hub", "objects")).stdout
        print(said.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
