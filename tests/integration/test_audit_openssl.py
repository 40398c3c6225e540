#!/usr/bin/env python3
"""An auditor with base tools: plain openssl verifies a checkpoint that we sign; yumen-audit answers with its exit codes."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

CMD = os.path.join(os.environ["YM_BUILD_ROOT"], "cmd")
ENV = {**os.environ, "YUMEN_LANG": "en"}


def run(*argv, expect=0):
    p = subprocess.run([os.path.join(CMD, argv[0]), *argv[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, env=ENV, timeout=60)
    if p.returncode != expect:
        sys.exit(f"{' '.join(argv)}: exit {p.returncode}, expected {expect}\n{p.stdout}{p.stderr}")
    return p.stdout


def openssl_verifies(root, ledger, vkey):
    """The commands of docs/audit.md, "By hand"."""
    with open(os.path.join(ledger, "checkpoint"), "rb") as f:
        note = f.read()
    text = b"".join(note.splitlines(keepends=True)[:3])
    sig = base64.b64decode(note.split()[-1])[-64:]
    der = bytes.fromhex("302a300506032b6570032100") + base64.b64decode(vkey.split("+", 2)[2])[-32:]
    for name, data in (("text", text), ("sig", sig), ("key.der", der)):
        with open(os.path.join(root, name), "wb") as f:
            f.write(data)
    return subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", os.path.join(root, "key.der"),
                           "-keyform", "DER", "-in", os.path.join(root, "text"), "-sigfile", os.path.join(root, "sig")],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def receipts(root, site, trust):
    """One entry to somebody without the ledger; by hand: the leaf's hash is the root of a log of one entry."""
    path = os.path.join(root, "entry.tlog-proof")
    text = run("yumen-audit", "receipt", site, "0")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    lines = text.split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1" and lines[2] == "index 0", lines[:3]
    if lines[3] == "" and lines[5] == "1":
        leaf = base64.b64decode(lines[1].split()[1])
        assert base64.b64decode(lines[6]) == hashlib.sha256(b"\0" + leaf).digest()
    assert "VERIFIED" in run("yumen-audit", "receipt", path, "--trust", trust)
    answer = json.loads(run("yumen-audit", "receipt", path, "--json", expect=1))
    assert answer["entry"]["type"] == "genesis" and not answer["anchored"], answer
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("index 0", "index 1"))
    assert "receipt_wrong" in run("yumen-audit", "receipt", path, "--trust", trust, expect=10)
    run("yumen-audit", "receipt", os.path.join(root, "trust"), expect=10)
    run("yumen-audit", "receipt", os.path.join(root, "nowhere"), expect=3)
    run("yumen-audit", "receipt", site, "99", expect=3)
    run("yumen-audit", "receipt", site, "-1", expect=2)


def main(root):
    site, ledger = os.path.join(root, "h1"), os.path.join(root, "h1", "ledger")
    out = run("yumen-site", "init", "--dir", site, "--name", "h1", "--epsilon-cap", "3", "--delta", "1e-5",
              "--min-patients", "10", "--gateway", os.path.join(root, "gw"))
    vkey = next(w for w in out.split() if w.startswith("yumen/") and w.count("+") >= 2)
    assert openssl_verifies(root, ledger, vkey), "openssl does not verify our checkpoint"

    trust = os.path.join(root, "trust")
    with open(trust, "w", encoding="utf-8") as f:
        f.write(f"# by another way\nlog {vkey}\n")
    assert "VERIFIED" in run("yumen-audit", "verify", site, "--trust", trust)
    run("yumen-audit", "verify", ledger, expect=1)
    run("yumen-audit", "verify", expect=2)
    run("yumen-audit", "verify", os.path.join(root, "nowhere"), expect=3)
    run("yumen-audit", "verify", ledger, "--trust", os.path.join(root, "nowhere"), expect=3)
    assert json.loads(run("yumen-audit", "budget", site, "--json"))["charges"] == []
    assert json.loads(run("yumen-audit", "entry", site, "0", "--json"))["type"] == "genesis"
    run("yumen-audit", "entry", site, "99", expect=2)
    receipts(root, site, trust)
    with open(os.path.join(root, "badtrust"), "w", encoding="utf-8") as f:
        f.write("log nobody\n")
    run("yumen-audit", "verify", ledger, "--trust", os.path.join(root, "badtrust"), expect=2)
    if not run("yumen-audit", "verify", ledger, "--trust", trust, "--lang", "zh").isascii():
        print("chinese: good")
    else:
        sys.exit("--lang zh printed English")

    bundles = os.path.join(ledger, "tile", "entries", "000.p")
    bundle = os.path.join(bundles, max(os.listdir(bundles), key=int))
    with open(bundle, "r+b") as f:
        f.seek(40)
        byte = f.read(1)
        f.seek(40)
        f.write(bytes([byte[0] ^ 1]))
    found = json.loads(run("yumen-audit", "verify", ledger, "--trust", trust, "--json", expect=10))
    assert found["reason"] == "root_mismatch" and found["code"] == 10, found
    os.truncate(bundle, os.path.getsize(bundle) - 1)
    run("yumen-audit", "verify", ledger, "--trust", trust, expect=11)

    note = os.path.join(ledger, "checkpoint")
    with open(note, "r+b") as f:
        origin, size, rest = f.read().split(b"\n", 2)
        f.seek(0)
        f.write(b"\n".join((origin, b"%d" % (int(size) + 1), rest)))
    assert not openssl_verifies(root, ledger, vkey), "openssl verifies a changed checkpoint"


root = tempfile.mkdtemp(prefix="yumen-")
try:
    main(root)
finally:
    shutil.rmtree(root, ignore_errors=True)
