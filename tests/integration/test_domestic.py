#!/usr/bin/python3
"""A plan whose model is domestic-only: hospitals train as ever; its sponsor and the auditor get no state and no sum from
the hub by any hash of the log, and are told why. They get what the hospitals released and charged beside it: the counts
that end a sum, to the byte, and never a coordinate before them. And they get the model sealed: the recipients that the
plan names open it, with the product and with plain OpenSSL, others do not; what the hub did not sign is not taken. The
same sponsor's open study stays open."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import BUILD, Federation  # noqa: E402

PLAN = """border:
  recipient: Example Company
  contact: privacy@example.cn
  method: download of the model
  categories: laboratory values
  rights: by letter to the hospital
  storage: Shanghai
  foreign_law: none
  declares: {recipient: mainland, overseas_access: none, public_service: "no"}
metrics: {every: 2, bins: 8, noise_multiplier: 30, per_site: true}
"""
CELLS = 2 * 8
WHOLE, METRICS, SEALED = 0, 1, 2


def only(*lines):
    """Domestic only, sealed to the recipients of these lines."""
    return PLAN.replace("  declares:", "  model_release: domestic_only\n  recipients:\n%s\n  declares:" % "\n".join(lines))


def receiving(fed, name):
    """The line for the plan that a hospital gives the sponsor."""
    fed.site(name, "recipient", "make")
    return fed.site(name, "recipient", "show").stdout.splitlines()[-1]


def run_study(fed, study, extra):
    fed.sponsor("study", "submit", fed.plan(study=study, rounds=3, quorum=2, noise="40", extra=extra))
    fed.approve_all(study)
    fed.wait(lambda: (fed.study(study) or {}).get("phase") == "done", 60, "the end of " + study)


def fetch(fed, who, name, part, entry=0):
    """Bytes, or what the hub said instead."""
    out = fed.path("fetched")
    p = subprocess.run([os.path.join(BUILD, "tests", "fetch_object"), fed.path(who), fed.hub_addr, name, str(part), str(entry), out],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if p.returncode != 0:
        return p.stderr
    with open(out, "rb") as f:
        return f.read()


def object_of(fed, name):
    with open(fed.path("hub", "objects", name), "rb") as f:
        return f.read()


def results_of(fed, study):
    return [x for x in fed.leaves(fed.path("hub", "ledger")) if x["type"] == "round_result" and x["study"] == study]


def nothing_of_the_model_is_served(fed, who):
    for r in results_of(fed, "kept"):
        for name in (r["state_after"], r["sum"], r["state_before"]):
            assert os.path.exists(fed.path("hub", "objects", name))
            said = fetch(fed, who, name, WHOLE)
            assert isinstance(said, str) and "domestic_only" in said, (who, name, said)
        for name in (r["state_after"], r["state_before"]):  # moments and parameters lie where a sum has its counts
            said = fetch(fed, who, name, METRICS)
            assert isinstance(said, str) and "no_metrics" in said, (who, name, said)


def counts_are_served_and_nothing_before_them(fed, who):
    for r in results_of(fed, "kept"):
        tail, whole = fetch(fed, who, r["sum"], METRICS), object_of(fed, r["sum"])
        assert hashlib.sha256(whole).hexdigest() == r["sum"]
        counts = CELLS * (1 + (2 if r["round"] in (2, 3) else 0))  # pooled, and each hospital's own where counted
        assert isinstance(tail, bytes) and len(tail) == 8 * counts, (who, r["round"], tail)
        assert tail == whole[-8 * counts:], (who, r["round"])
        assert len(whole) == 8 * (3 + counts), len(whole)  # two inputs and an intercept


def openssl(*argv, check=True):
    return subprocess.run(["openssl", *argv], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=check)


def a_certificate_counts_by_its_hospitals_signature(fed):
    """Whoever knows a hospital's name can write it into a certificate, and not sign it with its key."""
    fed.run("yumen-site", "init", "--dir", fed.path("fake"), "--name", "h1", "--border-off", "a test")
    shutil.copy(fed.path("h1", "trust.json"), fed.path("fake", "trust.json"))
    line = receiving(fed, "fake")
    assert "name: h1" in line and line != fed.site("h1", "recipient", "show").stdout.splitlines()[-1]
    p = fed.sponsor("study", "submit", fed.plan(study="fake", rounds=3, quorum=2, noise="40", extra=only(line)), check=False)
    assert p.returncode != 0 and "wrong_recipient" in p.stderr, p.stderr


def the_sponsor_gets_a_file_that_only_recipients_open(fed):
    sealed, card = fed.path("kept.cms"), fed.path("kept.json")
    p = fed.sponsor("model", "get", "kept", "--out", fed.path("kept.safetensors"), check=False)
    assert p.returncode == 2 and "model.cms" in p.stderr and not os.path.exists(fed.path("kept.safetensors")), p.stderr
    fed.sponsor("model", "get", "kept", "--out", sealed)
    last = next(r for r in results_of(fed, "kept") if r["round"] == 3)
    with open(card, encoding="utf-8") as f:
        said = json.load(f)
    assert said["sealed_to"] == ["h1"] and said["state"] == last["state_after"] and said["metrics"]["of"] == 2, said
    with open(sealed, "rb") as f:
        got = f.read()
    assert said["file"] == hashlib.sha256(got).hexdigest()
    with open(fed.path("kept.md"), encoding="utf-8") as f:
        assert "can be opened by: h1\n" in f.read()
    assert not os.path.exists(fed.path("kept.onnx")) and not os.path.exists(fed.path("kept.csv"))
    state = object_of(fed, last["state_after"])
    params = state[8 + int.from_bytes(state[:8], "little"):][:12]  # fedavg: three numbers and nothing more
    assert len(params) == 12 and params not in got and params not in json.dumps(said).encode()
    entry = int(said["content_id"].split("#")[1].split(":")[0])
    assert fetch(fed, "auditor", last["state_after"], SEALED, entry) == got  # sealed once
    log = fed.leaves(fed.path("hub", "ledger"))
    assert log[entry] == last
    for other in (log.index(next(r for r in results_of(fed, "kept") if r["round"] == 2)), entry - 1, len(log) + 100):
        assert "wrong_entry" in fetch(fed, "auditor", last["state_after"], SEALED, other)
    assert "no_recipients" in fetch(fed, "sponsor", last["sum"], SEALED, entry)
    for argv in (["check", sealed], ["show", sealed], ["score", sealed, fed.path("data-h1", "d.csv"), "--plan", fed.path("kept.yaml")]):
        p = fed.run("yumen", "model", *argv, check=False)
        assert p.returncode in (1, 2) and "sealed" in p.stdout + p.stderr, (argv, p.returncode, p.stdout, p.stderr)
    return sealed, params, said


def a_recipient_opens_it(fed, sealed, params, said):
    model = fed.path("opened.safetensors")
    told = fed.site("h1", "model", "open", sealed, "--out", model).stdout
    assert said["content_id"] in told, told
    with open(model, "rb") as f:
        got = f.read()
    assert got.endswith(params) and len(got) == 8 + int.from_bytes(got[:8], "little") + 12
    assert os.stat(model).st_mode & 0o777 == 0o600
    assert "content id " + said["content_id"] in fed.run("yumen", "model", "check", model).stdout
    fed.site("h1", "infer", model, "wards", "--out", "kept")
    secret = "file:" + fed.path("h1", "secret")
    plain = openssl("cms", "-decrypt", "-inform", "DER", "-in", sealed, "-recip", fed.path("h1", "recipient.pem"), "-inkey",
                    fed.path("h1", "recipient.key"), "-passin", secret, "-binary").stdout
    assert plain == got
    return got


def nobody_else_does_and_no_other_file_is_taken(fed, sealed, got):
    p = fed.site("h2", "model", "open", sealed, "--out", fed.path("stolen"), check=False)
    assert p.returncode != 0 and "not sealed to this key" in p.stderr, p.stderr
    changed = got[:-1] + bytes([got[-1] ^ 1])  # what the carrier would like the hospital to use
    with open(fed.path("changed"), "wb") as f:
        f.write(changed)
    openssl("cms", "-encrypt", "-aes-256-gcm", "-binary", "-outform", "DER", "-in", fed.path("changed"), "-out", fed.path("changed.cms"),
            fed.path("h1", "recipient.pem"))
    p = fed.site("h1", "model", "open", fed.path("changed.cms"), "--out", fed.path("stolen"), check=False)
    assert p.returncode != 0 and "not signed by the hub" in p.stderr, p.stderr
    with open(sealed, "rb") as f:
        bent = bytearray(f.read())
    bent[-40] ^= 1
    with open(fed.path("bent.cms"), "wb") as f:
        f.write(bent)
    p = fed.site("h1", "model", "open", fed.path("bent.cms"), "--out", fed.path("stolen"), check=False)
    assert p.returncode != 0 and not os.path.exists(fed.path("stolen")), p.stderr


def the_auditor_verifies_the_rest(fed):
    """With the plan, all an auditor can get: charges are the plan's, budgets hold, and who is in which sum."""
    plan = next(x["plan"] for x in fed.leaves(fed.path("hub", "ledger")) if x["type"] == "plan" and x["study"] == "kept")
    os.makedirs(fed.path("seen"), exist_ok=True)
    got = fetch(fed, "auditor", plan, WHOLE)
    assert hashlib.sha256(got).hexdigest() == plan
    with open(fed.path("seen", plan), "wb") as f:
        f.write(got)
    fed.run("yumen", "log", "fetch", fed.path("seen-log"), "--dir", fed.path("auditor"))
    dirs = [fed.path("seen-log")] + [fed.path(n, "ledger") for n in fed.names]
    fed.run("yumen-audit", "verify", *dirs, "--trust", fed.trust_file())
    p = fed.run("yumen-audit", "verify", *dirs, "--trust", fed.trust_file(), "--objects", fed.path("seen"), "--json", check=False)
    said = json.loads(p.stdout)  # states are a gap, told as one; nothing else is missing or wrong
    assert p.returncode == 11 and {f["reason"] for f in said["findings"]} == {"object_missing"}, p.stdout
    fed.run("yumen-audit", "report", *dirs, "--trust", fed.trust_file(), "--objects", fed.path("seen"), "--out", fed.path("r.html"), check=False)
    with open(fed.path("r.html"), encoding="utf-8") as f:
        text = f.read()
    assert "Example Company" in text and "Shanghai" in text and "these alone can open: h1<" in text, text


def watched(fed, study):
    events = [json.loads(line) for line in fed.sponsor("study", "watch", study, "--json").stdout.splitlines()]
    return events[-1], {e["round"]: e for e in events if e["type"] == "round"}


def metrics_are_shown_as_of_an_open_study(fed):
    last, rounds = watched(fed, "kept")
    assert last["phase"] == "done" and sorted(rounds) == [1, 2, 3], rounds
    assert [r for r in rounds if "metrics" in rounds[r]] == [2, 3], rounds
    for r in (2, 3):
        m = rounds[r]["metrics"]
        assert m["of"] == r - 1 and sorted(m["sites"]) == ["h1", "h2"] and rounds[r]["epsilon_micro"] > 0, m
        whole = object_of(fed, next(x["sum"] for x in results_of(fed, "kept") if x["round"] == r))
        cells = [int.from_bytes(whole[24 + 8 * i:32 + 8 * i], "little", signed=True) / 16 for i in range(CELLS)]
        assert m["cells"] == [cells[:8], cells[8:]], (m, cells)
    text = fed.sponsor("study", "watch", "kept").stdout
    assert "model.cms" in text, text
    assert text.count("released at the hospitals") == 2, text  # figures themselves may drown in the noise
    p = fed.sponsor("study", "watch", "kept", "--test", fed.path("data-h1", "d.csv"), check=False)
    assert p.returncode == 2 and "model_release" in p.stderr, (p.returncode, p.stderr)


def main():
    with Federation(sites=("h1", "h2")) as fed:
        fed.up()
        fed.run("yumen", "enrol", "--dir", fed.path("auditor"), "--token", fed.token("auditor", "aud"), "--hub", fed.hub_addr)
        line = receiving(fed, "h1")
        a_certificate_counts_by_its_hospitals_signature(fed)
        receiving(fed, "h2")  # a hospital of the plan, and none of its recipients
        run_study(fed, "kept", only(line))
        sealed, params, said = the_sponsor_gets_a_file_that_only_recipients_open(fed)
        got = a_recipient_opens_it(fed, sealed, params, said)
        nobody_else_does_and_no_other_file_is_taken(fed, sealed, got)
        for who in ("sponsor", "auditor"):
            nothing_of_the_model_is_served(fed, who)
            counts_are_served_and_nothing_before_them(fed, who)
        the_auditor_verifies_the_rest(fed)
        metrics_are_shown_as_of_an_open_study(fed)
        run_study(fed, "open", PLAN)
        fed.sponsor("model", "get", "open", "--out", fed.path("open.safetensors"))
        for r in results_of(fed, "open"):
            assert fetch(fed, "auditor", r["state_after"], WHOLE) == object_of(fed, r["state_after"])
            assert "no_metrics" in fetch(fed, "sponsor", r["state_after"], METRICS)
            assert "no_recipients" in fetch(fed, "sponsor", r["state_after"], SEALED)
        fed.run("yumen-coordinator", "revoke", "h1", "--dir", fed.path("hub"))
        fed.wait(lambda: "no_recipient" in fed.sponsor("model", "get", "kept", "--out", sealed, check=False).stderr, 20,
                 "the hub to seal nothing to a hospital that was revoked")


if __name__ == "__main__":
    main()
