#!/usr/bin/python3
"""A network trained on images between real processes, one hospital with an NPZ, the other with a folder of PNG and two
images of each patient: the study ends, each release is charged, and the auditor recomputes every state."""

import os
import random
import struct
import sys
import zipfile
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402

SIDE, PATIENTS = 4, 60
VARIABLES = """variables:
  - {name: scan, column: %s, channels: 1, height: 4, width: 4}
  - {name: sick, column: sick, levels: ["no", "yes"], map: {"0": "no", "1": "yes"}}
"""
MODEL = """  family: network
  inputs: [{name: scan, channels: 1, height: 4, width: 4}]
  outcome: {name: sick, levels: ["no", "yes"]}
  layers: [conv2d: {channels: 2, kernel: 2}, tanh, max_pool: {size: 3}]
  seed: 1
"""


def draw(rng):
    """A dark image of the well, a bright one of the sick."""
    sick = rng.randrange(2)
    return bytes(min(255, rng.randrange(100) + 140 * sick) for _ in range(SIDE * SIDE)), sick


def png(pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + pixels[i:i + SIDE] for i in range(0, len(pixels), SIDE))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def npy(shape, data):
    head = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + head.ljust(117).encode() + b"\n" + data


def write_npz(folder, images):
    with zipfile.ZipFile(os.path.join(folder, "d.npz"), "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("scan.npy", npy((len(images), SIDE, SIDE), b"".join(i for i, _ in images)))
        z.writestr("sick.npy", npy((len(images),), bytes(s for _, s in images)))
    return "file: d.npz\npatient_identifier: row\n" + VARIABLES % "scan"


def write_folder(folder, images):
    os.mkdir(os.path.join(folder, "scans"))
    with open(os.path.join(folder, "d.csv"), "w", encoding="utf-8") as f:
        f.write("pid,png,sick\n")
        for i, (pixels, sick) in enumerate(images):
            name = "scans/%d.png" % i
            with open(os.path.join(folder, name), "wb") as p:
                p.write(png(pixels))
            f.write("p%d,%s,%d\n" % (i // 2, name, sick))
    return "file: d.csv\npatient_column: pid\n" + VARIABLES % "png"


class Images(Federation):
    def add_data(self, name, **_):
        folder = self.path("data-" + name)
        os.makedirs(folder)
        rng = random.Random(name)
        rest = (write_npz if name == "h1" else write_folder)(folder, [draw(rng) for _ in range(PATIENTS * (1 if name == "h1" else 2))])
        card = os.path.join(folder, "card.yaml")
        with open(card, "w", encoding="utf-8") as f:
            f.write('yumen: card/1\nname: wards\ntitle: scans of %s\nsize_class: "<100"\ntier: general\n%s' % (name, rest))
        return card

    def plan(self, study="trial", **over):
        path = super().plan(study, **over)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        head, tail = text.index("  family:"), text.index("training:")
        text = text[:head] + MODEL + text[tail:].replace("max_records_per_patient: 1", "max_records_per_patient: 2")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path


def main():
    with Images(sites=("h1", "h2")) as fed:
        fed.up()
        assert '"yes"' not in fed.site("h1", "data", "list").stdout
        fed.sponsor("study", "submit", fed.plan(quorum=2, rounds=3, steps=4))
        fed.approve_all()
        fed.wait_phase(("done",))
        for name in fed.names:
            charges = [x for x in fed.leaves(fed.path(name, "ledger")) if x["type"] == "charge"]
            assert [x["round"] for x in charges] == [1, 2, 3], charges
            assert {x["identified"] for x in charges} == {"row" if name == "h1" else "unspecified"}, charges
        print(fed.verify("--objects", fed.path("hub", "objects")).stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
