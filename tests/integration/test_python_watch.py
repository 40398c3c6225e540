#!/usr/bin/python3
"""The example client, written from the published .proto alone, against the real
hub: it lists studies and watches one from the offer to its end; a hospital that
is revoked and a stranger's certificate get nothing."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402

WATCH = os.path.join(os.environ["YM_SOURCE_ROOT"], "docs", "examples", "watch.py")


def argv(fed, *study, folder="sponsor"):
    keys = [fed.path(folder, f) for f in ("ca.pem", "tls.pem", "tls.key", "secret")]
    return [sys.executable, WATCH, "--hub", fed.hub_addr, "--ca", keys[0], "--cert", keys[1], "--key", keys[2], "--secret", keys[3],
            *study]


def run(fed, *study, **kw):
    return subprocess.run(argv(fed, *study, **kw), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def main():
    with Federation(sites=("h1", "h2")) as fed:
        fed.up()
        done = run(fed)
        assert (done.returncode, done.stdout) == (0, ""), (done.stdout, done.stderr)
        fed.sponsor("study", "submit", fed.plan(quorum=2, rounds=3, steps=1, noise="8"))
        done = run(fed)
        assert done.stdout.startswith("trial offered round 0/3"), (done.stdout, done.stderr)

        watch = subprocess.Popen(argv(fed, "trial"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        first = watch.stdout.readline()  # it watches before anybody decides
        fed.approve_all()
        out, _ = watch.communicate(timeout=60)
        out = first + out
        assert watch.returncode == 0, out
        lines = out.splitlines()
        assert " trial offered round 0/3 " in lines[0], out
        assert " trial done round 3/3 " in lines[-1] and "h1=counted h2=counted" in lines[-1], out
        for r in (1, 2, 3):
            assert any(f" collect round {r}/3 " in line for line in lines), f"round {r} was not seen:\n{out}"

        done = run(fed, "no-such-study")
        assert done.returncode == 1 and done.stderr.startswith("not_found:"), (done.returncode, done.stderr)
        done = run(fed, folder="gw-h1")
        assert done.returncode == 1 and done.stderr.startswith("denied:"), (done.returncode, done.stderr)
        fed.run("yumen-coordinator", "revoke", "acme", "--dir", fed.path("hub"))
        fed.wait(lambda: run(fed).stderr.startswith("denied:"), 20, "the revoked sponsor to be refused")
        print(f"watched {len(lines)} changes; a hospital and a revoked sponsor were refused")


if __name__ == "__main__":
    main()
