#!/usr/bin/env python3
"""Includes point down (docs/floors.md): reads every #include and says which stand on the wrong floor.

Then plants one violation of each kind in a copy and demands to see it, so that a rule that stopped working is noticed."""

import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

FLOOR = {"base": 0, "tensor": 1, "privacy": 2, "proto": 2, "gate": 2, "models": 2, "rpc": 2, "web": 2, "audit": 3, "worker": 3,
         "coordinator": 3, "sim": 3, "cmd": 4, "tests": 5, "bench": 5}

# Sideways on one floor: who may look at whom. Coordinator and worker meet in proto, never directly; sim alone sees both.
SIDEWAYS = {("models", "gate"), ("gate", "privacy"), ("coordinator", "audit"), ("worker", "audit"), ("sim", "audit"),
            ("sim", "worker"), ("sim", "coordinator"), ("bench", "tests"), ("tests", "bench")}

# Inside and across rooms, by folder: the one on the left never includes the one on the right.
NEVER = [
    ("worker/gateway", "worker/data", "the gateway sees no data"),
    ("worker/gateway", "worker/trainer", "the gateway sees no data"),
    ("worker/gateway", "tensor", "the gateway sees no data"),
    ("worker/trainer", "worker/gateway", "the trainer has no network"),
    ("worker/trainer", "rpc", "the trainer has no network"),
    ("worker/data", "worker/gateway", "data knows no network"),
    ("worker/data", "worker/trainer", "data stands below the trainer"),
    ("worker/data", "rpc", "data knows no network"),
    ("coordinator/round", "coordinator/store", "the round machine is pure"),
    ("coordinator/round", "coordinator/aggregate", "the round machine is pure"),
    ("coordinator/round", "rpc", "the round machine is pure"),
    ("audit/verify", "audit/ledger", "the verifier trusts no code of the writer"),
    ("audit", "rpc", "the auditor works offline"),
    ("audit/verify", "web", "the auditor works offline"),
    ("audit/ledger", "web", "a ledger is files"),
    ("audit/witness", "web", "the witness's judgement knows no network"),
    ("audit/witness", "audit/verify", "a witness keeps to the writer's code, the verifier to its own"),
    ("worker", "web", "a hospital serves nothing and asks the hub alone"),
    ("gate", "rpc", "the gate is pure"),
]

# The frame both ends of a hospital's socket speak.
EXCEPT = {("worker/gateway", "worker/trainer/frame.h")}

# Headers of libraries, and the only folders that may include them (tests may always).
ONLY_IN = [
    ("grpc/", ("rpc",)),
    ("microhttpd.h", ("web",)),
    ("curl/", ("web",)),
    ("zmq.h", ("worker",)),
    ("openssl/", ("base", "rpc", "audit/verify")),
    ("cblas.h", ("tensor",)),
    ("sqlite3.h", ("coordinator/store",)),
    ("seccomp.h", ("worker",)),
    ("linux/landlock.h", ("worker",)),
    ("libfyaml.h", ("base",)),
    ("cmocka.h", ()),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def inside(path, folder):
    return path == folder or path.startswith(folder + "/")


def check_library(path, header):
    for prefix, folders in ONLY_IN:
        if header.startswith(prefix) and not any(inside(path, f) for f in folders + ("tests",)):
            return f"<{header}> belongs to {' and '.join(folders) or 'tests'} only"
    return None


def check_internal(path, header):
    if not header.endswith("_internal.h"):
        return None
    if header == "base/rng_internal.h":
        if not (inside(path, "base") or inside(path, "sim") or inside(path, "tests")):
            return "a seeded generator may exist in sim and tests only"
    elif os.path.dirname(path) != os.path.dirname(header) and not (inside(path, "tests") or inside(path, "bench")):
        return f"\"{header}\" is internal to {os.path.dirname(header)}"
    return None


def check_own(root, path, header):
    room, other = path.split("/")[0], header.split("/")[0]
    if inside(path, "tests") and os.path.exists(os.path.join(root, os.path.dirname(path), header)):
        return None
    if other not in FLOOR:
        return f"\"{header}\" is not given from the root of the tree"
    if not header.endswith(".pb-c.h") and not os.path.exists(os.path.join(root, header)):
        return f"\"{header}\" does not exist"
    for left, right, why in NEVER:
        if inside(path, left) and inside(header, right) and (left, header) not in EXCEPT:
            return f"\"{header}\": {why}"
    if other in ("bench", "tests", "cmd") and other != room and {room, other} != {"bench", "tests"}:
        return f"\"{header}\": nothing includes {other}"
    if room != other and FLOOR[other] >= FLOOR[room] and (room, other) not in SIDEWAYS:
        return f"\"{header}\": {other} (floor {FLOOR[other]}) is not below {room} (floor {FLOOR[room]})"
    return check_internal(path, header)


def check(root):
    problems = []
    for path in tree.sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                kind, header = found.groups()
                wrong = check_library(path, header) if kind == "<" else check_own(root, path, header)
                if wrong:
                    problems.append(f"{path}:{number}: {wrong}")
    return problems


PLANTED = [
    ("base/buf.c", '"gate/plan.h"'),
    ("tensor/planted.c", '"privacy/clip.h"'),
    ("privacy/planted.c", '"gate/plan.h"'),
    ("coordinator/planted.c", '"worker/data/data.h"'),
    ("worker/planted.c", '"coordinator/round/round.h"'),
    ("audit/planted.c", '"coordinator/round/round.h"'),
    ("audit/verify/planted.c", '"audit/ledger/ledger.h"'),
    ("worker/gateway/planted.c", '"worker/data/data.h"'),
    ("worker/trainer/planted.c", '"rpc/rpc.h"'),
    ("worker/trainer/planted.c", '"base/rng_internal.h"'),
    ("coordinator/round/planted.c", '"coordinator/store/store.h"'),
    ("coordinator/planted.c", "<grpc/grpc.h>"),
    ("coordinator/planted.c", "<microhttpd.h>"),
    ("cmd/planted.c", "<curl/curl.h>"),
    ("worker/gateway/planted.c", '"web/client.h"'),
    ("audit/ledger/planted.c", '"web/client.h"'),
    ("coordinator/planted.c", "<zmq.h>"),
    ("worker/planted.c", "<openssl/evp.h>"),
    ("models/planted.c", "<cblas.h>"),
    ("coordinator/planted.c", "<sqlite3.h>"),
    ("sim/planted.c", "<cmocka.h>"),
    ("worker/planted.c", '"base/key_internal.h"'),
    ("base/planted.c", '"buf.h"'),
    ("base/planted.c", '"base/absent.h"'),
    ("base/planted.c", '"tests/unit/support.h"'),
]


def self_check():
    missed = []
    with tempfile.TemporaryDirectory() as copy:
        tree.copy_sources(copy)
        for header in ("worker/data/data.h", "coordinator/round/round.h", "coordinator/store/store.h", "rpc/rpc.h",
                       "audit/ledger/ledger.h", "web/client.h", "gate/plan.h", "privacy/clip.h", "tests/unit/support.h"):
            os.makedirs(os.path.dirname(os.path.join(copy, header)), exist_ok=True)
            open(os.path.join(copy, header), "a").close()
        before = set(check(copy))
        for path, header in PLANTED:
            file = os.path.join(copy, path)
            os.makedirs(os.path.dirname(file), exist_ok=True)
            old = open(file, encoding="utf-8").read() if os.path.exists(file) else None
            with open(file, "a", encoding="utf-8") as f:
                f.write(f"\n#include {header}\n")
            if not any(p.startswith(path + ":") for p in set(check(copy)) - before):
                missed.append(f"self-check: {header} planted in {path} went unnoticed")
            if old is None:
                os.remove(file)
            else:
                with open(file, "w", encoding="utf-8") as f:
                    f.write(old)
    return missed


if __name__ == "__main__":
    tree.report("include floors", check(tree.ROOT) + self_check())
