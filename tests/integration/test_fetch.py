#!/usr/bin/env python3
"""yumen-audit fetch against a log made without the product and served by a static server: a whole copy, growth, a kill
in the middle, and servers that lie; the copy is never made shorter, other, or half."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tlog  # noqa: E402

CMD = os.path.join(os.environ["YM_BUILD_ROOT"], "cmd")
ENV = {**os.environ, "YUMEN_LANG": "en", "no_proxy": "*"}


class Case:
    """A log of 20 full bundles and 37 entries, its server, its trust file, an empty place for the copy."""

    def __init__(self, size=20 * 256 + 37):
        self.root = tempfile.mkdtemp(prefix="yumen-fetch-")
        self.log = tlog.Log("yumen/test/hub").grow(size)
        self.server = tlog.Server(self.log.write(self.at("log")))
        self.trust = self.at("trust")
        with open(self.trust, "w", encoding="utf-8") as f:
            f.write(f"log {self.log.vkey()}\n")

    def at(self, *parts):
        return os.path.join(self.root, *parts)

    def argv(self, *more, url=None, copy="copy", trust=True):
        return [os.path.join(CMD, "yumen-audit"), "fetch", url or self.server.url, self.at(copy),
                *(["--trust", self.trust] if trust else []), *more]

    def fetch(self, *more, expect=0, **kw):
        p = subprocess.run(self.argv(*more, **kw), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENV, timeout=60)
        assert p.returncode == expect, f"exit {p.returncode}, expected {expect}\n{p.stdout}{p.stderr}"
        return p.stdout + p.stderr

    def files(self, folder):
        out = {}
        for here, _, names in os.walk(self.at(folder)):
            for n in names:
                path = os.path.join(here, n)
                rel = os.path.relpath(path, self.at(folder))
                if rel == "checkpoint" or rel.startswith("tile/"):
                    with open(path, "rb") as f:
                        out[rel] = f.read()
        return out

    def rewrite(self):
        shutil.rmtree(self.at("log"))
        self.log.write(self.at("log"))
        self.server.asked.clear()

    def bundles_asked(self):
        return [p for p in self.server.asked if p.startswith("/tile/entries/") and ".p" not in p]

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.server.close()
        shutil.rmtree(self.root, ignore_errors=True)


def whole_copy_is_the_log_byte_for_byte():
    for size in (1, 255, 256, 257, 20 * 256 + 37):
        with Case(size) as c:
            assert f"{size} entries, {size} of them new" in c.fetch()
            assert c.files("copy") == c.files("log"), size
            c.server.asked.clear()
            assert "none new" in c.fetch() and c.server.asked == ["/checkpoint"] * 2


def tile_of_level_two_is_crossed():
    with Case(65536 + 256 + 3) as c:
        c.fetch()
        assert c.files("copy") == c.files("log")


def growth_fetches_only_what_is_new():
    with Case() as c:
        c.fetch()
        c.log.grow(600)
        c.rewrite()
        assert "600 of them new" in c.fetch()
        assert c.files("copy") == c.files("log")
        assert c.bundles_asked() == ["/tile/entries/020", "/tile/entries/021"], c.server.asked


def killed_fetch_goes_on_where_it_was():
    with Case() as c:
        c.fetch()
        old = c.files("copy")
        c.log.grow(30 * 256)
        c.rewrite()
        stall = {"on": True}

        def hold(handler, path):
            if stall["on"] and path == "/tile/entries/035":
                time.sleep(30)
            return False

        c.server.answer = hold
        p = subprocess.Popen(c.argv(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
        end = time.monotonic() + 30
        while "/tile/entries/035" not in c.server.asked:
            assert time.monotonic() < end and p.poll() is None
            time.sleep(0.01)
        p.send_signal(signal.SIGKILL)
        p.wait()
        assert c.files("copy") == old, "a killed fetch changed the copy"
        stall["on"] = False
        c.server.asked.clear()
        assert f"{30 * 256} of them new" in c.fetch()
        assert c.bundles_asked() == [f"/tile/entries/{i:03}" for i in range(35, 50)], c.bundles_asked()
        assert c.files("copy") == c.files("log")
        assert [n for n in os.listdir(c.at("copy", "tmp")) if n.startswith("bundle")] == []


def killed_anywhere_it_ends_whole():
    with Case(8 * 256 + 5) as c:
        p, kills, whole = None, 0, c.files("log")
        for step in range(400):
            p = subprocess.Popen(c.argv(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
            try:
                p.wait(0.004 * (step + 1))
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
                kills += 1
                continue
            assert p.returncode == 0
            break
        assert kills >= 3, "too fast to be killed"
        assert c.files("copy") == whole


def staged_damage_is_fetched_again():
    with Case() as c:
        def cut(handler, path):
            return path == "/tile/entries/010" and tlog.give(handler, b"no", 500)

        c.server.answer = cut
        assert "run the same command again" in c.fetch(expect=3)
        staged = c.at("copy", "tmp", "bundle-3")
        with open(staged, "r+b") as f:
            f.seek(100)
            f.write(b"x")
        c.server.answer = None
        c.server.asked.clear()
        c.fetch()
        assert c.bundles_asked()[0] == "/tile/entries/003" and "/tile/entries/004" not in c.bundles_asked()
        assert c.files("copy") == c.files("log")


def old_partial_tiles_may_be_gone():
    """A server that drops a partial tile when the full one is there, after it gave the older checkpoint."""
    with Case(300) as c:
        old_note = c.log.note().encode()
        c.log.grow(300)
        c.rewrite()

        def stale(handler, path):
            return path == "/checkpoint" and c.server.asked.count(path) < 3 and tlog.give(handler, old_note)

        c.server.answer = stale
        assert "600 entries" in c.fetch()
        assert c.files("copy") == c.files("log")


def lying_servers_change_nothing():
    with Case() as c:
        c.fetch()
        old = c.files("copy")
        c.log.grow(1000)
        c.rewrite()
        good = c.files("log")

        def flipped(name):
            data = bytearray(good[name])
            data[len(data) // 2 + 5] ^= 1  # not in the length before an entry
            return bytes(data)

        last = max((n for n in good if n.startswith("tile/entries/") and ".p/" in n))
        lies = [(n, flipped(n)) for n in ("tile/entries/022", "tile/1/000.p/24", last)]
        lies += [("checkpoint", flipped("checkpoint")), ("checkpoint", b""), ("checkpoint", b"x" * 5000),
                 ("checkpoint", good["checkpoint"].replace(b"\n6157\n", b"\n6158\n")),
                 ("tile/entries/022", good["tile/entries/022"][:-1]), ("tile/entries/022", good["tile/entries/022"] + b"\0\0"),
                 ("tile/1/000.p/24", good["tile/1/000.p/24"][:-1])]
        assert b"\n6157\n" in good["checkpoint"]
        for name, lie in lies:
            c.server.answer = lambda h, p, name=name, lie=lie: p == "/" + name and tlog.give(h, lie)
            c.fetch(expect=1)
            assert c.files("copy") == old, name
        c.server.answer = None
        c.fetch()
        assert c.files("copy") == good


def shorter_log_is_refused():
    with Case() as c:
        c.fetch()
        old = c.files("copy")
        c.log.leaves = c.log.leaves[:1000]
        c.rewrite()
        assert "already holds 5157" in c.fetch(expect=1)
        assert c.files("copy") == old and not os.path.exists(c.at("copy", "contradiction"))


def other_history_is_refused_and_kept_as_evidence():
    for change, size in ((3, 6000), (5130, 6000), (5130, 5157), (3, 4000)):
        with Case() as c:
            c.fetch()
            old = c.files("copy")
            c.log.leaves = (c.log.leaves + [b"more %d" % i for i in range(6000)])[:size]
            if change < size:
                c.log.leaves[change] = b"another past"
            c.rewrite()
            said = c.fetch(expect=1)
            assert "two histories" in said and "keep them" in said, said
            assert c.files("copy") == old, (change, size)
            kept = os.listdir(c.at("copy", "contradiction"))
            with open(c.at("copy", "contradiction", kept[0]), "rb") as f:
                assert len(kept) == 1 and f.read() == c.files("log")["checkpoint"]


def forged_log_is_refused_and_nothing_is_written():
    with Case(300) as c:
        other = tlog.Log("yumen/test/hub").grow(300)
        shutil.rmtree(c.at("log"))
        other.write(c.at("log"))
        c.fetch(expect=1)
        assert c.files("copy") == {}
        other = tlog.Log("yumen/elsewhere/hub", c.log.key).grow(300)
        shutil.rmtree(c.at("log"))
        other.write(c.at("log"))
        assert "has no key of that name" in c.fetch(expect=1)


def network_trouble_has_its_own_words():
    with Case(300) as c:
        c.fetch(url="ftp://127.0.0.1/x", expect=2)
        c.fetch(url="http://user:word@127.0.0.1/", expect=2)
        c.fetch(url="file:///etc/passwd", expect=2)
        c.fetch(url="http://127.0.0.1:1/", expect=3)
        c.fetch(url=c.server.url + "/nowhere", expect=3)
        c.fetch("--timeout", "0", expect=2)

        def redirect(handler, path):
            handler.send_response(302)
            handler.send_header("Location", "http://127.0.0.1:1/")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return True

        c.server.answer = redirect
        assert "redirects are not followed" in c.fetch(expect=1)
        c.server.answer = lambda h, p: tlog.give(h, b"x", length=1 << 40)
        c.fetch(expect=1)  # a length beyond any bound

        def never(handler, path):
            time.sleep(5)
            return False

        c.server.answer = never
        begin = time.monotonic()
        c.fetch("--timeout", "1", expect=3)
        assert time.monotonic() - begin < 4
        c.server.answer = None
        assert c.files("copy") == {}


def cosignatures_of_the_same_checkpoint_are_added():
    with Case(300) as c:
        c.fetch()
        line = "\u2014 witness.example/w " + "A" * 100 + "\n"
        with open(c.at("log", "checkpoint"), "a", encoding="utf-8") as f:
            f.write(line)
        c.fetch()
        assert c.files("copy")["checkpoint"] == c.files("log")["checkpoint"]
        with open(c.at("log", "checkpoint"), "w", encoding="utf-8") as f:
            f.write(c.log.note())
        c.fetch()
        assert line.encode() in c.files("copy")["checkpoint"], "a cosignature was lost"


def lines_of_unknown_or_false_cosigners_are_left_out_where_the_trust_file_names_witnesses():
    with Case(20) as c:
        c.log.leaves.append(b'{"round":1,"type":"round_result"}')
        c.rewrite()
        key, name = tlog.Key(), "auditor.example/w"
        with open(c.trust, "a", encoding="utf-8") as f:
            f.write(f"witness auditor {key.vkey(name, 4)}\nquorum auditor\n")
        good = tlog.cosign(key, name, c.log.text(), 1700000000)
        false = tlog.cosign(key, name, c.log.text(20), 1700000001)  # of another checkpoint
        stranger = tlog.cosign(tlog.Key(), "other.example/w", c.log.text(), 1700000000)
        note = c.log.note()
        served = note + false + stranger + "rubbish\n" + good + "more"
        os.makedirs(c.at("log", "cosigned"))
        for path in (c.at("log", "checkpoint"), c.at("log", "cosigned", f"{21:020}")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(served)
        c.fetch()
        c.fetch()
        for path in (c.at("copy", "checkpoint"), c.at("copy", "cosigned", f"{21:020}")):
            with open(path, encoding="utf-8") as f:
                assert f.read() == note + good, path


def sealed_checkpoints_come_along():
    """cosigned/<size> after entries that end a round: signed by the log, of the copy's root; later lines are added."""
    with Case(20) as c:
        for i in range(40):
            c.log.leaves.append(b'{"round":%d,"type":"round_result"}' % i)
            c.log.grow(3)
        sizes = [i + 1 for i, x in enumerate(c.log.leaves) if b"round_result" in x]
        line = "\u2014 h1.example/x " + "B" * 100 + "\n"

        def put(size, note):
            os.makedirs(c.at("log", "cosigned"), exist_ok=True)
            with open(c.at("log", "cosigned", f"{size:020}"), "w", encoding="utf-8") as f:
                f.write(note)

        def kept(size):
            path = c.at("copy", "cosigned", f"{size:020}")
            return open(path, encoding="utf-8").read() if os.path.exists(path) else None

        c.rewrite()
        c.fetch()  # a server without any
        assert kept(sizes[-1]) is None and len([p for p in c.server.asked if "cosigned" in p]) == 3
        notes = {s: c.log.note(s) for s in sizes}
        for s in sizes:
            put(s, notes[s] + line)
        c.fetch()
        assert all(kept(s) == notes[s] + line for s in sizes)
        later = line.replace("h1.example", "h2.example")
        put(sizes[-1], notes[sizes[-1]] + line + later)
        c.server.asked.clear()
        c.fetch()
        assert kept(sizes[-1]) == notes[sizes[-1]] + line + later
        assert len([p for p in c.server.asked if "cosigned" in p]) == 16
        put(sizes[-1], notes[sizes[-2]])
        c.fetch(expect=1)
        put(sizes[-1], tlog.Log(c.log.origin).grow(len(c.log.leaves)).note(sizes[-1]))
        c.fetch(expect=1)
        put(sizes[-1], tlog.Log(c.log.origin, c.log.key).grow(len(c.log.leaves)).note(sizes[-1]))
        assert "two histories" in c.fetch(expect=1) and os.listdir(c.at("copy", "contradiction"))
        assert kept(sizes[-1]) == notes[sizes[-1]] + line + later


for test in (whole_copy_is_the_log_byte_for_byte, tile_of_level_two_is_crossed, growth_fetches_only_what_is_new,
             killed_fetch_goes_on_where_it_was, killed_anywhere_it_ends_whole, staged_damage_is_fetched_again,
             old_partial_tiles_may_be_gone, lying_servers_change_nothing, shorter_log_is_refused,
             other_history_is_refused_and_kept_as_evidence, forged_log_is_refused_and_nothing_is_written,
             network_trouble_has_its_own_words, cosignatures_of_the_same_checkpoint_are_added,
             lines_of_unknown_or_false_cosigners_are_left_out_where_the_trust_file_names_witnesses, sealed_checkpoints_come_along):
    if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
        continue
    begin = time.monotonic()
    test()
    print(f"{test.__name__}: good, {time.monotonic() - begin:.1f} s", flush=True)
