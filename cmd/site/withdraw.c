#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmd/site/site.h"
#include "worker/data/cell.h"
#include "worker/data/frozen.h"
#include "worker/data/people.h"
#include "worker/trainer/border.h"
#include "worker/trainer/withdraw.h"

/* Patients who withdraw. Identifiers are hashed here; the trainer hears pseudonyms. */

enum { AT_ONCE = 500, FILE_MAX = 16 << 20 };

struct desk {
    struct ym_site site;
    const char *dataset;
    struct ym_card *card;
    uint8_t salt[YM_SITE_SALT], frozen[YM_HASH_BYTES];
    const uint8_t (*here)[YM_HASH_BYTES]; /* whom alone it is about; NULL: whoever is named */
    size_t here_count;
    json_t *batch, *reply; /* the newest answer */
    long long asked, found;
    struct ym_buf named; /* identifiers, one a line */
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

static bool is_here(const struct desk *d, const uint8_t id[YM_HASH_BYTES])
{
    for (size_t i = 0; i < d->here_count; i++)
        if (memcmp(d->here[i], id, YM_HASH_BYTES) == 0)
            return true;
    return false;
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
    if (d->here && !is_here(d, id))
        return YM_OK;
    code = ym_hex_encode(id, sizeof id, &hex);
    if (code == YM_OK && json_array_append_new(d->batch, json_string(ym_buf_str(&hex))))
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    ym_buf_release(&hex);
    return code == YM_OK && json_array_size(d->batch) == AT_ONCE ? send_batch(d, st) : code;
}

/* One a line. */
static enum ym_code take_named(struct desk *d, struct ym_status *st)
{
    const char *at = (const char *)d->named.data, *end = at + d->named.len;
    enum ym_code code = YM_OK;

    while (code == YM_OK && at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t len = line ? (size_t)(line - at) : (size_t)(end - at);

        code = take_one(d, at, len && at[len - 1] == '\r' ? len - 1 : len, st);
        at += len + 1;
    }
    return code == YM_OK ? send_batch(d, st) : code;
}

/* Typed, or by a pipe. */
static enum ym_code read_typed(struct ym_buf *out, struct ym_status *st)
{
    ssize_t n;

    do {
        if (out->len > FILE_MAX || ym_buf_reserve(out, 65536) != YM_OK)
            return ym_status_set(st, YM_EXHAUSTED, "more identifiers than can be taken at once");
        n = read(STDIN_FILENO, out->data + out->len, 65535);
        out->len += n > 0 ? (size_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0 ? YM_OK : ym_status_set(st, YM_UNAVAILABLE, "cannot read identifiers: %s", strerror(errno));
}

/* An argument stands in the list of processes for every account of the host: taken out of it at once. */
static enum ym_code read_named(struct desk *d, const struct ym_cli_args *a, struct ym_status *st)
{
    const char *file = ym_cli_get(a, "patient-file");
    enum ym_code code;

    if (file)
        return strcmp(file, "-") == 0 ? read_typed(&d->named, st) : ym_fs_read(file, FILE_MAX, &d->named, st);
    code = ym_buf_puts(&d->named, a->positional[0]);
    ym_wipe((void *)(uintptr_t)a->positional[0], strlen(a->positional[0]));
    return code == YM_OK ? code : ym_status_set(st, code, "no memory for an identifier");
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
    json_array_foreach(json_object_get(row, "retrain"), i, r)
    {
        printf(T(SITE_WITHDRAW_RETRAIN), ym_get_text(r, "study"), ym_get_int(r, "round"), ym_get_text(r, "state"));
    }
    fputs(T(SITE_WITHDRAW_NOT_RECALLED), stdout);
}

static void show_taken(const struct desk *d)
{
    if (strcmp(d->dataset, YM_WITHDRAWN_ALL) == 0)
        printf(T(SITE_WITHDRAW_ALL), d->asked, d->found);
    else
        printf(T(SITE_WITHDRAW_TAKEN), d->asked, d->dataset, d->found);
    show_releases(d->reply);
}

static int withdraw(struct desk *d, const struct ym_cli_args *a, struct ym_status *st)
{
    enum ym_code code = ym_site_card(&d->site, d->dataset, &d->card, st);

    if (code == YM_NOT_FOUND)
        code = ym_status_set(st, YM_NOT_FOUND, "%s", T(BORDER_NEED_DATASET));
    if (code == YM_OK)
        code = ym_site_salt(&d->site, d->salt, st);
    if (code == YM_OK)
        code = frozen_hash(d, st);
    if (code == YM_OK)
        code = take_named(d, st);
    if (code == YM_OK && !d->reply)
        code = ym_status_set(st, YM_INVALID, "%s", T(SITE_WITHDRAW_NOBODY));
    if (code != YM_OK)
        return ym_site_fail(&d->site, st);
    if (ym_cli_has(a, "json"))
        return ym_site_print_json(d->reply);
    show_taken(d);
    return YM_EXIT_DONE;
}

/* ---- from all data sets ---- */

/* Of several sets whose identifiers are of one kind the first stands for all. */
static bool stands_for_all(const char *kind, const json_t *done)
{
    return (strcmp(kind, "national_id") == 0 || strcmp(kind, "insurance_id") == 0 ||
            strcmp(kind, "hospital_id") == 0) &&
           !json_object_get(done, kind);
}

/* Whom a number names in a set of its own is somebody else elsewhere: only where it occurs, and never by a row's. */
static enum ym_code withdraw_here(struct desk *d, struct ym_status *st)
{
    struct ym_buf people = {0};
    char file[80], path[YM_SITE_PATH];
    enum ym_code code;

    snprintf(file, sizeof file, "%s.people", d->card->name);
    code = ym_site_path(&d->site, "data", file, path);
    if (code == YM_OK)
        code = ym_fs_read(path, YM_PEOPLE_MAX_BYTES, &people, st);
    if (code == YM_OK)
        code = ym_people_ids(ym_buf_bytes(&people), NULL, &d->here, &d->here_count, st);
    if (code == YM_OK)
        code = take_named(d, st);
    ym_buf_wipe(&people);
    return code;
}

/* One data set of several; *taken: its answers, one a list. */
static enum ym_code withdraw_one(struct desk *all, const struct ym_cli_args *a, const char *dataset, json_t *done,
                                 json_t *taken, struct ym_status *st)
{
    struct desk d = *all;
    enum ym_code code = ym_site_card(&d.site, dataset, &d.card, st);
    bool common;

    if (code != YM_OK)
        return code;
    common = stands_for_all(d.card->identifier, done);
    d.dataset = common ? YM_WITHDRAWN_ALL : dataset;
    d.batch = json_array();
    if (strcmp(d.card->identifier, "row") == 0)
        fprintf(stderr, T(SITE_WITHDRAW_ROWS), dataset);
    else if (common)
        code = take_named(&d, st);
    else if (strcmp(d.card->identifier, "study_id") == 0 || strcmp(d.card->identifier, "unspecified") == 0)
        code = withdraw_here(&d, st);
    if (code == YM_OK && d.reply && !ym_cli_has(a, "json"))
        show_taken(&d);
    if (d.reply)
        json_array_append(taken, d.reply);
    json_object_set_new(done, d.card->identifier, json_true());
    ym_card_free(d.card);
    json_decref(d.batch);
    json_decref(d.reply);
    return code;
}

static int withdraw_everywhere(struct desk *all, const struct ym_cli_args *a, struct ym_status *st)
{
    json_t *reply = NULL, *done = json_object(), *taken = json_array();
    const json_t *d;
    size_t i;
    enum ym_code code = ym_site_salt(&all->site, all->salt, st);
    int rc = YM_EXIT_DONE;

    if (code == YM_OK)
        code = ym_site_ask(&all->site, json_pack("{s:s}", "do", "data_list"), &reply, st);
    json_array_foreach(json_object_get(reply, "datasets"), i, d)
    {
        if (code == YM_OK)
            code = withdraw_one(all, a, ym_get_text(d, "dataset"), done, taken, st);
    }
    if (code == YM_OK && json_array_size(taken) == 0)
        code = ym_status_set(st, YM_NOT_FOUND, "%s", T(SITE_WITHDRAW_NOWHERE));
    if (code != YM_OK)
        rc = ym_site_fail(&all->site, st);
    else if (ym_cli_has(a, "json"))
        ym_site_print_json(taken);
    json_decref(reply);
    json_decref(done);
    json_decref(taken);
    return rc;
}

int ym_site_cmd_withdraw(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct desk d = {.dataset = ym_cli_get(a, "dataset")};
    int rc;

    if ((ym_cli_get(a, "patient-file") != NULL) == (a->positional_count == 1)) {
        fprintf(stderr, "yumen-site: %s\n", T(SITE_WITHDRAW_USAGE));
        return YM_EXIT_USAGE;
    }
    d.batch = json_array();
    if (read_named(&d, a, &st) != YM_OK || ym_site_open(a, &d.site, &st) != YM_OK)
        rc = ym_site_fail(&d.site, &st);
    else
        rc = d.dataset ? withdraw(&d, a, &st) : withdraw_everywhere(&d, a, &st);
    ym_wipe(d.salt, sizeof d.salt);
    ym_buf_wipe(&d.named);
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
