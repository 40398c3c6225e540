#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "cmd/site/site.h"
#include "models/results/onnx.h"
#include "models/start.h"
#include "worker/data/admit.h"
#include "worker/data/people.h"
#include "worker/infer/infer.h"
#include "worker/trainer/border.h"
#include "worker/trainer/frame.h"

/* A released model on the hospital's own rows. The trainer says whether and on what ground, who withdrew, and
 * puts it on record; what the model says goes into one folder of the site and nowhere else. */

#define INFERRED "inferred"
#define AT_ONCE 500
#define PLAN_FILE_MAX ((size_t)YM_FRAME_MAX_PAYLOAD)

struct inference {
    struct ym_site site;
    struct ym_plan *plan;
    struct ym_released model;
    struct ym_card *card;
    json_t *answer;             /* of the trainer, to "infer" */
    bool registered;            /* the frozen set as it stands */
    struct ym_named_rows named; /* of a registered set people alone */
    struct ym_buf report;
    struct ym_frozen *rows;
    struct ym_admission admitted;
    struct ym_inferred said;
    long long entry; /* in the ledger */
    char path[YM_SITE_PATH];
};

static void release(struct inference *i)
{
    ym_inferred_release(&i->said);
    ym_admission_release(&i->admitted);
    ym_frozen_free(i->rows);
    ym_named_rows_release(&i->named);
    ym_buf_wipe(&i->report);
    json_decref(i->answer);
    ym_card_free(i->card);
    ym_released_release(&i->model);
    ym_plan_free(i->plan);
}

/* A plain name: results stay below the site's folder, where no gateway and no sponsor looks. */
static enum ym_code place_of(struct inference *i, const char *name, struct ym_status *st)
{
    char file[80];
    size_t len = name ? strlen(name) : 0;

    if (len == 0 || len > 64 || name[0] == '.' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len)
        return ym_status_set(st, YM_INVALID, T(SITE_INFER_NAME), i->site.dir);
    snprintf(file, sizeof file, "%s.csv", name);
    if (ym_site_path(&i->site, INFERRED, file, i->path) != YM_OK)
        return ym_status_set(st, YM_INVALID, T(SITE_INFER_NAME), i->site.dir);
    return ym_fs_exists(i->path) ? ym_status_set(st, YM_CONFLICT, T(SITE_INFER_EXISTS), i->path) : YM_OK;
}

/* ---- the plan: given, or the one that the hub gave this hospital ---- */

static enum ym_code plan_kept(const struct ym_site *s, const char *model, struct ym_plan **out, struct ym_status *st)
{
    struct ym_buf file = {0}, parts = {0};
    struct ym_bytes part[3];
    uint8_t hash[YM_HASH_BYTES];
    char path[YM_SITE_PATH];
    json_t *notice = NULL;
    const char *named;
    enum ym_code code = ym_fs_read(model, YM_START_MAX_BYTES, &file, st);

    if (code != YM_OK)
        return code;
    notice = ym_notice_tensors(ym_buf_bytes(&file));
    named = json_string_value(json_object_get(notice, "plan"));
    if (!named || ym_hex_decode(named, strlen(named), hash, sizeof hash) != YM_OK)
        code = ym_status_set(st, YM_INVALID, "'%s' %s", model, T(MODEL_NOT));
    if (code == YM_OK)
        code = ym_site_hash_path(s, "plans", hash, ".plan", path);
    if (code == YM_OK && ym_fs_read(path, PLAN_FILE_MAX, &parts, NULL) != YM_OK)
        code = ym_status_set(st, YM_NOT_FOUND, T(SITE_INFER_PLAN), named);
    if (code == YM_OK)
        code = ym_parts_split(ym_buf_bytes(&parts), part, 3, st);
    if (code == YM_OK)
        code = ym_plan_decode(part[0].data, part[0].len, out, st);
    json_decref(notice);
    ym_buf_release(&file);
    ym_buf_release(&parts);
    return code;
}

static enum ym_code plan_given(const char *path, struct ym_plan **out, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_load(path, &doc, &problems, st);

    if (code == YM_OK)
        code = ym_plan_read(doc, out, &problems, st);
    if (problems.count > 0 && ym_problems_format(&problems, &text) == YM_OK)
        fputs(ym_buf_str(&text), stderr);
    ym_buf_release(&text);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    return code;
}

/* ---- may it? ---- */

static bool needs_consent(const struct inference *i)
{
    return strcmp(ym_get_text(i->answer, "basis"), ym_score_basis_word(YM_SCORES_CONSENT)) == 0;
}

/* Members that both questions have. */
static json_t *question(const struct inference *i, const char *what)
{
    struct ym_buf plan = {0}, model = {0};
    json_t *o = NULL;

    if (ym_hex_encode(i->plan->hash, YM_HASH_BYTES, &plan) == YM_OK &&
        ym_hex_encode(i->model.hash, YM_HASH_BYTES, &model) == YM_OK)
        o = json_pack(
            "{s:s, s:s, s:s, s:s, s:s, s:s}", "do", what, "plan", ym_buf_str(&plan), "model", ym_buf_str(&model),
            "study", i->plan->study, "dataset", i->card->name, "public_service",
            ym_choice_value(YM_CHOICE_PUBLIC_SERVICE, i->plan->border.declared.choice[YM_CHOICE_PUBLIC_SERVICE]));
    ym_buf_release(&plan);
    ym_buf_release(&model);
    return o;
}

/* Of a set whose rows are its patients a pseudonym holds for the frozen bytes alone: whoever withdrew could not be
 * found in other ones. */
static enum ym_code can_tell(const struct inference *i, struct ym_status *st)
{
    if (i->registered || strcmp(i->card->identifier, "row") != 0 || ym_get_int(i->answer, "withdrawn") == 0)
        return YM_OK;
    return ym_status_set(st, YM_DENIED, T(SITE_INFER_ROWS), i->card->name);
}

static enum ym_code ask_trainer(struct inference *i, struct ym_status *st)
{
    enum ym_code code = ym_site_ask(&i->site, question(i, "infer"), &i->answer, st);

    return code == YM_OK ? can_tell(i, st) : code;
}

/* ---- the rows ---- */

/* The card of the hospital, less the columns that a model is not asked with: the outcome need not be known yet. */
static enum ym_code card_without(const struct inference *i, struct ym_card **out, struct ym_status *st)
{
    json_t *card = json_loadb((const char *)i->card->canonical.data, i->card->canonical.len, 0, NULL);
    json_t *all = json_object_get(card, "variables"), *needed = json_array(), *v;
    struct ym_problems problems = {0};
    struct ym_doc *doc = NULL;
    size_t k;
    enum ym_code code;

    json_array_foreach(all, k, v) if (ym_infer_needs(i->plan, ym_get_text(v, "name"))) json_array_append(needed, v);
    json_object_set_new(card, "variables", needed);
    if (!needs_consent(i))
        json_object_del(card, "consent"); /* asks for columns of its own */
    doc = ym_doc_wrap("card", card);
    code = doc ? ym_card_read(doc, out, &problems, st) : ym_status_set(st, YM_EXHAUSTED, "no memory for the card");
    if (code == YM_INVALID)
        ym_status_set(st, code, "the card has none of the model's variables");
    ym_problems_release(&problems);
    ym_doc_free(doc);
    json_decref(card);
    return code;
}

static enum ym_code freeze_rows(struct inference *i, const char *source, bool skip_bad, struct ym_status *st)
{
    uint8_t salt[YM_SITE_SALT];
    struct ym_card *card = NULL;
    enum ym_code code = ym_site_salt(&i->site, salt, st);

    if (code == YM_OK)
        code = card_without(i, &card, st);
    if (code == YM_OK)
        code = ym_freeze_named(card, source, salt, skip_bad, &i->named, &i->report, st);
    ym_wipe(salt, sizeof salt);
    ym_card_free(card);
    return code == YM_OK ? ym_frozen_parse(ym_buf_bytes(&i->named.frozen), &i->rows, st) : code;
}

static bool registered(const struct ym_site *s, const char *name, const char *suffix, char path[YM_SITE_PATH])
{
    char file[80];

    if (strchr(name, '/') || strlen(name) >= 64)
        return false;
    snprintf(file, sizeof file, "%s%s", name, suffix);
    return ym_site_path(s, "data", file, path) == YM_OK && ym_fs_exists(path);
}

static enum ym_code load_registered(struct inference *i, const char *name, struct ym_status *st)
{
    char path[YM_SITE_PATH];
    enum ym_code code = registered(&i->site, name, ".frozen", path) ? ym_frozen_load(path, &i->rows, st)
                                                                    : ym_status_set(st, YM_NOT_FOUND, "%s", path);

    if (code == YM_OK && memcmp(i->rows->card_hash, i->card->hash, YM_HASH_BYTES) != 0)
        code = ym_status_set(st, YM_CORRUPT, "the card of \"%s\" is not the one that it was frozen by", name);
    if (code == YM_OK && !registered(&i->site, name, ".people", path))
        code = ym_status_set(st, YM_NOT_FOUND, "%s", path);
    return code == YM_OK ? ym_fs_read(path, YM_PEOPLE_MAX_BYTES, &i->named.people, st) : code;
}

static enum ym_code load_card(struct inference *i, const struct ym_cli_args *a, struct ym_status *st)
{
    const char *name = a->positional[1];
    char path[YM_SITE_PATH];
    bool known = registered(&i->site, name, ".card.json", path);

    i->registered = known && !ym_cli_get(a, "data");
    return ym_site_load_card(known ? path : name, &i->card, st);
}

static enum ym_code load_rows(struct inference *i, const struct ym_cli_args *a, struct ym_status *st)
{
    const char *name = a->positional[1], *data = ym_cli_get(a, "data");
    char source[YM_SITE_PATH];
    enum ym_code code = YM_OK;

    if (i->registered)
        return load_registered(i, name, st);
    if (!data)
        code = ym_site_card_file(name, i->card->file, source, st);
    return code == YM_OK ? freeze_rows(i, data ? data : source, ym_cli_has(a, "skip-bad"), st) : code;
}

/* ---- who is out ---- */

static enum ym_code ask_some(const struct inference *i, const uint8_t (*id)[YM_HASH_BYTES], size_t count, uint8_t *gone,
                             struct ym_status *st)
{
    json_t *people = json_array(), *reply = NULL;
    const json_t *said;
    struct ym_buf hex = {0};
    enum ym_code code = YM_OK;

    for (size_t k = 0; k < count && code == YM_OK; k++) {
        hex.len = 0;
        code = ym_hex_encode(id[k], YM_HASH_BYTES, &hex);
        if (code == YM_OK && json_array_append_new(people, json_string(ym_buf_str(&hex))) != 0)
            code = ym_status_set(st, YM_EXHAUSTED, "no memory for pseudonyms");
    }
    if (code == YM_OK)
        code = ym_site_ask(&i->site, json_pack("{s:s, s:O}", "do", "infer_who", "people", people), &reply, st);
    said = json_object_get(reply, "gone");
    if (code == YM_OK && json_array_size(said) != count)
        code = ym_status_set(st, YM_CORRUPT, "the trainer's answer is about others");
    for (size_t k = 0; k < count && code == YM_OK; k++)
        gone[k] = !json_is_false(json_array_get(said, k));
    ym_buf_wipe(&hex);
    json_decref(people);
    json_decref(reply);
    return code;
}

static enum ym_code find_gone(const struct inference *i, uint8_t *gone, struct ym_status *st)
{
    const uint8_t(*id)[YM_HASH_BYTES] = NULL;
    size_t count = 0;
    enum ym_code code = ym_people_ids(ym_buf_bytes(&i->named.people), i->rows->hash, &id, &count, st);

    if (code == YM_OK && count != i->rows->patient_count)
        code = ym_status_set(st, YM_CORRUPT, "the list of people has another length than the data set");
    for (size_t at = 0; code == YM_OK && at < count; at += AT_ONCE)
        code = ask_some(i, id + at, count - at < AT_ONCE ? count - at : AT_ONCE, gone + at, st);
    return code;
}

static enum ym_code admit(struct inference *i, struct ym_status *st)
{
    struct ym_consent_need need = {0}; /* for treatment no consent is asked */
    uint8_t *gone = calloc(i->rows->patient_count + 1, 1);
    enum ym_code code = gone ? find_gone(i, gone, st) : ym_status_set(st, YM_EXHAUSTED, "no memory for withdrawals");

    if (needs_consent(i))
        ym_consent_needed_inside(i->card, json_is_true(json_object_get(i->answer, "determination")),
                                 json_is_true(json_object_get(i->answer, "ethics")), &need);
    if (code == YM_OK)
        code = ym_admit(&need, i->rows->consent, gone, i->rows->patient_count, &i->admitted, st);
    if (code == YM_OK)
        ym_admission_report(&i->admitted, &i->report);
    free(gone);
    return code;
}

static size_t count_rows(const struct inference *i, bool scored)
{
    size_t n = 0;

    for (size_t row = 0; row < i->said.rows; row++)
        n += i->said.refusal[row].why != YM_LEFT_OUT && (i->said.refusal[row].why == YM_SCORED) == scored;
    return n;
}

/* Nothing is written that the ledger does not hold. */
static enum ym_code record(struct inference *i, struct ym_status *st)
{
    json_t *ask = question(i, "infer_record"), *reply = NULL;
    enum ym_code code;

    json_object_set(ask, "content_id", json_object_get(i->model.notice, "content_id"));
    json_object_set(ask, "basis", json_object_get(i->answer, "basis"));
    json_object_set_new(ask, "rows", json_integer((json_int_t)(count_rows(i, true) + count_rows(i, false))));
    json_object_set_new(ask, "left_out", json_integer((json_int_t)(i->admitted.patients - i->admitted.left)));
    code = ym_site_ask(&i->site, ask, &reply, st);
    i->entry = ym_get_int(reply, "entry");
    json_decref(reply);
    return code;
}

/* ---- what is written ---- */

static void put_filings(const struct inference *i, struct ym_buf *out)
{
    const json_t *list = json_object_get(i->answer, "filings"), *number;
    size_t k;

    if (json_array_size(list) == 0)
        ym_buf_printf(out, "# filing: %s\n", T(SITE_INFER_NO_NUMBER));
    json_array_foreach(list, k, number) ym_buf_printf(out, "# filing: %s\n", json_string_value(number));
}

static void put_head(const struct inference *i, struct ym_buf *out)
{
    struct ym_buf hash = {0};
    char name[80];

    ym_hex_encode(i->model.hash, YM_HASH_BYTES, &hash);
    for (size_t k = 0; k < YM_NOTICE_KEYS; k++)
        ym_buf_printf(out, "# %s: %s\n", ym_notice_key[k],
                      json_string_value(json_object_get(i->model.notice, ym_notice_key[k])));
    ym_buf_printf(out, "# model: %s\n# derived_from_patient_data: yes\n", ym_buf_str(&hash));
    put_filings(i, out);
    ym_buf_printf(out, "# hospital: %s\n# ledger_entry: %lld\n# basis: %s\n", i->site.name, i->entry,
                  ym_get_text(i->answer, "basis"));
    ym_buf_printf(out, "# left_out_withdrawn: %zu\n# left_out_consent: %zu\n", i->admitted.withdrawn,
                  i->admitted.patients - i->admitted.left - i->admitted.withdrawn);
    ym_buf_puts(out, "patient,record,label,content_id,refused");
    for (size_t k = 0; k < i->said.scores; k++) {
        ym_onnx_score(i->plan, k, name);
        ym_buf_puts(out, ",");
        ym_buf_csv(out, name);
    }
    ym_buf_puts(out, "\n");
    ym_buf_release(&hash);
}

/* A row on its way into the file. */
struct line {
    size_t at, row, record; /* in the source, in the set, of its patient */
    const char *patient;    /* NULL: it has a number alone */
    size_t number;
};

static void put_row(const struct inference *i, const struct line *l, struct ym_buf *out)
{
    static const char *const why[] = {"", "missing: ", "out_of_range: "};
    const struct ym_row_refusal *r = &i->said.refusal[l->row];
    char number[32];

    snprintf(number, sizeof number, "#%zu", l->number);
    ym_buf_csv(out, l->patient ? l->patient : number);
    ym_buf_printf(out, ",%zu,", l->record);
    ym_buf_csv(out, T(MODEL_LABEL));
    ym_buf_puts(out, ",");
    ym_buf_csv(out, json_string_value(json_object_get(i->model.notice, "content_id")));
    ym_buf_printf(out, ",%s%s", why[r->why], r->variable ? r->variable->name : "");
    for (size_t k = 0; k < i->said.scores; k++)
        ym_buf_printf(out, r->why == YM_SCORED ? ",%.9g" : ",", (double)i->said.score[l->row * i->said.scores + k]);
    ym_buf_puts(out, "\n");
}

static int by_place(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

/* In the source's order; a registered set has its own alone. */
static void put_rows(const struct inference *i, struct line *line, struct ym_buf *out)
{
    const size_t *order = (const void *)i->named.order.data;
    const char *name = i->named.names.len ? (const char *)i->named.names.data : NULL;
    size_t count = 0;

    for (size_t p = 0; p < i->rows->patient_count; p++) {
        uint64_t first = i->rows->first_row[p];

        for (uint64_t row = first; row < i->rows->first_row[p + 1]; row++)
            if (i->said.refusal[row].why != YM_LEFT_OUT)
                line[count++] =
                    (struct line){order ? order[row] : row, (size_t)row, (size_t)(row - first) + 1, name, p + 1};
        name = name ? name + strlen(name) + 1 : NULL;
    }
    qsort(line, count, sizeof *line, by_place);
    for (size_t k = 0; k < count; k++)
        put_row(i, &line[k], out);
}

static enum ym_code write_rows(const struct inference *i, struct ym_status *st)
{
    struct ym_buf out = {0};
    struct line *line = calloc(i->rows->row_count + 1, sizeof *line);
    char dir[YM_SITE_PATH];
    enum ym_code code = ym_site_path(&i->site, INFERRED, NULL, dir);

    put_head(i, &out);
    if (line)
        put_rows(i, line, &out);
    if (!line || ym_buf_puts(&out, "") != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the results");
    if (code == YM_OK)
        code = ym_fs_mkdirs(dir, 0700, st);
    if (code == YM_OK)
        code = ym_fs_write(i->path, ym_buf_bytes(&out), 0600, st);
    ym_buf_wipe(&out);
    free(line);
    return code;
}

static enum ym_code check_notices(const struct inference *i, const char *path, struct ym_status *st)
{
    const char *lacks[YM_NOTICE_KEYS];

    return ym_notice_lacks(i->model.notice, lacks) == 0
               ? YM_OK
               : ym_status_set(st, YM_INVALID, T(SITE_INFER_LACKS), path, lacks[0]);
}

static enum ym_code load(struct inference *i, const struct ym_cli_args *a, struct ym_status *st)
{
    const char *model = a->positional[0], *plan = ym_cli_get(a, "plan");
    enum ym_code code = plan ? plan_given(plan, &i->plan, st) : plan_kept(&i->site, model, &i->plan, st);

    if (code == YM_OK)
        code = ym_released_load(model, i->plan, &i->model, st);
    if (code == YM_OK)
        code = check_notices(i, model, st);
    if (code == YM_OK)
        code = load_card(i, a, st);
    if (code == YM_OK)
        code = ask_trainer(i, st);
    return code == YM_OK ? load_rows(i, a, st) : code;
}

static enum ym_code infer(struct inference *i, const struct ym_cli_args *a, struct ym_status *st)
{
    enum ym_code code = ym_site_open(a, &i->site, st);

    if (code == YM_OK)
        code = place_of(i, ym_cli_get(a, "out"), st);
    if (code == YM_OK)
        code = load(i, a, st);
    if (code == YM_OK)
        code = admit(i, st);
    if (code == YM_OK)
        code = ym_infer(i->plan, &i->model, i->rows, i->admitted.out, &i->said, &i->report, st);
    if (code == YM_OK)
        code = record(i, st);
    return code == YM_OK ? write_rows(i, st) : code;
}

int ym_site_cmd_infer(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct inference i = {0};
    enum ym_code code = infer(&i, a, &st);
    int rc = YM_EXIT_DONE;

    if (i.report.len > 0)
        fputs(ym_buf_str(&i.report), stderr);
    if (code == YM_OK)
        printf(T(SITE_INFERRED), i.path, count_rows(&i, true), count_rows(&i, false),
               i.admitted.patients - i.admitted.left, i.entry, T(MODEL_NOTICE));
    else
        rc = ym_site_fail(&i.site, &st);
    release(&i);
    return rc;
}
