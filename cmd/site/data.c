#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "cmd/site/site.h"
#include "gate/card.h"
#include "worker/data/frozen.h"

/* Data sets: card, CSV or NPZ and images are read here, outside the trainer, which then reads
 * only the frozen copy in the site's folder. */

enum { SALT_BYTES = 32 };

static void print_problems(const struct ym_problems *p)
{
    struct ym_buf text = {0};

    if (p->count > 0 && ym_problems_format(p, &text) == YM_OK)
        fputs(ym_buf_str(&text), stderr);
    ym_buf_release(&text);
}

enum ym_code ym_site_load_card(const char *path, struct ym_card **out, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_load(path, &doc, &problems, st);

    if (code == YM_OK)
        code = ym_card_read(doc, out, &problems, st);
    print_problems(&problems);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    return code;
}

enum ym_code ym_site_card_file(const char *card_path, const char *file, char out[YM_SITE_PATH], struct ym_status *st)
{
    char *copy = strdup(card_path);
    enum ym_code code = copy ? YM_OK : YM_EXHAUSTED;

    if (code == YM_OK)
        code = file[0] == '/' ? ym_fs_join(out, YM_SITE_PATH, "", file + 1)
                              : ym_fs_join(out, YM_SITE_PATH, dirname(copy), file);
    free(copy);
    return code == YM_OK ? code : ym_status_set(st, code, "the path of \"%s\" is too long", file);
}

static enum ym_code load_salt(const struct ym_site *s, uint8_t salt[SALT_BYTES], struct ym_status *st)
{
    struct ym_buf b = {0};
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_path(s, "salt", NULL, path);

    if (code == YM_OK)
        code = ym_fs_read(path, SALT_BYTES, &b, st);
    if (code == YM_OK && b.len != SALT_BYTES)
        code = ym_status_set(st, YM_CORRUPT, "\"%s\" does not hold %d bytes", path, SALT_BYTES);
    if (code == YM_OK)
        memcpy(salt, b.data, SALT_BYTES);
    ym_buf_wipe(&b);
    return code;
}

struct loaded {
    struct ym_card *card;
    struct ym_buf frozen, people, report;
    struct ym_frozen *view;
};

static void loaded_release(struct loaded *l)
{
    ym_card_free(l->card);
    ym_frozen_free(l->view);
    ym_buf_wipe(&l->frozen);
    ym_buf_wipe(&l->people);
    ym_buf_wipe(&l->report);
}

static enum ym_code load(const struct ym_cli_args *a, const struct ym_site *s, struct loaded *l, struct ym_status *st)
{
    uint8_t salt[SALT_BYTES];
    char source[YM_SITE_PATH];
    const char *path = a->positional[0];
    enum ym_code code = ym_site_load_card(path, &l->card, st);

    if (code == YM_OK)
        code = ym_site_card_file(path, l->card->file, source, st);
    if (code == YM_OK)
        code = load_salt(s, salt, st);
    if (code == YM_OK)
        code = ym_freeze_file(l->card, source, NULL, salt, ym_cli_has(a, "skip-bad"), &l->frozen, &l->people,
                              &l->report, st);
    ym_wipe(salt, sizeof salt);
    if (l->report.len > 0) {
        fprintf(stderr, T(SITE_DATA_BAD), source);
        fputs(ym_buf_str(&l->report), stderr);
        if (code != YM_OK)
            fprintf(stderr, "%s\n", T(SITE_DATA_HINT));
    }
    if (code == YM_OK)
        code = ym_frozen_parse((struct ym_bytes){l->frozen.data, l->frozen.len}, &l->view, st);
    return code;
}

int ym_site_cmd_data_check(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct loaded l = {0};
    struct ym_site s;
    enum ym_code code = ym_site_open(a, &s, &st);
    int rc = YM_EXIT_DONE;

    if (code == YM_OK)
        code = load(a, &s, &l, &st);
    if (code != YM_OK)
        rc = ym_site_fail(&s, &st);
    else
        printf(T(SITE_DATA_GOOD), l.card->name, l.view->patient_count, l.view->row_count, l.view->var_count);
    loaded_release(&l);
    return code == YM_INVALID ? YM_EXIT_NO : rc;
}

static enum ym_code store_one(const struct ym_site *s, const char *dataset, const char *suffix, struct ym_bytes bytes,
                              struct ym_status *st)
{
    char file[80], path[YM_SITE_PATH];
    enum ym_code code;

    snprintf(file, sizeof file, "%s%s", dataset, suffix);
    code = ym_site_path(s, "data", file, path);
    return code == YM_OK ? ym_fs_write(path, bytes, 0600, st) : code;
}

static enum ym_code store(const struct ym_site *s, const struct loaded *l, struct ym_status *st)
{
    const char *name = l->card->name;
    enum ym_code code = store_one(s, name, ".people", ym_buf_bytes(&l->people), st);

    if (code == YM_OK)
        code = store_one(s, name, ".frozen", ym_buf_bytes(&l->frozen), st);
    return code == YM_OK ? store_one(s, name, ".card.json", ym_buf_bytes(&l->card->canonical), st) : code;
}

/* Was it registered before? Asked before the files are written, so that nothing is when no trainer answers. */
static enum ym_code registered_before(const struct ym_site *s, const char *name, bool *before, struct ym_status *st)
{
    json_t *reply = NULL;
    const json_t *d;
    size_t i;
    enum ym_code code = ym_site_ask(s, json_pack("{s:s}", "do", "data_list"), &reply, st);

    json_array_foreach(json_object_get(reply, "datasets"), i, d) *before |=
        strcmp(ym_get_text(d, "dataset"), name) == 0;
    json_decref(reply);
    return code;
}

static void show_added(const struct loaded *l, const json_t *reply, bool before)
{
    if (json_is_true(json_object_get(reply, "same"))) {
        printf(T(SITE_DATA_SAME), l->card->name);
        return;
    }
    printf(T(SITE_DATA_ADDED), l->card->name, l->view->patient_count, l->view->row_count, ym_get_text(reply, "data"));
    if (before)
        fputs(T(SITE_DATA_CHANGED), stdout);
}

int ym_site_cmd_data_add(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct loaded l = {0};
    struct ym_site s;
    json_t *reply = NULL;
    bool before = false, unusable;
    enum ym_code code = ym_site_open(a, &s, &st);
    int rc = YM_EXIT_DONE;

    if (code == YM_OK)
        code = load(a, &s, &l, &st);
    unusable = code == YM_INVALID;
    if (code == YM_OK)
        code = registered_before(&s, l.card->name, &before, &st);
    if (code == YM_OK)
        code = store(&s, &l, &st);
    if (code == YM_OK)
        code = ym_site_ask(&s, json_pack("{s:s, s:s}", "do", "data_add", "dataset", l.card->name), &reply, &st);
    if (code != YM_OK)
        rc = ym_site_fail(&s, &st);
    else if (ym_cli_has(a, "json"))
        ym_site_print_json(reply);
    else
        show_added(&l, reply, before);
    json_decref(reply);
    loaded_release(&l);
    return unusable ? YM_EXIT_NO : rc;
}

static void show_list(const json_t *o)
{
    static const enum ym_text_id head[] = {YM_TEXT_SITE_COL_DATASET, YM_TEXT_SITE_COL_CONTENT, YM_TEXT_SITE_COL_SPENT,
                                           YM_TEXT_SITE_COL_CAP};
    struct ym_listing t = {.columns = sizeof head / sizeof *head, .right = 0xc};
    const json_t *list = json_object_get(o, "datasets"), *d;
    size_t i;

    ym_listing_head(&t, head);
    json_array_foreach(list, i, d)
    {
        ym_listing_add(&t, "%s", ym_get_text(d, "dataset"));
        ym_listing_add(&t, "%.16s", ym_get_text(d, "data"));
        ym_listing_add(&t, "%s", ym_epsilon_text(ym_get_int(d, "spent_micro")));
        ym_listing_add(&t, "%s", ym_epsilon_text(ym_get_int(d, "cap_micro")));
    }
    ym_listing_print(&t);
    fputs(json_array_size(list) == 0 ? T(SITE_NONE) : T(SITE_DATA_UNIT), stdout);
}

int ym_site_cmd_data_list(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s}", "do", "data_list"), show_list);
}
