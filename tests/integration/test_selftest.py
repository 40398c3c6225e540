#!/usr/bin/python3
"""yumen-audit selftest on programs copied to a folder of their own, as an installed tree: it passes and says what it
measured, in at most three minutes; it leaves no process and no folder, also when it is interrupted; it says which
program is missing. The figures themselves are tested in conformance/test_probe, on sound and on broken trainers."""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("YM_BUILD_ROOT", os.path.join(os.getcwd(), "build"))
PROGRAMS = ("yumen", "yumen-audit", "yumen-coordinator", "yumen-gateway", "yumen-site", "yumen-trainer")
ENV = {"PATH": "/usr/bin:/bin", "YUMEN_LANG": "en"}


def left_behind(home):
    """Folders of self-tests in home, and processes that work there."""
    found = os.listdir(home)
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                if os.fsencode(home) + b"/" in f.read():
                    found.append(path)
        except OSError:
            pass
    return found


def nothing_left(home):
    assert left_behind(home) == [], left_behind(home)


def selftest(tree, home, *more):
    return subprocess.Popen([os.path.join(tree, "yumen-audit"), "selftest", *more], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**ENV, "TMPDIR": home})


def passes(tree, home):
    p = selftest(tree, home, "--json")
    out, err = p.communicate(timeout=200)
    assert p.returncode == 0, out + err
    said = json.loads(out)
    assert said["pass"] and all(f["pass"] for f in said["figures"]) and len(said["figures"]) == 20, said
    assert {f["part"] for f in said["figures"]} == set("ABCDEFG")
    assert said["seconds"] <= 180 and said["unit"] == "patient" and said["relation"] == "add-or-remove-one"
    assert 7.89 < said["epsilon_claimed"] < 7.91 and said["delta"] == 1e-5, said
    assert 1 < said["epsilon_lower_one_run"] < said["epsilon_lower_f_dp"] < said["epsilon_claimed"], said
    nothing_left(home)
    return said


def interrupted(tree, home):
    p = selftest(tree, home)
    end = time.monotonic() + 60
    while len(left_behind(home)) < 5:
        assert time.monotonic() < end, "its daemons did not start"
        time.sleep(0.05)
    p.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 3 and "interrupted" in err and out == "", (p.returncode, out, err)
    nothing_left(home)


def names_what_is_missing(tree, home):
    os.unlink(os.path.join(tree, "yumen-gateway"))
    p = selftest(tree, home)
    out, err = p.communicate(timeout=100)
    assert p.returncode == 3 and "yumen-gateway" in err and out == "", (p.returncode, out, err)
    nothing_left(home)


def main():
    tree, home = tempfile.mkdtemp(prefix="yumen-installed-"), tempfile.mkdtemp(prefix="ys-", dir="/tmp")
    try:
        for name in PROGRAMS:
            shutil.copy2(os.path.join(BUILD, "cmd", name), tree)
        said = passes(tree, home)
        interrupted(tree, home)
        names_what_is_missing(tree, home)
        print(f"{said['seconds']:.0f} s: epsilon {said['epsilon_claimed']:.3f} claimed, at least {said['epsilon_lower_f_dp']:.3f} by f-DP")
    finally:
        shutil.rmtree(tree, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
