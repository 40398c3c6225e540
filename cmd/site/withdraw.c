#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmd/site/site.h"
#include "worker/data/cell.h"
#include "worker/data/frozen.h"
#include "worker/data/people.h"
#include "worker/trainer/border.h"

/* Patients who withdraw. Identifiers are hashed here; the trainer hears pseudonyms. */

enum { AT_ONCE = 500, FILE_MAX = 16 << 20 };

struct desk {
    struct ym_site site;
    const char *dataset;
    struct ym_card *card;
    uint8_t salt[YM_SITE_SALT], frozen[YM_HASH_BYTES];
    json_t *batch, *reply; /* the newest answer */
    long long asked, found;
};

static enum ym_code send_batch(struct desk *d, struct ym_status *st)
{
    enum ym_code code;

    if (json_array_size(d->batch) == 0)
        return YM_OK;
    json_decref(d->reply);
    d->reply = NULL;
    code =
        ym_site_ask(&d->site, json_pack("{s:s, s:s, s:O}", "do", "withdraw", "dataset", d->dataset, "people", d->batch),
                    &d->reply, st);
    json_array_clear(d->batch);
    d->asked += ym_get_int(d->reply, "asked");
    d->found += ym_get_int(d->reply, "found");
    return code;
}

/* As ym_freeze reads a cell: spaces around it do not count. */
static enum ym_code take_one(struct desk *d, const char *text, size_t len, struct ym_status *st)
{
    struct ym_sha256 *h;
    uint8_t patient[YM_HASH_BYTES], id[YM_HASH_BYTES];
    struct ym_buf hex = {0};
    enum ym_code code;

    ym_cell_trim(&text, &len);
    if (!len)
        return YM_OK;
    h = ym_sha256_new();
    ym_sha256_update(h, d->salt, sizeof d->salt);
    ym_sha256_update(h, text, len);
    ym_sha256_final(&h, patient);
    ym_pseudonym(d->salt, d->card->identifier, d->card->name, d->frozen, patient, id);
    code = ym_hex_encode(id, sizeof id, &hex);
    if (code == YM_OK && json_array_append_new(d->batch, json_string(ym_buf_str(&hex))))
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    ym_buf_release(&hex);
    return code == YM_OK && json_array_size(d->batch) == AT_ONCE ? send_batch(d, st) : code;
}

/* One a line. */
static enum ym_code take_file(struct desk *d, const char *path, struct ym_status *st)
{
    struct ym_buf b = {0};
    enum ym_code code = ym_fs_read(path, FILE_MAX, &b, st);
    const char *at = (const char *)b.data, *end = at + b.len;

    while (code == YM_OK && at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t len = line ? (size_t)(line - at) : (size_t)(end - at);

        code = take_one(d, at, len && at[len - 1] == '\r' ? len - 1 : len, st);
        at += len + 1;
    }
    ym_buf_wipe(&b);
    return code;
}

/* Only where each row is a patient do the frozen bytes say who that is. */
static enum ym_code frozen_hash(struct desk *d, struct ym_status *st)
{
    struct ym_frozen *f = NULL;
    char file[80], path[YM_SITE_PATH];
    enum ym_code code;

    if (strcmp(d->card->identifier, "row") != 0)
        return YM_OK;
    snprintf(file, sizeof file, "%s.frozen", d->card->name);
    code = ym_site_path(&d->site, "data", file, path);
    if (code == YM_OK)
        code = ym_frozen_load(path, &f, st);
    if (code == YM_OK)
        memcpy(d->frozen, f->hash, sizeof d->frozen);
    ym_frozen_free(f);
    return code;
}

static void show_releases(const json_t *row)
{
    const json_t *r;
    size_t i;

    if (json_array_size(json_object_get(row, "releases")))
        fputs(T(SITE_WITHDRAW_RELEASES), stdout);
    json_array_foreach(json_object_get(row, "releases"), i, r)
    {
        printf("  %s  %lld  %.16s\n", ym_get_text(r, "study"), ym_get_int(r, "round"), ym_get_text(r, "update"));
    }
    fputs(T(SITE_WITHDRAW_NOT_RECALLED), stdout);
}

static int withdraw(struct desk *d, const struct ym_cli_args *a, const char *file, struct ym_status *st)
{
    enum ym_code code = ym_site_card(&d->site, d->dataset, &d->card, st);

    if (code == YM_OK)
        code = ym_site_salt(&d->site, d->salt, st);
    if (code == YM_OK)
        code = frozen_hash(d, st);
    if (code == YM_OK)
        code = file ? take_file(d, file, st) : take_one(d, a->positional[0], strlen(a->positional[0]), st);
    if (code == YM_OK)
        code = send_batch(d, st);
    if (code == YM_OK && !d->reply)
        code = ym_status_set(st, YM_INVALID, "%s", T(SITE_WITHDRAW_NOBODY));
    if (code != YM_OK)
        return ym_site_fail(&d->site, st);
    if (ym_cli_has(a, "json"))
        return ym_site_print_json(d->reply);
    printf(T(SITE_WITHDRAW_TAKEN), d->asked, d->dataset, d->found);
    show_releases(d->reply);
    return YM_EXIT_DONE;
}

int ym_site_cmd_withdraw(const struct ym_cli_args *a)
{
    const char *file = ym_cli_get(a, "patient-file");
    struct ym_status st = YM_STATUS_INIT;
    struct desk d = {.dataset = ym_cli_get(a, "dataset"), .batch = json_array()};
    int rc;

    if (!d.dataset || (file != NULL) == (a->positional_count == 1)) {
        json_decref(d.batch);
        fprintf(stderr, "yumen-site: %s\n", T(SITE_WITHDRAW_USAGE));
        return YM_EXIT_USAGE;
    }
    rc = ym_site_open(a, &d.site, &st) == YM_OK ? withdraw(&d, a, file, &st) : ym_site_fail(&d.site, &st);
    ym_wipe(d.salt, sizeof d.salt);
    ym_card_free(d.card);
    json_decref(d.batch);
    json_decref(d.reply);
    return rc;
}

static void show_list(const json_t *o)
{
    const json_t *list = json_object_get(o, "withdrawn"), *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        printf(T(SITE_WITHDRAW_ROW), ym_get_text(row, "dataset"), ym_get_int(row, "people"), ym_get_int(row, "here"));
        show_releases(row);
    }
    if (!json_array_size(list))
        fputs(T(SITE_NONE), stdout);
}

int ym_site_cmd_withdraw_list(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s}", "do", "withdraw_list"), show_list);
}
