#!/usr/bin/python3
"""Turns protections off in a copy of the source, one at a time, and demands
that a test goes red. A mutation whose text is no longer in the source fails
too: this list must follow the code. Usage: test_mutations.py [NAME...]"""

import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.environ.get("YM_SOURCE_ROOT", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# name, file, text that must be there once, replacement, tests of which one at least must fail
MUTATIONS = [
    ("clip-off", "worker/trainer/local.c",
     "ym_clip_patient(w->gradient, w->dim, s->clip_norm, w->clipped);",
     "ym_clip_patient(w->gradient, w->dim, s->clip_norm * 1e6, w->clipped);\n"
     "    for (size_t i = 0; i < w->dim; i++)\n"
     "        w->clipped[i] = (int32_t)(w->gradient[i] / s->clip_norm * YM_CLIP_UNITS);",
     ["test_local_step"]),
    ("freeze-ignored-in-the-clip", "models/model.c", "size_t count = m->frozen ? ym_model_zeros(m, true, run) : 0;",
     "size_t count = m->frozen > 99 ? ym_model_zeros(m, true, run) : 0;", ["test_start"]),
    ("freeze-ignored-in-steps", "models/optimizer.c", "if (!ym_model_tensor_frozen(o->model, t))", "if (o->model)", ["test_start"]),
    ("frozen-sums-taken", "models/shape.c", "if (ym_model_tensor_frozen(m, i))", "if (ym_model_tensor_frozen(m, i) && i > 9)",
     ["test_start"]),
    ("another-start-taken", "models/state.c", "if (memcmp(hash, plan->start_hash, sizeof hash) != 0)",
     "if (memcmp(hash, plan->start_hash, 0) != 0)", ["test_start"]),
    ("momentum-from-raw-sums", "worker/trainer/local.c", "ym_noise_add(sum, dim, plan->sigma_units, noise);",
     "static double raw[1 << 16];\n"
     "    for (size_t i = 0; i < m->dim && plan->momentum > 0; i++)\n"
     "        sum[i] = (int64_t)(raw[i] = plan->momentum * raw[i] + (double)sum[i]);\n"
     "    struct ym_plan *once = (struct ym_plan *)plan;\n"
     "    once->momentum = 0;\n"
     "    ym_noise_add(sum, dim, plan->sigma_units, noise);", ["test_local_step"]),
    ("tar-climbs-out", "audit/verify/tar.c", "!(part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')))", "part[0]",
     ["test_evidence.py"]),
    ("tar-goes-on-behind-its-end", "cmd/audit/folder.c", "if (code == YM_OK && !ends_well(in))", "if (code == YM_OK && !ends_well(in) && size == 0)",
     ["test_evidence.py"]),
    ("tar-of-any-depth", "cmd/audit/folder.c", "if (too_deep(e->path))", "if (too_deep(e->path) && e->size > 99)", ["test_evidence.py"]),
    ("reader-waits-for-a-writer", "base/fs.c", "O_CLOEXEC | O_NOCTTY | O_NONBLOCK", "O_CLOEXEC | O_NOCTTY", ["test_fs"]),
    ("cache-passes-what-is-to-be-cosigned", "worker/trainer/watch.c", "size >= w->kept_size + YM_WATCH_KEEP_EVERY && w->ended <= w->memory.size)",
     "size >= w->kept_size + YM_WATCH_KEEP_EVERY)", ["test_watch"]),
    ("clone-cosigns-too", "coordinator/seal.c", "if (hub_other_at_work(h, site, instance))", "if (hub_other_at_work(h, site, instance) && at == 0)",
     ["test_hub"]),
    ("cosigned-once-a-run", "worker/trainer/trainer_frames.c", "    t->cosigned = false;", "    t->cosigned &= true;", ["test_cosigned.py"]),
    ("own-trust-believed", "cmd/audit/inputs.c", "code == YM_OK && in->trust_inside && i < in->count", "code != YM_OK && i < in->count",
     ["test_evidence.py"]),
    ("any-content-id-resolves", "cmd/yumen-audit.c", "memcmp(hash, f->hash[*index], sizeof hash) == 0;",
     "memcmp(hash, f->hash[*index], 0) == 0;", ["test_sponsor_federation.py"]),
    ("scores-anywhere", "cmd/site/infer.c", "name[0] == '.' ||", "name[0] == 1 ||", ["test_infer.py"]),
    ("table-without-its-label", "base/text_common.def", 'YM_TEXT(MODEL_LABEL, "AI-generated, no diagnosis"', 'YM_TEXT(MODEL_LABEL, "no diagnosis"', ["test_labels.py"]),
    ("simulation-without-its-notice", "cmd/yumen/simulate.c", 'json_object_set_new(o, "notice_zh"', 'json_object_set_new(o, "note_zh"', ["test_labels.py"]),
    ("withdrawn-from-all-forgotten", "worker/trainer/withdraw.c", "all ? &all->who : &nobody", "all && all->who.count > 99 ? &all->who : &nobody",
     ["test_withdraw"]),
    ("later-set-takes-them-back", "worker/trainer/withdraw.c", "    if (!l)\n        l = find(w, YM_WITHDRAWN_ALL);", "    if (!l)\n        l = find(w, dataset);", ["test_withdraw"]),
    ("written-without-a-form", "gate/border/consent.c", "if (!form_is_there(c, cell, ctx))", "if (!form_is_there(c, cell, ctx) && !c->given)",
     ["test_consent"]),
    ("topics-not-in-the-notice", "gate/border/declare.c", "any ? 6 + YM_NOTICE_TOPIC_COUNT : 6", "any && !text[0] ? 6 + YM_NOTICE_TOPIC_COUNT : 6",
     ["test_consent"]),
    ("withdrawn-scored", "worker/trainer/trainer_infer.c", "json_boolean(ym_withdrawn_any(t->withdrawn, id[i]))", "json_boolean(t->withdrawn && count == 0)",
     ["test_infer.py"]),
    ("scored-without-consent", "gate/border/consent.c", "out->bits = YM_CONSENT_BIT(SECONDARY_USE);", "out->bits = 0;", ["test_infer.py"]),
    ("scored-without-a-word", "worker/trainer/trainer_infer.c", "if (!t->policy || t->policy->scores == YM_SCORES_NONE)", "if (!t->policy)",
     ["test_infer.py"]),
    ("scored-without-an-entry", "worker/trainer/trainer_infer.c", 'code = ym_trainer_record_new(t, "inference", json_incref(members), st);',
     "code = members ? YM_OK : YM_INTERNAL;", ["test_infer.py"]),
    ("scores-without-an-hour", "worker/trainer/trainer_infer.c", "return rows <= left ? YM_OK", "return rows >= 0 ? YM_OK", ["test_infer.py"]),
    ("left-out-looked-at", "worker/infer/infer.c", "if (out->refusal[row].why != YM_LEFT_OUT)", "if (row < out->rows)", ["test_infer.py"]),
    ("out-of-range-scored", "worker/infer/infer.c", "(v < want->low || v > want->high)", "(v < want->low && v > want->high)",
     ["test_infer.py"]),
    ("missing-scored", "worker/infer/infer.c", "return (struct ym_row_refusal){YM_REFUSED_MISSING, want};",
     "v = want->low;", ["test_infer.py"]),
    ("scores-for-everybody", "cmd/site/infer.c", "ym_fs_write(i->path, ym_buf_bytes(&out), 0600, st);",
     "ym_fs_write(i->path, ym_buf_bytes(&out), 0644, st);", ["test_infer.py"]),
    ("domestic-model-for-everybody", "coordinator/read.c", "if (theirs && y->plan->border.domestic_only &&", "if (theirs && y->plan->border.domestic_only && !theirs &&",
     ["test_domestic.py"]),
    ("anybody-in-a-recipients-name", "coordinator/sponsor.c", "ym_recipient_vouched(der, p.identity_key, NULL) != YM_OK))",
     "ym_recipient_vouched(der, p.identity_key, NULL) == YM_UNCERTAIN))", ["test_domestic.py"]),
    ("sealed-to-the-revoked", "coordinator/release.c", "w->to[i] = code == YM_OK && !p.revoked;", "w->to[i] = code == YM_OK;",
     ["test_domestic.py"]),
    ("sealed-under-any-entry", "coordinator/release.c", "memcmp(state, r->state, sizeof state) == 0;", "memcmp(state, r->state, 0) == 0;",
     ["test_domestic.py"]),
    ("opened-whoever-made-it", "cmd/site/recipient.c", "ym_tensors_signed(model, trust.hub_key, NULL) != YM_OK)",
     "ym_tensors_signed(model, trust.hub_key, NULL) == YM_UNCERTAIN)", ["test_domestic.py"]),
    ("certificate-of-another-hospital", "gate/border/recipients.c", "} else if (strcmp(who.name, r->name) != 0) {",
     "} else if (strcmp(who.name, r->name) > 9999) {", ["test_recipients"]),
    ("recipient-outside-the-plan", "gate/border/recipients.c", "if (!in_plan(plan, r->name))", "if (!in_plan(plan, r->name) && !r->name[0])",
     ["test_recipients"]),
    ("metrics-with-a-coordinate", "coordinator/read.c", "f->skip = 8 * ym_model_metric_at(&model);",
     "f->skip = 8 * (ym_model_metric_at(&model) - 1);", ["test_domestic.py"]),
    ("metrics-of-a-state", "coordinator/read.c", "if (kind == YM_STORE_SUM)", "if (kind != YM_STORE_PLAN)", ["test_domestic.py"]),
    ("domestic-model-for-auditors", "coordinator/read.c", "theirs = m->who->role == YM_ROLE_AUDITOR ||",
     "theirs = (m->who->role == YM_ROLE_AUDITOR && (m->yes = true)) ||", ["test_domestic.py"]),
    ("notices-not-missed", "models/results/notice.c", "    if (!value || !*value)\n        return false;",
     "    if (!value || !*value)\n        return true;", ["test_sponsor_federation.py"]),
    ("report-counts-people-in-one-year", "audit/verify/rules_people.c", "*grown = (struct ym_people_line){.log = p->log, .year = (int)year};",
     "*grown = (struct ym_people_line){.log = p->log, .year = 2023};", ["test_verify"]),
    ("report-unescaped", "cmd/html.c", 'return "&lt;";', 'return "<";', ["test_audit_report.py", "test_policy_federation.py"]),
    ("report-text-turned", "base/text.c", "(c >= 0x2028 && c <= 0x202e)", "c == 0x2028", ["test_audit_report.py"]),
    ("program-unnamed", "audit/verify/entry.c", "case BUILD:\n        return n->text_len == BUILD_HEX &&",
     "case BUILD:\n        return n->text_len > 0 ||", ["test_verify"]),
    ("mirror-keeps-any-line", "audit/ledger/pull.c", "return p->source->keep_line(p->source->ctx, text, line);",
     "return p->source->keep_line(p->source->ctx, text, line) || line.len > 0;", ["test_fetch.py"]),
    ("mirror-takes-any-bundle", "audit/ledger/pull.c", "if (memcmp(root, p->bundle_root[b], sizeof root) != 0)\n            code",
     "if (memcmp(root, p->bundle_root[b], 0) != 0)\n            code", ["test_fetch.py"]),
    ("mirror-takes-another-past", "audit/ledger/pull.c", "if (memcmp(o->hash[i - first], p->l->leaf_hash[i], YM_HASH_BYTES) != 0)",
     "if (memcmp(o->hash[i - first], p->l->leaf_hash[i], 0) != 0)", ["test_fetch.py"]),
    ("mirror-gets-shorter", "audit/ledger/pull.c", "if (p->promise.size < p->l->tree->size)", "if (p->promise.size + 1 == 0)", ["test_fetch.py"]),
    ("gate-not-asked", "worker/trainer/core_round.c", "if (w->border(w->ctx, s->plan, s->dataset, st) != YM_OK)",
     "if (w->border(w->ctx, s->plan, s->dataset, st) == YM_INTERNAL)", ["test_core"]),
    ("unmapped-is-off-the-list", "gate/border/zone.c", "return unknown(st, T(ZONE_UNMAPPED), variable);", "continue;", ["test_zone"]),
    ("another-version-of-the-list", "gate/border/zone.c", "if (r->version != mine->version)", "if (r->version < 0)", ["test_zone"]),
    ("first-row-of-the-list", "gate/border/zone.c", "if (!worst || rank_of(row->zone) > rank_of(worst))", "if (!worst)", ["test_zone"]),
    ("assessments-for-ever", "gate/border/dossier.c", "strcmp(f->valid_until, end) < 0 ? f->valid_until : end", "strcmp(f->valid_until, end) != 0 ? f->valid_until : end",
     ["test_dossier"]),
    ("a-renewal-covers-the-gap", "gate/border/dossier.c", "strcmp(today, f->valid_from) < 0)", "(strcmp(today, f->valid_from) < 0 && !f->number[0]))", ["test_dossier"]),
    ("a-renewal-of-nothing", "gate/border/dossier.c", "if (renews(f) && !p)", "if (renews(f) && !p && years > 99)", ["test_dossier"]),
    ("years-saved-up", "gate/border/dossier.c", "ym_date_days(from, p->last_day) <= YM_RENEWAL_AHEAD_DAYS)", "ym_date_days(from, p->last_day) >= 0)", ["test_dossier"]),
    ("half-a-contract", "gate/border/dossier.c", "if (ym_filing_lacks(f))", "if (ym_filing_lacks(f) && !f->issuer[0])", ["test_dossier"]),
    ("any-recipient-covered", "gate/border/dossier.c", "if (!holds(list, part))", "if (!holds(list, part) && !*list)", ["test_dossier"]),
    ("another-provinces-office", "gate/border/dossier.c", "!strcmp(f->province, t->province))", "f->province[0] != t->province[1])", ["test_dossier"]),
    ("pack-unchecked", "cmd/site/pack.c", "memcmp(want, have, sizeof want) != 0", "memcmp(want, have, 0) != 0", ["test_border_federation.py"]),
    ("pack-with-strangers", "cmd/site/pack.c", "code = no_others(folder, files, &st);", "no_others(folder, files, NULL);", ["test_border_federation.py"]),
    ("pack-tells-local-columns", "worker/trainer/trainer_border.c", "{\"name\", \"title\", \"size_class\", \"tier\", \"border\"}",
     "{\"name\", \"title\", \"size_class\", \"patient_column\", \"file\", \"border\"}", ["test_border_federation.py"]),
    ("holidays-worked", "gate/border/clocks.c", "weekday != 6 && !among(c->holiday, c->holiday_count, date);", "weekday != 6 && (c->holiday_count || date);", ["test_clocks"]),
    ("years-guessed", "gate/border/clocks.c", "if (!step->calendar && !known_year(c, date))", "if (!step->calendar && !known_year(c, date) && !*date)", ["test_clocks"]),
    ("one-seal-approves", "gate/border/seal.c", "need.count = dossier ? 1 : 2;", "need.count = 1;", ["test_offices"]),
    ("any-seal-fits", "gate/border/seal.c", "if (code == YM_OK && !signed_by(o->key[who], &text, text_of(seal, \"signature\")))",
     "if (code == YM_OK && text.len == 0)", ["test_offices"]),
    ("a-seal-counts-twice", "gate/border/seal.c", "if (strcmp(o->used[i], signature) == 0)", "if (strcmp(o->used[i], signature) > 9999)", ["test_offices"]),
    ("anybody-seals-anything", "gate/border/seal.c", "!(ym_seal_may(type, members) & (1u << who))", "(who > YM_OFFICES)", ["test_offices"]),
    ("trainer-needs-no-seals", "worker/trainer/trainer_offices.c", "if (need.count > 0) {", "if (need.count > 99) {", ["test_offices.py"]),
    ("auditor-needs-no-seals", "audit/verify/rules_seals.c", "if (bits(sealed) >= count && !(must & ~sealed))", "if (bits(sealed) + 9 >= count)",
     ["test_verify"]),
    ("auditor-takes-any-seal", "audit/verify/rules_seals.c", "else if (!fits(w->e, seal, w->s->key[office]))", "else if (office > 9)", ["test_verify"]),
    ("auditor-takes-used-seals", "audit/verify/rules_seals.c", "else if (ym_vmap_get(&w->c->log[w->log].seen, NULL, \"s|%s\", seal->text))",
     "else if (office > 9)", ["test_verify"]),
    ("unknown-passes-a-rule", "gate/border/evaluate.c", "if (m == MATCH_NO)", "if (m != MATCH_YES)", ["test_border", "test_border_rules"]),
    ("unsigned-rules-decide", "gate/border/evaluate.c", "return in->is_signed &&", "return (in->is_signed || today) &&", ["test_border_rules"]),
    ("expired-record-counts", "gate/border/dossier.c", "return YM_RECORD_EXPIRED;", "return YM_RECORD_LIVE;", ["test_dossier"]),
    ("stale-record-counts", "gate/border/dossier.c", "    return YM_RECORD_STALE;", "    return YM_RECORD_LIVE;", ["test_dossier"]),
    ("any-file-over-http", "coordinator/publish.c", 'if (strcmp(path, "/checkpoint") == 0)',
     'if (strcmp(path, "/checkpoint") == 0 || strstr(path, "lock"))', ["test_http_log.py"]),
    ("scaffold-released-with-its-correction", "models/optimizer.c", "o->own[i] -= o->rate * g;",
     "o->own[i] -= o->rate * (g + correction);", ["test_scaffold"]),
    ("scaffold-inside-the-clip", "models/optimizer.c", "theta[i] -= o->rate * (g + correction);",
     "theta[i] -= o->rate * (g + fmax(-o->plan->clip_norm, fmin(o->plan->clip_norm, correction)));", ["test_scaffold"]),
    ("scaffold-from-raw-sums", "worker/trainer/local.c", "ym_noise_add(sum, dim, plan->sigma_units, noise);",
     "if (!plan->scaffold)\n        ym_noise_add(sum, dim, plan->sigma_units, noise);", ["test_scaffold"]),
    ("scaffold-from-any-file", "worker/trainer/work.c", "return memcmp(hash, want, sizeof hash) == 0;", "return memcmp(hash, want, 0) == 0;",
     ["test_work"]),
    ("views-counted-one-by-one", "worker/trainer/local.c", "ym_clip_hold(w->held, w->clipped, w->dim + (s->bit_units > 0));",
     "for (size_t v = 0; v < (w->view ? s->plan->augment.views : 1); v++)\n"
     "        ym_clip_hold(w->held, w->clipped, w->dim + (s->bit_units > 0));", ["test_augment"]),
    ("views-by-place-in-the-batch", "worker/trainer/local.c", "ym_augment_views(s->plan, x, y, rows, draw, w->view, w->view_y);",
     "ym_augment_views(s->plan, x, y, rows, draw + w->held_count, w->view, w->view_y);", ["test_augment"]),
    ("stop-forgotten-by-a-restart", "coordinator/round/keep.c", "if (r->stops)", "if (r->stops && !r->plan)", ["test_round"]),
    ("stop-in-rounds-without-metrics", "models/state.c", "if (s->counts && s->plan->stop_figure != YM_STOP_NEVER)",
     "if (s->plan->stop_figure != YM_STOP_NEVER)", ["test_programs"]),
    ("control-of-those-present-alone", "models/state.c", "return s->present * (-mean / s->pace - c);", "return -mean / s->pace - c;",
     ["test_scaffold", "test_state"]),
    ("stop-where-the-hub-likes", "audit/verify/recompute.c", 'else if (ym_entry_bool(s->e, "last") != is_last(s, &model))',
     'else if (ym_entry_bool(s->e, "last") && !is_last(s, &model) && !s)', ["test_recompute"]),
    ("witness-takes-any-size", "audit/witness/witness.c", "if (q->old != l->size) {", "if (q->old > l->size + 400) {", ["test_witness.py"]),
    ("witness-takes-any-proof", "audit/witness/witness.c", "q->proof_count, NULL) == YM_OK;", "q->proof_count, NULL) != YM_OK || q->old;", ["test_witness.py"]),
    ("witness-signs-before-it-writes", "audit/witness/witness.c", "code = ym_fs_write(path, ym_buf_bytes(&note), 0600, NULL);",
     "code = q->size % 2 ? YM_OK : ym_fs_write(path, ym_buf_bytes(&note), 0600, NULL);", ["test_witness.py"]),
    ("hub-keeps-any-cosignature", "coordinator/witness.c", "code = ym_cosign_open(ym_buf_bytes(&note), w->config->name, w->config->pub, &time, NULL);",
     "(void)time;", ["test_witness.py"]),
    ("clip-a-tenth-too-wide", "privacy/clip.c",
     "double factor = radius /", "clip_norm /= 1.1;\n    double factor = radius /", ["test_clip", "test_local_step"]),
    ("norm-check-off", "privacy/clip.c", "return sum <= bound;", "return sum <= bound || dim > 0;",
     ["test_clip"]),
    ("nan-passes", "privacy/clip.c", "memset(q, 0, dim * sizeof *q);", "q[0] = YM_CLIP_UNITS;", ["test_clip"]),
    ("bit-outside-the-ball", "privacy/clip.c", "into_ball(g, dim, length, clip_norm, ym_clip_radius(bit_units), (uint64_t)bit_units * bit_units, q);",
     "into_ball(g, dim, length, clip_norm, YM_CLIP_UNITS, 0, q);", ["test_clip", "test_adaptive_clip"]),
    ("bit-without-noise", "worker/trainer/local.c", "ym_noise_add(sum, dim, plan->sigma_units, noise);",
     "ym_noise_add(sum, m->dim, plan->sigma_units, noise);", ["test_adaptive_clip"]),
    ("true-batch-counted", "worker/trainer/local.c", "release_sum(&release);",
     "release_sum(&release);\n"
     "    if (dim > m->dim && count > 0)\n"
     "        sum[m->dim] = (int64_t)((double)sum[m->dim] * ((double)plan->sampling_k * 0x1p-64 * plan->nominal_patients) /\n"
     "                                (double)count);", ["test_adaptive_clip"]),
    ("metric-without-noise", "worker/trainer/metric.c", "ym_noise_add(out, dim, plan->metric_sigma_units, noise);",
     "(void)noise;", ["test_metric"]),
    ("metric-noise-two-percent-low", "worker/trainer/metric.c", "ym_noise_add(out, dim, plan->metric_sigma_units, noise);",
     "ym_noise_add(out, dim, plan->metric_sigma_units - plan->metric_sigma_units / 50, noise);", ["test_metric"]),
    ("patient-counted-by-row", "worker/trainer/metric.c",
     "out[ym_metric_cell(plan, s->score, data->y + first, rows)] += YM_CLIP_UNITS;",
     "out[ym_metric_cell(plan, s->score, data->y + first, rows)] += (int64_t)rows * YM_CLIP_UNITS;", ["test_metric"]),
    ("site-counts-not-added", "audit/verify/recompute.c", "left -= (uint64_t)own[i * kept + k];",
     "left = own[i * kept + k] > INT64_MAX - 9;", ["test_recompute"]),
    ("survival-patient-counted-twice", "worker/trainer/metric.c",
     "out[exit_cell(plan, m, data, i, params, s)] += YM_CLIP_UNITS;",
     "out[exit_cell(plan, m, data, i, params, s)] += YM_CLIP_UNITS;\n            out[0] += YM_CLIP_UNITS;", ["test_metric_survival"]),
    ("held-out-train", "worker/data/table.c", "&& ym_plan_holds(b->plan, b->f->draw[patient]) == b->held;",
     "&& (!b->held || ym_plan_holds(b->plan, b->f->draw[patient]));", ["test_table"]),
    ("trained-without-consent", "worker/data/table.c", "!(b->out_of && b->out_of[patient])", "b->f", ["test_admit"]),
    ("withdrawn-still-train", "worker/data/admit.c", "bool left = gone && gone[p];", "bool left = gone && p > patients;", ["test_withdraw.py"]),
    ("table-of-before-the-withdrawal", "worker/trainer/work.c", "same_people(&w->table_gone, &j->gone) &&", "j->gone.count < 1000000 &&",
     ["test_withdraw.py"]),
    ("lost-list-of-withdrawals", "worker/trainer/withdraw.c", "if (code == YM_OK && !ym_fs_exists(path))", "if (code == YM_OK && !*path)",
     ["test_withdraw"]),
    ("one-row-of-a-patient-consents", "gate/border/consent.c", "(a & b & given)", "((a | b) & given)", ["test_consent"]),
    ("any-consent-will-do", "gate/border/consent.c", "(need->bits & ~word)", "(need->bits & word ? 0 : need->bits)", ["test_consent"]),
    ("bundled-consent-taken", "gate/border/consent.c", "if (separate && !determination)", "if (separate && determination)",
     ["test_consent"]),
    ("notice-of-another-recipient", "gate/border/consent.c", "!memcmp(c->notice[i].hash, want, sizeof want) &&",
     "memcmp(c->notice[i].hash, want, 0) == 0 &&", ["test_consent"]),
    ("unknown-consent-is-enough", "worker/trainer/trainer_people.c", "if (!need.asked)", "if (!need.asked && n.eligible < 0)",
     ["test_border_federation.py"]),
    ("side-by-place", "worker/data/freeze.c", "draw[patients] = ym_freeze_draw(f->row[i].patient);",
     "draw[patients] = ym_freeze_draw(f->row[0].patient) / 2 + 7919 * patients % 32768;", ["test_table"]),
    ("trained-on-judge", "worker/trainer/metric.c", "return data->held ? data->held : data;", "return data;", ["test_metric"]),
    ("metric-not-charged", "gate/plan_events.c", "count += ym_plan_metric_due(plan, r);", "count += r > plan->rounds;",
     ["test_metric", "test_plan"]),
    ("metric-in-every-round", "worker/trainer/metric.c", "if (!ym_plan_metric_due(plan, round))", "if (round == 0)",
     ["test_metric"]),
    ("metric-uncharged-but-taken", "coordinator/aggregate/spool.c", "c->in_range &= v[i] == 0;", "c->in_range &= true;",
     ["test_aggregate"]),
    ("own-lines-not-looked-up", "worker/trainer/watch.c", "if (ym_ledger_find(w->ledger, line, &at) == YM_OK)",
     "if (ym_ledger_find(w->ledger, line, &at) == YM_OK || true)", ["test_watch"]),
    ("root-of-the-hub-not-compared", "worker/trainer/watch.c", "size != w->next.tree.size || memcmp(got, root, sizeof got) != 0 ||",
     "size != w->next.tree.size || memcmp(got, root, 0) != 0 ||", ["test_watch"]),
    ("smaller-hub-log-taken", "worker/trainer/watch.c", "if (size < known) {",
     "if (size < known && size == UINT64_MAX) {", ["test_watch"]),
    ("ready-before-the-log", "worker/trainer/core_round.c", "if (log == YM_CORE_LOG_WAIT)\n        return;",
     "if (log == YM_CORE_LOG_WAIT && c->study_count > 999)\n        return;", ["test_core"]),
    ("charged-on-an-old-ledger", "worker/trainer/core_round.c",
     "if (!no && c->world.log(c->world.ctx, s->study, s->round, s->attempt) != YM_CORE_LOG_SEEN)",
     "if (!no && c->study_count > 999)", ["test_core"]),
    ("shorter-ledger-than-remembered", "worker/trainer/watch.c", "w->remembered > ym_ledger_size(w->ledger) ||",
     "w->remembered == UINT64_MAX ||", ["test_watch"]),
    ("lost-charges-forgotten", "audit/ledger/recover.c", "said > ym_budget_at(b, before)->spent_micro)",
     "said > ym_budget_at(b, before)->spent_micro && said < 0)", ["test_budget"]),
    ("charge-not-held-against-the-plan", "audit/verify/rules_plan.c", "!ym_check_same_events(&said, &due)",
     "(!ym_check_same_events(&said, &due) && round < 0)", ["test_recompute"]),
    ("approval-not-held-against-the-plan", "audit/verify/rules_plan.c", "else if (said != epsilon)",
     "else if (said != epsilon && said < 0)", ["test_recompute"]),
    ("study-ceiling-not-audited", "audit/verify/rules_plan.c", "else if (micro > most)", "else if (micro > most && most == 0)",
     ["test_recompute"]),
    ("releases-of-two-logs-not-compared", "audit/verify/rules_between.c", '"l|%s", e->hash)) {', '"l|%s", e->hash) || site + 1) {', ["test_verify"]),
    ("updates-not-added", "audit/verify/updates.c", "whole && memcmp(a.sum, sum, a.dim * sizeof(*sum)) != 0",
     "whole && memcmp(a.sum, sum, 0) != 0", ["test_recompute"]),
    ("split-view-passes", "audit/verify/older.c", "else if (memcmp(root, n->root, sizeof(root)) != 0)",
     "else if (memcmp(root, n->root, 0) != 0)", ["test_verify"]),
    ("approval-replayed-unnoticed", "audit/verify/verify.c", 'if (ym_vmap_get(seen, &first, "y|%s", e->hash))',
     'if (ym_vmap_get(seen, &first, "y|%s", e->hash) && first > i)', ["test_verify"]),
    ("charge-while-paused-passes", "audit/verify/rules_hospital.c", "if (paused)", "if (paused > 1)", ["test_verify"]),
    ("revoked-hospital-asked", "audit/verify/rules_hub.c", 'if (is_revoked(p, "hospital", name))', 'if (is_revoked(p, "nobody", name))',
     ["test_verify"]),
    ("entries-changed-while-read", "audit/verify/folder.c", "same = memcmp(hash, f->hash[index * WIDTH + i], sizeof(hash)) == 0;",
     "same = memcmp(hash, f->hash[index * WIDTH + i], 0) == 0;", ["test_verify"]),
    ("lesser-faults-hide-tampering", "audit/verify/verify.c", "ym_reason_verdict(reason) < ym_reason_verdict(worst->reason) ?",
     "worst && reason == YM_REASON_COUNT ?", ["test_verify"]),
    ("policy-terms-not-audited", "audit/verify/rules_policy.c", "    if (s->why[0])\n", "    if (s->why[0] && p->i == 0)\n", ["test_verify", "test_recompute"]),
    ("policy-hours-not-audited", "audit/verify/rules_policy.c", '&& !ym_vterms_open(&p->terms, ym_entry_int(p->e, "time"))',
     '&& ym_entry_int(p->e, "time") < 0', ["test_verify"]),
    ("night-hours-end-at-midnight", "audit/verify/terms.c", "+ 2 * WEEK) % WEEK;", "+ 2 * WEEK) % DAY;", ["test_verify"]),
    ("term-of-tomorrow-overlooked", "audit/verify/terms.c", "return root->count == known;", "return root->count >= known;", ["test_verify"]),
    ("never-column-audited", "audit/verify/terms.c", '!lists(&t->json, ym_vjson_get(&t->json, columns, "never"), name)', "t->good", ["test_recompute"]),
    ("study-limit-of-the-policy-not-audited", "audit/verify/rules_policy.c", "else if (micro > p->terms.study_micro)",
     "else if (micro > p->terms.study_micro && p->i == 0)", ["test_verify"]),
    ("release-in-a-year-not-counted", "worker/trainer/door_charge.c", "if (ym_year_of(now) > last_year(&c->r))", "if (now < 0)", ["test_door"]),
    ("held-and-charged", "audit/verify/rules_border.c", "} else if (at % 2 == 0) {", "} else if (at % 2 > 1) {", ["test_verify"]),
    ("track-on-hold-overlooked", "audit/verify/rules_border.c", "return proceeds(j, n);", "return n != NULL;", ["test_verify"]),
    ("forecast-opens-to-the-auditor", "audit/verify/rules_border.c", "forecast && forecast->kind == YM_V_FALSE", "forecast", ["test_verify"]),
    ("any-rule-set-decides", "audit/verify/rules_border.c", "if (strcmp(sets, p->sets) != 0)", "if (strcmp(sets, p->sets) > 99)", ["test_verify"]),
    ("rule-sets-changed-since", "audit/verify/rules_border.c", '"s|%s|%s", decision, p->sets))', '"l|%s", decision))', ["test_verify"]),
    ("expired-record-passes-the-auditor", "audit/verify/filings.c", "&& strcmp(today, f->last) <= 0)", ")", ["test_verify"]),
    ("record-taken-back-is-live", "audit/verify/filings.c", "return at >= withdrawn;", "return at > 0;", ["test_verify"]),
    ("record-without-its-parts-is-live", "audit/verify/filings.c", "return good && (record != YM_RECORD_ETHICS || reviewed(e));", "return true;",
     ["test_verify"]),
    ("assessment-lasts-for-ever", "audit/verify/filings.c", "ym_date_add_years(from, LASTS_YEARS, end);", "(void)LASTS_YEARS;", ["test_verify"]),
    ("renewal-of-nothing-is-live", "audit/verify/filings.c", "if (!f->whole || (renews(f) && !old))", "if (!f->whole)", ["test_verify"]),
    ("rule-sets-asked-with-nobody", "audit/verify/rules_people.c", "if ((int64_t)asked < least(", "if ((int64_t)asked + 9999 < least(", ["test_verify"]),
    ("renamed-exporter-begins-at-nothing", "audit/verify/rules_people.c", '"y|%d", year);\n    ym_check_keep(p->c, &p->places, sum +',
     '"y|%d", year);\n    ym_check_keep(p->c, &p->places, 0 * sum +', ["test_verify"]),
    ("marks-reached-unsaid", "audit/verify/rules_border.c", "if (mark > warned(p,", "if (mark > 99 + warned(p,", ["test_verify"]),
    ("trainer-warns-of-nothing", "worker/trainer/border.c", "if (room && mark > (w ? w->percent : 0))", "if (room && mark > 99)", ["test_border_federation.py"]),
    ("trainer-warns-for-ever", "worker/trainer/border.c", "if (year != b->warned_year)", "if (year < b->warned_year)\n        return YM_OK;\n    if (year > b->warned_year)", ["test_warning"]),
    ("people-fall-unnoticed", "audit/verify/rules_people.c", "if (!returned && y->people < s->people)", "if (returned && y->people < s->people)", ["test_verify"]),
    ("people-of-any-year", "audit/verify/rules_people.c", 'if (!counts_in(year, n, ym_entry_int(p->e, "time")))', "if (n > YEARS)", ["test_verify"]),
    ("release-of-any-year", "audit/verify/rules_people.c", "&& !counts_in(year, years_of(charge.e, year), time))", "&& !years_of(charge.e, year))",
     ["test_verify"]),
    ("withdrawals-fall-unnoticed", "audit/verify/rules_people.c", "if (people < (int64_t)before)", "if (people < 0)", ["test_verify"]),
    ("rule-sets-never-asked", "audit/verify/rules_border.c", "if (!p->unasked)", "if (!p->unasked && p->i == 0)", ["test_verify"]),
    ("leaves-of-any-size", "audit/verify/json.c", "if (j->count == YM_VJSON_NODES)", "if (j->count == 100 * YM_VJSON_NODES)", ["test_verify"]),
    ("second-key-for-a-hospital", "audit/verify/rules_between.c", "if (known)\n", "if (known && enrolled->entry == 0)\n", ["test_verify"]),
    ("returned-from-nowhere", "audit/verify/rules_between.c", "if (p->c->v->log[k].returned != p->found[k])",
     "if (p->c->v->log[k].returned < p->found[k])", ["test_verify"]),
    ("recover-knows-of-nothing", "audit/verify/rules_seen.c", "if (settled && (uint64_t)size > settled->known)", "if (settled && size < 0)",
     ["test_verify"]),
    ("release-longer-than-planned", "audit/verify/rules_plan.c", '(uint64_t)ym_entry_int(p->e, "bytes") !=', '(uint64_t)ym_entry_int(p->e, "bytes") <',
     ["test_recompute"]),
    ("log-cosigns-itself", "audit/verify/trust.c", "sizeof(t->key[i].pub)) == 0)\n                return ym_status_set(st, YM_INVALID, \"trust file: witness",
     "0) != 0)\n                return ym_status_set(st, YM_INVALID, \"trust file: witness", ["test_cosigned"]),
    ("empty-log-passes", "audit/verify/keys.c", "YM_REASON_ENTRIES_MISSING, \"the checkpoint covers no entry", "YM_REASON_CHECKPOINT_BEHIND, \"the checkpoint covers no entry",
     ["test_verify"]),
    ("charge-of-another-plan-counts", "audit/verify/rules_hub.c", "else if (!charged_for(p, open, at))",
     "else if (!charged_for(p, open, at) && at == 0)", ["test_verify"]),
    ("only-training-is-spent", "audit/spend.c", "code == YM_OK && i < e->count; i++)", "code == YM_OK && i < e->count && i < 1; i++)",
     ["test_budget"]),
    ("damaged-array-freezes", "worker/data/freeze_npz.c", "n->source[i].array ? ym_npz_array_end",
     "n->source[i].array && n->rows == 0 ? ym_npz_array_end", ["test_npz"]),
    ("image-from-outside-the-folder", "worker/data/freeze_file.c", "if (!ym_card_path_inside(name) ||", "if (", ["test_png"]),
    ("image-of-another-shape", "worker/data/png.c", "if (!alike(found, want) ||",
     "if ((found->bits > 64 && !alike(found, want)) ||", ["test_png"]),
    ("bins-averaged", "models/shape.c", ".summed = ym_plan_survival(plan)", ".summed = 0", ["test_survival"]),
    ("outcome-of-another-patient", "worker/trainer/local.c", "d->y + first * ym_model_targets(s->m)", "d->y + first",
     ["test_survival"]),
    ("event-behind-the-range", "worker/data/table.c", "bool dies = event == 1 && time <= clamp;", "bool dies = event == 1 && time >= 0;",
     ["test_table"]),
    ("scaling-without-noise", "worker/trainer/local_scaling.c", "ym_noise_add(sums, count, plan->scaling_sigma_units, noise);",
     "(void)noise, (void)count;", ["test_scaling"]),
    ("count-without-noise", "worker/trainer/local_scaling.c", "ym_noise_add(sums, count, plan->scaling_sigma_units, noise);",
     "ym_noise_add(sums + 1, count - 1, plan->scaling_sigma_units, noise);", ["test_scaling"]),
    ("scaling-value-not-cut", "models/scaling.c", "(v > 1 ? 1 : v < -1 ? -1 : v) * units", "v * units", ["test_scaling"]),
    ("scaling-not-charged", "gate/plan_events.c", "    if (scales)\n        add(", "    if (scales && rounds > 0)\n        add(",
     ["test_scaling"]),
    ("any-scaling-from-the-hub", "models/state.c", "if (!ym_scaling_valid(plan, read))", "if (plan == NULL)", ["test_state"]),
    ("any-clip-from-the-hub", "models/state.c", "!(fabs(read[0]) <= YM_STATE_LOG_CLIP_MAX)", "read[0] > 1e300", ["test_state"]),
    ("batched-clip-wide", "privacy/bounded.c", "unit * (radius / length)", "unit * (1.005 * radius / length)", ["test_bounded"]),
    ("rounding-not-in-the-radius", "privacy/bounded.c", "fmax(clip_units - ym_bounded_cost_units(dim, rows), 0)",
     "fmax(clip_units - 0 * ym_bounded_cost_units(dim, rows), 0)", ["test_bounded"]),
    ("rows-clipped-by-themselves", "models/batch.c", "for (size_t k = first; k < r; k++)", "for (size_t k = r; k < r; k++)",
     ["test_bounded"]),
    ("bias-not-in-the-norm", "models/batch.c", "double a2 = b->layer[l].a2[row];",
     "double a2 = b->layer[l].a2[row] - 1;", ["test_bounded"]),
    ("bad-row-counts", "privacy/bounded.c", "if (!isfinite(length) || !isfinite(unit)", "if (!isfinite(unit)", ["test_bounded"]),
    ("vanished-row-stays", "models/batch.c", "l < b->m.layer_count && scale == 0; l++)", "l < b->m.layer_count && scale < 0; l++)",
     ["test_bounded"]),
    ("leaf-of-any-size", "privacy/leaves.c", "if (weight_of(t->m + first, end - first) <= t->most) {", "if (weight_of(t->m + first, end - first) <= 2 * t->most) {",
     ["test_bounded"]),
    ("leaves-by-number", "privacy/leaves.c", "middle = first + part(t->m + first, t->scratch, end - first, bit);",
     "middle = first + 0 * part(t->m + first, t->scratch, end - first, bit) + (end - first) / 2;", ["test_bounded"]),
    ("leaves-out-of-order", "privacy/leaves.c", "memcpy(m + zeros, scratch, ones * sizeof *m);",
     "for (size_t i = 0; i < ones; i++)\n        m[zeros + i] = scratch[(i + n) % ones];", ["test_bounded"]),
    ("row-depends-on-its-place", "tensor/rows.c", "run(a + i * a_step, a_step, 1, packed + j * depth, WIDE, depth, c + i * c_step + j, c_step, false);",
     "run(a + i * a_step, a_step, 1, packed + j * depth, WIDE, depth - (rows & 1), c + i * c_step + j, c_step, false);", ["test_bounded"]),
    ("batched-clip-off", "worker/trainer/local_bounded.c", "ym_batch_scale(s->w->batch, i, ym_bounded_factor(",
     "ym_batch_scale(s->w->batch, i, p->unit + 0 * ym_bounded_factor(", ["test_bounded"]),
    ("noise-off", "worker/trainer/local.c", "ym_noise_add(sum, dim, plan->sigma_units, noise);", "(void)noise;\n    (void)plan;",
     ["test_local_step"]),
    ("noise-one-percent-low", "worker/trainer/local.c", "ym_noise_add(sum, dim, plan->sigma_units, noise);",
     "ym_noise_add(sum, dim, plan->sigma_units - plan->sigma_units / 100, noise);", ["test_local_step"]),
    ("noise-a-tenth-low", "worker/trainer/local.c", "ym_noise_add(sum, dim, plan->sigma_units, noise);",
     "ym_noise_add(sum, dim, plan->sigma_units / 10 * 9, noise);", ["test_local_step"]),
    ("noise-halved", "worker/trainer/local.c", "ym_noise_add(sum, dim, plan->sigma_units, noise);",
     "ym_noise_add(sum, dim, plan->sigma_units / 2, noise);", ["test_probe"]),
    ("noise-used-again", "worker/trainer/local.c", "ym_noise_add(sum, dim, plan->sigma_units, noise);",
     "static int64_t kept[1 << 16];\n    static size_t kept_dim, left;\n\n"
     "    if (left == 0 || kept_dim != dim) {\n        memset(kept, 0, sizeof kept);\n"
     "        ym_noise_add(kept, dim, plan->sigma_units, noise);\n        kept_dim = dim;\n        left = 10;\n    }\n"
     "    left--;\n    for (size_t i = 0; i < dim; i++)\n        sum[i] += kept[i];", ["test_probe"]),
    ("intercept-without-noise", "worker/trainer/local.c", "ym_noise_add(sum, dim, plan->sigma_units, noise);",
     "ym_noise_add(sum, dim - 1, plan->sigma_units, noise);", ["test_probe"]),
    ("empty-batch-without-noise", "worker/trainer/local.c", "release_sum(&release);",
     "if (count > 0)\n        release_sum(&release);", ["test_local_step"]),
    ("noise-of-one-part-for-all", "worker/trainer/local.c", "code = open_rng(ctx, &r->noise[p], st);",
     "code = open_rng(ctx, &r->noise[p], st), memcpy(r->noise[p], r->noise[0], 32);", ["test_share"]),
    ("part-without-noise", "worker/trainer/local.c", "for (size_t p = thread; p < r->parts; p += r->width) {",
     "for (size_t p = thread; p < r->parts; p += r->width + 1) {", ["test_share"]),
    ("divided-by-the-true-batch", "worker/trainer/local.c", "release_sum(&release);",
     "if (w->taker && count > 0)\n        ((struct move *)w->taker)->scale *= nominal_batch(plan) / (double)count;\n"
     "    release_sum(&release);", ["test_probe"]),
    ("rows-clipped-alone", "worker/trainer/local.c",
     "ym_model_patient_gradient(s->m, s->params, x, y, rows, w->model, w->gradient);",
     "for (; rows > 1; rows--, x += d->columns, y += ym_model_targets(s->m)) {\n"
     "        ym_model_patient_gradient(s->m, s->params, x, y, 1, w->model, w->gradient);\n"
     "        ym_clip_patient(w->gradient, w->dim, s->clip_norm, w->clipped);\n"
     "        ym_clip_hold(w->held, w->clipped, w->dim);\n"
     "        ym_local_settle(s);\n    }\n"
     "    ym_model_patient_gradient(s->m, s->params, x, y, 1, w->model, w->gradient);", ["test_probe"]),
    ("share-of-the-step-before", "worker/trainer/local_share.c", "memset(s.sum, 0, (s.w->dim + 1) * sizeof *s.sum);", "(void)thread;",
     ["test_share"]),
    ("patient-in-two-shares", "worker/trainer/local_share.c", "i < from + GRAIN && i < share->count", "i < from + GRAIN + 1 && i < share->count",
     ["test_share"]),
    ("image-mixed-with-the-one-before", "models/network_pool.c", "memset(y, 0, ym_extent_values(l->out) * sizeof *y);", "(void)line;",
     ["test_network"]),
    ("residual-not-in-the-gradient", "models/network.c", "ym_lanes_add(w->kept, values, d);", "(void)values;", ["test_network"]),
    ("norm-over-another-image", "models/network_pool.c", "find_moments(&g, x, moments);", "if (moments[1] == 0)\n            find_moments(&g, x, moments);",
     ["test_network"]),
    ("shuffled", "worker/trainer/local.c", "count = ym_sample_patients(data->patients, plan->sampling_k, sampling, w->chosen);",
     "static size_t at;\n\n    count = (size_t)((double)data->patients * ((double)plan->sampling_k * 0x1p-64));\n"
     "    for (size_t i = 0; i < count; i++)\n        w->chosen[i] = (uint32_t)(at++ % data->patients);", ["test_probe"]),
    ("sampled-twice-as-often", "worker/trainer/local.c",
     "ym_sample_patients(data->patients, plan->sampling_k, sampling, w->chosen);",
     "ym_sample_patients(data->patients, plan->sampling_k > UINT64_MAX / 2 ? UINT64_MAX : 2 * plan->sampling_k, sampling,\n"
     "                               w->chosen);", ["test_probe"]),
    ("noise-never-negative", "privacy/noise.c", "return word & YM_NOISE_SIGN ? -v : v;", "return word & YM_NOISE_SIGN ? v : v;",
     ["test_noise"]),
    ("every-patient-sampled", "worker/trainer/local.c",
     "ym_sample_patients(data->patients, plan->sampling_k, sampling, w->chosen);",
     "ym_sample_patients(data->patients, UINT64_MAX, sampling, w->chosen);", ["test_local_step"]),
    ("sampled-too-often", "privacy/sample.c", "if (coin[at] < top || ", "if (coin[at] < top + 1 || ", ["test_sample"]),
    ("epsilon-too-small", "privacy/accountant_rdp.c", "(double)e->steps", "((double)e->steps * 0.99)", ["test_accountant"]),
    ("noise-found-too-small", "privacy/inverse.c", "*found = high;", "*found = low;", ["test_inverse"]),
    ("spent-by-best-order", "audit/spend.c", "ym_rdp_epsilon_at(&sum, (double)delta_e18 / 1e18, order_of(order_milli))",
     "ym_rdp_epsilon(&sum, (double)delta_e18 / 1e18, NULL)", ["test_budget"]),
    ("order-changes-later", "audit/ledger/budget.c", "b->have_policy && order != b->order_milli",
     "b->broken && order != b->order_milli", ["test_budget"]),
    ("order-changes-unnoticed", "audit/verify/rules_hospital.c", "p->have_policy && order != p->order",
     "p->c->no_memory && order != p->order", ["test_verify"]),
    ("budget-off", "audit/ledger/budget.c", "if (after > b->cap_micro)", "if (after > b->cap_micro && b->broken)",
     ["test_budget", "test_door"]),
    ("override-ignored", "audit/ledger/budget.c", "return epsilon_micro <= YM_EPSILON_PLAIN_MICRO;", "return true;", ["test_budget", "test_door"]),
    ("override-unchecked", "audit/verify/rules_hospital.c", "return epsilon <= YM_EPSILON_PLAIN_MICRO || (uint64_t)epsilon < allowed;",
     "return epsilon >= 0 || (uint64_t)epsilon < allowed;", ["test_verify"]),
    ("month-ignored", "audit/ledger/budget.c", "added > b->month_micro", "added > b->month_micro && b->broken", ["test_budget", "test_door"]),
    ("month-not-asked", "worker/trainer/door_charge.c", "return code == YM_OK ? ym_budget_month_check(d->o.budget, dataset, &e, now, st) : code;",
     "(void)now;\n    return code;", ["test_door"]),
    ("counted-people-forgotten", "worker/trainer/meter.c", "ym_cohort_union(&s->set, c->cohort, &all, st)",
     "ym_cohort_union(c->cohort, c->cohort, &all, st)", ["test_meter"]),
    ("people-of-a-lost-set-forgotten", "worker/trainer/meter.c", "s->nameless = s->people;", "s->nameless = 0;", ["test_meter"]),
    ("changed-set-of-people-taken", "worker/trainer/meter.c", "if (memcmp(hash, file, sizeof hash) != 0)\n            code = ym_status_set(",
     "if (memcmp(hash, file, 0) != 0)\n            code = ym_status_set(", ["test_meter"]),
    ("returned-people-forgotten", "worker/trainer/meter.c", "s->returned = people > s->returned ? people : s->returned;",
     "s->returned = people > INT32_MAX;", ["test_meter"]),
    ("class-decides-for-the-people", "worker/trainer/trainer_people.c",
     "bounded(&w, ym_meter_with(t->meter, exporter, ym_year_of(ym_clock_unix()), &w.who));",
     "bounded(&w, ym_meter_class(ym_meter_with(t->meter, exporter, ym_year_of(ym_clock_unix()), &w.who)));",
     ["test_ten_thousand.py"]),
    ("other-hospitals-people-forgotten", "worker/trainer/trainer_people.c", "return here + o.people + declared;",
     "return here + declared;", ["test_exporter.py"]),
    ("people-elsewhere-forgotten", "worker/trainer/trainer_people.c", "return here + o.people + declared;",
     "return here + o.people;", ["test_exporter.py"]),
    ("last-figure-in-place-of-the-largest", "worker/trainer/watch_exported.c",
     "known->people = e->people > known->people ? e->people : known->people;", "known->people = e->people;", ["test_watch"]),
    ("unreadable-charge-is-nobody", "worker/trainer/watch_exported.c", "v->people_unknown |= !good;", "v->people_unknown |= !charge;",
     ["test_watch"]),
    ("us-window-too-short", "worker/trainer/us.h", "#define YM_US_WINDOW_S (366 * INT64_C(86400))",
     "#define YM_US_WINDOW_S (365 * INT64_C(86400))", ["test_us"]),
    ("us-newest-charge-alone", "worker/trainer/us.c", "code = ym_cohort_union(all, &one, &sum, NULL);",
     "code = ym_cohort_union(&one, &one, &sum, NULL);", ["test_us"]),
    ("us-lost-people-forgotten", "worker/trainer/us.c", "*lost += s->people;", "*lost += 0 * s->people;", ["test_us"]),
    ("us-unnamed-recipient-is-nobody", "worker/trainer/us.c", "one_of(s->t.recipient, t->recipient, unnamed);",
     "one_of(s->t.recipient, t->recipient, t->recipient);", ["test_us"]),
    ("us-declared-in-place-of-counted", "gate/border/us.c", "people > *n ? people : *n;", "*n;", ["test_us"]),
    ("us-category-alone", "worker/trainer/us.c", "*categories |= u->share[i].t.categories;", "*categories |= 0;", ["test_us"]),
    ("us-not-in-the-charge", "worker/trainer/trainer_act.c", "r->us = *us;", "r->us = NULL;", ["test_us.py"]),
    ("us-not-asked", "worker/trainer/trainer_people.c", "    count_us(t, plan, card, bound, &n);\n", "    (void)count_us;\n",
     ["test_us.py"]),
    ("a-name-makes-new-people", "worker/data/people.c", "else if (!everywhere)", "else if (!everywhere || dataset)", ["test_meter"]),
    ("leaves-in-an-uncounted-year", "worker/trainer/door.c", "ym_year_of(d->o.clock()) > r->last_year",
     "ym_year_of(d->o.clock()) > r->last_year + 9999", ["test_door"]),
    ("clock-back-opens-a-month", "audit/ledger/budget.c", "ym_month_of(now) > b->month", "ym_month_of(now) != b->month", ["test_budget"]),
    ("month-unchecked", "audit/verify/rules_hospital.c", "p->have_policy && month > p->month_limit", "p->c->no_memory && month > p->month_limit",
     ["test_verify"]),
    ("delta-any-size", "audit/ledger/budget.c", "if (delta_e18 <= most)", "if (delta_e18 <= most || most > 0)", ["test_budget"]),
    ("policy-not-asked", "worker/trainer/core_round.c", "no = policy_no(w->policy(w->ctx, s->plan, round, st));", "no = policy_no(YM_OK);", ["test_core"]),
    ("never-ignored", "gate/policy.c", "&& !lists(json_object_get(columns, \"never\"), name)", "", ["test_policy"]),
    ("unsigned-policy-serves", "gate/policy.c", "    if (!policy)\n        return ym_status_set(st, YM_DENIED, \"%s\", T(POLICY_NONE_SIGNED));\n    code",
     "    if (!policy)\n        return YM_OK;\n    code", ["test_policy"]),
    ("memory-least-any", "gate/policy.c", "p->memory_mib == 0 || least <= p->memory_mib", "p->memory_mib >= 0", ["test_policy"]),
    ("pool-wider-than-the-policy", "base/pool.c", "p->width = width = at_most(width);", "p->width = width;", ["test_limits"]),
    ("threads-of-the-environment", "base/pool.c", "return at_most((size_t)asked);", "return (size_t)asked;", ["test_limits"]),
    ("no-kernel-limit", "worker/trainer/limits.c", "setrlimit(RLIMIT_DATA, &own) == 0", "own.rlim_cur > 0", ["test_limits"]),
    ("limit-stays", "worker/trainer/limits.c", "    setrlimit(RLIMIT_DATA, &usual);", "    (void)usual;", ["test_limits"]),
    ("terms-of-the-machine-unread", "audit/verify/terms.c", 'most_good(&t->json, root, "cpu_threads", 1, 64) &&', "", ["test_verify"]),
    ("what-is-held-forgotten", "worker/trainer/limits.c", "need = held.arena + held.hblkhd + ", "need = 0 * held.arena + ", ["test_limits"]),
    ("job-without-limits", "worker/trainer/trainer_act.c", "    j->limits = ym_trainer_policy_limits(t);\n", "", ["test_policy_machine.py"]),
    ("dry-run-without-limits", "worker/trainer/trainer_admin.c", "    j->limits = ym_trainer_policy_limits(t);\n", "", ["test_policy_machine.py"]),
    ("study-epsilon-any", "gate/policy.c", "micro <= p->epsilon_study_micro", "micro <= p->epsilon_study_micro || micro > 0", ["test_policy"]),
    ("night-ends-at-midnight", "gate/policy.c", "w->to + DAY - w->from", "DAY - w->from", ["test_policy"]),
    ("charge-off", "worker/trainer/door_charge.c",
     "code = ym_door_append(d, ym_buf_bytes(&c->charge_line), &(uint64_t){0}, st);", "code = YM_OK;", ["test_door"]),
    ("budget-not-asked", "worker/trainer/door_charge.c", "code = ym_door_may_charge(d, r->plan, r->dataset, r->round, r->now, &alone, &after, st);",
     "ym_door_may_charge(d, r->plan, r->dataset, r->round, r->now, &alone, &after, NULL);", ["test_door"]),
    ("charged-twice", "worker/trainer/door_charge.c", "ym_budget_charged(d->o.budget, r->plan->study", "false && ym_budget_charged(d->o.budget, r->plan->study",
     ["test_door"]),
    ("outbox-not-checked", "worker/trainer/door_outbox.c", "memcmp(got, want, sizeof got) != 0", "memcmp(got, want, 0) != 0", ["test_door"]),
    ("any-member-leaves", "worker/trainer/door.c", "&& !word_in(t->members, key))", "&& t->members == NULL)", ["test_door"]),
    ("approval-comes-back-unsealed", "worker/trainer/core_fold.c", "c->world.sealed(c->world.ctx, approval)", "(approval || c->world.sealed(c->world.ctx, approval))", ["test_core"]),
    ("approval-comes-back-with-one-seal", "worker/trainer/trainer_offices.c", "    if (ym_seal_missing(&need, sealed, &from) == 0)\n        return true;", "    if (ym_seal_missing(&need, sealed, &from) <= 2)\n        return true;",
     ["test_recover_seals.py"]),
    ("auditor-lets-what-comes-back-unsealed-approve", "audit/verify/rules_hospital.c", "if (!p->returning || p->sealed)", "if (!p->returning || !p->sealed || p->sealed)",
     ["test_verify"]),
    ("no-between-ready-and-charge-ignored", "worker/trainer/core_round.c", "    if (s->paused)\n        return \"paused\";",
     "    if (s->paused && s->phase == YM_STUDY_IDLE)\n        return \"paused\";", ["test_core"]),
    ("seal-from-any-account", "worker/trainer/trainer_offices.c", "bool good = want < 0 || want == t->asker;", "bool good = want < 0 || t->asker >= 0;", ["test_offices.py"]),
    ("veto-while-training-ignored", "worker/trainer/core_round.c", "if (wanted && !reason) {", "if (wanted) {", ["test_core"]),
    ("any-hand-opens-a-round", "worker/trainer/core_round.c", "code = ym_leaf_open(line, c->hub_key, type, out, st);\n    if (code == YM_OK) {",
     "code = ym_leaf_parse(line, out, st);\n    (void)type;\n    if (code == YM_OK) {", ["test_core"]),
    ("dead-peer-heard", "worker/link.c", "is_retired(l, f.from)) {", "(is_retired(l, f.from) && l->peer == 0)) {", ["test_link"]),
    ("frame-taken-twice", "worker/link.c", "if (f.sequence != l->seen + 1) {", "if (f.sequence > l->seen + 1) {", ["test_link"]),
    ("network-open", "worker/trainer/sandbox.c", "SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_UNIX),", "SCMP_SYS(socket), 1,",
     ["test_sandbox"]),
    ("files-open", "worker/trainer/sandbox.c", "if (code == YM_OK && got.landlock_abi > 0)", "if (code != YM_OK && dir[0])",
     ["test_sandbox"]),
    ("loss-rounded-down", "privacy/loss_grid.c", "g->mass[i + 1] += right * at_b;", "g->mass[i] += right * at_b;", ["test_pld"]),
    ("infinite-loss-dropped", "privacy/loss_grid.c", "g->lost_remove = (", "g->lost_remove = 0 * (", ["test_pld"]),
    ("adding-not-composed", "privacy/accountant_pld.c", "        if (way == 0 || answer[way] > answer[0])",
     "        answer[1] = 0;\n        if (way == 0 || answer[way] > answer[0])", ["test_pld"]),
    ("disagreement-waved-through", "privacy/accountant_agree.c", "!(f->certified >= low)", "!(f->certified >= 0 * low)",
     ["test_pld"]),
    ("journal-unsynced", "audit/ledger/journal.c", "    if (fdatasync(j->fd) != 0)\n        return", "    if (j->fd < 0)\n        return",
     ["test_ledger_crash"]),
    ("short-journal-taken", "audit/ledger/load.c", "if (widest > o->tail.count)", "if (widest > 256)", ["test_ledger"]),
    ("quorum-of-any", "audit/verify/trust.c", "return have >= n->need;", "return have > 0;", ["test_cosigned"]),
    ("witness-in-two-groups", "audit/verify/trust.c", "if (!m || m == group || m->taken)", "if (!m || m == group)",
     ["test_cosigned"]),
    ("cosigned-root-not-compared", "audit/verify/rules_cosigned.c", "if (memcmp(root, n->root, sizeof(root)) != 0)",
     "if (memcmp(root, n->root, 0) != 0)", ["test_cosigned"]),
    ("seen-root-not-compared", "audit/verify/rules_seen.c", "else if (memcmp(own, root, sizeof(own)) != 0)",
     "else if (memcmp(own, root, 0) != 0)", ["test_cosigned"]),
    ("cosignature-time-not-signed", "audit/ledger/cosign.c", 'ym_buf_printf(out, "cosignature/v1\\ntime %" PRIu64 "\\n", time);',
     'ym_buf_printf(out, "cosignature/v1\\ntime %" PRIu64 "\\n", time - time);', ["test_cosign"]),
    ("memory-not-compared", "worker/trainer/watch.c", "w->next.forged |= memcmp(hash, w->memory.root, sizeof hash) != 0;",
     "(void)hash;", ["test_watch"]),
    ("smaller-than-the-memory", "worker/trainer/watch.c",
     "uint64_t known = w->checked.tree.size > w->memory.size ? w->checked.tree.size : w->memory.size;",
     "uint64_t known = w->checked.tree.size;", ["test_watch"]),
    ("any-past-is-consistent", "audit/ledger/proof.c", "old_size == size || !consistent(old_size, old_root, size, root, hash, count))", "old_size == size || (size < 2 && !consistent(old_size, old_root, size, root, hash, count)))",
     ["test_cosign"]),
    ("transform-bound-too-small", "privacy/fft.c", "(8 * 0x1p-53)", "(0.1 * 0x1p-53)", ["test_fft"]),
]


# Tests that mutations name and that drive programs, and which.
FEDERATION = ["yumen", "yumen-audit", "yumen-coordinator", "yumen-gateway", "yumen-site", "yumen-trainer"]
SCRIPTS = {
    "test_hub": ["yumen-coordinator"],
    "test_audit_report.py": ["yumen-audit", "../tests/make_ledgers"],
    "test_evidence.py": ["yumen-audit", "../tests/make_ledgers"],
    "test_fetch.py": ["yumen-audit", "yumen-audit-fetch"],
    "test_witness.py": ["yumen", "yumen-audit", "yumen-audit-fetch", "yumen-coordinator", "yumen-witness"],
    "test_http_log.py": ["yumen", "yumen-audit", "yumen-audit-fetch", "yumen-coordinator"],
    "test_infer.py": ["yumen", "yumen-site", "yumen-trainer"],
    "test_labels.py": ["yumen", "yumen-site", "yumen-trainer"],
    "test_border_federation.py": FEDERATION,
    "test_cosigned.py": FEDERATION,
    "test_domestic.py": FEDERATION,
    "test_exporter.py": FEDERATION,
    "test_us.py": FEDERATION,
    "test_offices.py": FEDERATION,
    "test_policy_federation.py": FEDERATION,
    "test_policy_machine.py": FEDERATION,
    "test_recover_seals.py": FEDERATION,
    "test_ten_thousand.py": FEDERATION,
    "test_sponsor_federation.py": FEDERATION,
    "test_withdraw.py": FEDERATION,
}


def run(argv, cwd, timeout):
    return subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout, env={**os.environ, "YM_BUILD_ROOT": os.path.join(cwd, "build")})


def targets(test):
    return [f"cmd/{p}" for p in SCRIPTS.get(test, [])] + ([] if test.endswith(".py") else [f"tests/{test}"])


def command(tree, test):
    if test.endswith(".py"):
        return [sys.executable, os.path.join(tree, "tests", "integration", test)]
    return [os.path.join(tree, "build", "tests", test)]


def build(tree, tests):
    p = run(["ninja", "-C", "build", *sorted({x for t in tests for x in targets(t)})], tree, 600)
    return "" if p.returncode == 0 else f"does not build:\n{p.stdout[-3000:]}"


def failing(tree, tests):
    red = []
    for t in tests:
        try:
            p = run(command(tree, t), tree, 300)
            if p.returncode != 0:
                red.append(t)
        except subprocess.TimeoutExpired:
            red.append(t)
    return red


def mutate(tree, name, file, old, new, tests):
    path = os.path.join(tree, file)
    with open(path, encoding="utf-8") as f:
        source = f.read()
    if source.count(old) != 1:
        return f"{name}: the text to change stands {source.count(old)} times in {file}"
    try:
        with open(path, "w", encoding="utf-8") as f:
            f.write(source.replace(old, new))
        broken = build(tree, tests)
        red = [] if broken else failing(tree, tests)
    finally:
        with open(path, "w", encoding="utf-8") as f:
            f.write(source)
    print(f"{name}: {broken or ('caught by ' + ', '.join(red) if red else 'NOT CAUGHT')}", flush=True)
    return None if red else f"{name}: no test noticed"


def main():
    wanted = [m for m in MUTATIONS if not sys.argv[1:] or m[0] in sys.argv[1:]]
    if not wanted:
        raise SystemExit("no such mutation")
    tree = tempfile.mkdtemp(prefix="yumen-mutation-")
    try:
        files = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT, 60).stdout.split("\0")
        for f in filter(None, files):
            if os.path.exists(os.path.join(ROOT, f)):
                os.makedirs(os.path.dirname(os.path.join(tree, f)), exist_ok=True)
                shutil.copy2(os.path.join(ROOT, f), os.path.join(tree, f))
        p = run(["meson", "setup", "build", "-Db_sanitize=none", "-Doptimization=1", "-Dwerror=false"], tree, 300)
        if p.returncode != 0:
            raise SystemExit(p.stdout[-3000:])
        tests = sorted({t for m in wanted for t in m[4]})
        red = [build(tree, tests)]
        red = red if red[0] else failing(tree, tests)
        if red:
            raise SystemExit(f"red before anything was changed: {red}")
        wrong = [w for w in (mutate(tree, *m) for m in wanted) if w]
        build(tree, tests)
        if wrong:
            raise SystemExit("\n".join(wrong))
        print(f"{len(wanted)} protections turned off, {len(wanted)} noticed")
    finally:
        shutil.rmtree(tree, ignore_errors=True)


if __name__ == "__main__":
    main()
