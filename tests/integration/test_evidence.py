#!/usr/bin/env python3
"""Evidence bundles: the same bytes each time, checked by yumen-audit as folder and tar, and by the very commands of
docs/evidence.md with public tools alone; a trust file of the bundle itself proves no origin; hostile tars lead nowhere."""

import filecmp
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

BUILD, SOURCE = os.environ["YM_BUILD_ROOT"], os.environ["YM_SOURCE_ROOT"]
GOLDEN = os.path.join(SOURCE, "tests", "vectors", "ledger", "golden")
LOGS = [os.path.join(GOLDEN, name) for name in ("hub", "h1", "h2")]
TRUST = os.path.join(GOLDEN, "trust")


def audit(expect, *argv, tmp=None):
    env = {**os.environ, "YUMEN_LANG": "en", **({"TMPDIR": tmp} if tmp else {})}
    p = subprocess.run([os.path.join(BUILD, "cmd", "yumen-audit"), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, env=env, timeout=60)
    if p.returncode != expect:
        sys.exit(f"{' '.join(argv)}: exit {p.returncode}, expected {expect}\n{p.stdout}")
    return p.stdout


def documented(root, evidence, trust):
    """Every sh block of docs/evidence.md, as one script."""
    with open(os.path.join(SOURCE, "docs", "evidence.md"), encoding="utf-8") as f:
        script = "".join(re.findall(r"^```sh\n(.*?)^```$", f.read(), re.M | re.S))
    assert script.count("openssl pkeyutl") == 1 and "comm -23" in script
    work = tempfile.mkdtemp(dir=root)
    env = {"PATH": "/usr/bin:/bin", "EVIDENCE": evidence, "TRUST": trust, "WORK": work, "LC_ALL": "C.UTF-8"}
    return subprocess.run(["sh", "-eu"], input=script, text=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120)


def resum(evidence):
    """As a forger would: new hashes over what was changed."""
    with open(os.path.join(evidence, "SHA256SUMS"), encoding="utf-8") as f:
        names = [line.split("  ")[1].strip() for line in f]
    with open(os.path.join(evidence, "SHA256SUMS"), "w", encoding="utf-8") as f:
        for name in names:
            with open(os.path.join(evidence, name), "rb") as g:
                f.write(f"{hashlib.sha256(g.read()).hexdigest()}  {name}\n")


def flip(path, old, new):
    with open(path, "rb") as f:
        data = f.read()
    assert old in data
    with open(path, "wb") as f:
        f.write(data.replace(old, new, 1))


def by_hand(root, folder):
    good = documented(root, folder, TRUST)
    assert good.returncode == 0, good.stdout
    objects = os.path.join(root, "with-objects")
    shutil.copytree(folder, objects)
    os.mkdir(os.path.join(objects, "objects"))
    with open(os.path.join(objects, "objects", hashlib.sha256(b"a sum").hexdigest()), "wb") as f:
        f.write(b"a sum")
    assert documented(root, objects, TRUST).returncode == 0
    with open(os.path.join(objects, "objects", "0" * 64), "wb") as f:
        f.write(b"another")
    assert documented(root, objects, TRUST).returncode != 0, "an object under another name"
    tricks = [("logs/hub/tile/entries/000.p/21", b'"round":1', b'"round":9', 10),
              ("logs/hospital-h1/checkpoint", b"\n11\n", b"\n12\n", 10),
              ("logs/hospital-h2/tile/entries/000.p/10", b'"epsilon_spent_micro":3625782', b'"epsilon_spent_micro":3625781', 10)]
    for name, old, new, code in tricks:
        other = tempfile.mkdtemp(dir=root) + "/evidence"
        shutil.copytree(folder, other)
        flip(os.path.join(other, name), old, new)
        assert documented(root, other, TRUST).returncode != 0, name + " against SHA256SUMS"
        resum(other)
        assert documented(root, other, TRUST).returncode != 0, name
        audit(code, "verify", other, "--trust", TRUST)
    stranger = os.path.join(root, "stranger")
    os.mkdir(stranger)
    subprocess.run([os.path.join(BUILD, "tests", "make_ledgers"), stranger], check=True, timeout=60)
    assert documented(root, folder, os.path.join(stranger, "trust")).returncode != 0, "another's keys"


def hostile_tars(root, good):
    """Each is a good bundle with one thing more, so that nothing but that thing can be what is refused."""
    scratch, victim, path = (os.path.join(root, name) for name in ("scratch", "victim", "hostile.tar"))
    os.mkdir(scratch)
    with open(good, "rb") as f:
        data = f.read()
    with tarfile.open(good) as t:
        last = t.getmembers()[-1]
    whole = data[:last.offset_data + -(-last.size // 512) * 512]

    def refused(*parts, code=3):
        with open(path, "wb") as f:
            f.write(b"".join(parts))
        audit(code, "verify", path, "--trust", TRUST, tmp=scratch)
        assert not os.path.exists(victim) and os.listdir(scratch) == [], parts[1:]

    def entry(name, kind=tarfile.REGTYPE, link="", form=tarfile.USTAR_FORMAT):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w", format=form) as t:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
            t.addfile(info, io.BytesIO(b"evil"))
        return made.getvalue()

    refused(whole, entry("evidence/more"), code=0)
    for trick in (("../victim",), (victim,), ("evidence/../../victim",), ("evidence//victim",), ("evidence/trust",), ("evidence/logs",),
                  ("evidence/trust/more",), ("evidence/a b",), ("evidence/" + "a/" * 12 + "a",), ("evidence/" + "a/" * 12, tarfile.DIRTYPE),
                  ("evidence/" + "a/" * 100 + "a",), ("evidence/l", tarfile.SYMTYPE, root),
                  ("evidence/fifo", tarfile.FIFOTYPE), ("evidence/a", tarfile.LNKTYPE, "/etc/passwd"), ("evidence/tty", tarfile.CHRTYPE)):
        refused(whole, entry(*trick))
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        refused(whole, entry("evidence/" + "n" * 300, form=form))
    for cut in (0, 511, 512, 5000, len(whole), len(whole) - 1):
        refused(data[:cut])
    refused(data, bytes(100000), code=0)
    for tail in (data, bytes(512) + b"x", bytes(3 << 20)):
        refused(data, tail)
    special_headers(whole, refused)
    with open(path, "wb") as f:
        f.truncate(10 << 30)  # zeros that take no room
    audit(3, "verify", path, "--trust", TRUST, tmp=scratch)


def special_headers(whole, refused):
    """What GNU and pax writers put beside plain files, and sizes that are not there."""
    for kind, size in ((b"S", 0), (b"x", 0), (b"g", 0), (b"L", 0), (b"7", 0), (b"5", 512), (b"0", 0o77777777777), (b"0", 1 << 40)):
        info = tarfile.TarInfo("evidence/a")
        info.type, info.size = kind, min(size, 0o77777777777)
        block = info.tobuf(tarfile.GNU_FORMAT)[:512]
        if size == 1 << 40:  # in base 256, as GNU writes what eleven digits cannot hold
            block = checked(block[:124] + b"\x80" + size.to_bytes(11, "big") + block[136:])
        refused(whole, block, bytes(8192))
    refused(whole, checked(bytes(100) + tarfile.TarInfo("evidence/a").tobuf(tarfile.USTAR_FORMAT)[100:512]), bytes(1024))


def checked(block):
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    return block[:148] + b"%06o\0 " % total + block[156:]


def pipes_are_not_waited_for(root, folder):
    """A folder from a stranger may hold what blocks its reader."""
    for name, code in (("logs/hub/checkpoint", 10), ("logs/hub/tile/entries/000.p/21", 11), ("trust", 0), ("checkpoints/1", 2)):
        other = tempfile.mkdtemp(dir=root) + "/evidence"
        shutil.copytree(folder, other, ignore=lambda at, names: [os.path.basename(name)] if at.endswith(os.path.dirname(name)) else [])
        os.makedirs(os.path.dirname(os.path.join(other, name)), exist_ok=True)
        os.mkfifo(os.path.join(other, name))
        audit(code, "verify", other, "--trust", TRUST)


def main(root):
    folder, first, second = (os.path.join(root, name) for name in ("evidence", "1.tar", "2.tar"))
    for out in (folder, first, second):
        audit(0, "bundle", *LOGS, "--trust", TRUST, "--out", out)
    assert filecmp.cmp(first, second, shallow=False), "not the same bytes again"
    assert sorted(os.listdir(folder)) == ["README.en.txt", "README.zh.txt", "SHA256SUMS", "logs", "report.html", "trust"]
    with tarfile.open(first) as t:
        t.extractall(os.path.join(root, "unpacked"))
    assert subprocess.run(["diff", "-r", folder, os.path.join(root, "unpacked", "evidence")]).returncode == 0
    for bundle in (folder, first):
        said = audit(0, "verify", bundle, "--trust", TRUST)
        assert "VERIFIED" in said and "report in this bundle was not looked at" in said
        audit(1, "verify", bundle)
    said = audit(1, "verify", folder, "--trust", os.path.join(folder, "trust"))
    assert "It proves nothing about the origin" in said and "ORIGIN NOT CHECKED" in said, said
    audit(0, "report", first, "--trust", TRUST, "--out", os.path.join(root, "again.html"))
    assert filecmp.cmp(os.path.join(root, "again.html"), os.path.join(folder, "report.html"), shallow=False)
    audit(1, "bundle", *LOGS, "--out", folder)
    audit(2, "bundle", *LOGS)
    assert [n for n in os.listdir(root) if ".part" in n] == []
    by_hand(root, folder)
    hostile_tars(root, first)
    pipes_are_not_waited_for(root, folder)
    print("ok")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="yumen-") as scratch_root:
        main(scratch_root)
