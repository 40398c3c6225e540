#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "cmd/site/site.h"
#include "models/results/onnx.h"
#include "models/start.h"
#include "worker/infer/infer.h"
#include "worker/trainer/frame.h"

/* A released model on the hospital's own rows. What it says goes into one folder of
 * the site and nowhere else: no socket is opened, and the trainer is not asked. */

#define INFERRED "inferred"
#define PLAN_FILE_MAX ((size_t)YM_FRAME_MAX_PAYLOAD)

struct inference {
    struct ym_site site;
    struct ym_plan *plan;
    struct ym_released model;
    struct ym_card *card;
    struct ym_buf frozen, names, report; /* names: none of a registered set, which holds no identifiers */
    struct ym_frozen *rows;
    struct ym_inferred said;
    char path[YM_SITE_PATH];
};

static void release(struct inference *i)
{
    ym_inferred_release(&i->said);
    ym_frozen_free(i->rows);
    ym_buf_wipe(&i->frozen);
    ym_buf_wipe(&i->names);
    ym_buf_wipe(&i->report);
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
    json_object_del(card, "consent"); /* asks for columns of its own, and is about what leaves */
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
    static const uint8_t salt[32]; /* orders rows in memory, and names nobody outside of it */
    struct ym_card *card = NULL;
    enum ym_code code = card_without(i, &card, st);

    if (code == YM_OK)
        code = ym_freeze_named(card, source, salt, skip_bad, &i->frozen, &i->names, &i->report, st);
    ym_card_free(card);
    return code == YM_OK ? ym_frozen_parse(ym_buf_bytes(&i->frozen), &i->rows, st) : code;
}

static bool registered(const struct ym_site *s, const char *name, const char *suffix, char path[YM_SITE_PATH])
{
    char file[80];

    if (strchr(name, '/') || strlen(name) >= 64)
        return false;
    snprintf(file, sizeof file, "%s%s", name, suffix);
    return ym_site_path(s, "data", file, path) == YM_OK && ym_fs_exists(path);
}

static enum ym_code load_rows(struct inference *i, const struct ym_cli_args *a, struct ym_status *st)
{
    const char *name = a->positional[1], *data = ym_cli_get(a, "data");
    char path[YM_SITE_PATH], source[YM_SITE_PATH];
    bool known = registered(&i->site, name, ".card.json", path);
    enum ym_code code;

    if (known && !data)
        return registered(&i->site, name, ".frozen", path) ? ym_frozen_load(path, &i->rows, st)
                                                           : ym_status_set(st, YM_NOT_FOUND, "%s", path);
    code = ym_site_load_card(known ? path : name, &i->card, st);
    if (code == YM_OK && !data)
        code = ym_site_card_file(name, i->card->file, source, st);
    return code == YM_OK ? freeze_rows(i, data ? data : source, ym_cli_has(a, "skip-bad"), st) : code;
}

/* ---- what is written ---- */

static void put_cell(struct ym_buf *out, const char *text)
{
    ym_buf_puts(out, "\"");
    for (; *text; text++)
        ym_buf_append(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    ym_buf_puts(out, "\"");
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
    ym_buf_puts(out, "patient,record,label,content_id,refused");
    for (size_t k = 0; k < i->said.scores; k++) {
        ym_onnx_score(i->plan, k, name);
        ym_buf_puts(out, ",");
        put_cell(out, name);
    }
    ym_buf_puts(out, "\n");
    ym_buf_release(&hash);
}

static void put_row(const struct inference *i, const char *patient, size_t record, size_t row, struct ym_buf *out)
{
    static const char *const why[] = {"", "missing: ", "out_of_range: "};
    const struct ym_row_refusal *r = &i->said.refusal[row];

    put_cell(out, patient);
    ym_buf_printf(out, ",%zu,", record);
    put_cell(out, T(MODEL_LABEL));
    ym_buf_puts(out, ",");
    put_cell(out, json_string_value(json_object_get(i->model.notice, "content_id")));
    ym_buf_printf(out, ",%s%s", why[r->why], r->variable ? r->variable->name : "");
    for (size_t k = 0; k < i->said.scores; k++)
        ym_buf_printf(out, r->why == YM_SCORED ? ",%.9g" : ",", (double)i->said.score[row * i->said.scores + k]);
    ym_buf_puts(out, "\n");
}

static enum ym_code write_rows(const struct inference *i, struct ym_status *st)
{
    struct ym_buf out = {0};
    char number[32], dir[YM_SITE_PATH];
    const char *name = ym_buf_str(&i->names);
    enum ym_code code = ym_site_path(&i->site, INFERRED, NULL, dir);

    put_head(i, &out);
    for (size_t p = 0; p < i->rows->patient_count; p++) {
        snprintf(number, sizeof number, "#%zu", p + 1);
        for (uint64_t row = i->rows->first_row[p]; row < i->rows->first_row[p + 1]; row++)
            put_row(i, i->names.len ? name : number, row - i->rows->first_row[p] + 1, row, &out);
        name += i->names.len ? strlen(name) + 1 : 0;
    }
    if (ym_buf_puts(&out, "") != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the results");
    if (code == YM_OK)
        code = ym_fs_mkdirs(dir, 0700, st);
    if (code == YM_OK)
        code = ym_fs_write(i->path, ym_buf_bytes(&out), 0600, st);
    ym_buf_wipe(&out);
    return code;
}

static enum ym_code check_notices(const struct inference *i, const char *path, struct ym_status *st)
{
    const char *lacks[YM_NOTICE_KEYS];

    return ym_notice_lacks(i->model.notice, lacks) == 0
               ? YM_OK
               : ym_status_set(st, YM_INVALID, T(SITE_INFER_LACKS), path, lacks[0]);
}

static enum ym_code infer(struct inference *i, const struct ym_cli_args *a, struct ym_status *st)
{
    const char *model = a->positional[0], *plan = ym_cli_get(a, "plan");
    enum ym_code code = ym_site_open(a, &i->site, st);

    if (code == YM_OK)
        code = place_of(i, ym_cli_get(a, "out"), st);
    if (code == YM_OK)
        code = plan ? plan_given(plan, &i->plan, st) : plan_kept(&i->site, model, &i->plan, st);
    if (code == YM_OK)
        code = ym_released_load(model, i->plan, &i->model, st);
    if (code == YM_OK)
        code = check_notices(i, model, st);
    if (code == YM_OK)
        code = load_rows(i, a, st);
    if (code == YM_OK)
        code = ym_infer(i->plan, &i->model, i->rows, &i->said, &i->report, st);
    return code == YM_OK ? write_rows(i, st) : code;
}

int ym_site_cmd_infer(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct inference i = {0};
    size_t refused = 0;
    enum ym_code code = infer(&i, a, &st);
    int rc = YM_EXIT_DONE;

    if (i.report.len > 0)
        fputs(ym_buf_str(&i.report), stderr);
    for (size_t row = 0; row < i.said.rows; row++)
        refused += i.said.refusal[row].why != YM_SCORED;
    if (code == YM_OK)
        printf(T(SITE_INFERRED), i.path, i.said.rows - refused, refused, T(MODEL_NOTICE));
    else
        rc = ym_site_fail(&i.site, &st);
    release(&i);
    return rc;
}
