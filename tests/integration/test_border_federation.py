#!/usr/bin/python3
"""The site's gate from end to end: a hospital with nothing signed lets nothing out and says why; with a rule set and the
documents that it asks for the round runs; a document that is withdrawn or stale stops the next one."""

import csv
import html
import io
import json
import os
import stat
import sys
from datetime import date

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import RECORDS, Federation, card_border, plan_border  # noqa: E402

SOURCE = os.environ["YM_SOURCE_ROOT"]
ADVICE = "not legal advice"
LIMIT = 150  # in place of 10,000: 57 people are not half of it, the 100 that the ledger says are
ELIGIBLE = 57  # of 60 patients: three have not agreed


def border(fed, *more):
    p = fed.site("h1", "border", "show", "trial", "--dataset", "wards", *more, check=False)
    assert ADVICE in p.stdout, p.stdout + p.stderr
    return p


def declined(fed):
    rows = json.loads(fed.site("h1", "plans", "list", "--json").stdout)["plans"]
    return rows[0]["reason"]


def leaves(fed, kind):
    return [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == kind]


def a_study_at_a_site_that_asks(fed):
    fed.init_hub()
    fed.init_site("h1")
    fed.enrol_site("h1")
    card = fed.add_data("h1")
    with open(card, "a", encoding="utf-8") as f:
        f.write(card_border())
    fed.site("h1", "data", "add", card)
    fed.enrol_sponsor()
    fed.sponsor("study", "submit", fed.plan(hospitals="{name: h1}", quorum=1, rounds=2, ready=3, attempts=50, extra=plan_border()))
    fed.wait(lambda: "trial" in fed.site("h1", "plans", "list").stdout, 20, "the plan")
    fed.site("h1", "plans", "approve", "trial", "--dataset", "wards")


def nothing_signed_lets_nothing_out(fed):
    p = border(fed)
    assert p.returncode == 1 and p.stdout.count("no signed rule set in force covers this track") == 6, p.stdout
    assert "意见" in fed.site("h1", "border", "show", "trial", "--dataset", "wards", check=False, env={"YUMEN_LANG": "zh"}).stdout
    fed.wait(lambda: declined(fed) == "border", 30, "the refusal")
    assert not leaves(fed, "charge") and not leaves(fed, "decision")


def the_sponsor_is_told_who_said_no(fed):
    """Between attempts and in a pause too, not only while an attempt is open."""
    def asked():
        s = fed.study("short")
        return s if s and s["phase"] == "paused" else None
    fed.sponsor("study", "submit", fed.plan(study="short", hospitals="{name: h1}", quorum=1, rounds=2, ready=3, attempts=2, extra=plan_border()))
    fed.wait(lambda: "short" in fed.site("h1", "plans", "list").stdout, 20, "the plan")
    fed.site("h1", "plans", "approve", "short", "--dataset", "wards")
    assert [s["reason"] for s in fed.wait(asked, 30, "the pause")["sites"]] == ["border"]
    for lang, words in (("en", "h1: border: the rules that it signed"), ("zh", "h1: border: 该院签署的规则")):
        p = fed.sponsor("study", "watch", "short", check=False, env={"YUMEN_LANG": lang})
        assert p.returncode == 1 and words in p.stdout, p.stdout + p.stderr
    fed.run("yumen-coordinator", "resume", "short", "--dir", fed.path("hub"))
    assert fed.study("short")["attempt"] > 2 or fed.study("short")["phase"] != "paused", fed.study("short")
    fed.sponsor("study", "cancel", "short")
    out = fed.run("yumen", "plan", "show", fed.path("short.yaml")).stdout
    assert "storage: Basel" in out and "misuse_prevention: a" in out and "not declared" in out, out
    told = json.loads(fed.run("yumen", "plan", "check", fed.path("short.yaml"), "--json").stdout)["border"]
    assert told["declared"]["recipient"] == "outside" and "foreign_unit" in told["unknown"] and told["recipients"] == [], told


def status_says_what_waits_for_whom(fed):
    p = fed.site("h1", "status")
    assert "HELD AT THE GATE" in p.stdout and "trial  data office  cac, hgr, ethics, consent, ai, us" in p.stdout, p.stdout
    assert ADVICE in " ".join(p.stdout.split()) and "no rule set is signed" in p.stdout, p.stdout
    assert "Budget of wards: spent 0.000 of" in p.stdout and "0 updates, 0 bytes" in p.stdout, p.stdout
    zh = fed.site("h1", "status", env={"YUMEN_LANG": "zh"}).stdout
    assert "数据管理部门  数据出境, 人类遗传资源, 伦理委员会与医院" in zh and "尚未签署规则集" in zh and "不构成法律意见" in zh, zh
    told = json.loads(fed.site("h1", "status", "--json").stdout)
    assert [w["track"] for w in told["waits"]] == ["cac", "hgr", "ethics", "consent", "ai", "us"], told


def the_page_has_a_row_a_track(fed):
    for lang, words in (("en", ("human genetic resources", "hold", "data office", "no signed rule set in force", "None is waited for")),
                        ("zh", ("人类遗传资源", "等待", "数据管理部门", "目前没有等待中的签章"))):
        path = fed.path(f"page-{lang}.html")
        fed.site("h1", "plans", "show", "trial", "--dataset", "wards", "--html", path, env={"YUMEN_LANG": lang})
        with open(path, encoding="utf-8") as f:
            page = f.read()
        assert "\ufffd" not in page and page.count('<tr class="no">') == 6, page
        assert all(w in page for w in words), page


def a_set_and_its_records_open_it(fed):
    bad = fed.path("bad.yaml")
    with open(os.path.join(SOURCE, "gate/border/us-28cfr202.yaml"), encoding="utf-8") as f:
        text = f.read()
    with open(bad, "w", encoding="utf-8") as f:
        f.write(text.replace("from: 101}", "from: 0}"))
    p = fed.site("h1", "rules", "sign", bad, check=False)
    assert p.returncode != 0 and "bands.us_genome_n" in p.stderr, p.stderr
    fed.sign_rules("h1", "from: 10000}", f"from: {LIMIT}}}")
    assert ADVICE in fed.run("yumen-site", "rules", "check", fed.path("cn-health.yaml")).stdout
    p = border(fed)
    assert 'needs the record "self_assessment", which is absent; it waits for: data_office [D-04, cn-health/1]' in p.stdout, p.stdout
    assert fed.record("h1", "ethics", "trial", until="2026-02-30", check=False).returncode != 0
    for kind in RECORDS[:-1]:
        fed.record("h1", kind, "trial")
    assert not leaves(fed, "charge")
    out = border(fed)
    assert out.returncode == 1 and "hospital" in out.stdout
    fed.record("h1", RECORDS[-1], "trial")
    held = border(fed)
    assert held.returncode == 1 and "consent" in held.stdout and not leaves(fed, "charge"), held.stdout
    consents_of_patients_count(fed)
    assert border(fed).returncode == 0, border(fed).stdout
    fed.wait(lambda: leaves(fed, "charge"), 60, "a charge")
    first = fed.leaves(fed.path("h1", "ledger"))
    kinds = [leaf["type"] for leaf in first]
    assert kinds.index("warning") < kinds.index("decision") < kinds.index("charge") and kinds.count("warning") == 1, kinds
    w = leaves(fed, "warning")[0]
    assert (w["ruleset"], w["fact"], w["from"], w["percent"], w["people"]) == ("cn-health", "n_sensitive", LIMIT, 50, 100), w
    d = leaves(fed, "decision")[0]
    assert d["decision"]["outcome"] == "proceed" and d["decision"]["label"] == "contract_or_certificate", d
    assert d["facts"]["people"]["n_sensitive"] == 100, d  # 60 patients: rounded up, never exact
    assert set(d["rules"]) == {"cn-health", "us-28cfr202"}


def people_are_counted_before_they_leave(fed):
    c = leaves(fed, "charge")[0]
    assert [y["people"] for y in c["people"]] == [100] * len(c["people"]) and len(c["people"]) in (1, 2), c
    told = json.loads(fed.site("h1", "people", "--study", "trial", "--json").stdout)
    assert [(e["name"], e["people"], e["lost"]) for e in told["exporters"]][0] == ("Example Hospital", ELIGIBLE, 0), told
    f = told["forecast"]
    assert f["exact"] and (f["cohort"], f["before"], f["people"]) == (ELIGIBLE,) * 3, f
    first = next(x for x in f["limits"] if x["fact"] == "n_sensitive")
    assert (first["from"], first["left"], first["warn"]) == (LIMIT, LIMIT - 1 - ELIGIBLE, 0), f
    text = fed.site("h1", "people", "--study", "trial", env={"YUMEN_LANG": "zh"}).stdout
    assert f"符合条件 {ELIGIBLE} 人" in text and "不构成法律意见" in text, text


def egress_says_to_whom_and_on_what_ground(fed):
    rows = fed.wait(lambda: json.loads(fed.site("h1", "egress", "list", "--json").stdout)["releases"], 30, "a release")
    r = rows[0]
    assert r["sponsor"] == "acme" and r["federation"] and r["outcome"] == "proceed" and r["asked"], r
    assert r["people"][0]["people"] == 100 and r["people"][0]["exact"] == ELIGIBLE, r
    assert {a["record"] for a in r["approvals"]} == set(RECORDS) and len(r["tracks"]) == 7, r
    for what in (r["update"][:8], str(r["leaf"])):
        text = fed.site("h1", "egress", "show", what).stdout
        assert f"{ELIGIBLE} (the ledger says at most 100)" in text and "standard_contract, 签发方" in text, text
        assert ADVICE in text and "D-13" in text, text
    assert fed.site("h1", "egress", "show", "ffffffffff", check=False).returncode == 1
    out = fed.path("egress.csv")
    fed.site("h1", "egress", "export", out)
    with open(out, newline="", encoding="utf-8") as f:
        got = list(csv.DictReader(f))
    assert got[0]["update"] == r["update"] and got[0]["people"].endswith(f"100 ({ELIGIBLE})") and "ethics" in got[0]["approvals"], got
    fed.site("h1", "egress", "export", fed.path("egress.json"))
    with open(fed.path("egress.json"), encoding="utf-8") as f:
        assert json.load(f)[0] == r
    assert fed.site("h1", "egress", "export", fed.path("egress.pdf"), check=False).returncode == 1


def a_threshold_stops_a_round_before_it_trains(fed):
    """The same set with a limit that the cohort reaches."""
    path = fed.path("strict.yaml")
    with open(os.path.join(SOURCE, "gate/border/cn-health.yaml"), encoding="utf-8") as f:
        text = f.read()
    assert "from: 10000}" in text
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("from: 10000}", f"from: {ELIGIBLE}}}"))
    charges = len(leaves(fed, "charge"))
    fed.site("h1", "rules", "sign", path)
    p = border(fed)
    assert p.returncode == 1 and "security_assessment" in p.stdout, p.stdout
    told = json.loads(fed.site("h1", "people", "--json").stdout)["exporters"][0]
    assert [x["warn"] for x in told["limits"] if x["fact"] == "n_sensitive"] == [100], told
    assert len(leaves(fed, "charge")) - charges <= 1, "more than what was under way"


def week_of(fed):
    told = json.loads(fed.site("h1", "status", "--json").stdout)
    return told if told["week"]["bytes"] else None


def consents_of_patients_count(fed):
    """Nothing said of consent: unknown, and the track holds. Of 60 patients one agreed: too few. Then 57."""
    plain = fed.add_data("h1")
    for few in (True, False):
        card = fed.add_data("h1")
        with open(card, "a", encoding="utf-8") as f:
            f.write(card_border())
        fed.add_consent(card, agreed=(lambda i: i == 7) if few else (lambda i: i >= 3))
        fed.site("h1", "data", "add", card)
        if few:
            assert "C-2" in border(fed).stdout, border(fed).stdout
            assert fed.site("h1", "plans", "approve", "trial", "--dataset", "wards", check=False).returncode != 0
        else:
            p = fed.site("h1", "plans", "check", "trial", "--dataset", "wards")
            assert '3 patients are left out: what they agreed to lacks "participation"' in p.stdout + p.stderr, p.stdout + p.stderr
            fed.site("h1", "plans", "approve", "trial", "--dataset", "wards")
    assert plain == card


def a_pack_to_hand_in_holds_hashes_and_no_row(fed):
    folder = fed.path("pack")
    said = fed.site("h1", "dossier", "export", "trial", folder, "--dataset", "wards").stdout
    assert ADVICE in said and stat.S_IMODE(os.stat(folder).st_mode) == 0o700, said
    names = sorted(os.listdir(folder))
    assert names == ["README.txt", "decision.json", "decision.txt", "documents.csv", "items.csv", "manifest.json", "measures.json",
                     "people.json", "plan.json", "request.json"], names
    text = {}
    for name in names:
        assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600, name
        with open(os.path.join(folder, name), encoding="utf-8", newline="") as f:
            text[name] = f.read()
    everything = "".join(text.values())
    with open(fed.path("data-h1", "d.csv"), encoding="utf-8") as f:
        cells = {c for line in f.read().splitlines()[1:] for c in line.split(",")[:3]}
    assert not [c for c in cells | {"pid", "d.csv", fed.path("h1")} if c in everything]
    assert [r["variable"] for r in csv.DictReader(io.StringIO(text["items.csv"]))] == ["age", "marker", "sick"], text["items.csv"]
    documents = list(csv.DictReader(io.StringIO(text["documents.csv"])))
    assert {d["record"]: (d["number"], d["state"]) for d in documents}["standard_contract"] == ("SCC-1", "live"), documents
    request = json.loads(text["request.json"])
    assert request["border"]["recipient"] == "Acme Inc., Basel" and request["card"]["border"]["province"] == "beijing", request
    assert json.loads(text["decision.json"])["decision"]["outcome"] == "proceed"
    assert json.loads(text["measures.json"])["epsilon_study_micro"] > 0 and "privacy" in json.loads(text["measures.json"])
    again = fed.site("h1", "dossier", "export", "trial", folder, "--dataset", "wards", check=False)
    assert again.returncode != 0, "an old folder was written over"
    good = fed.run("yumen-site", "dossier", "check", folder)
    assert said.split("manifest ")[1].split()[0] in good.stdout, (said, good.stdout)
    for name in names[:-1]:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(text[name][:-1] + chr(ord(text[name][-1]) ^ 1))
        assert fed.run("yumen-site", "dossier", "check", folder, check=False).returncode != 0, name
        os.unlink(path)
        assert fed.run("yumen-site", "dossier", "check", folder, check=False).returncode != 0, name
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(text[name])
    fed.run("yumen-site", "dossier", "check", folder)
    with open(os.path.join(folder, "more.txt"), "w", encoding="utf-8") as f:
        f.write("more")
    assert "more.txt" in fed.run("yumen-site", "dossier", "check", folder, check=False).stderr


def a_document_of_two_kinds_is_withdrawn_as_one_of_them(fed):
    for kind in ("tier_review", "aggregation_review"):
        fed.site("h1", "dossier", "add", kind, "--study", "trial", "--dataset", "wards", "--document", fed.path("ethics.pdf"),
                 "--issuer", "x", "--until", "2999-12-31")
    mine = [f for f in json.loads(fed.site("h1", "dossier", "list", "--json").stdout)["filings"]
            if f["record"] in ("tier_review", "aggregation_review")]
    digits = mine[0]["document"][:10]
    p = fed.site("h1", "dossier", "withdraw", digits, check=False)
    assert p.returncode == 1 and "--record" in p.stderr, p.stderr
    fed.site("h1", "dossier", "withdraw", digits, "--record", "tier_review")
    left = [f["record"] for f in json.loads(fed.site("h1", "dossier", "list", "--json").stdout)["filings"]
            if f["document"].startswith(digits)]
    assert "aggregation_review" in left and "tier_review" not in left, left
    fed.site("h1", "dossier", "withdraw", digits, "--record", "aggregation_review")


def an_application_has_dates_and_opens_nothing(fed):
    path = fed.path("clocks.yaml")
    with open(os.path.join(SOURCE, "gate/border/cn-clocks.yaml"), encoding="utf-8") as f:
        text = f.read()
    assert 'draft: "yes"\n' in text
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace('draft: "yes"\n', ""))
    before = border(fed).stdout
    fed.site("h1", "rules", "sign", path)
    too_long = fed.record("h1", "security_assessment", "trial", check=False)
    assert too_long.returncode != 0 and "lasts until" in too_long.stderr, too_long.stderr
    until = f"{date.today().year + 2}-12-31"
    fed.record("h1", "security_assessment", "trial", until=until)
    row = next(f for f in json.loads(fed.site("h1", "dossier", "list", "--json").stdout)["filings"] if f["filed"] == "2026-11-02")
    assert (row["state"], row["lacks"], row["until"]) == ("incomplete", "number", until), row
    assert {d["step"]: d["day"] for d in row["due"]} == {"completeness": "2026-11-09", "decision": "2026-11-18", "reconsideration": "2026-12-09"}, row
    assert "completeness check by 2026-11-09 [cn-clocks]" in fed.site("h1", "dossier", "list").stdout
    assert border(fed).stdout == before
    gone = fed.record("h1", "security_assessment", "trial", until=until, check=False, more=("--renews", "0123456789"))
    assert gone.returncode != 0 and "no record of that document" in gone.stderr, gone.stderr
    fed.site("h1", "dossier", "withdraw", row["document"][:10])
    fed.site("h1", "rules", "withdraw", "cn-clocks")


def what_is_withdrawn_is_absent(fed):
    listed = json.loads(fed.site("h1", "dossier", "list", "--json").stdout)["filings"]
    assert [f["state"] for f in listed] == ["live"] * 5 and listed[0]["days_left"] > 300000, listed
    told = fed.wait(lambda: week_of(fed), 30, "a release")
    assert told["waits"] == [] and told["expires"] == [] and told["week"]["studies"] == 1, told
    ethics = next(f for f in listed if f["record"] == "ethics")
    fed.site("h1", "dossier", "withdraw", ethics["document"][:10])
    p = border(fed)
    assert p.returncode == 1 and 'needs the record "ethics", which is absent' in p.stdout, p.stdout
    fed.site("h1", "rules", "withdraw", "us-28cfr202")
    assert "no signed rule set" in border(fed).stdout
    again = json.loads(fed.site("h1", "border", "again", "--json").stdout)["decisions"]
    assert again[0]["was"] == "proceed" and again[0]["now"] == "hold", again
    assert [(c["track"], c["now"]) for c in again[0]["changes"]] == [("us", "hold")], again  # the filings' states are those of that day
    assert "us: proceed (none) -> hold (hold)" in fed.site("h1", "border", "again").stdout


def a_restart_knows_all_of_it(fed):
    before = border(fed).stdout
    fed.daemons["trainer-h1"].kill()
    fed.daemons["trainer-h1"].start()
    assert border(fed).stdout == before
    name = next(n for n in os.listdir(fed.path("h1", "rules")))
    fed.daemons["trainer-h1"].kill()
    path = fed.path("h1", "rules", name)
    with open(path, "rb") as f:
        good = f.read()
    with open(path, "wb") as f:
        f.write(good.replace(b"cn-health", b"cn-wealth"))
    p = fed.run("yumen-trainer", "--dir", fed.path("h1"), "-n", check=False)
    assert p.returncode != 0 and "rule set" in p.stderr, p.stderr
    with open(path, "wb") as f:
        f.write(good)
    fed.daemons["trainer-h1"].start()


def a_damaged_card_lets_nothing_out_and_is_named(fed):
    path = fed.path("h1", "data", "wards.card.json")
    with open(path, "rb") as f:
        good = f.read()
    with open(path, "wb") as f:
        f.write(good[:300])
    p = fed.site("h1", "border", "show", "trial", "--dataset", "wards", check=False)
    assert p.returncode != 0 and 'the card of "wards" cannot be read: add the data set again' in p.stderr, p.stderr
    fed.wait(lambda: declined(fed) == "no_data", 30, "the refusal")
    with open(path, "wb") as f:
        f.write(good)
    fed.wait(lambda: declined(fed) == "border", 30, "the refusal")


def it_can_be_left_unasked_on_the_record(fed):
    assert fed.site("h1", "border", "off", check=False).returncode == 2
    fed.site("h1", "border", "off", "--reason", "public data")
    assert leaves(fed, "border")[-1]["reason"] == "public data"
    fed.wait_phase({"done"}, timeout=60)
    assert "NOT asked" in fed.site("h1", "rules", "list").stdout
    fed.run("yumen-audit", "verify", fed.path("hub", "ledger"), fed.path("h1", "ledger"), "--trust", fed.trust_file(),
            "--objects", fed.path("hub", "objects"))


def the_report_tells_it_to_the_auditor(fed):
    page = fed.path("report.html")
    fed.run("yumen-audit", "report", fed.path("hub", "ledger"), fed.path("h1", "ledger"), "--trust", fed.trust_file(), "--out", page)
    with open(page, encoding="utf-8") as f:
        text = html.unescape(f.read())
    for told in ("cn-health/1", "签发方", "50 percent of 150 (n_sensitive, cn-health)", "standard_contract",
                 "Rule sets are not asked, since", "“public data”", "proceed", "withdrawn 2", "百分之 50，限值 150", "data_office", ADVICE):
        assert told in text, told
    assert f">{ELIGIBLE}<" not in text, "a number of people that the ledger does not say"


with Federation(sites=("h1",), border=True) as federation:
    a_study_at_a_site_that_asks(federation)
    nothing_signed_lets_nothing_out(federation)
    a_damaged_card_lets_nothing_out_and_is_named(federation)
    status_says_what_waits_for_whom(federation)
    the_page_has_a_row_a_track(federation)
    the_sponsor_is_told_who_said_no(federation)
    a_set_and_its_records_open_it(federation)
    people_are_counted_before_they_leave(federation)
    egress_says_to_whom_and_on_what_ground(federation)
    a_pack_to_hand_in_holds_hashes_and_no_row(federation)
    a_document_of_two_kinds_is_withdrawn_as_one_of_them(federation)
    an_application_has_dates_and_opens_nothing(federation)
    what_is_withdrawn_is_absent(federation)
    a_restart_knows_all_of_it(federation)
    a_threshold_stops_a_round_before_it_trains(federation)
    it_can_be_left_unasked_on_the_record(federation)
    the_report_tells_it_to_the_auditor(federation)
print("the gate held, opened, held again, and was left unasked on the record")
