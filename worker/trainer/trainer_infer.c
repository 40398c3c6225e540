#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "worker/trainer/trainer_internal.h"

/* A released model at the hospital's own desk: may it score, whom not, and that it did. */

enum { HOUR_S = 3600 };

/* An entry of an hour that is over, after a clock that went back, counts in the newest one. */
void ym_trainer_infer_take(struct ym_trainer *t, const json_t *leaf)
{
    int64_t hour, rows;

    if (strcmp(ym_trainer_text(leaf, "type"), "inference") != 0 ||
        ym_json_get_int(leaf, "rows", 0, INT64_MAX / 2, &rows, NULL) != YM_OK)
        return;
    hour = json_integer_value(json_object_get(leaf, "time")) / HOUR_S;
    if (hour > t->scored.hour)
        t->scored = (struct ym_scored){.hour = hour};
    t->scored.rows = rows > INT64_MAX / 2 - t->scored.rows ? INT64_MAX / 2 : t->scored.rows + rows;
}

static int64_t rows_left(const struct ym_trainer *t)
{
    int64_t used = ym_clock_unix() / HOUR_S > t->scored.hour ? 0 : t->scored.rows;

    return used < t->policy->score_rows_hour ? t->policy->score_rows_hour - used : 0;
}

/* ---- documents on record ---- */

struct question {
    const char *plan, *study, *dataset;
    const struct ym_core_study *known; /* NULL: no plan of the hub's */
    struct ym_card *card;              /* NULL: no registered data set */
    struct ym_transfer transfer;
    char today[YM_DATE_BYTES];
};

static bool live(const struct ym_trainer *t, const struct question *q, enum ym_record r)
{
    return q->known && q->card &&
           ym_dossier_state(ym_border_dossier(t->border), r, q->today, &q->transfer, NULL) == YM_RECORD_LIVE;
}

/* The numbers of live AI filings. */
static json_t *filings(const struct ym_trainer *t, const struct question *q)
{
    const struct ym_dossier *d = ym_border_dossier(t->border);
    json_t *list = json_array();

    for (size_t i = 0; live(t, q, YM_RECORD_AI_FILING) && i < d->count; i++)
        if (d->item[i].record == YM_RECORD_AI_FILING &&
            ym_filing_state(&d->item[i], q->today, &q->transfer, NULL) == YM_RECORD_LIVE)
            json_array_append_new(list, json_string(d->item[i].number));
    return list;
}

/* ---- may it? ---- */

static enum ym_code read_question(struct ym_trainer *t, const json_t *request, struct question *q, struct ym_status *st)
{
    struct ym_core_study *s = NULL;
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = ym_json_get_hash(request, "plan", hash, st);

    *q = (struct question){.plan = ym_trainer_text(request, "plan"),
                           .study = ym_trainer_text(request, "study"),
                           .dataset = ym_trainer_text(request, "dataset")};
    if (code == YM_OK && (!ym_name_valid(q->study) || !ym_name_valid(q->dataset)))
        code = ym_status_set(st, YM_INVALID, "an inference names no study or no data set");
    if (code != YM_OK)
        return code;
    ym_date_of(ym_clock_unix(), q->today);
    q->transfer = (struct ym_transfer){.study = q->study, .dataset = q->dataset};
    if (ym_core_find(t->core, q->plan, &s, NULL) == YM_OK && s->plan && memcmp(s->hash, hash, sizeof hash) == 0)
        q->known = s;
    if (ym_core_dataset_find(t->core, q->dataset))
        ym_site_card(&t->site, q->dataset, &q->card, NULL);
    if (q->known && q->card)
        ym_transfer_of(q->known->plan, q->card, &q->transfer);
    return YM_OK;
}

static enum ym_code may_score(const struct ym_trainer *t, const struct question *q, const json_t *request,
                              struct ym_status *st)
{
    if (!t->policy || t->policy->scores == YM_SCORES_NONE)
        return ym_status_set(st, YM_DENIED, "%s", T(INFER_NO_POLICY));
    if (q->known && q->known->decision == YM_VETOED)
        return ym_status_set(st, YM_DENIED, T(INFER_VETOED), q->study);
    if (strcmp(ym_trainer_text(request, "public_service"), "yes") == 0 && !live(t, q, YM_RECORD_AI_FILING))
        return ym_status_set(st, YM_DENIED, T(INFER_NO_FILING), q->study);
    return YM_OK;
}

static enum ym_code fits_hour(const struct ym_trainer *t, int64_t rows, struct ym_status *st)
{
    int64_t left = rows_left(t);

    return rows <= left ? YM_OK
                        : ym_status_set(st, YM_EXHAUSTED, T(INFER_RATE), (long long)rows, (long long)left,
                                        (long long)t->policy->score_rows_hour);
}

enum ym_code ym_trainer_infer(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    struct question q = {0};
    enum ym_code code = read_question(t, request, &q, st);

    if (code == YM_OK)
        code = may_score(t, &q, request, st);
    if (code == YM_OK)
        *reply =
            json_pack("{s:b, s:s, s:I, s:b, s:b, s:I, s:o}", "ok", 1, "basis", ym_score_basis_word(t->policy->scores),
                      "rows_left", (json_int_t)rows_left(t), "determination", live(t, &q, YM_RECORD_DETERMINATION),
                      "ethics", live(t, &q, YM_RECORD_ETHICS), "withdrawn",
                      (json_int_t)ym_withdrawn_own(t->withdrawn, q.dataset), "filings", filings(t, &q));
    ym_card_free(q.card);
    return code;
}

/* ---- who not ---- */

enum ym_code ym_trainer_infer_who(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    uint8_t(*id)[YM_HASH_BYTES] = NULL;
    size_t count = 0;
    json_t *gone = json_array();
    enum ym_code code = ym_trainer_pseudonyms(request, &id, &count, st);

    for (size_t i = 0; code == YM_OK && i < count; i++)
        if (json_array_append_new(gone, json_boolean(ym_withdrawn_any(t->withdrawn, id[i]))) != 0)
            code = ym_status_set(st, YM_EXHAUSTED, "no memory for an answer");
    free(id);
    if (code == YM_OK)
        *reply = json_pack("{s:b, s:O}", "ok", 1, "gone", gone);
    json_decref(gone);
    return code;
}

/* ---- that it did ---- */

static enum ym_code members_of(const struct ym_trainer *t, const json_t *request, const struct question *q,
                               int64_t *rows, json_t **out, struct ym_status *st)
{
    uint8_t model[YM_HASH_BYTES];
    int64_t left_out;
    const char *id = ym_trainer_text(request, "content_id");
    enum ym_code code = ym_json_get_hash(request, "model", model, st);

    if (code == YM_OK)
        code = ym_json_get_int(request, "rows", 0, INT32_MAX, rows, st);
    if (code == YM_OK)
        code = ym_json_get_int(request, "left_out", 0, INT32_MAX, &left_out, st);
    if (code == YM_OK && (id[0] == 0 || strlen(id) > 512))
        code = ym_status_set(st, YM_INVALID, "an inference names no content id");
    if (code != YM_OK)
        return code;
    *rows = ym_meter_class(*rows ? *rows : 1);
    *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "study", q->study, "plan", q->plan, "model",
                     ym_trainer_text(request, "model"), "content_id", id, "dataset", q->dataset, "basis",
                     ym_score_basis_word(t->policy->scores), "rows", (json_int_t)*rows, "left_out",
                     (json_int_t)ym_meter_class(left_out));
    return *out ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for an inference");
}

enum ym_code ym_trainer_infer_record(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    struct question q = {0};
    json_t *members = NULL;
    int64_t rows = 0;
    uint64_t index = ym_ledger_size(t->ledger);
    enum ym_code code = read_question(t, request, &q, st);

    if (code == YM_OK)
        code = may_score(t, &q, request, st);
    if (code == YM_OK && strcmp(ym_trainer_text(request, "basis"), ym_score_basis_word(t->policy->scores)) != 0)
        code = ym_status_set(st, YM_CONFLICT, "%s", T(INFER_POLICY_CHANGED));
    if (code == YM_OK)
        code = members_of(t, request, &q, &rows, &members, st);
    if (code == YM_OK)
        code = fits_hour(t, rows, st);
    if (code == YM_OK)
        code = ym_trainer_record_new(t, "inference", json_incref(members), st);
    if (code == YM_OK)
        *reply = json_pack("{s:b, s:I}", "ok", 1, "entry", (json_int_t)index);
    json_decref(members);
    ym_card_free(q.card);
    return code;
}
