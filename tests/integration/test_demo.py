#!/usr/bin/python3
"""scripts/demo on the programs of this build: it succeeds, says what it must,
and leaves no process and no folder behind, however it ends."""

import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.environ.get("YM_SOURCE_ROOT", os.getcwd())
BUILD = os.environ.get("YM_BUILD_ROOT", os.path.join(ROOT, "build"))
DEMO = [os.path.join(ROOT, "scripts", "demo"), "--built", BUILD]
ENV = {**os.environ, "YUMEN_LANG": "en"}


def fetch():
    table = os.path.join(ROOT, "build", "demo-data", "wdbc.csv")
    p = subprocess.run([os.path.join(ROOT, "scripts", "demo-data", "fetch"), table], stderr=subprocess.PIPE, text=True)
    if p.returncode == 3:
        print("skipped: " + p.stderr)
        sys.exit(77)
    assert p.returncode == 0, p.stderr


def daemons_under(folder):
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                line = f.read().decode(errors="replace")
        except OSError:
            continue
        if folder in line and "yumen-" in line:
            found.append(line)
    return found


def runs_to_the_end(home):
    p = subprocess.run([*DEMO, "--keep", home], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENV, timeout=120)
    assert p.returncode == 0, p.stdout
    out = p.stdout
    rounds = re.findall(r"^round +(\d+)/10 .*loss [\d.]+ .*AUC [\d.]+ .*epsilon [\d.]+ of 3", out, re.M)
    assert rounds == [str(i) for i in range(11)], out
    assert "VERIFIED" in out and "NOT VERIFIED" not in out and "10 of 10" in out, out
    assert out.count("signed by the trusted key") == 5, out
    for h in ("h1", "h2", "h3", "h4"):
        assert re.search(rf"^{h} +2\.208010 +3\.000000 +1e-5 +10 +2480$", out, re.M), out
    assert os.path.getsize(os.path.join(home, "model.safetensors")) > 124
    assert not daemons_under(home)
    again = subprocess.run([*DEMO, "--keep", home], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENV)
    assert again.returncode == 1 and "not empty" in again.stdout, again.stdout


def cleans_up_when_interrupted(home):
    p = subprocess.Popen([*DEMO, "--keep", home], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
    end = time.monotonic() + 60
    while len(daemons_under(home)) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(daemons_under(home)) >= 3, "the demo did not start its daemons"
    p.send_signal(signal.SIGTERM)
    assert p.wait(30) == 143
    assert not daemons_under(home)


def fails_on_a_damaged_ledger(home):
    """The same script with one line more: a byte of h2's ledger is turned before the audit."""
    with open(DEMO[0]) as f:
        text = f.read()
    damage = 'f=$(ls "$home"/h2/ledger/tile/entries/*.p/* | tail -n 1); printf X | dd of="$f" bs=1 seek=900 conv=notrunc status=none'
    assert text.count('say "ledgers"') == 1
    text = text.replace('say "ledgers"', damage + '\nsay "ledgers"').replace('root=$(cd', f'root="{ROOT}"; : $(cd')
    script = os.path.join(os.path.dirname(home), "demo-damaged")
    with open(script, "w") as f:
        f.write(text)
    p = subprocess.run(["bash", script, *DEMO[1:], "--keep", home], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       env=ENV, timeout=120)
    assert p.returncode == 1 and "a ledger does not verify" in p.stdout, p.stdout


def main():
    fetch()
    with tempfile.TemporaryDirectory(prefix="yd-", dir="/tmp") as base:
        runs_to_the_end(os.path.join(base, "a"))
        cleans_up_when_interrupted(os.path.join(base, "b"))
        fails_on_a_damaged_ledger(os.path.join(base, "c"))


if __name__ == "__main__":
    main()
