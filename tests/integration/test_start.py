#!/usr/bin/python3
"""A study that goes on from another one's model, with its first layer frozen, between
real processes: the file reaches the hub in pieces, what is frozen keeps its bits, the
auditor starts from the file too; and without the file, or with another, nothing begins."""

import hashlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402
from test_scaling_federation import tensors  # noqa: E402

NET = "mlp\n  hidden: [16]"


def main():
    with Federation(sites=("h1", "h2")) as fed:
        fed.up()
        fed.sponsor("study", "submit", fed.plan(quorum=2, rounds=1, family=NET))
        fed.approve_all()
        fed.wait_phase(("done",))
        model = fed.path("model.safetensors")
        fed.sponsor("model", "get", "trial", "--out", model)
        with open(model, "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        family = f"{NET}\n  start: {{sha256: {digest}}}\n  freeze: [layer0]"
        plan = fed.plan(study="second", quorum=2, rounds=2, family=family)
        assert fed.sponsor("study", "submit", plan, check=False).returncode != 0
        other = fed.sponsor("study", "submit", plan, "--start", plan, check=False)
        assert other.returncode != 0 and "not the one that the plan names" in other.stderr, other
        fed.sponsor("study", "submit", plan, "--start", model)
        assert not [n for n in os.listdir(fed.path("hub", "objects")) if n.endswith(".start")]
        fed.approve_all("second")
        fed.wait_phase(("done",), study="second")
        out = fed.path("second.safetensors")
        fed.sponsor("model", "get", "second", "--out", out)
        before, after = tensors(model), tensors(out)
        assert all(before[t] == after[t] for t in ("layer0.weight", "layer0.bias")), (before, after)
        assert before["layer1.weight"] != after["layer1.weight"]
        said = fed.verify("--objects", fed.path("hub", "objects")).stdout
        print(said.strip().splitlines()[-1])
        os.unlink(fed.path("hub", "objects", digest))
        assert fed.verify("--objects", fed.path("hub", "objects"), check=False).returncode != 0


if __name__ == "__main__":
    main()
