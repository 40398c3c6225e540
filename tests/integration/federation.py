"""A real federation on loopback for tests: hub, gateways, trainers, sponsor.

Every process is the built program; nothing is stubbed. Tests kill, stop and
restart the parts and read what they left on disk. Python's standard library
only, so that it runs under Debian's python3."""

import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata

BUILD = os.environ.get("YM_BUILD_ROOT", os.path.join(os.getcwd(), "build"))
CMD = os.path.join(BUILD, "cmd")
SOURCE = os.environ.get("YM_SOURCE_ROOT", os.getcwd())


RECORDS = ("self_assessment", "pipia", "ethics", "standard_contract", "hospital")  # asked for of what goes abroad from Beijing
TOPICS = ("necessity", "consent", "data_handling", "privacy", "sharing", "risk")
PARTS = {
    "ethics": ("--number", "2026-7", "--committee", "reg-9", *(x for t in TOPICS for x in ("--topic", t + "=4"))),
    "standard_contract": ("--number", "SCC-1", "--filed", "2026-01-05", "--province", "beijing"),
    "security_assessment": ("--filed", "2026-11-02"),
}
US_BULK = 'us_persons: "yes", us_government: "no", us_genome_n: 0, us_omic_n: 0, us_biometric_n: 0, us_health_n: 10, us_identifiers_n: 0'


def card_border(exporter="Example Hospital", us='us_persons: "no"'):
    """A card's section: sensitive, general data of a hospital in Beijing."""
    return f"""border:
  exporter: {exporter}
  province: beijing
  declares: {{ciio: "no", pi: "yes", sensitive_pi: "yes", position: p1, claim: none, zone: none, aggregation: single, surveillance: "no", hgr: "no", {us}}}
"""


def plan_border(recipient="Acme Inc., Basel", more=""):
    """A plan's section: a model that goes to a sponsor abroad."""
    return f"""border:
  recipient: {recipient}
  contact: privacy@acme.example
  method: download of the model
  categories: laboratory values
  rights: by letter to the hospital
  storage: Basel
  foreign_law: Swiss data protection act
  declares: {{recipient: outside, overseas_access: possible, public_service: "no"{more}}}
  ai: {{sourcing: a, consent: a, data_quality: a, data_security: a, annotation: a, content_labels: a, misuse_prevention: a, explainability: a}}
"""


def free_port_pair():
    """A port whose successor is free too: enrolment listens on port + 1."""
    while True:
        base = random.randrange(20000, 29000)
        try:
            for port in (base, base + 1):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue


def tensors(path):
    """The numbers of a safetensors file, by name."""
    with open(path, "rb") as f:
        raw = f.read()
    (n,) = struct.unpack("<Q", raw[:8])
    kinds, out = {"F32": "f", "F64": "d"}, {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            part = raw[8 + n + a:8 + n + b]
            out[name] = struct.unpack(f"<{len(part) // struct.calcsize(kinds[t['dtype']])}{kinds[t['dtype']]}", part)
    return out


class Failed(Exception):
    pass


class Daemon:
    """One process with its log; ready when it prints a line that begins so."""

    def __init__(self, name, argv, log):
        self.name, self.argv, self.log_path, self.proc = name, argv, log, None

    def start(self, wait=True, timeout=20, env=None):
        self.log = open(self.log_path, "ab")
        self.proc = subprocess.Popen(
            self.argv, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL,
            env={**os.environ, "YUMEN_LANG": "en", **(env or {})})
        if wait:
            os.set_blocking(self.proc.stdout.fileno(), False)
            end, text = time.monotonic() + timeout, b""
            while b"ready" not in text:
                text += self.proc.stdout.read() or b""
                if self.proc.poll() is not None or time.monotonic() > end:
                    raise Failed(f"{self.name} is not ready: {text!r}\n{self.tail()}")
                time.sleep(0.01)
            self.ready = text.decode()
        return self

    def tail(self, lines=30):
        with open(self.log_path, errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def kill(self, sig=signal.SIGKILL):
        if self.alive():
            self.proc.send_signal(sig)
        if self.proc is not None:
            code = self.proc.wait(20)
            self.proc.stdout.close()
            self.log.close()
            self.proc = None
            return code


SERVES_ALL = """yumen: policy/1
epsilon: {lifetime: 1000, study: 1000, month: 1000}
delta: 1e-5
min_patients: 5
sponsors: any
purposes: any
models: any
columns: {inputs: any, outcomes: any}
recipients: any
hours: any
cpu_threads: any
memory_mib: any
inference: {basis: treatment, rows_per_hour: 1000000}
"""


def serves_all(path):
    """A policy file without limits beside the figures; its path."""
    with open(path, "w", encoding="utf-8") as f:
        f.write(SERVES_ALL)
    return path


class Federation:
    def __init__(self, sites=("h1", "h2", "h3", "h4"), root=None, epsilon_cap="10", delta="1e-5", min_patients="5", border=False):
        self.root = root or tempfile.mkdtemp(prefix="yumen-")
        self.names, self.daemons, self.vkeys = list(sites), {}, []
        self.cap, self.delta, self.min_patients = epsilon_cap, delta, min_patients
        self.border = border  # rule sets are asked
        self.port = free_port_pair()
        self.hub_addr = f"127.0.0.1:{self.port}"

    # ---- running programs
    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def run(self, *argv, check=True, timeout=60, env=None):
        argv = [os.path.join(CMD, argv[0]), *map(str, argv[1:])]
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=timeout, env={**os.environ, "YUMEN_LANG": "en", **(env or {})})
        if check and p.returncode != 0:
            raise Failed(f"{' '.join(argv)} -> {p.returncode}\n{p.stdout}{p.stderr}")
        return p

    def site(self, name, *argv, **kw):
        return self.run("yumen-site", *argv, "--dir", self.path(name), **kw)

    def sponsor(self, *argv, **kw):
        return self.run("yumen", *argv, "--dir", self.path("sponsor"), **kw)

    def daemon(self, name, *argv):
        d = Daemon(name, [os.path.join(CMD, argv[0]), *argv[1:]], self.path(name + ".log"))
        self.daemons[name] = d
        return d

    # ---- the usual steps
    def vkey_of(self, text):
        for word in text.split():
            if word.count("+") >= 2 and word.startswith("yumen/"):
                return word
        raise Failed("no verifier key in: " + text)

    def init_hub(self, more=""):
        """more: lines for hub.yaml."""
        os.makedirs(self.root, exist_ok=True)
        p = self.run("yumen-coordinator", "init", "--dir", self.path("hub"), "--federation", "test", "--listen", self.hub_addr,
                     "--enrol-listen", f"127.0.0.1:{self.port + 1}")
        assert p.stdout.startswith("log yumen/test/hub+"), p.stdout  # as a trust file wants it
        self.vkeys.append(self.vkey_of(p.stdout))
        with open(self.path("hub", "hub.yaml"), "a", encoding="utf-8") as f:
            f.write(more)
        self.daemon("hub", "yumen-coordinator", "serve", "--dir", self.path("hub")).start()

    def token(self, role, name):
        out = self.run("yumen-coordinator", "token", "--role", role, "--name", name, "--dir", self.path("hub")).stdout
        for word in out.split():
            if word.startswith("YJ1."):
                return word
        raise Failed("no token in: " + out)

    def init_site(self, name):
        p = self.run("yumen-site", "init", "--dir", self.path(name), "--name", name, "--epsilon-cap", self.cap, "--delta", self.delta,
                     "--min-patients", self.min_patients, "--gateway", self.path("gw-" + name),
                     "--policy", serves_all(self.path("policy.yaml")),
                     *(() if self.border else ("--border-off", "a test")))
        assert f"\nlog yumen/hospital/{name}+" in p.stdout and f"\nwitness {name} " in p.stdout, p.stdout
        self.vkeys.append(self.vkey_of(p.stdout))
        self.daemon("trainer-" + name, "yumen-trainer", "--dir", self.path(name)).start()
        self.daemon("gateway-" + name, "yumen-gateway", "--dir", self.path("gw-" + name)).start()

    def enrol_site(self, name, token=None, check=True):
        return self.site(name, "enrol", "--token", token or self.token("hospital", name), "--hub", self.hub_addr, check=check)

    def enrol_sponsor(self, name="acme"):
        self.run("yumen", "enrol", "--dir", self.path("sponsor"), "--token", self.token("sponsor", name), "--hub", self.hub_addr)

    def add_data(self, name, patients=60, seed=None, rows=None):
        """Two numbers and an outcome that depends on them; one row a patient."""
        folder = self.path("data-" + name)
        os.makedirs(folder, exist_ok=True)
        rng = random.Random(seed if seed is not None else name)
        with open(os.path.join(folder, "d.csv"), "w", encoding="utf-8", newline="") as f:
            f.write("pid,age,marker,sick\n")
            for i in range(patients):
                if rows:
                    f.write(rows(i))
                    continue
                age, marker = rng.uniform(20, 90), rng.uniform(0, 10)
                sick = int(rng.random() < (0.9 if marker + age / 20 > 7.5 else 0.1))
                f.write(f"{name}-{i},{age:.3f},{marker:.4f},{sick}\n")
        card = os.path.join(folder, "card.yaml")
        with open(card, "w", encoding="utf-8") as f:
            f.write(f"""yumen: card/1
name: wards
title: test wards of {name}
file: d.csv
encoding: utf-8
separator: ","
patient_column: pid
size_class: "<100"
tier: general
variables:
  - {{name: age, column: age, unit: year, low: 0, high: 120}}
  - {{name: marker, column: marker, unit: mg/L, low: 0, high: 10}}
  - {{name: sick, column: sick, map: {{"0": "no", "1": "yes"}}, levels: ["no", "yes"]}}
""")
        return card

    def add_consent(self, card, agreed=lambda i: True, purpose="test", **notice):
        """Columns that say what each patient agreed to, beside the data, and the card's section on them. Notice N1 names
        the recipient of test_border_federation.PLAN unless told otherwise."""
        path = os.path.join(os.path.dirname(card), "d.csv")
        with open(path, encoding="utf-8") as f:
            lines = f.read().splitlines()
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(lines[0] + ",agreed,notice\n")
            for i, line in enumerate(lines[1:]):
                f.write(f"{line},{'yes' if agreed(i) else 'no'},N1\n")
        texts = dict(recipient="Acme Inc., Basel", contact="privacy@acme.example", method="download of the model",
                     categories="laboratory values", rights="by letter to the hospital", purpose=purpose)
        texts.update(notice)
        given = "".join(f"    {word}: {{column: agreed, codes: [\"yes\"]}}\n"
                        for word in ("participation", "sensitive_pi", "cross_border", "secondary_use"))
        with open(card, "a", encoding="utf-8") as f:
            f.write("consent:\n  given:\n" + given + "  nobody: [bundled, broad, vulnerable]\n  notice_column: notice\n  notices:\n"
                    "    - {code: N1, level: enhanced, " + ", ".join(f'{k}: "{v}"' for k, v in texts.items()) + "}\n")

    def sign_rules(self, site, old="", new=""):
        """The shipped rule sets, with other words where a test wants another limit."""
        for name in ("cn-health", "us-28cfr202"):
            path = self.path(name + ".yaml")
            with open(os.path.join(SOURCE, "gate/border", name + ".yaml"), encoding="utf-8") as f:
                text = f.read()
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace(old, new) if old else text)
            self.site(site, "rules", "sign", path)

    def record(self, site, kind, study, dataset="wards", until="2999-12-31", more=(), check=True):
        document = self.path(kind + ".pdf")
        with open(document, "w", encoding="utf-8") as f:
            f.write("the document " + kind)
        return self.site(site, "dossier", "add", kind, "--study", study, "--dataset", dataset, "--document", document,
                         "--issuer", "签发方", *PARTS.get(kind, ()), *more, "--until", until, check=check)

    def file_records(self, site, study, dataset="wards"):
        for kind in RECORDS:
            self.record(site, kind, study, dataset)

    def plan(self, study="trial", **over):
        v = dict(rounds=3, steps=2, q="0.5", nominal=60, noise="6", epsilon="3", quorum=3, ready=20, collect=20, attempts=3,
                 hospitals=", ".join("{name: %s}" % n for n in self.names), extra="", privacy="", delta="1e-5", family="logistic")
        v.update(over)
        path = self.path(study + ".yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"""yumen: plan/1
study: {study}
sponsor: acme
title: A test
purpose: test
model:
  family: {v['family']}
  inputs:
    - {{name: age, unit: year, low: 0, high: 120}}
    - {{name: marker, unit: mg/L, low: 0, high: 10}}
  outcome: {{name: sick, levels: ["no", "yes"]}}
  seed: 1
training:
  rounds: {v['rounds']}
  local_steps: {v['steps']}
  sampling_probability: {v['q']}
  nominal_patients: {v['nominal']}
  learning_rate: 0.5
  max_records_per_patient: 1
privacy:
  clip_norm: 1
  noise_multiplier: {v['noise']}
  delta: {v['delta']}
  epsilon: {v['epsilon']}
  min_patients: 5
{v['privacy']}server: {{optimizer: fedavg, learning_rate: 1}}
federation:
  hospitals: [{v['hospitals']}]
  quorum: {v['quorum']}
  max_attempts: {v['attempts']}
  ready_timeout_s: {v['ready']}
  collect_timeout_s: {v['collect']}
{v['extra']}""")
        return path

    def up(self):
        """Everything to the point where a plan can be submitted."""
        self.init_hub()
        for n in self.names:
            self.init_site(n)
            self.enrol_site(n)
            self.site(n, "data", "add", self.add_data(n))
        self.enrol_sponsor()
        return self

    def approve_all(self, study="trial", timeout=20):
        for n in self.names:
            self.wait(lambda: study in self.site(n, "plans", "list").stdout, timeout, f"{n} to see the plan")
            self.site(n, "plans", "approve", study, "--dataset", "wards")

    # ---- looking
    def wait(self, true, timeout, what):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            value = true()
            if value:
                return value
            time.sleep(0.05)
        logs = "\n".join(f"--- {n}\n{d.tail(15)}" for n, d in self.daemons.items() if os.path.exists(d.log_path))
        raise Failed(f"waited {timeout} s for {what}\n{logs}")

    def study(self, study="trial"):
        out = self.sponsor("study", "list", "--json", check=False)
        if out.returncode != 0:
            return None
        value = json.loads(out.stdout)
        for s in value["studies"] if isinstance(value, dict) else value:
            if s["study"] == study:
                return s
        return None

    def screen(self, name):
        """The status in both languages, which fits a terminal of 24 lines and 80 columns."""
        out = []
        for lang in ("en", "zh"):
            text = self.site(name, "status", env={"YUMEN_LANG": lang}).stdout
            lines = text.splitlines()
            wide = [line for line in lines if sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) > 80]
            if len(lines) > 23 or wide:
                raise Failed(f"{len(lines)} lines, too wide {wide}:\n{text}")
            out.append(text)
        return out

    def wait_phase(self, phases, study="trial", timeout=60):
        def there():
            s = self.study(study)
            return s if s and s["phase"] in phases else None
        s = self.wait(there, timeout, f"{study} to be {phases}")
        if s["phase"] == "done":  # the hub says so up to 200 ms before its log does
            self.wait(lambda: self.ended(study), 20, f"the last result of {study} in the hub's log")
        return s

    def ended(self, study):
        return any(x["type"] == "round_result" and x["study"] == study and x["last"] for x in self.leaves(self.path("hub", "ledger")))

    def leaves(self, folder):
        """Leaves of a ledger folder, read with no code of the product."""
        while True:
            try:
                return self.read_leaves(folder)
            except FileNotFoundError:  # a wider file has taken the place of one that was listed
                pass

    def read_leaves(self, folder):
        out, base = [], os.path.join(folder, "tile", "entries")
        bundles = {}
        for here, _, files in os.walk(base):
            for f in files:
                rel = os.path.relpath(os.path.join(here, f), base)
                parts = rel.split(os.sep)
                width = 256
                if parts[-2:-1] and parts[-2].endswith(".p"):
                    width, parts = int(parts[-1]), parts[:-2] + [parts[-2][:-2]]
                index = int("".join(p.lstrip("x") for p in parts))
                if bundles.get(index, (0, ""))[0] < width:
                    bundles[index] = (width, os.path.join(here, f))
        for index in sorted(bundles):
            with open(bundles[index][1], "rb") as f:
                data = f.read()
            while data:
                n = int.from_bytes(data[:2], "big")
                out.append(json.loads(data[2:2 + n]))
                data = data[2 + n:]
        return out

    def trust_file(self):
        path = self.path("trust.txt")
        with open(path, "w") as f:
            f.writelines(f"log {v}\n" for v in self.vkeys)
        return path

    def verify(self, *options, check=True):
        dirs = [self.path("hub", "ledger")] + [self.path(n, "ledger") for n in self.names]
        return self.run("yumen-audit", "verify", *dirs, "--trust", self.trust_file(), *options, check=check)

    def down(self, keep=False):
        for d in self.daemons.values():
            d.kill()
        if not keep:
            shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            for n, d in self.daemons.items():
                if os.path.exists(d.log_path):
                    sys.stderr.write(f"--- {n}\n{d.tail()}\n")
        self.down(keep=bool(os.environ.get("YM_KEEP")))
