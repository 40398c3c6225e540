#!/usr/bin/python3
"""One patient withdraws while a study runs. The hospital lets nothing out of fewer than 60 patients and has 60, so that the
first round without that patient shows: after the withdrawal no charge may end in a release."""

import hashlib
import hmac
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import CMD, Federation  # noqa: E402

PATIENT = "h1-7"


def pseudonym(fed, identifier):
    with open(fed.path("h1", "salt"), "rb") as f:
        salt = f.read()
    text = b"yumen/people/v1\0unspecified\0wards\0" + hashlib.sha256(salt + identifier.encode()).digest()
    return hmac.new(salt, text, hashlib.sha256).digest()


def own(fed):
    return fed.leaves(fed.path("h1", "ledger"))


def kinds(fed, kind):
    return [leaf for leaf in own(fed) if leaf["type"] == kind]


def lists(fed):
    return sorted(os.listdir(fed.path("h1", "withdrawn")))


def check(fed):
    return fed.site("h1", "plans", "check", "trial", "--dataset", "wards", check=False)


def the_next_round_goes_without(fed):
    fed.wait(lambda: len(kinds(fed, "release")) >= 2, 30, "two releases")
    p = fed.site("h1", "withdraw", PATIENT, "--dataset", "wards")
    assert "1 identifiers withdrawn" in p.stdout and "1 of them are in the data set" in p.stdout, p.stdout
    assert "trial  1  " in p.stdout and "is not recalled" in p.stdout, p.stdout
    before = len(kinds(fed, "release"))
    fed.wait(lambda: json.loads(fed.site("h1", "plans", "list", "--json").stdout)["plans"][0]["reason"] == "no_data", 30, "a decline")
    time.sleep(0.5)
    leaves = own(fed)
    at = [leaf["type"] for leaf in leaves].index("withdrawal")
    later = [leaf for leaf in leaves[at:] if leaf["type"] == "charge"]
    released = {leaf["round"] for leaf in leaves[at:] if leaf["type"] == "release"}
    assert not released & {leaf["round"] for leaf in later}, (later, released)
    assert len(kinds(fed, "release")) <= before + 1  # one that was charged before may have been on its way
    assert "1 patients are left out: they withdrew" in check(fed).stdout + check(fed).stderr, check(fed).stdout


def the_entry_says_little(fed):
    leaf = kinds(fed, "withdrawal")[0]
    assert leaf["people"] == 100 and leaf["dataset"] == "wards" and lists(fed) == [f"wards-{leaf['set']}.set"], leaf
    row = json.loads(fed.site("h1", "withdraw", "list", "--json").stdout)["withdrawn"][0]
    assert (row["people"], row["here"]) == (1, 1) and row["releases"][0]["round"] == 1, row
    first = [leaf for leaf in own(fed) if leaf["type"] == "release"][0]
    assert row["retrain"] == [{"round": 1, "state": first["state"], "study": "trial"}], row
    assert "from the model before round 1, state " + first["state"] in fed.site("h1", "withdraw", "list").stdout
    told = pseudonym(fed, PATIENT)
    with open(fed.path("h1", "withdrawn", lists(fed)[0]), "rb") as f:
        assert told in f.read()  # or the search below would be blind
    forms = [told, told.hex().encode(), PATIENT.encode() + b"\n"]
    for folder in ("hub", "gw-h1", "sponsor", "h1/ledger", "h1/outbox", "h1/plans"):
        for here, _, names in os.walk(fed.path(folder)):
            for name in names:
                path = os.path.join(here, name)
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        data = f.read()
                    assert not any(form in data for form in forms), path
    for name in os.listdir(fed.root):
        if name.endswith(".log"):
            with open(fed.path(name), "rb") as f:
                data = f.read()
            assert not any(form in data for form in forms + [PATIENT.encode()]), name


def it_lasts(fed, card):
    fed.daemons["trainer-h1"].kill()
    fed.daemons["trainer-h1"].start()
    fed.site("h1", "data", "add", card)
    assert "they withdrew" in check(fed).stdout + check(fed).stderr
    with open(fed.path("names.txt"), "w", encoding="utf-8") as f:
        f.write("h1-8\r\n\n h1-9 \nnobody\n")
    p = fed.site("h1", "withdraw", "--patient-file", fed.path("names.txt"), "--dataset", "wards")
    assert "3 identifiers withdrawn" in p.stdout and "2 of them are in the data set" in p.stdout, p.stdout
    count = len(kinds(fed, "withdrawal"))
    fed.site("h1", "withdraw", "h1-9", "--dataset", "wards")  # again: nothing new
    assert len(kinds(fed, "withdrawal")) == count == 2 and len(lists(fed)) == 1
    assert fed.site("h1", "withdraw", "--dataset", "wards", check=False).returncode == 2
    # without a data set, where identifiers mean nothing outside their own: from those that it is in
    p = fed.site("h1", "withdraw", "stranger", check=False)
    assert p.returncode != 0 and "nobody was withdrawn" in p.stderr, p.stderr
    assert "1 identifiers withdrawn from \"wards\"; 1 of them" in fed.site("h1", "withdraw", "h1-9").stdout
    assert fed.site("h1", "withdraw", "h1-1", "--dataset", "other", check=False).returncode != 0


def nobody_else_reads_the_name(fed):
    """While the desk waits for its trainer: an argument would stand in the list of processes for every account, and a core
    file would hold the identifier and the salt."""
    def most():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    trainer = fed.daemons["trainer-h1"].proc
    trainer.send_signal(signal.SIGSTOP)
    for given in ([PATIENT], ["--patient-file", "-"]):
        p = subprocess.Popen([os.path.join(CMD, "yumen-site"), "withdraw", *given, "--dataset", "wards", "--dir", fed.path("h1")],
                             cwd=fed.root, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=most)
        p.stdin.write(PATIENT.encode() + b"\n")
        p.stdin.close()

        def of(what):
            with open(f"/proc/{p.pid}/{what}", "rb") as f:
                return f.read()

        def core():
            return [line.split()[4:6] for line in of("limits").splitlines() if line.startswith(b"Max core")][0]
        fed.wait(lambda: core() == [b"0", b"0"], 10, "a desk that leaves no core file")
        fed.wait(lambda: PATIENT.encode() not in of("cmdline"), 10, "an identifier that is gone from the list of processes")
        assert b"withdraw" in of("cmdline"), of("cmdline")
        p.send_signal(signal.SIGABRT)
        assert not os.WCOREDUMP(os.waitpid(p.pid, 0)[1])
    trainer.send_signal(signal.SIGCONT)
    p = subprocess.run([os.path.join(CMD, "yumen-site"), "withdraw", "--patient-file", "-", "--dataset", "wards", "--dir", fed.path("h1")],
                       cwd=fed.root, input=PATIENT + "\nh1-8", stdout=subprocess.PIPE, text=True, check=True)
    assert "2 identifiers withdrawn" in p.stdout, p.stdout


def a_lost_list_stops_the_trainer(fed):
    fed.daemons["trainer-h1"].kill()
    path = fed.path("h1", "withdrawn", lists(fed)[0])
    os.rename(path, path + ".away")
    p = fed.run("yumen-trainer", "--dir", fed.path("h1"), "-n", check=False)
    assert p.returncode != 0 and "who withdrew" in p.stderr, p.stderr
    shutil.copy(path + ".away", path)
    with open(path, "r+b") as f:
        f.truncate(os.path.getsize(path) // 2)
    p = fed.run("yumen-trainer", "--dir", fed.path("h1"), "-n", check=False)
    assert p.returncode != 0 and "who withdrew" in p.stderr and f"bring a copy of {path} back" in p.stderr, p.stderr
    assert "with -n behind it" in fed.site("h1", "status", check=False).stderr
    os.rename(path + ".away", path)
    fed.daemons["trainer-h1"].start()
    assert "3 withdrew" not in fed.site("h1", "withdraw", "list").stdout
    assert "4 withdrew" in fed.site("h1", "withdraw", "list").stdout


with Federation(sites=("h1",), min_patients="60") as federation:
    federation.init_hub()
    federation.init_site("h1")
    federation.enrol_site("h1")
    wards = federation.add_data("h1")
    federation.site("h1", "data", "add", wards)
    federation.enrol_sponsor()
    federation.sponsor("study", "submit", federation.plan(quorum=1, rounds=200, noise="40", ready=2, attempts=50, hospitals="{name: h1}"))
    federation.approve_all()
    the_next_round_goes_without(federation)
    the_entry_says_little(federation)
    it_lasts(federation, wards)
    nobody_else_reads_the_name(federation)
    a_lost_list_stops_the_trainer(federation)
    federation.verify()
print("one patient withdrew and every later round went without")
