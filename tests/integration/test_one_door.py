#!/usr/bin/python3
"""The one door, read from the built objects: in the trainer only door.c sends to
the gateway's link, only link.c and admin.c write to ZeroMQ sockets, and the
trainer holds no noise-free training and no generator that takes a key. And the one
way to the rows: what forms a gradient stands beside the sampler, in the room of the
noisy step, and nothing else of the trainer calls it."""

import glob
import os
import subprocess
import sys

BUILD = os.environ.get("YM_BUILD_ROOT", os.path.join(os.getcwd(), "build"))
SENDERS = ("zmq_send", "zmq_msg_send", "zmq_sendmsg", "zmq_send_const", "zmq_sendiov")


def users(pattern, symbols):
    """Objects that call one of symbols."""
    out = set()
    objects = glob.glob(os.path.join(BUILD, pattern))
    assert objects, f"no objects at {pattern}: build yumen-trainer first"
    for path in objects:
        text = subprocess.run(["nm", "-u", path], stdout=subprocess.PIPE, text=True, check=True).stdout
        if any(line.split()[-1].split("@")[0] in symbols for line in text.splitlines() if line.strip()):
            out.add(os.path.basename(path))
    return out


def main():
    trainer = "worker/libtrainer.a.p/*.o"
    got = users(trainer, ("ym_link_send",))
    assert got == {"trainer_door.c.o"}, f"ym_link_send is called by {sorted(got)}"
    got = users(trainer, SENDERS)
    assert got == {"trainer_admin.c.o"}, f"ZeroMQ is written to by {sorted(got)}"
    got = users("worker/libymlink.a.p/*.o", SENDERS)
    assert got == {"link.c.o"}, f"ZeroMQ is written to by {sorted(got)}"
    step = "worker/liblocal.a.p/*.o"
    for symbol, only in (("ym_sample_patients", "trainer_local.c.o"), ("ym_model_patient_gradient", "trainer_local.c.o"),
                         ("ym_batch_put", "trainer_local_bounded.c.o"), ("ym_scaling_add_patient", "trainer_local_scaling.c.o"),
                         ("ym_metric_cell", "trainer_metric.c.o"), ("ym_model_predict", "trainer_metric.c.o")):
        got = users(step, (symbol,))
        assert got == {only}, f"{symbol} is called by {sorted(got)}"
        got = users(trainer, (symbol,))
        assert not got, f"{symbol} is called outside the noisy step, by {sorted(got)}"
    got = users(step, ("ym_noise_add",))
    assert got == {"trainer_local.c.o", "trainer_local_scaling.c.o", "trainer_metric.c.o"}, f"noise is added by {sorted(got)}"

    for room in ("worker/liblocal.a.p/*.o", "worker/libdata.a.p/*.o"):
        got = users(room, SENDERS + ("ym_link_send", "socket", "connect", "send", "sendto", "sendmsg"))
        assert not got, f"{sorted(got)} can send"

    names = subprocess.run(["nm", os.path.join(BUILD, "cmd", "yumen-trainer")], stdout=subprocess.PIPE, text=True,
                           check=True).stdout
    for word in ("ym_rng_open_keyed", "ym_rng_seeded", "ym_plain", "no_privacy", "grpc_"):
        assert word not in names, f"yumen-trainer holds {word}"
    assert " ym_noise_add" in names, "the symbols cannot be read"
    print("one door")


if __name__ == "__main__":
    sys.exit(main())
