#!/usr/bin/python3
"""A whole study: every round's end is cosigned by every hospital, its own checkpoints stand in the hub's log and
the hub's in its own, kills between do not break it, the auditor's quorum holds; and a hospital whose ledger was
set back to an older copy signs nothing."""

import json
import os
import random
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402

ROUNDS = 8
SEED = int(os.environ.get("YM_SEED", random.randrange(1 << 30)))


def seals(fed):
    folder = fed.path("hub", "ledger", "cosigned")
    out = {}
    for name in sorted(os.listdir(folder)) if os.path.exists(folder) else []:
        if name.startswith("."):  # half written when it was killed
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            lines = f.read().split("\n\n")[1].splitlines()
        out[int(name)] = {line.split()[1].rsplit("/", 1)[1] for line in lines[1:]}
    return out


def results(fed):
    hub = fed.leaves(fed.path("hub", "ledger"))
    return [i + 1 for i, leaf in enumerate(hub) if leaf["type"] == "round_result"]


def anchored(fed):
    return {x["log"] for x in fed.leaves(fed.path("hub", "ledger")) if x["type"] == "checkpoint_seen"}


def policy(fed):
    """Two of three hospitals, by the keys that their init printed."""
    path = fed.path("policy")
    with open(fed.trust_file(), encoding="utf-8") as f:
        text = f.read()
    for n in fed.names:
        text += json.loads(fed.site(n, "status", "--json").stdout)["witness"] + "\n"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text + "group hospitals 2 " + " ".join(fed.names) + "\nquorum hospitals\n")
    return path


def check_memory(fed):
    """Ascending sizes; on disk before it is signed: no cosignature without its entry."""
    cosigned = seals(fed)
    for n in fed.names:
        sizes = [x["size"] for x in fed.leaves(fed.path(n, "ledger")) if x["type"] == "checkpoint_seen"]
        assert sizes == sorted(set(sizes)), (n, sizes)
        assert all(size in sizes for size, names in cosigned.items() if n in names), (n, sizes, cosigned)


def said_again(fed, size):
    """A gateway that died may have taken a cosignature with it: on a new link it is said again."""
    path = fed.path("hub", "ledger", "cosigned", f"{size:020}")
    with open(path, encoding="utf-8") as f:
        lines = f.readlines()
    fed.daemons["gateway-h1"].kill()
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(line for line in lines if "/hospital/h1 " not in line)
    assert seals(fed)[size] == {"h2", "h3"}, seals(fed)
    fed.daemons["gateway-h1"].start()
    fed.wait(lambda: "h1" in seals(fed)[size], 20, "h1 to say again what it cosigned")


def set_back(fed, old, size):
    """A copy without the last charges, and no cache: the trainer is shown the last round's end again."""
    trainer = fed.daemons["trainer-h1"]
    trainer.kill()
    shutil.rmtree(fed.path("h1", "ledger"))
    shutil.copytree(old, fed.path("h1", "ledger"))
    if os.path.exists(fed.path("h1", "hub.seen")):
        os.unlink(fed.path("h1", "hub.seen"))
    trainer.start()
    fed.wait(lambda: "state=ledger_behind" in trainer.tail(400), 30, "the trainer to notice")
    time.sleep(0.5)
    own = fed.leaves(fed.path("h1", "ledger"))
    assert max([x["size"] for x in own if x["type"] == "checkpoint_seen"], default=0) < size, "signed after a setback"


def main():
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    with Federation(sites=("h1", "h2", "h3")) as fed:
        fed.up()
        fed.sponsor("study", "submit", fed.plan(rounds=ROUNDS, steps=2, noise="40", attempts=5, ready=5, collect=8, quorum=2))
        fed.approve_all()
        old = fed.path("old-h1-ledger")
        fed.daemons["trainer-h1"].kill()
        shutil.copytree(fed.path("h1", "ledger"), old)
        fed.daemons["trainer-h1"].start()
        for _ in range(4):
            time.sleep(rng.uniform(0.05, 0.4))
            victim = rng.choice(["hub"] + [f"trainer-{n}" for n in fed.names])
            fed.daemons[victim].kill()
            check_memory(fed)
            fed.daemons[victim].start()
        s = fed.wait_phase(("done", "paused", "aborted"), timeout=90)
        assert s["phase"] == "done", s
        ends = results(fed)
        fed.wait(lambda: seals(fed).get(ends[-1]) == set(fed.names), 30, "the last round's cosignatures")
        assert sorted(seals(fed)) == ends, (seals(fed), ends)
        check_memory(fed)
        fed.wait(lambda: anchored(fed) == {f"yumen/hospital/{n}" for n in fed.names}, 30, "the hospitals' checkpoints")
        said_again(fed, ends[-1])

        trust = policy(fed)
        out = fed.run("yumen-audit", "verify", *[fed.path(d) for d in ["hub"] + fed.names], "--trust", trust)
        assert "VERIFIED" in out.stdout, out.stdout
        receipt = fed.path("result.tlog-proof")
        with open(receipt, "w", encoding="utf-8") as f:
            f.write(fed.run("yumen-audit", "receipt", fed.path("hub"), str(ends[-1] - 1), "--trust", trust).stdout)
        answer = json.loads(fed.run("yumen-audit", "receipt", receipt, "--trust", trust, "--json").stdout)
        assert answer["cosigners"] == 3 and answer["entry"]["type"] == "round_result", answer
        set_back(fed, old, ends[-1])
        shutil.rmtree(fed.path("hub", "ledger", "cosigned"))
        out = fed.run("yumen-audit", "verify", fed.path("hub"), "--trust", trust, check=False)
        assert out.returncode == 11 and "cosignature_missing" in out.stdout, out.stdout


if __name__ == "__main__":
    main()
