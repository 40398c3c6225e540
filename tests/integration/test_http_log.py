#!/usr/bin/env python3
"""The hub's log over HTTP: static tlog-tiles and nothing else, mirrored and verified, while hostile clients do what they
like and the hub goes on serving hospitals."""

import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation, Failed  # noqa: E402

SECRET = re.compile(rb"PRIVATE KEY|federation: test|SQLite format|enrol_listen")


def get(url, method="GET", data=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=10) as r:
            return r.status, dict(r.headers), r.read()
    except urllib.error.HTTPError as e:
        return e.code, dict(e.headers), e.read()


def raw(port, data, wait=3):
    """What the server says to these bytes until it closes, or for `wait` seconds."""
    out = b""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(wait)
            while True:
                part = s.recv(65536)
                if not part:
                    return out
                out += part
        except OSError:
            return out


def log_folder(f):
    return f.path("hub", "ledger")


def files_are_served_as_the_specification_says(f, base):
    status, headers, note = get(base + "/checkpoint")
    with open(os.path.join(log_folder(f), "checkpoint"), "rb") as file:
        assert status == 200 and note == file.read()
    assert headers["Content-Type"] == "text/plain; charset=utf-8" and headers["Cache-Control"] == "no-cache"
    size = int(note.split(b"\n")[1])
    for kind, step in (("entries", None), ("0", 32)):
        status, headers, tile = get(f"{base}/tile/{kind}/000.p/{size}")
        with open(os.path.join(log_folder(f), "tile", kind, "000.p", str(size)), "rb") as file:
            assert status == 200 and tile == file.read(), kind
        assert headers["Content-Type"] == "application/octet-stream" and "immutable" in headers["Cache-Control"]
        assert step is None or len(tile) == step * size
        for width in range(1, size):  # tiles of every older checkpoint are there still
            status, _, part = get(f"{base}/tile/{kind}/000.p/{width}")
            assert status == 200 and tile.startswith(part) and len(part) < len(tile), (kind, width)
        assert get(f"{base}/tile/{kind}/000.p/{size + 1}")[0] == 404 and get(f"{base}/tile/{kind}/000")[0] == 404
    with socket.create_connection(("127.0.0.1", int(base.rsplit(":", 1)[1])), 5) as s:
        s.sendall(b"HEAD /checkpoint HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        s.settimeout(5)
        answer = b""
        while part := s.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(note) in answer


def nothing_else_is_served(f, base):
    port = int(base.rsplit(":", 1)[1])
    names = ["/", "/hub.yaml", "/lock", "/tmp/0", "/tile", "/tile/", "/tile/0", "/tile/entries", "/tile/entries/000.p",
             "/tile/entries/000.p/", "/tile/0/../../checkpoint", "/tile/0/000/../../../hub.yaml", "/../hub.yaml",
             "/../../../../etc/passwd", "/%2e%2e/hub.yaml", "/..%2fhub.yaml", "/tile/0/%2e%2e/000", "//checkpoint",
             "/checkpoint/", "/Checkpoint", "/checkpoint%00", "/checkpoint%0a", "/tile/00/000.p/1", "/tile/8/000.p/1",
             "/tile/-1/000.p/1", "/tile/0/000.p/01", "/tile/0/000.p/256", "/tile/0/000.p/0", "/tile/0/x000/000.p/1",
             "/tile/0/0.p/1", "/tile/0/000.p/1/", "/tile/0/x001/x002/x003/x004/x005/x006/x007/008", "/ledger/checkpoint",
             "/cosigned/../../hub.yaml", "/cosigned/", "http://elsewhere/hub.yaml"]
    for name in names:
        answer = raw(port, f"GET {name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert answer[:12] in (b"HTTP/1.1 404", b"HTTP/1.1 400"), (name, answer[:100])
        assert not SECRET.search(answer), name
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "CONNECT"):
        answer = raw(port, f"{method} /checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".encode())
        assert answer.startswith(b"HTTP/1.1 405") and b"Allow: GET, HEAD" in answer, (method, answer[:100])
    assert not raw(port, b"GET /checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhub.yaml.").startswith(b"HTTP/1.1 200")


def garbage_hurts_nobody(f, base):
    port, rng = int(base.rsplit(":", 1)[1]), random.Random(7)
    line = b"GET /tile/entries/000.p/1 HTTP/1.1\r\nHost: x\r\n\r\n"
    for i in range(400):
        data = bytearray(line if i % 2 else bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300))))
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data))
            data[at:at + rng.randrange(3)] = bytes(rng.randrange(256) for _ in range(rng.randrange(3)))
        answer = raw(port, bytes(data), wait=0.2)
        assert not SECRET.search(answer), bytes(data)
    big = raw(port, b"GET /checkpoint HTTP/1.1\r\nX: " + b"a" * 200000 + b"\r\n\r\n")
    assert not big.startswith(b"HTTP/1.1 200")
    assert raw(port, b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n").startswith((b"HTTP/1.1 4", b""))
    assert get(base + "/checkpoint")[0] == 200 and f.daemons["hub"].alive()


def crowd_is_bounded_and_leaves(f, base):
    """Connections of one address are bounded; who says nothing is shown out."""
    port = int(base.rsplit(":", 1)[1])
    crowd = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(100)]
    for s in crowd:
        try:
            s.sendall(b"GET /checkpoint HTTP/1.1\r\nHost: ")
        except OSError:
            pass
    fds = len(os.listdir(f"/proc/{f.daemons['hub'].proc.pid}/fd"))
    assert fds < 200, fds
    f.run("yumen-coordinator", "token", "--role", "sponsor", "--name", "late", "--dir", f.path("hub"))
    f.run("yumen", "enrol", "--dir", f.path("late"), "--token", f.token("sponsor", "late"), "--hub", f.hub_addr)
    end = time.monotonic() + 30
    while True:  # the crowd still stands on its side; the server has cut it after ten seconds
        try:
            if get(base + "/checkpoint")[0] == 200:
                break
        except OSError:
            pass
        assert time.monotonic() < end, "the silent crowd was not shown out"
        time.sleep(0.2)
    for s in crowd:
        s.close()


def mirror_of_a_growing_log_verifies(f, base):
    trust = f.trust_file()
    f.run("yumen-audit", "fetch", base, f.path("copy"), "--trust", trust)
    for i in range(3):
        f.run("yumen", "enrol", "--dir", f.path(f"more{i}"), "--token", f.token("sponsor", f"more{i}"), "--hub", f.hub_addr)
        f.wait(lambda: b"new, in" in f.run("yumen-audit-fetch", base, f.path("copy"), "--trust", trust).stdout.encode(), 10,
               "the log to grow")
        assert "VERIFIED" in f.run("yumen-audit", "verify", f.path("copy"), "--trust", trust).stdout
    p = f.run("yumen-audit", "fetch", base, f.path("unsure"))
    assert "Origin not checked" in p.stderr
    p = f.run("yumen-audit", "fetch", base, f.path("unsure"), env={"YUMEN_LANG": "zh"})
    assert "来源未核对" in p.stderr and "无新增" in p.stdout


def without_the_key_nothing_listens(f):
    with Federation(sites=()) as other:
        other.init_hub()
        assert "http" not in other.daemons["hub"].ready
        pid = other.daemons["hub"].proc.pid
        listening = subprocess.run(["readlink", "-f", f"/proc/{pid}/exe"], capture_output=True, text=True).stdout
        assert "yumen-coordinator" in listening
        mine = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if os.path.islink(f"/proc/{pid}/fd/{fd}")}
        inodes = {m[8:-1] for m in mine if m.startswith("socket:[")}
        ports = set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            if not os.path.exists(table):
                continue
            with open(table, encoding="ascii") as t:
                for line in t.readlines()[1:]:
                    w = line.split()
                    if w[3] == "0A" and w[9] in inodes:
                        ports.add(int(w[1].rsplit(":", 1)[1], 16))
        assert ports == {other.port, other.port + 1}, ports


def bad_address_is_said(f):
    path = f.path("hub", "hub.yaml")
    with open(path, encoding="utf-8") as file:
        old = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub("http: .*", "http: nowhere", old))
    p = f.run("yumen-coordinator", "serve", "-n", "--dir", f.path("hub"), check=False)
    assert p.returncode == 2 and "http" in p.stderr, p.stderr
    with open(path, "w", encoding="utf-8") as file:
        file.write(old)


with Federation(sites=()) as f:
    f.init_hub("http: 127.0.0.1:0\n")
    found = re.search(r"http=(127\.0\.0\.1:\d+)", f.daemons["hub"].ready)
    if not found:
        raise Failed(f.daemons["hub"].ready)
    base = "http://" + found.group(1)
    f.enrol_sponsor()
    f.wait(lambda: get(base + "/checkpoint")[2].split(b"\n")[1] == b"2", 10, "the second entry")
    for test in (files_are_served_as_the_specification_says, nothing_else_is_served, garbage_hurts_nobody,
                 mirror_of_a_growing_log_verifies, crowd_is_bounded_and_leaves):
        begin = time.monotonic()
        test(f, base)
        print(f"{test.__name__}: good, {time.monotonic() - begin:.1f} s", flush=True)
    bad_address_is_said(f)
    without_the_key_nothing_listens(f)
