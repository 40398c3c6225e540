#!/usr/bin/env python3
"""yumen-witness answers add-checkpoint as C2SP tlog-witness says, held against a log made with Python and openssl: every
status, races, kill -9; and the hub gets its checkpoints cosigned, whether a witness is there or not."""

import base64
import hashlib
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tlog  # noqa: E402
from federation import CMD, Daemon, Federation  # noqa: E402

NAME = "auditor.example/witness"
ENV = {**os.environ, "YUMEN_LANG": "en"}


def program(*argv, expect=0):
    p = subprocess.run([os.path.join(CMD, argv[0]), *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENV, timeout=30)
    assert p.returncode == expect, f"{argv}: exit {p.returncode}, expected {expect}\n{p.stdout}{p.stderr}"
    return p.stdout + p.stderr


class Witness:
    def __init__(self, *vkeys):
        self.dir = tempfile.mkdtemp(prefix="yumen-witness-")
        out = program("yumen-witness", "init", "--dir", self.dir, "--name", NAME, "--listen", "127.0.0.1:0",
                      *[x for v in vkeys for x in ("--log", v)])
        assert out.startswith(f"witness {NAME} {NAME}+"), out  # as a trust file wants it
        self.vkey = next(w for w in out.split() if w.startswith(NAME + "+"))
        raw = base64.b64decode(self.vkey.split("+", 2)[2])
        assert raw[0] == 4 and len(raw) == 33
        self.pub = raw[1:]
        assert hashlib.sha256(NAME.encode() + b"\n\x04" + self.pub).hexdigest()[:8] == self.vkey.split("+")[1]
        self.daemon = None
        self.start()

    def start(self):
        self.daemon = Daemon("witness", [os.path.join(CMD, "yumen-witness"), "serve", "--dir", self.dir], self.dir + ".log").start()
        self.url = "http://" + re.search(r"listen=(\S+)", self.daemon.ready).group(1)
        return self

    def post(self, body, path="/add-checkpoint"):
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, body, method="POST"), timeout=20) as r:
                return r.status, r.headers["Content-Type"], r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.headers["Content-Type"], e.read()

    def add(self, log, old, size=None, proof=None, note=None):
        size = len(log.leaves) if size is None else size
        if proof is None:
            proof = tlog.consistency(log.hashes(size), old) if 0 < old < size else []
        note = log.note(size) if note is None else note
        return self.post(request(old, proof, note))

    def cosignature(self, text, line):
        """The time of a line that is a good cosignature of this text."""
        head = f"\u2014 {NAME} ".encode()
        assert line.startswith(head) and line.endswith(b"\n") and line.count(b"\n") == 1, line
        blob = base64.b64decode(line[len(head):])
        assert len(blob) == 76 and blob[:4].hex() == self.vkey.split("+")[1]
        stamp = int.from_bytes(blob[4:12], "big")
        assert tlog.verify(self.pub, f"cosignature/v1\ntime {stamp}\n{text}".encode(), blob[12:])
        return stamp

    def close(self):
        self.daemon.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *a):
        if kind:
            sys.stderr.write(self.daemon.tail())
        self.close()


def request(old, proof, note):
    return f"old {old}\n".encode() + b"".join(base64.b64encode(h) + b"\n" for h in proof) + b"\n" + note.encode()


def every_status_is_the_specification_s():
    log = tlog.Log("example.com/log").grow(300)
    with Witness(log.vkey()) as w:
        assert w.add(log, 0, 0)[0] == 200
        status, _, line = w.add(log, 0, 7)
        assert status == 200 and abs(w.cosignature(log.text(7), line) - time.time()) < 60
        status, kind, body = w.add(log, 0, 9)
        assert (status, kind, body) == (409, "text/x.tlog.size", b"7\n")
        assert w.add(log, 6, 9)[0] == 409 and w.add(log, 8, 9)[0] == 409
        assert w.add(log, 9, 8)[0] == 400
        assert w.add(log, 7, 7)[0] == 200
        for old, size in ((7, 8), (8, 64), (64, 100), (100, 256), (256, 257), (257, 300)):
            status, _, line = w.add(log, old, size)
            assert status == 200, (old, size, line)
            w.cosignature(log.text(size), line)
        fork = tlog.Log("example.com/log", log.key).grow(299).grow(1, "other").grow(100)
        assert w.add(fork, 300, 300, [])[0] == 422  # another root of the same size
        assert w.add(fork, 300, 400)[0] == 422
        more = tlog.Log("example.com/log", log.key).grow(400)
        proof = tlog.consistency(more.hashes(), 300)
        for bad in (proof[:-1], proof + [proof[0]], proof[::-1], [bytes(32)] + proof[1:], []):
            assert w.add(more, 300, 400, bad)[0] == 422
        for i in range(len(proof)):
            bent = list(proof)
            bent[i] = bytes([bent[i][0] ^ 1]) + bent[i][1:]
            assert w.add(more, 300, 400, bent)[0] == 422
        assert w.add(more, 300, 300, [bytes(32)])[0] == 422
        assert w.add(tlog.Log("example.com/unknown").grow(5), 0)[0] == 404
        assert w.add(tlog.Log("example.com/log").grow(400), 300)[0] == 403
        note = more.note()
        assert w.add(more, 300, 400, note=note.replace("example.com/log ", "example.com/lag "))[0] == 403
        good = note.splitlines(keepends=True)[-1]
        blob = bytearray(base64.b64decode(good.split()[-1]))
        blob[20] ^= 1
        forged = good.replace(good.split()[-1], base64.b64encode(blob).decode())
        assert w.add(more, 300, 400, note=note + forged)[0] == 403  # a bad line of the log's key beside a good one
        stranger = f"\u2014 example.com/other {base64.b64encode(bytes(72)).decode()}\n"
        assert w.add(more, 300, 400, note=note + stranger)[0] == 200
        assert w.post(request(400, [], note), "/elsewhere")[0] == 404
        url = f"{w.url}/{hashlib.sha256(b'example.com/log').hexdigest()}/checkpoint"
        with urllib.request.urlopen(url, timeout=10) as r:
            latest = r.read().decode()
        assert latest.startswith(more.text() + "\n") and good in latest and latest.count("\n") == 6
        w.cosignature(more.text(), latest.splitlines(keepends=True)[-1].encode())
        try:
            urllib.request.urlopen(f"{w.url}/{'0' * 64}/checkpoint", timeout=10)
            raise AssertionError("a checkpoint of an unknown log")
        except urllib.error.HTTPError as e:
            assert e.code == 404


def empty_tree_has_one_root_only():
    log = tlog.Log("example.com/log").grow(3)
    with Witness(log.vkey()) as w:
        lie = f"example.com/log\n0\n{base64.b64encode(bytes(32)).decode()}\n"
        assert w.post(request(0, [], log.note(text=lie)))[0] == 422
        assert w.post(request(0, [bytes(32)], log.note(3)))[0] == 422
        assert w.add(log, 0, 3)[0] == 200


def malformed_requests_are_told_so():
    log = tlog.Log("example.com/log").grow(10)
    with Witness(log.vkey()) as w:
        good = request(0, [], log.note())
        text = good.decode()
        bad = [b"", b"\n", b"old 0\n", b"old 0\n\n", good[:-1], text.replace("old 0", "old 00").encode(), text.replace("old 0", "old").encode(),
               text.replace("old 0", "old -1").encode(), text.replace("old 0", "old 99999999999999999999").encode(),
               text.replace("old 0", "OLD 0").encode(), text.replace("\n10\n", "\n010\n").encode(), text.replace("\n10\n", "\nten\n").encode(),
               text.replace("old 0\n", "old 0\nAAAA\n").encode(), text.replace("old 0\n", "old 0\n!\n").encode(),
               b"old 0\n" + 64 * (base64.b64encode(bytes(32)) + b"\n") + good[6:], good + b"rubbish\n", good + b"rubbish",
               good.replace(b"\n\n\xe2", b"\n\xe2"), good + b"\n", bytes(range(256)), good.replace(b"example", b"ex\xff\xfemple")]
        for body in bad:
            assert w.post(body)[0] == 400, body
        assert w.post(b"old 0\n" + b"A" * 100000)[0] in (400, 413)
        assert w.add(log, 0)[0] == 200


def raw(w, data, end=False):
    """A connection on which these bytes were sent."""
    host, port = w.url.removeprefix("http://").rsplit(":", 1)
    c = socket.create_connection((host, int(port)), timeout=40)
    try:
        c.sendall(data)
        if end:
            c.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # cut already
    return c


def status_of(c):
    """The answer's status; 0 when the connection is cut without one."""
    with c:
        try:
            head = c.recv(64)
        except ConnectionError:
            head = b""
    return int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else 0


def strangers_http_is_refused():
    log = tlog.Log("example.com/log").grow(300)
    with Witness(log.vkey()) as w:
        post, body = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n", request(0, [], log.note())
        whole = post + b"Content-Length: %d\r\n\r\n" % len(body) + body
        for bad in (post + b"Content-Length: -1\r\n\r\n" + body, post + b"Content-Length: 99999999999999999999\r\n\r\n" + body,
                    post + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n" + body, post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                    post + b"Transfer-Encoding: chunked\r\n\r\n5\r\nold 0\r\n0\r\n\r\n", post + b"X: " + b"x" * 40000 + b"\r\n\r\n",
                    whole.replace(b"POST ", b"PUT "), whole.replace(b"POST ", b"GET "), whole.replace(b"/add", b"/%61dd"), b"\0" * 5000,
                    b"POST\r\n\r\n"):
            assert status_of(raw(w, bad, end=True)) != 200, bad[:80]
        flood = post + b"Content-Length: %d\r\n\r\n" % (4 << 20) + bytes(64 << 10)
        held = raw(w, flood)
        assert w.add(log, 0, 7)[0] == 200, "a body that does not end holds nobody up"
        held.close()
        chunked = request(7, tlog.consistency(log.hashes(9), 7), log.note(9))
        assert status_of(raw(w, post + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(chunked) + chunked + b"\r\n0\r\n\r\n")) == 200


def slow_callers_hold_nobody_up_and_are_cut():
    """One address may have 16 connections: fifteen that say nothing, half a line or half a body, and one that asks."""
    log = tlog.Log("example.com/log").grow(3)
    with Witness(log.vkey()) as w:
        half = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 9000\r\n\r\nold 0\n"
        slow = [raw(w, half[:n]) for n in (0, 1, 20, 40, len(half)) for _ in range(3)]
        assert w.add(log, 0, 2)[0] == 200
        assert {status_of(c) for c in slow} <= {0, 408}  # shown out, not waited for
        assert w.add(log, 2, 3)[0] == 200


def race_never_cosigns_two_histories():
    """Many forks of one size at once, from one old size: one is cosigned, the others are told 409 or 422."""
    key = tlog.Key()
    trunk = tlog.Log("example.com/log", key).grow(8)
    with Witness(trunk.vkey()) as w:
        assert w.add(trunk, 0)[0] == 200
        bodies = []
        for i in range(24):
            fork = tlog.Log("example.com/log", key).grow(8).grow(1 + i % 6, f"fork {i}")
            bodies.append((fork, request(8, tlog.consistency(fork.hashes(), 8), fork.note())))
        answers = [None] * len(bodies)
        gate = threading.Barrier(12)

        def go(k):
            gate.wait()
            for i in range(k, len(bodies), 12):
                answers[i] = w.post(bodies[i][1])

        threads = [threading.Thread(target=go, args=(k,)) for k in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        signed = [i for i, a in enumerate(answers) if a[0] == 200]
        assert len(signed) == 1 and all(a[0] in (200, 409) for a in answers), [a[0] for a in answers]


def killed_it_never_goes_back():
    """Whatever was cosigned before kill -9 is remembered: its size, and that no other history is cosigned after."""
    key = tlog.Key()
    log = tlog.Log("example.com/log", key).grow(400)
    notes = {n: log.note(n) for n in range(0, 400)}
    with Witness(log.vkey()) as w:
        size, stop = 0, threading.Event()
        for round_number in range(12):
            signed = size

            def post_on():
                nonlocal signed
                while not stop.is_set() and signed + 1 < 400:
                    proof = tlog.consistency(log.hashes(signed + 1), signed) if signed else []
                    try:
                        status, _, body = w.post(request(signed, proof, notes[signed + 1]))
                    except OSError:
                        return
                    if status == 409:
                        at = int(body)
                        assert at == signed + 1, (at, signed)  # kept, and the answer lost
                        signed = at
                    elif status == 200:
                        signed += 1

            t = threading.Thread(target=post_on)
            t.start()
            time.sleep(0.03 + 0.013 * round_number)
            w.daemon.kill(signal.SIGKILL)
            t.join()
            w.start()
            status, _, body = w.add(log, 399, 399)
            if status == 200:  # all 399 were cosigned before the kill, and this asks for no more
                assert signed >= 398, signed
                size = 399
            else:
                assert status == 409 and signed <= int(body) <= signed + 1, (body, signed)
                size = int(body)
            if size == 0:
                continue
            fork = tlog.Log("example.com/log", key).grow(size - 1).grow(5, "another")
            assert w.add(fork, size, size, [])[0] == 422
            assert w.add(fork, size, size + 4)[0] == 422
            assert w.add(fork, size - 1, size + 4)[0] == 409
        assert size > 12, size
        stop.set()


def lost_or_changed_state_is_a_full_stop():
    log = tlog.Log("example.com/log").grow(9)
    with Witness(log.vkey()) as w:
        assert w.add(log, 0)[0] == 200
        w.daemon.kill(signal.SIGTERM)
        state = os.path.join(w.dir, "logs", hashlib.sha256(b"example.com/log").hexdigest() + ".checkpoint")
        with open(state, "rb") as f:
            good = f.read()
        no_cosignature = b"".join(good.splitlines(keepends=True)[:-1])
        for bad in (None, good.replace(b"\n9\n", b"\n8\n"), no_cosignature, good[:-20] + b"\n"):
            if bad is None:
                os.remove(state)
            else:
                with open(state, "wb") as f:
                    f.write(bad)
            assert "second history" in program("yumen-witness", "serve", "--dir", w.dir, expect=1), bad
        with open(state, "wb") as f:
            f.write(good)
        program("yumen-witness", "add", log.vkey(), "--dir", w.dir, expect=1)
        program("yumen-witness", "add", "rubbish", "--dir", w.dir, expect=2)
        program("yumen-witness", "add", tlog.Log("example.com/two").vkey(), "--dir", w.dir)
        w.start()
        assert w.add(log, 9)[0] == 200
        program("yumen-witness", "serve", "--dir", w.dir, expect=1)  # one at a time


def text(note):
    return note[:note.index("\n\n") + 1]


LIAR = "liar.example/witness"


def lying_witness(key):
    """Answers 200 to everything, with lines of its own name that no checkpoint fits."""
    blob = key.id(LIAR, 4) + int(time.time()).to_bytes(8, "big") + bytes(64)
    line = f"\u2014 {LIAR} {base64.b64encode(blob).decode()}\n".encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        asked = 0

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            Handler.asked += 1
            tlog.give(self, line + b"not a line\n" + line[:-5])

        def log_message(self, *a):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}", Handler


def hub_is_cosigned_and_never_waits():
    liar_key = tlog.Key()
    liar, asked = lying_witness(liar_key)
    with Federation(sites=()) as f, Witness() as w:
        os.makedirs(f.root, exist_ok=True)
        f.init_hub(f"http: 127.0.0.1:0\nwitnesses:\n  - url: {w.url}/\n    key: \"{w.vkey}\"\n"
                   f"  - {{url: \"{liar}\", key: \"{liar_key.vkey(LIAR, 4)}\"}}\n"
                   f"  - url: http://127.0.0.1:1\n    key: \"{tlog.Key().vkey('nobody.example/w', 4)}\"\n")
        w.daemon.kill(signal.SIGTERM)
        program("yumen-witness", "add", f.vkeys[0], "--dir", w.dir)
        port = w.url.rsplit(":", 1)[1]
        with open(os.path.join(w.dir, "witness.yaml"), "w", encoding="utf-8") as file:
            file.write(f"name: {NAME}\nlisten: 127.0.0.1:{port}\n")
        base = "http://" + re.search(r"http=(\S+)", f.daemons["hub"].ready).group(1)

        def served():
            with urllib.request.urlopen(base + "/checkpoint", timeout=10) as r:
                return r.read().decode()

        def cosigned(size):
            note = served()
            assert LIAR not in note, "a forged cosignature is served"
            lines = [x + "\n" for x in note[note.index("\n\n") + 2:].splitlines() if NAME in x]
            if int(note.split("\n")[1]) != size or not lines:
                return None
            w.cosignature(text(note), lines[0].encode())
            return note

        f.wait(lambda: asked.asked > 0, 10, "the liar to be asked")
        begin = time.monotonic()
        f.enrol_sponsor()  # one witness lies, the others are dead
        f.wait(lambda: served().split("\n")[1] == "2", 10, "the second entry")
        assert time.monotonic() - begin < 10 and cosigned(2) is None
        w.start()
        f.wait(lambda: cosigned(2), 20, "a cosignature after the witness came back")
        for i in range(3):
            f.run("yumen", "enrol", "--dir", f.path(f"more{i}"), "--token", f.token("sponsor", f"more{i}"), "--hub", f.hub_addr)
            f.wait(lambda: cosigned(3 + i), 20, "the next cosignature")
        f.run("yumen-audit", "fetch", base, f.path("copy"), "--trust", f.trust_file())
        with open(f.path("copy", "checkpoint"), encoding="utf-8") as file:
            copy = file.read()
        assert NAME in copy and text(copy) == text(served())
        w.daemon.proc.send_signal(signal.SIGSTOP)  # it hangs: neither rounds nor the end wait for it
        begin = time.monotonic()
        f.run("yumen", "enrol", "--dir", f.path("last"), "--token", f.token("sponsor", "last"), "--hub", f.hub_addr)
        f.wait(lambda: served().split("\n")[1] == "6", 10, "an entry while the witness hangs")
        time.sleep(1.2)  # so that a request hangs there
        begin = time.monotonic()
        f.daemons["hub"].kill(signal.SIGTERM)
        assert time.monotonic() - begin < 8, "the hub's end waited for a witness"
        w.daemon.proc.send_signal(signal.SIGCONT)
        f.daemons["hub"].start()
        base = "http://" + re.search(r"http=(\S+)", f.daemons["hub"].ready).group(1)
        f.wait(lambda: cosigned(6), 20, "a cosignature after the hub came back")


def policy_that_requires_the_witness():
    """A study of three rounds: hub's folder and mirror verify under a policy that asks for the witness's cosignature; they do
    not under one that asks for another's, nor where its line is forged."""
    with Federation(sites=("h1",)) as f, Witness() as w:
        os.makedirs(f.root, exist_ok=True)
        f.init_hub(f"http: 127.0.0.1:0\nwitnesses: [{{url: \"{w.url}\", key: \"{w.vkey}\"}}]\n")
        base = "http://" + re.search(r"http=(\S+)", f.daemons["hub"].ready).group(1)
        w.daemon.kill(signal.SIGTERM)
        program("yumen-witness", "add", f.vkeys[0], "--dir", w.dir)
        with open(os.path.join(w.dir, "witness.yaml"), "w", encoding="utf-8") as file:
            file.write(f"name: {NAME}\nlisten: {w.url[7:]}\n")
        w.start()
        f.init_site("h1")
        f.enrol_site("h1")
        f.site("h1", "data", "add", f.add_data("h1"))
        f.enrol_sponsor()
        f.sponsor("study", "submit", f.plan(quorum=1))
        f.approve_all()
        f.wait_phase(("done",))
        sealed = f.path("hub", "ledger", "cosigned")
        f.wait(lambda: len(os.listdir(sealed)) == 3 and all(NAME in open(os.path.join(sealed, n), encoding="utf-8").read()
                                                            for n in os.listdir(sealed)), 20, "cosignatures of all rounds")
        with open(f.trust_file(), encoding="utf-8") as file:
            logs = file.read()

        def trust(name, *lines):
            with open(f.path(name), "w", encoding="utf-8") as file:
                file.write(logs + "\n".join(lines) + "\n")
            return f.path(name)

        good = trust("good", f"witness auditor {w.vkey}", "quorum auditor")
        other = trust("other", f"witness auditor {tlog.Key().vkey('elsewhere.example/w', 4)}", "quorum auditor")
        f.run("yumen-audit", "fetch", base, f.path("copy"), "--trust", good)
        assert sorted(os.listdir(f.path("copy", "cosigned"))) == sorted(os.listdir(sealed))

        def verify(folder, policy):
            p = f.run("yumen-audit", "verify", f.path(folder), f.path("h1", "ledger"), "--trust", policy, check=False)
            return p.returncode, p.stdout + p.stderr

        for folder in ("hub/ledger", "copy"):
            assert verify(folder, good)[0] == 0, verify(folder, good)
            code, said = verify(folder, other)
            assert code == 11 and "cosignature_missing" in said, (code, said)
        for name in [os.path.join("cosigned", n) for n in os.listdir(f.path("copy", "cosigned"))] + ["checkpoint"]:
            path = f.path("copy", name)
            with open(path, encoding="utf-8") as file:
                lines = file.readlines()
            for i, line in enumerate(lines):
                if NAME in line:
                    blob = bytearray(base64.b64decode(line.split()[-1]))
                    blob[-1] ^= 1
                    lines[i] = line.replace(line.split()[-1], base64.b64encode(blob).decode())
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(lines)
        code, said = verify("copy", good)
        assert code == 10 and "cosignature_wrong" in said, (code, said)


for test in (every_status_is_the_specification_s, empty_tree_has_one_root_only, malformed_requests_are_told_so,
             strangers_http_is_refused, slow_callers_hold_nobody_up_and_are_cut, race_never_cosigns_two_histories,
             killed_it_never_goes_back, lost_or_changed_state_is_a_full_stop, hub_is_cosigned_and_never_waits, policy_that_requires_the_witness):
    if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
        continue
    begin = time.monotonic()
    test()
    print(f"{test.__name__}: good, {time.monotonic() - begin:.1f} s", flush=True)
