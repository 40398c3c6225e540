#!/usr/bin/python3
"""Canaries: 16-byte values in patients' rows, searched for in everything that a
hospital's data must never reach: files and memory of gateway and hub, the
sponsor's folder, every log, every ledger, spools and outboxes. The same search
must find them where they belong (the frozen data set) and where they are
planted as a leak, so that it cannot pass by being blind. The gate is at work: rule sets, documents, consents, US persons,
withdrawals. What the desk shows or writes for others is searched too, and the evidence bundle."""

import base64
import csv
import hashlib
import hmac
import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import BUILD, US_BULK, Federation, card_border, plan_border  # noqa: E402

PATIENTS = 20
INSIDE = ("data", "people", "withdrawn", "inferred", "salt")  # of a site's folder: where patients may be


def canary_rows(rng):
    rows = []
    for _ in range(PATIENTS):
        pid = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(16))
        rows.append((pid, rng.uniform(20, 90), rng.uniform(1, 10), rng.randrange(2), rng.randbytes(32).hex()))
    return rows


def spellings(raw):
    """A value raw, in hex both ways, and in base64 at each alignment."""
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
        yield text[(shift * 8 + 5) // 6:-1]


def needles(rows):
    """Every form a row could leave in, each at least 8 bytes long."""
    out = {}

    def add(kind, raw):
        for form in spellings(raw):
            assert len(form) >= 8
            out[form] = kind

    for pid, age, marker, _, scan in rows:
        add("patient id", pid.encode())
        add("scanned form", bytes.fromhex(scan))
        for number in (age, marker):
            add("decimal", repr(number).encode())
            add("decimal", f"{number:.6f}".encode())
            add("float64", struct.pack("<d", number))
            add("float64 big-endian", struct.pack(">d", number))
        scaled = (age / 120 * 2 - 1, marker / 10 * 2 - 1)
        for pair in ((age, marker), scaled):
            add("float32 pair", struct.pack("<2f", *pair))
            add("float64 pair", struct.pack("<2d", *pair))
        for number in scaled:
            add("scaled decimal", repr(number).encode())
            add("scaled float64", struct.pack("<d", number))
    return out


def people_of(salt, rows):
    """Who a row's patient is to the site's counting: its salted hash and its pseudonym (docs/formats.md, "People")."""
    out = {}
    for pid, *_ in rows:
        salted = hashlib.sha256(salt + pid.encode()).digest()
        name = b"yumen/people/v1\0unspecified\0wards\0"
        for kind, raw in (("salted hash", salted), ("pseudonym", hmac.new(salt, name + salted, hashlib.sha256).digest())):
            for form in spellings(raw):
                out[form] = kind
    return out


def bare_hashes(fed, name):
    """Against which whoever knows the rest of a card, or guesses rows, could try the rest (docs/leaves.md, dataset_card)."""
    with open(fed.path(name, "data", "wards.frozen"), "rb") as f:
        frozen = hashlib.sha256(f.read()).digest()
    with open(fed.path(name, "data", "wards.card.json"), "rb") as f:
        card = hashlib.sha256(f.read().rstrip(b"\n")).digest()
    return {form: kind for kind, raw in (("bare hash of the rows", frozen), ("bare hash of the card", card)) for form in spellings(raw)}


def add_rows(fed, name, rows):
    """Each with the hash of its scanned form, and what it agreed to."""
    card = fed.add_data(name, PATIENTS, rows=lambda i: "%s,%r,%r,%d\n" % rows[i][:4])
    with open(card, "a", encoding="utf-8") as f:
        f.write(card_border(us=US_BULK))
    fed.add_consent(card)
    with open(card, encoding="utf-8") as f:
        text = f.read().replace("  given:\n", "  form_column: scan\n  given:\n    written: {column: agreed, codes: [\"yes\"]}\n")
    with open(card, "w", encoding="utf-8") as f:
        f.write(text)
    path = os.path.join(os.path.dirname(card), "d.csv")
    with open(path, encoding="utf-8") as f:
        head, *lines = f.read().splitlines()
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join([head + ",scan", *(f"{line},{r[4]}" for line, r in zip(lines, rows, strict=True))]) + "\n")
    fed.site(name, "data", "add", card)


def ask_the_desk(fed, name):
    """What people see and carry out: it may count them, never name them."""
    desk = fed.path(name, "desk")
    os.makedirs(desk, exist_ok=True)
    for file in ("egress.csv", "egress.json"):
        fed.site(name, "egress", "export", os.path.join(desk, file))
    fed.site(name, "dossier", "export", "trial", os.path.join(desk, "pack"), "--dataset", "wards")
    fed.site(name, "plans", "show", "trial", "--dataset", "wards", "--html", os.path.join(desk, "page.html"))
    asked = [("people", "--study", "trial"), ("egress", "list"), ("plans", "show", "trial"), ("plans", "check", "trial", "--dataset", "wards"),
             ("border", "show", "trial", "--dataset", "wards"), ("data", "list"), ("status",), ("budget",), ("withdraw", "list"),
             ("pending", "list"), ("dossier", "list"), ("rules", "list"), ("border", "again"), ("offices", "list")]
    for words in asked:
        for more in ((), ("--json",)):
            p = fed.site(name, *words, *more, check=False)
            assert p.stdout, (words, p.stderr)
            with open(os.path.join(desk, "-".join((*words, *more))), "w", encoding="utf-8") as f:
                f.write(p.stdout + p.stderr)


def hand_over(fed):
    """What an auditor takes away."""
    dirs = [fed.path("hub", "ledger")] + [fed.path(n, "ledger") for n in fed.names]
    fed.run("yumen-audit", "bundle", *dirs, "--trust", fed.trust_file(), "--objects", fed.path("hub", "objects"), "--out", fed.path("evidence"))


def counts_of(o):
    """Every number of patients in an entry, wherever it stands."""
    if isinstance(o, list):
        for v in o:
            yield from counts_of(v)
    elif isinstance(o, dict):
        for key, v in o.items():
            if isinstance(v, int) and not isinstance(v, bool) and key in ("people", "rows", "left_out", "count"):
                yield key, v
            elif key == "people" and isinstance(v, dict):
                yield from ((k, n) for k, n in v.items() if isinstance(n, int))
            else:
                yield from counts_of(v)


def no_entry_counts_exactly(fed):
    seen = 0
    for folder in ("hub", *fed.names):
        for leaf in fed.leaves(fed.path(folder, "ledger")):
            if leaf["type"] == "ruleset":
                continue  # its limits are the rule's own
            for key, n in counts_of(leaf):
                seen += 1
                assert n % 100 == 0, (folder, key, leaf)
    assert seen > 2 * 40, seen


class Search:
    """The scanner is tests/integration/find_forms.c; this hands it the forms."""

    def __init__(self, forms, path):
        self.kinds, self.path = list(forms.values()), path
        with open(path, "wb") as f:
            for form in forms:
                f.write(struct.pack("<I", len(form)) + form)

    def find(self, places):
        tool = os.path.join(BUILD, "tests", "find_forms")
        out = subprocess.run([tool, self.path, *places], stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout
        return [f"{self.kinds[int(line.split()[0])]} in {line.split(maxsplit=1)[1]}" for line in out.splitlines()]


def files_below(*folders):
    for folder in folders:
        for here, _, names in os.walk(folder):
            for n in names:
                path = os.path.join(here, n)
                if os.path.isfile(path):
                    yield path


def search_outside(fed, search):
    folders = [fed.path(x) for x in ["hub", "sponsor", "evidence"] + ["gw-" + n for n in fed.names]]
    folders += [fed.path(n, part) for n in fed.names for part in os.listdir(fed.path(n)) if part not in INSIDE]
    places = [*files_below(*folders), *(fed.path(f) for f in os.listdir(fed.root) if f.endswith(".log"))]
    places += [f"pid:{d.proc.pid}" for name, d in fed.daemons.items() if not name.startswith("trainer") and d.alive()]
    return search.find(places)


def scores_stay(fed, rows):
    """Each hospital lets the model score its rows, by the plan that the hub gave it; the search for what came out. Who
    withdrew is in none of it; the entry that each run makes is among what is searched."""
    model = fed.path("model.safetensors")
    fed.sponsor("model", "get", "trial", "--out", model)
    told = {}
    for n in fed.names:
        fed.site(n, "infer", model, fed.path("data-" + n, "card.yaml"), "--out", "scores")
        with open(fed.path(n, "inferred", "scores.csv"), encoding="utf-8") as f:
            lines = [line for line in csv.DictReader(x for x in f if not x.startswith("# "))]
        gone = {rows["h1"][3][0]} if n == "h1" else set()
        assert [x["patient"] for x in lines] == [r[0] for r in rows[n] if r[0] not in gone], "whose scores are these"
        for x in lines:
            assert "AI-generated" in x["label"] and not x["refused"], x
            told[x["yes"]] = "a score"
        if n == "h1":
            fed.site(n, "infer", model, "wards", "--out", "registered")
        assert any(leaf["type"] == "inference" for leaf in fed.leaves(fed.path(n, "ledger"))), n
    assert len(told) > PATIENTS, "scores say nothing"
    return Search({k.encode(): v for k, v in told.items() if len(k) >= 8}, fed.path("scores.bin"))


def main():
    rng = random.Random(20261121)
    with Federation(sites=("h1", "h2"), border=True) as fed:
        fed.init_hub()
        rows = {n: canary_rows(rng) for n in fed.names}
        for n in fed.names:
            fed.init_site(n)
            fed.enrol_site(n)
            add_rows(fed, n, rows[n])
            fed.sign_rules(n)
        forms = needles([r for n in fed.names for r in rows[n]])
        people = {}
        for n in fed.names:
            with open(fed.path(n, "salt"), "rb") as f:
                people.update(people_of(f.read(), rows[n]))
            forms.update(bare_hashes(fed, n))
        counted = Search(people, fed.path("people.bin"))
        search = Search({**forms, **people}, fed.path("forms.bin"))
        fed.enrol_sponsor()
        plan = fed.plan(quorum=2, rounds=40, steps=2, q="0.5", nominal=20, noise="40", collect=20,
                        extra="metrics: {every: 1, noise_multiplier: 60}\n" + plan_border(more=', covered_person: "yes"'))
        with open(plan, encoding="utf-8") as f:
            text = f.read()
        with open(plan, "w", encoding="utf-8") as f:  # noise alone must not drive every score to 0 or 1
            f.write(text.replace("learning_rate: 0.5", "learning_rate: 0.01"))
        fed.sponsor("study", "submit", plan)
        for n in fed.names:
            fed.wait(lambda n=n: "trial" in fed.site(n, "plans", "list").stdout, 20, "the plan")
            fed.file_records(n, "trial")
        fed.approve_all()
        fed.site("h1", "withdraw", rows["h1"][3][0], "--dataset", "wards")

        looks = 0
        while True:
            found = search_outside(fed, search)
            looks += 1
            assert not found, "LEAK:\n" + "\n".join(found)
            s = fed.study()
            if s and s["phase"] in ("done", "paused", "aborted"):
                break
        assert s["phase"] == "done", s
        for n in fed.names:
            ask_the_desk(fed, n)
        hand_over(fed)
        no_entry_counts_exactly(fed)
        found = search_outside(fed, search)
        assert not found, "LEAK:\n" + "\n".join(found)

        scores = scores_stay(fed, rows)
        found = search_outside(fed, search) + search_outside(fed, scores)
        assert not found, "LEAK:\n" + "\n".join(found)

        # The search is not blind: it sees the rows where they belong ...
        for n in fed.names:
            assert search.find(files_below(fed.path(n, "data"))), f"the search does not even see the frozen data of {n}"
            assert search.find(files_below(fed.path(n, "inferred"))) and scores.find(files_below(fed.path(n, "inferred"))), n
        # ... and whom was counted ...
        for n in fed.names:
            for part in ("data", "people") + (("withdrawn",) if n == "h1" else ()):
                assert any("pseudonym" in x for x in counted.find(files_below(fed.path(n, part)))), f"no pseudonym is seen in {part} of {n}"
        # ... and in the memory of a process that holds them (this one) ...
        assert search.find([f"pid:{os.getpid()}"]), "the search does not see memory"
        # ... and a leak in each form, planted where a gateway would keep it.
        assert any(f.endswith(".us") for f in os.listdir(fed.path("h1", "people"))), "nobody counted US persons"
        pid, age, marker, _, scan = rows["h1"][0]
        leaks = [pid.encode(), repr(age).encode(), base64.b64encode(pid.encode()), struct.pack("<d", marker),
                 struct.pack("<2f", age / 120 * 2 - 1, marker / 10 * 2 - 1), scan.encode()]
        for leak in leaks:
            path = fed.path("gw-h1", "leak")
            with open(path, "wb") as f:
                f.write(b"x" * 1001 + leak + b"y" * 7)
            assert search_outside(fed, search), f"a planted leak was not seen: {leak!r}"
            os.unlink(path)
        print(f"{len(search.kinds)} forms of {2 * PATIENTS} patients: nothing outside in {looks + 2} looks; {len(leaks)} planted leaks seen")


if __name__ == "__main__":
    main()
