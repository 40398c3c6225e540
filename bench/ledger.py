#!/usr/bin/env python3
"""The auditor on a million leaves: tree, chain and budget in 20 s on 2 cores and 200 MB; signatures at 0.8 of the rate that
openssl's own speed test gives in the same run, on as many cores; an inclusion proof in 1 ms. Prints ratios to those limits."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ["YM_BUILD_ROOT"]
ROUNDS = int(os.environ.get("ROUNDS", "100000"))
CORES = min(2, len(os.sched_getaffinity(0)))
ENV = {**os.environ, "YUMEN_THREADS": str(CORES), "YUMEN_LANG": "en"}


def openssl_rate():
    """Verifications of ed25519 a second, all cores together."""
    out = subprocess.run(["openssl", "speed", "-seconds", "3", "-elapsed", "-multi", str(CORES), "ed25519"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return float(re.findall(r"Ed25519\)?\s.*?([0-9.]+)\s*$", out, re.M)[-1])


def verify(root):
    """Answer and peak resident MB of yumen-audit verify."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen([os.path.join(BUILD, "cmd", "yumen-audit"), "verify", "--json", "--trust", f"{root}/trust",
                                  f"{root}/hub", f"{root}/h1", f"{root}/h2"], stdout=out, env=ENV)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return child.returncode, json.load(out), usage.ru_maxrss / 1024


def ratio(name, value, limit, unit, least=False):
    good = value >= limit if least else value <= limit
    print(f"{name}: {value:.3g} {unit}, {value / limit:.2f} of {limit:g}{'' if good else '  MISSED'}")
    return good


def sealing(tool):
    """On the disk of the temporary folder. A round waits for the first alone; hospitals cosign in a quiet moment."""
    root = tempfile.mkdtemp(prefix="yumen-seal-")
    try:
        seal, cosign, take = map(float, subprocess.run([tool, "seal", root, "300"], check=True, stdout=subprocess.PIPE).stdout.split())
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"a hospital's checkpoint_seen and cosignature {cosign / 1e3:.2f} ms, the hub's check and line {take / 1e3:.2f} ms")
    return ratio("sealing a checkpoint", seal / 1e3, 10, "ms")


def main():
    root = tempfile.mkdtemp(prefix="yumen-ledger-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    tool = os.path.join(BUILD, "bench", "bench_ledger")
    try:
        leaves = int(subprocess.run([tool, "make", root, str(ROUNDS)], check=True, stdout=subprocess.PIPE, env=ENV).stdout)
        before = openssl_rate()
        code, found, peak = verify(root)
        rate = (before + openssl_rate()) / 2
        if code != 0:
            sys.exit(f"verify: exit {code}: {found['findings'][:3]}")
        seconds = found["seconds"]
        signatures = sum(log["signatures"] for log in found["logs"])
        median, largest = map(float, subprocess.run([tool, "proof", f"{root}/hub", "2000"], check=True,
                                                    stdout=subprocess.PIPE).stdout.split())
        print(f"{leaves} leaves in three logs, {CORES} cores; tree {seconds['tree']:.1f} s, chain and budget "
              f"{seconds['rules']:.1f} s, {signatures} signatures {seconds['signatures']:.1f} s")
        print(f"CPU time of tree, chain and budget, both cores together: {seconds['cpu']:.1f} s")
        good = ratio("tree, chain and budget", seconds["tree"] + seconds["rules"], 20 * leaves / 1e6, "s")
        good &= ratio("peak memory", peak, 200, "MB")
        good &= ratio("signatures a second / openssl speed", signatures / seconds["signatures"] / rate, 0.8, "", True)
        good &= ratio("inclusion proof, median", median / 1e3, 1, "ms")
        ratio("inclusion proof, slowest of 2000", largest / 1e3, 1, "ms")
        good &= sealing(tool)
        sys.exit(not good)
    finally:
        shutil.rmtree(root, ignore_errors=True)


main()
