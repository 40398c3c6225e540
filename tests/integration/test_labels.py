#!/usr/bin/python3
"""Everything that the programs write of a model, in one folder: each file and each answer says in both languages that a
model made it, and where it came from. A format that is added without a label has no reader here, and is found."""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_model_score as made_up  # noqa: E402
from federation import CMD, Daemon, SERVES_ALL  # noqa: E402

EN = "AI-generated: the scores of this model are made by a machine-learning model"
ZH = "人工智能生成：本模型的评分由机器学习模型生成"


def run(home, program, *args, lang="en"):
    p = subprocess.run([os.path.join(CMD, program), *args], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       env={**os.environ, "YUMEN_LANG": lang})
    assert p.returncode == 0, (args, p.returncode, p.stderr, p.stdout)
    return p.stdout


def rows(path):
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(line for line in f if not line.startswith("# ")))


def of_a_table(path, text, _):
    for row in rows(path):
        assert row["content_id"] and ("AI-generated" in row["notice"] or "人工智能生成" in row["notice"]), (path, row)


def of_a_whole(path, text, content_id):
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
    assert EN in text and ZH in text and content_id in text, path


READERS = {".safetensors": of_a_whole, ".onnx": of_a_whole, ".json": of_a_whole, ".md": of_a_whole, ".csv": of_a_table}


def every_file_beside_a_model_is_labelled(home):
    out = os.path.join(home, "out")
    os.makedirs(out)
    run(home, "yumen", "simulate", "plan.yaml", "--site", "h1=card.yaml", "--no-privacy", "--out", "out/m.safetensors")
    content_id = re.search(r"simulated:[0-9a-f]{64}", open(os.path.join(out, "m.json"), encoding="utf-8").read())[0]
    kinds = {os.path.splitext(n)[1] for n in os.listdir(out)}
    assert kinds == set(READERS), kinds
    for name in os.listdir(out):
        path = os.path.join(out, name)
        with open(path, "rb") as f:
            READERS[os.path.splitext(name)[1]](path, f.read().decode("utf-8", "ignore"), content_id)
    return content_id


def every_answer_about_a_model_is_labelled(home, content_id):
    simulate = ("simulate", "plan.yaml", "--site", "h1=card.yaml", "--no-privacy", "--test", "d.csv")
    score = ("model", "score", "out/m.safetensors", "d.csv", "--plan", "plan.yaml")
    for words in (simulate, score):
        assert EN in run(home, "yumen", *words) and ZH in run(home, "yumen", *words, lang="zh"), words
        told = json.loads(run(home, "yumen", *words, "--json"))
        assert EN in told["notice"] and ZH in told["notice_zh"], words
    assert json.loads(run(home, "yumen", *score, "--json"))["content_id"] == content_id


def every_score_of_a_patient_is_labelled(home, content_id):
    with open(os.path.join(home, "policy.yaml"), "w") as f:
        f.write(SERVES_ALL)
    run(home, "yumen-site", "init", "--dir", "site", "--name", "h1", "--epsilon-cap", "5", "--policy", "policy.yaml", "--gateway", "gw",
        "--border-off", "a test")
    trainer = Daemon("trainer", [os.path.join(CMD, "yumen-trainer"), "--dir", os.path.join(home, "site")], os.path.join(home, "trainer.log"))
    trainer.start()
    try:
        for lang, word in (("en", "AI-generated"), ("zh", "人工智能生成")):
            told = run(home, "yumen-site", "infer", "out/m.safetensors", "card.yaml", "--dir", "site", "--plan", "plan.yaml", "--out", lang, lang=lang)
            assert word in told
            path = os.path.join(home, "site", "inferred", lang + ".csv")
            with open(path, encoding="utf-8") as f:
                head = [line for line in f if line.startswith("# ")]
            assert any(EN in line for line in head) and any(ZH in line for line in head), head
            got = rows(path)
            assert len(got) == made_up.ROWS and all(word in r["label"] and r["content_id"] == content_id for r in got)
    finally:
        trainer.kill()


def main():
    with tempfile.TemporaryDirectory(prefix="yumen-labels-") as home:
        drawn = made_up.draw()
        with open(os.path.join(home, "d.csv"), "w", newline="") as f:
            w = csv.DictWriter(f, list(drawn[0]))
            w.writeheader()
            w.writerows(drawn)
        with open(os.path.join(home, "card.yaml"), "w") as f:
            f.write(made_up.card())
        with open(os.path.join(home, "plan.yaml"), "w") as f:
            f.write(made_up.plan("logistic", "sick"))
        content_id = every_file_beside_a_model_is_labelled(home)
        every_answer_about_a_model_is_labelled(home, content_id)
        every_score_of_a_patient_is_labelled(home, content_id)


if __name__ == "__main__":
    main()
