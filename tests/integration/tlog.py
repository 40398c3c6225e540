"""A transparency log made with Python alone (RFC 6962, C2SP tlog-tiles, signed-note), and a static server for one.

Nothing of the product: tests hold its mirror and its witness against this. Signatures come from the openssl program."""

import base64
import hashlib
import http.server
import os
import subprocess
import tempfile
import threading


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_hash(leaf):
    return hashlib.sha256(b"\x00" + leaf).digest()


def root_of(hashes):
    """RFC 6962, 2.1, as its recursion is written."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return node(root_of(hashes[:k]), root_of(hashes[k:]))


def consistency(hashes, old, whole=True):
    """RFC 6962, 2.1.2: PROOF(old, D[n])."""
    n = len(hashes)
    if old == n:
        return [] if whole else [root_of(hashes)]
    k = 1
    while 2 * k < n:
        k *= 2
    if old <= k:
        return consistency(hashes[:k], old, whole) + [root_of(hashes[k:])]
    return consistency(hashes[k:], old - k, False) + [root_of(hashes[:k])]


class Key:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="yumen-key-")
        self.pem = os.path.join(self.dir, "k.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.pem], check=True, capture_output=True)
        self.pub = subprocess.run(["openssl", "pkey", "-in", self.pem, "-pubout", "-outform", "DER"], check=True,
                                  capture_output=True).stdout[-32:]

    def sign(self, data):
        path = os.path.join(self.dir, "m")
        with open(path, "wb") as f:
            f.write(data)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.pem, "-in", path], check=True,
                              capture_output=True).stdout

    def id(self, name, kind=1):
        return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + self.pub).digest()[:4]

    def vkey(self, name, kind=1):
        return f"{name}+{self.id(name, kind).hex()}+{base64.b64encode(bytes([kind]) + self.pub).decode()}"


def cosign(key, name, text, stamp):
    """A line of cosignature/v1 (C2SP tlog-cosignature)."""
    signature = key.sign(f"cosignature/v1\ntime {stamp}\n{text}".encode())
    return f"\u2014 {name} {base64.b64encode(key.id(name, 4) + stamp.to_bytes(8, 'big') + signature).decode()}\n"


def verify(pub, data, signature):
    with tempfile.TemporaryDirectory() as d:
        def put(name, value):
            with open(os.path.join(d, name), "wb") as f:
                f.write(value)
            return os.path.join(d, name)
        der = put("k", bytes.fromhex("302a300506032b6570032100") + pub)
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", der, "-keyform", "DER", "-in",
                               put("m", data), "-sigfile", put("s", signature)], capture_output=True).returncode == 0


class Log:
    def __init__(self, origin, key=None):
        self.origin, self.key, self.leaves = origin, key or Key(), []

    def grow(self, count, text="entry"):
        self.leaves += [f"{text} {len(self.leaves) + i}".encode() for i in range(count)]
        return self

    def hashes(self, size=None):
        return [leaf_hash(x) for x in self.leaves[:size]]

    def text(self, size=None):
        size = len(self.leaves) if size is None else size
        root = base64.b64encode(root_of(self.hashes(size))).decode()
        return f"{self.origin}\n{size}\n{root}\n"

    def note(self, size=None, text=None):
        text = self.text(size) if text is None else text
        line = base64.b64encode(self.key.id(self.origin) + self.key.sign(text.encode())).decode()
        return f"{text}\n\u2014 {self.origin} {line}\n"

    def vkey(self):
        return self.key.vkey(self.origin)

    def write(self, folder):
        """The static files of the whole log, partial tiles included."""
        def put(path, data):
            path = os.path.join(folder, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)

        def name(index, count):
            groups = []
            while True:
                groups.insert(0, index % 1000)
                index //= 1000
                if not index:
                    break
            path = "/".join([f"x{g:03}" for g in groups[:-1]] + [f"{groups[-1]:03}"])
            return path if count == 256 else f"{path}.p/{count}"

        for first in range(0, len(self.leaves), 256):
            part = self.leaves[first:first + 256]
            put("tile/entries/" + name(first // 256, len(part)), b"".join(len(x).to_bytes(2, "big") + x for x in part))
        level, row = 0, self.hashes()
        while row:
            for first in range(0, len(row), 256):
                part = row[first:first + 256]
                put(f"tile/{level}/" + name(first // 256, len(part)), b"".join(part))
            row = [root_of(row[i:i + 256]) for i in range(0, len(row) - len(row) % 256, 256)]
            level += 1
        put("checkpoint", self.note().encode())
        return folder


class Server:
    """Static files; `answer(handler, path)` may answer itself by returning True."""

    def __init__(self, folder, answer=None):
        self.folder, self.answer, self.asked = folder, answer, []
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __init__(self, *a, **kw):
                super().__init__(*a, directory=outer.folder, **kw)

            def do_GET(self):
                outer.asked.append(self.path)
                if not (outer.answer and outer.answer(self, self.path)):
                    super().do_GET()

            def log_message(self, *a):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *a: None  # clients are killed here
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def give(handler, data, status=200, length=None):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(data) if length is None else length))
    handler.end_headers()
    handler.wfile.write(data)
    return True
