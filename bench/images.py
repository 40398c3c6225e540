"""What the imaging benches share: NPZ files without numpy, folders for `yumen simulate`, its answers."""

import gzip
import os
import struct
import sys
import zipfile


def npy(descr, shape, data):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }" % (descr, ", ".join(map(str, shape)))
    room = (10 + len(head) + 1 + 63) // 64 * 64 - 10
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", room) + head.ljust(room - 1).encode() + b"\n" + data


def write_npz(path, images, labels, height=28, width=28):
    """images: bytes of all of them; labels: a byte each."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        z.writestr("image.npy", npy("|u1", (len(labels), height, width), images))
        z.writestr("label.npy", npy("|u1", (len(labels),), labels))


def read_npz(path, name):
    """The bytes of an array of unsigned bytes."""
    with zipfile.ZipFile(path) as z:
        raw = z.read(name + ".npy")
    size = struct.unpack("<H", raw[8:10])[0]
    if b"'|u1'" not in raw[10:10 + size]:
        sys.exit("images.py: %s of %s is not of unsigned bytes" % (name, path))
    return raw[10 + size:]


def read_idx(path):
    """The bytes of an IDX file of unsigned bytes, as the MNIST family comes."""
    with gzip.open(path) as f:
        raw = f.read()
    if raw[:3] != b"\0\0\x08":
        sys.exit("images.py: %s is not IDX of unsigned bytes" % path)
    return raw[4 + 4 * raw[3]:]


def pick(images, labels, rows, pixels=28 * 28):
    return b"".join(images[i * pixels:(i + 1) * pixels] for i in rows), bytes(labels[i] for i in rows)


def write_site(home, name, card, images, labels):
    """A hospital's folder; returns the option of `yumen simulate` that names it."""
    folder = os.path.join(home, name)
    os.makedirs(folder, exist_ok=True)
    write_npz(os.path.join(folder, "train.npz"), images, labels)
    with open(card) as f, open(os.path.join(folder, "card.yaml"), "w") as out:
        out.write(f.read())
    return ["--site", "%s=%s" % (name, folder)]
