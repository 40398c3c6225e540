#!/usr/bin/python3
"""The real trainer and yumen-site against a gateway of the test's own
(trainer_peer.c) on the real socket: enrolment, approval, rounds, kill -9, veto
and pause; the memory it takes; and canaries: nothing recognisable of a row is in
any frame that left, in the ledger, the outbox or the log."""

import hashlib
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import BUILD, CMD, Federation, serves_all  # noqa: E402
from test_canary import PATIENTS, Search, canary_rows, files_below, needles  # noqa: E402


class Peer:
    """trainer_peer, its commands and its events."""

    def __init__(self, socket, capture, site):
        argv = [os.path.join(BUILD, "tests", "trainer_peer"), socket, capture, site]
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.set_blocking(self.proc.stdout.fileno(), False)
        self.text, self.seen = b"", []

    def say(self, line):
        self.proc.stdin.write(line.encode() + b"\n")
        self.proc.stdin.flush()

    def read(self):
        data = self.proc.stdout.read()
        self.text += data or b""
        *lines, self.text = self.text.split(b"\n")
        self.seen += [x.decode().strip() for x in lines]

    def expect(self, start, timeout=20, forget=True):
        """The next event that begins so; events before it are forgotten."""
        end = time.monotonic() + timeout
        while True:
            self.read()
            for i, x in enumerate(self.seen):
                if x.startswith(start):
                    if forget:
                        del self.seen[:i + 1]
                    return x
            if time.monotonic() > end or self.proc.poll() is not None:
                raise AssertionError(f"waited for {start!r}, saw {self.seen}")
            select.select([self.proc.stdout], [], [], 0.2)

    def quiet(self, word, seconds):
        """No event of that kind for a while (a bound on waiting, not a proof)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            assert not [x for x in self.seen if x.startswith(word)], self.seen
            time.sleep(0.05)


def names_its_program(fed):
    """A charge holds what sha256sum says of the trainer's file."""
    charge = [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == "charge"][-1]
    with open(os.path.join(CMD, "yumen-trainer"), "rb") as f:
        assert charge["binary"] == hashlib.sha256(f.read()).hexdigest()


def rss_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def spent(fed, n):
    import json
    out = json.loads(fed.site(n, "budget", "--json").stdout)
    return out["datasets"][0]["spent_micro"] if out["datasets"] else 0


def as_nobody(fn):
    """Exit code of fn in a process of user and group nobody."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            fn()
            os._exit(0)
        except PermissionError:
            os._exit(13)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def connect(path):
    return as_nobody(lambda: socket.socket(socket.AF_UNIX).connect(path))


def two_users(fed):
    """A gateway of another user: as docs/site.md, "Users", sets it up, it comes to its socket and to nothing else."""
    if os.getuid() != 0:
        return
    os.chmod(fed.root, 0o711)
    assert connect(fed.path("h1", "run", "trainer.sock")) == 13
    for part, mode in ((), 0o710), (("run",), 0o2710):
        os.chown(fed.path("h1", *part), -1, 65534)
        os.chmod(fed.path("h1", *part), mode)


def check_two_users(fed):
    if os.getuid() != 0:
        return
    assert connect(fed.path("h1", "run", "trainer.sock")) == 0
    assert connect(fed.path("h1", "admin", "admin.sock")) == 13
    for name in sorted(set(os.listdir(fed.path("h1"))) - {"run"}):
        path = fed.path("h1", name)
        assert as_nobody(lambda: os.listdir(path) if os.path.isdir(path) else open(path).close()) == 13, name


def main():
    rng = random.Random(20261121)
    fed = Federation(sites=("h1",))
    trainer = peer = None
    try:
        os.makedirs(fed.root, exist_ok=True)
        fed.run("yumen-site", "init", "--dir", fed.path("h1"), "--name", "h1", "--epsilon-cap", "3", "--min-patients", "5", "--border-off", "a test",
                "--policy", serves_all(fed.path("policy.yaml")), "--gateway", fed.path("gw-h1"))
        trainer = fed.daemon("trainer-h1", "yumen-trainer", "--dir", fed.path("h1")).start()
        capture = fed.path("capture.bin")
        peer = Peer(fed.path("h1", "run", "trainer.sock"), capture, "h1")
        token = peer.expect("token").split()[1]
        peer.expect("up")
        idle = rss_kb(trainer.proc.pid)
        assert idle <= 30 * 1024, f"idle trainer takes {idle} KiB"

        # a token of another hub: its CA is not the pinned one
        other = "YJ1." + ("b" if token[4] == "a" else "a") + token[5:]
        assert fed.site("h1", "enrol", "--token", other, "--hub", "h:1", check=False).returncode == 1
        fed.site("h1", "enrol", "--token", token, "--hub", "h:1")

        rows = canary_rows(rng)
        card = fed.add_data("h1", PATIENTS, rows=lambda i: "%s,%r,%r,%d\n" % rows[i][:4])
        fed.site("h1", "data", "add", card)
        peer.expect("dataset_card")
        # what names the data set outside is no function of the rows alone: a guess of rows cannot be tested against it
        with open(fed.path("h1", "data", "wards.frozen"), "rb") as f:
            bare = hashlib.sha256(f.read()).hexdigest().encode()
        for path in [capture, *files_below(fed.path("h1", "ledger"))]:
            with open(path, "rb") as f:
                assert bare not in f.read(), f"the bare hash of the rows is in {path}"

        plan = fed.plan(hospitals="{name: h1}", quorum=1, rounds=6, steps=2, noise="6")
        peer.say("plan " + plan)
        fed.wait(lambda: "trial" in fed.site("h1", "plans", "list").stdout, 20, "the plan")
        assert fed.site("h1", "plans", "check", "trial", "--dataset", "wards").returncode == 0
        peer.say("round 1 1")
        peer.expect("say_declined not_approved")
        assert spent(fed, "h1") == 0
        fed.site("h1", "plans", "approve", "trial", "--dataset", "wards")
        peer.expect("approval")
        peer.expect("say_checked")

        peer.say("forge 1 1")
        peer.expect("say_declined bad_signature")
        peer.say("round 1 1")
        peer.expect("say_ready")
        assert spent(fed, "h1") == 0, "ready must not charge"
        peer.say("collect 1 1")
        first = peer.expect("release")
        once = spent(fed, "h1")
        assert once > 0
        names_its_program(fed)
        peer.say("collect 1 1")  # asked again: the same bytes, no charge
        assert peer.expect("release") == first
        assert spent(fed, "h1") == once

        # kill -9 after the release: a new pair hears the same bytes by itself
        two_users(fed)
        trainer.kill(signal.SIGKILL)
        trainer.start()
        check_two_users(fed)
        peer.expect("up")
        assert peer.expect("release") == first
        assert spent(fed, "h1") == once

        # a changed outbox does not leave
        outbox = fed.path("h1", "outbox")
        (name,) = os.listdir(outbox)
        trainer.kill(signal.SIGKILL)
        with open(os.path.join(outbox, name), "r+b") as f:
            whole = f.read()
            f.seek(0)
            f.write(bytes([whole[0] ^ 1]))
        trainer.start()
        peer.expect("up")
        peer.quiet("release", 2)
        with open(os.path.join(outbox, name), "r+b") as f:
            f.write(whole)
        peer.say("collect 1 1")
        assert peer.expect("release") == first

        peer.say("closed 1 1")
        peer.say("next 1")
        peer.say("round 2 1")
        peer.expect("say_ready")
        assert not os.listdir(outbox), "the release of a closed round stays in the outbox"

        # pause and veto come before the charge
        fed.site("h1", "plans", "pause", "trial")
        peer.expect("pause")
        peer.say("collect 2 1")
        peer.quiet("release", 1)
        assert spent(fed, "h1") == once
        fed.site("h1", "plans", "pause", "trial", "--off")
        peer.say("round 2 2")
        peer.expect("say_ready")
        peer.say("collect 2 2")
        second = peer.expect("release")
        assert second != first
        assert spent(fed, "h1") > once
        fed.site("h1", "plans", "veto", "trial")
        peer.expect("veto")
        assert not os.listdir(outbox), "a vetoed release stays in the outbox"
        peer.say("collect 2 2")
        peer.expect("say_declined vetoed")
        assert fed.site("h1", "plans", "approve", "trial", "--dataset", "wards", check=False).returncode == 1

        busy = rss_kb(trainer.proc.pid)
        trainer.kill(signal.SIGTERM)
        assert len(fed.site("h1", "egress", "list", "--json").stdout) > 0  # from the folder at rest
        peer.say("quit")
        assert peer.proc.wait(10) == 0
        peer.read()
        bad = [x for x in peer.seen if "unexpected" in x or "wrong" in x]
        assert not bad, bad

        # canaries
        search = Search(needles(rows), fed.path("forms.bin"))
        places = [capture, fed.path("trainer-h1.log"),
                  *files_below(*(fed.path("h1", x) for x in ("ledger", "outbox", "plans", "objects", "run"))),
                  *files_below(fed.path("gw-h1"))]
        found = search.find(places)
        assert not found, "LEAK:\n" + "\n".join(found)
        assert os.path.getsize(capture) > 20 * 4096, "the capture is empty"
        assert search.find(files_below(fed.path("h1", "data"))), "the search does not see the frozen data"
        for leak in (rows[0][0].encode(), repr(rows[1][1]).encode(), struct.pack("<d", rows[2][2]),
                     struct.pack("<2f", rows[3][1], rows[3][2]), rows[4][0].encode().hex().encode()):
            with open(capture, "rb") as f:
                whole = f.read()
            with open(capture + ".leak", "wb") as f:
                f.write(whole[:5000] + leak + whole[5000:])
            assert search.find([capture + ".leak"]), f"a frame with a planted leak was not seen: {leak!r}"
        print(f"idle {idle} KiB, after rounds {busy} KiB; {os.path.getsize(capture)} bytes left, no canary among them")
    except BaseException:
        if trainer is not None:
            sys.stderr.write(trainer.tail(40))
        raise
    finally:
        if peer is not None and peer.proc.poll() is None:
            peer.proc.kill()
        fed.down(keep=bool(os.environ.get("YM_KEEP")))


if __name__ == "__main__":
    main()
