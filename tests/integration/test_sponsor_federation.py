#!/usr/bin/python3
"""The sponsor's program against a running federation: what it lists, watches
through a restart of the hub, takes away, copies and cancels."""

import hashlib
import json
import os
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import CMD, Federation  # noqa: E402

ROUNDS = 6


def watch(fed, study, *options):
    """A watch in the background; the thread's list ends with the exit code."""
    lines = []
    argv = [os.path.join(CMD, "yumen"), "study", "watch", study, "--dir", fed.path("sponsor"), *options]
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env={**os.environ, "YUMEN_LANG": "en"})

    def read():
        lines.extend(p.stdout)
        lines.append(p.wait())
        lines.append(p.stderr.read())

    t = threading.Thread(target=read)
    t.start()
    return t, lines


def lists_data_and_says_why_not(fed, plan):
    data = json.loads(fed.sponsor("data", "list", "--plan", plan, "--json").stdout)["data"]
    assert [(d["hospital"], d["fits"]) for d in data] == [(n, True) for n in fed.names], data
    assert "patient_column" not in json.dumps(data) and "pid" not in json.dumps(data), "a local name left the site"
    with open(plan) as f:
        other = f.read().replace("name: marker", "name: troponin")
    path = fed.path("other.yaml")
    with open(path, "w") as f:
        f.write(other)
    data = json.loads(fed.sponsor("data", "list", "--plan", path, "--json").stdout)["data"]
    assert all(not d["fits"] and "troponin" in d["why_not"] for d in data), data
    assert "troponin" in fed.sponsor("data", "list", "--plan", path).stdout


def refuses_anothers_plan(fed, plan):
    with open(plan) as f:
        text = f.read().replace("sponsor: acme", "sponsor: rival")
    path = fed.path("rival.yaml")
    with open(path, "w") as f:
        f.write(text)
    p = fed.sponsor("study", "submit", path, check=False)
    assert p.returncode == 2 and "rival" in p.stderr, p.stderr


def watches_through_a_restart(fed):
    test = fed.path("test.csv")
    with open(test, "w") as f:
        f.write("age,marker,sick\n80,9,yes\n30,1,no\n70,8,yes\n40,2,no\n")
    thread, lines = watch(fed, "trial", "--test", test, "--json")
    fed.approve_all()
    fed.wait(lambda: sum('"type":"round"' in str(line) for line in lines) >= 3, 60, "two rounds")
    fed.daemons["hub"].kill()
    fed.daemons["hub"].start()
    thread.join(90)
    assert not thread.is_alive(), "the watch goes on after the study is done"
    code, err = lines[-2:]
    assert code == 0, (code, err)
    events = [json.loads(line) for line in lines[:-2]]
    rounds = [e for e in events if e["type"] == "round"]
    assert [e["round"] for e in rounds] == list(range(ROUNDS + 1)), rounds
    spent = [e["epsilon_micro"] for e in rounds]
    assert spent[0] == 0 and spent == sorted(set(spent)), spent
    assert rounds[0]["test"]["auc"] == 0.5 and all(0 <= e["test"]["auc"] <= 1 for e in rounds)
    last = [e for e in events if e["type"] == "study"][-1]
    assert last["phase"] == "done" and {s["hospital"] for s in last["sites"]} == set(fed.names)
    for phase in ("awaited", "counted"):
        assert any(s["phase"] == phase for e in events if e["type"] == "study" for s in e["sites"]), phase
    return rounds[-1]


def takes_the_model_away(fed, final):
    out = fed.path("model.safetensors")
    fed.sponsor("model", "get", "trial", "--out", out)
    with open(out, "rb") as f:
        raw = f.read()
    (n,) = struct.unpack("<Q", raw[:8])
    header, data = json.loads(raw[8:8 + n]), raw[8 + n:]
    assert n % 8 == 0 and set(header) == {"__metadata__", "layer0.weight", "layer0.bias"}, header
    assert header["layer0.weight"]["shape"] == [1, 2] and len(data) == 12
    with open(fed.path("model.json")) as f:
        card = json.load(f)
    assert card["file"] == hashlib.sha256(raw).hexdigest()
    assert card["privacy"]["epsilon_micro"] == final["epsilon_micro"] and card["privacy"]["unit"] == "patient"
    state = open(fed.path("hub", "objects", card["state"]), "rb").read()
    assert hashlib.sha256(state).hexdigest() == card["state"] == fed.study()["state"]
    (m,) = struct.unpack("<Q", state[:8])
    assert state[8 + m:8 + m + 12] == data, "other parameters than the state's"
    assert "layer0.weight" in fed.run("yumen", "model", "show", out).stdout
    with open(out, "wb") as f:
        f.write(raw[:20])
    assert fed.run("yumen", "model", "show", out, check=False).returncode != 0


def the_card_tells_what_the_hospitals_say(fed):
    """Beside the model: data cards and epsilon by hospital out of the hub's log, against the hospitals' own ledgers."""
    with open(fed.path("model.json")) as f:
        card = json.load(f)
    assert [h["name"] for h in card["hospitals"]] == fed.names and card["rounds_run"] == ROUNDS, card
    for h in card["hospitals"]:
        charges = [x for x in fed.leaves(fed.path(h["name"], "ledger")) if x["type"] == "charge" and x["study"] == "trial"]
        assert h["charges"] == len(charges) and h["rounds"] + h["left_out"] == ROUNDS, (h, len(charges))
        last = charges[-1]
        assert all(h[k] == last[k] for k in ("epsilon_spent_micro", "epsilon_cap_micro", "delta_e18", "identified")), (h, last)
        assert h["epsilon_study_micro"] <= h["epsilon_spent_micro"], h
        assert 0 < h["epsilon_certified_micro"] <= h["epsilon_study_micro"] and h["certified_by"] in ("pld", "rdp"), h
        assert h["card"]["title"] == "test wards of " + h["name"] and h["card"]["size_class"] == "<100", h
    with open(fed.path("model.md"), encoding="utf-8") as f:
        text = f.read()
    for word in ("| h1 | test wards of h1 |", "What is not protected", "intercept", "No intervals", card["plan"], "人工智能"):
        assert word in text, (word, text)
    with open(fed.path("model.csv")) as f:
        rows = f.read().splitlines()
    assert rows[0] == "level,term,scaled,study,content_id,notice" and all(card["content_id"] in r and "AI-generated" in r for r in rows[1:]), rows
    assert [r.split(",")[1] for r in rows[1:]] == ['"intercept"', '"age"', '"marker"'], rows
    zh = fed.sponsor("model", "get", "trial", "--out", fed.path("zh.safetensors"), env={"YUMEN_LANG": "zh"})
    with open(fed.path("zh.md"), encoding="utf-8") as f:
        assert "不受保护的内容" in f.read(), zh.stdout


def changed_onnx(raw, key):
    """The file without that entry of its metadata, whose key it renames."""
    return raw.replace(b"\x0a" + bytes([len(key)]) + key.encode(), b"\x0a" + bytes([len(key)]) + b"x" * len(key))


def says_whose_model_it_is(fed):
    """Every file names study, round, hashes, producer, notices and a content id; taking them out changes no number and is
    told; the content id leads to the entry of the hub's log, and no other does."""
    out = fed.path("labelled.safetensors")
    fed.sponsor("model", "get", "trial", "--out", out)
    with open(out, "rb") as f:
        raw = f.read()
    (n,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + n])
    meta = header["__metadata__"]
    assert set(meta) == {"format", "study", "round", "plan", "state", "producer", "content_id", "notice", "notice_zh"}, meta
    assert meta["producer"] == "acme" and meta["round"] == str(ROUNDS) and "人工智能生成" in meta["notice_zh"], meta
    for name in ("labelled.safetensors", "labelled.onnx", "labelled.json"):
        assert meta["content_id"] in fed.run("yumen", "model", "check", fed.path(name)).stdout, name
    with open(fed.path("labelled.md"), encoding="utf-8") as f:
        text = f.read()
    assert all(meta[k] in text for k in ("content_id", "notice", "notice_zh", "plan", "state")), text
    mirror = fed.path("mirror")
    entry = fed.run("yumen-audit", "entry", mirror, meta["content_id"]).stdout
    assert meta["state"] in entry and '"type": "round_result"' in entry, entry
    for wrong in (meta["content_id"][:-1] + ("0" if meta["content_id"][-1] != "0" else "1"), "x" + meta["content_id"],
                  meta["content_id"].replace("#", "#1")):
        assert fed.run("yumen-audit", "entry", mirror, wrong, check=False).returncode == 1, wrong
    fed.run("yumen-audit", "report", mirror, "--trust", fed.trust_file(), "--out", fed.path("report.html"))
    with open(fed.path("report.html"), encoding="utf-8") as f:
        text = f.read()
    assert meta["content_id"] in text and "AI-generated" in text and "人工智能生成" in text, text
    with open(fed.path("labelled.onnx"), "rb") as f:
        onnx = f.read()
    for key in meta:
        bare = {k: v for k, v in meta.items() if k != key}
        text = json.dumps({**header, "__metadata__": bare}).encode()
        for name, data in (("bare.safetensors", struct.pack("<Q", len(text)) + text + raw[8 + n:]), ("bare.onnx", changed_onnx(onnx, key))):
            with open(fed.path(name), "wb") as f:
                f.write(data)
            p = fed.run("yumen", "model", "check", fed.path(name), check=False)
            assert p.returncode == 1 and f"lacks {key}" in p.stdout, (key, name, p.stdout, p.stderr)
        if key not in ("format", "plan"):
            rows = fed.path("test.csv")
            plan = fed.path("trial.yaml")
            told = [json.loads(fed.run("yumen", "model", "score", fed.path(m), rows, "--plan", plan, "--json").stdout)["loss"]
                    for m in ("labelled.safetensors", "bare.safetensors")]
            assert told[0] == told[1], told
    for bad in (b"", b"{}", b"\x08\x07\xf2\xff\xff\xff\xff\xff", raw[:40], b"\x08\x07" + b"\x80" * 40):
        with open(fed.path("bare.onnx"), "wb") as f:
            f.write(bad)
        assert fed.run("yumen", "model", "check", fed.path("bare.onnx"), check=False).returncode in (1, 2), bad


def copies_the_ledger(fed):
    mirror = fed.path("mirror")
    for _ in range(2):
        fed.sponsor("log", "fetch", mirror)
    assert fed.leaves(mirror) == fed.leaves(fed.path("hub", "ledger"))
    fed.run("yumen-audit", "verify", mirror, "--trust", fed.trust_file())


def cancels(fed):
    fed.sponsor("study", "submit", fed.plan(study="second", rounds=2))
    thread, lines = watch(fed, "second")
    fed.wait(lambda: any("offered" in str(line) for line in lines), 20, "the offer")
    fed.sponsor("study", "cancel", "second")
    thread.join(20)
    assert not thread.is_alive() and lines[-2] == 1, lines
    assert fed.study("second")["phase"] == "aborted" and fed.study("second")["reason"] == "cancelled"
    assert fed.sponsor("study", "cancel", "second", check=False).returncode != 0
    assert fed.sponsor("study", "cancel", "third", check=False).returncode == 3
    leaves = [x for x in fed.leaves(fed.path("hub", "ledger")) if x["type"] == "abort"]
    assert any(x["by"] == "acme" and x["final"] is True for x in leaves), leaves


def another_sponsor_sees_nothing(fed):
    fed.run("yumen", "enrol", "--dir", fed.path("rival"), "--token", fed.token("sponsor", "rival"), "--hub", fed.hub_addr)
    seen = json.loads(fed.run("yumen", "study", "list", "--json", "--dir", fed.path("rival")).stdout)
    assert seen == {"studies": []}, seen
    for argv in (["study", "watch", "trial"], ["study", "cancel", "trial"], ["model", "get", "trial", "--out", fed.path("m")]):
        assert fed.run("yumen", *argv, "--dir", fed.path("rival"), check=False).returncode in (1, 3), argv
    assert not os.path.exists(fed.path("m"))


def main():
    with Federation(sites=("h1", "h2", "h3")) as fed:
        fed.up()
        plan = fed.plan(rounds=ROUNDS, noise="10", quorum=2, attempts=5)
        lists_data_and_says_why_not(fed, plan)
        refuses_anothers_plan(fed, plan)
        fed.sponsor("study", "submit", plan)
        final = watches_through_a_restart(fed)
        takes_the_model_away(fed, final)
        the_card_tells_what_the_hospitals_say(fed)
        copies_the_ledger(fed)
        says_whose_model_it_is(fed)
        cancels(fed)
        another_sponsor_sees_nothing(fed)


if __name__ == "__main__":
    main()
