#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmd/site/site.h"

/* What people of the hospital hand in with an authority, as a folder: what is asked, of whom, how it is protected, the
 * documents by hash, what the rule sets decide. Read from the trainer's answers; rows and local columns are in none of
 * them. It is written for this account alone and goes nowhere by itself. */

enum { MOST_FILES = 64, MANIFEST_MAX = 64 * 1024, FILE_LIMIT = 64 * 1024 * 1024 };

struct pack {
    const char *folder, *study, *dataset;
    json_t *shown, *border, *filings, *people, *rules; /* the trainer's answers */
    json_t *files;                                     /* name: {bytes, sha256} */
};

/* ---- one file ---- */

static enum ym_code put(struct pack *p, const char *name, struct ym_buf *text, struct ym_status *st)
{
    uint8_t hash[YM_HASH_BYTES];
    char path[YM_SITE_PATH];
    json_t *o = json_pack("{s:I}", "bytes", (json_int_t)text->len);
    enum ym_code code = ym_fs_join(path, sizeof path, p->folder, name);

    ym_sha256(text->data, text->len, hash);
    if (o)
        ym_json_set_hash(o, "sha256", hash);
    json_object_set_new(p->files, name, o);
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(text), 0600, st);
    ym_buf_release(text);
    return code;
}

/* Takes value. */
static enum ym_code put_json(struct pack *p, const char *name, json_t *value, struct ym_status *st)
{
    struct ym_buf text = {0};
    char *all = value ? json_dumps(value, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;

    json_decref(value);
    if (!all)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %s", name);
    ym_buf_printf(&text, "%s\n", all);
    free(all);
    return put(p, name, &text, st);
}

static void copy(json_t *to, const json_t *from, const char *const *keys)
{
    for (; *keys; keys++)
        if (json_object_get(from, *keys))
            json_object_set(to, *keys, json_object_get(from, *keys));
}

/* ---- what is in them ---- */

/* Who asks what for which purpose, and who receives it where. */
static enum ym_code put_request(struct pack *p, struct ym_status *st)
{
    static const char *const of_plan[] = {"plan", "study", "sponsor", "title", "hospital", NULL};
    static const char *const of_content[] = {"purpose", "border", NULL};
    static const char *const of_border[] = {"card", "facts", "dataset", NULL};
    json_t *o = json_object();

    copy(o, p->shown, of_plan);
    copy(o, json_object_get(p->shown, "content"), of_content);
    copy(o, p->border, of_border);
    return put_json(p, "request.json", o, st);
}

/* How it is protected: the plan's training and privacy, this site's policy. */
static enum ym_code put_measures(struct pack *p, struct ym_status *st)
{
    static const char *const of_plan[] = {
        "epsilon_study_micro", "epsilon_round_micro", "delta_e18", "rounds", "policy", NULL};
    static const char *const of_content[] = {"training", "privacy", "update", "federation", NULL};
    json_t *o = json_object();

    copy(o, p->shown, of_plan);
    copy(o, json_object_get(p->shown, "content"), of_content);
    return put_json(p, "measures.json", o, st);
}

static void put_item(struct ym_buf *out, const json_t *column, const char *use, const json_t *items)
{
    const json_t *level, *levels = json_object_get(column, "levels");
    struct ym_buf values = {0};
    size_t i;

    if (!json_is_object(column))
        return;
    json_array_foreach(levels, i, level)
        ym_buf_printf(&values, "%s%s", i ? "; " : "", json_is_string(level) ? json_string_value(level) : "");
    if (!json_array_size(levels))
        ym_buf_printf(&values, "%s to %s", ym_get_text(column, "low"), ym_get_text(column, "high"));
    ym_buf_csv(out, ym_get_text(column, "name"));
    ym_buf_printf(out, ",%s,", use);
    ym_buf_csv(out, ym_get_text(column, "unit"));
    ym_buf_puts(out, ",");
    ym_buf_csv(out, ym_buf_str(&values));
    ym_buf_puts(out, ",");
    ym_buf_csv(out, ym_get_text(items, ym_get_text(column, "name")));
    ym_buf_puts(out, "\r\n");
    ym_buf_release(&values);
}

/* The data items, and what each is on a zone's list. */
static enum ym_code put_items(struct pack *p, struct ym_status *st)
{
    const json_t *model = json_object_get(json_object_get(p->shown, "content"), "model"), *column;
    const json_t *border = json_object_get(json_object_get(p->border, "card"), "border");
    const json_t *items = json_object_get(json_object_get(border, "zone"), "items");
    struct ym_buf out = {0};
    size_t i;

    ym_buf_puts(&out, "variable,use,unit,values,zone_item\r\n");
    json_array_foreach(json_object_get(model, "inputs"), i, column) put_item(&out, column, "read", items);
    put_item(&out, json_object_get(model, "time"), "read", items);
    put_item(&out, json_object_get(model, "outcome"), "predicted", items);
    return put(p, "items.csv", &out, st);
}

static enum ym_code put_documents(struct pack *p, struct ym_status *st)
{
    static const char *const keys[] = {"record",    "number",     "issuer", "document",   "filed",
                                       "province",  "valid_from", "until",  "recipients", "categories",
                                       "committee", "renews",     "state",  "lacks",      "changed"};
    struct ym_buf out = {0};
    const json_t *f;
    size_t i;

    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        ym_buf_printf(&out, "%s%s", k ? "," : "", keys[k]);
    ym_buf_puts(&out, "\r\n");
    json_array_foreach(json_object_get(p->filings, "filings"), i, f)
    {
        if (strcmp(ym_get_text(f, "study"), p->study) != 0 || strcmp(ym_get_text(f, "dataset"), p->dataset) != 0)
            continue;
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            ym_buf_puts(&out, k ? "," : "");
            ym_buf_csv(&out, ym_get_text(f, keys[k]));
        }
        ym_buf_puts(&out, "\r\n");
    }
    return put(p, "documents.csv", &out, st);
}

static enum ym_code put_people(struct pack *p, struct ym_status *st)
{
    static const char *const keys[] = {"exporters", "forecast", "year", NULL};
    json_t *o = json_object();

    copy(o, p->people, keys);
    return put_json(p, "people.json", o, st);
}

static enum ym_code put_decision(struct pack *p, struct ym_status *st)
{
    static const char *const keys[] = {"asked", "why_not", "decision", "zone", NULL};
    json_t *o = json_object();
    struct ym_buf text = {0};
    enum ym_code code;

    copy(o, p->border, keys);
    json_object_set(o, "rules", json_object_get(p->rules, "rules"));
    code = put_json(p, "decision.json", o, st);
    if (code == YM_OK)
        code = ym_buf_puts(&text, ym_get_text(p->border, "text"));
    return code == YM_OK ? put(p, "decision.txt", &text, st) : code;
}

static enum ym_code put_readme(struct pack *p, struct ym_status *st)
{
    struct ym_buf out = {0};

    for (int l = 0; l < 2; l++) {
        ym_buf_printf(&out, ym_text_in(YM_TEXT_SITE_PACK_README, l ? YM_LANG_ZH : YM_LANG_EN), p->study, p->dataset);
        ym_buf_printf(&out, "%s\n\n", ym_text_in(YM_TEXT_BORDER_NOT_ADVICE, l ? YM_LANG_ZH : YM_LANG_EN));
    }
    return put(p, "README.txt", &out, st);
}

/* The last one: what all others hash to. */
static enum ym_code put_manifest(struct pack *p, uint8_t hash[YM_HASH_BYTES], struct ym_status *st)
{
    char today[YM_DATE_BYTES], path[YM_SITE_PATH];
    struct ym_buf text = {0};
    json_t *o;
    enum ym_code code;

    ym_date_of(ym_clock_unix(), today);
    o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O}", "yumen", "dossier/1", "as_of", today, "study", p->study, "dataset",
                  p->dataset, "plan", ym_get_text(p->shown, "plan"), "files", p->files);
    code = o ? ym_json_canonical(o, &text, st) : ym_status_set(st, YM_EXHAUSTED, "no memory for a manifest");
    if (code == YM_OK)
        code = ym_fs_join(path, sizeof path, p->folder, "manifest.json");
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&text), 0600, st);
    if (code == YM_OK)
        ym_sha256(text.data, text.len, hash);
    ym_buf_release(&text);
    json_decref(o);
    return code;
}

static enum ym_code put_all(struct pack *p, uint8_t hash[YM_HASH_BYTES], struct ym_status *st)
{
    static enum ym_code (*const parts[])(struct pack *, struct ym_status *) = {
        put_request, put_measures, put_items, put_documents, put_people, put_decision, put_readme};
    enum ym_code code = YM_OK;

    if (mkdir(p->folder, 0700) != 0)
        return ym_status_set(st, errno == EEXIST ? YM_CONFLICT : YM_UNAVAILABLE, "cannot make the folder \"%s\": %s",
                             p->folder, strerror(errno));
    for (size_t i = 0; i < sizeof parts / sizeof *parts && code == YM_OK; i++)
        code = parts[i](p, st);
    if (code == YM_OK)
        code = put_json(p, "plan.json", json_incref(json_object_get(p->shown, "content")), st);
    return code == YM_OK ? put_manifest(p, hash, st) : code;
}

/* ---- commands ---- */

static enum ym_code gather(const struct ym_cli_args *a, const struct ym_site *s, struct pack *p, struct ym_status *st)
{
    const char *plan = a->positional[0], *named = ym_cli_get(a, "dataset");
    enum ym_code code = ym_site_ask(s, json_pack("{s:s, s:s}", "do", "plan_show", "plan", plan), &p->shown, st);

    if (code == YM_OK)
        code = ym_site_ask(s,
                           json_pack("{s:s, s:s, s:s, s:b}", "do", "border", "plan", plan, "dataset",
                                     named ? named : "", "forecast", 0),
                           &p->border, st);
    p->study = ym_get_text(p->border, "study");
    p->dataset = ym_get_text(p->border, "dataset");
    if (code == YM_OK)
        code = ym_site_ask(s, json_pack("{s:s}", "do", "dossier_list"), &p->filings, st);
    if (code == YM_OK)
        code = ym_site_ask(s, json_pack("{s:s}", "do", "rules_list"), &p->rules, st);
    if (code == YM_OK)
        code = ym_site_ask(s, json_pack("{s:s, s:s, s:s}", "do", "people", "plan", plan, "dataset", p->dataset),
                           &p->people, st);
    return code;
}

static void release(struct pack *p)
{
    json_decref(p->shown);
    json_decref(p->border);
    json_decref(p->filings);
    json_decref(p->people);
    json_decref(p->rules);
    json_decref(p->files);
}

static void say_done(enum ym_text_id text, size_t files, const char *folder, const uint8_t hash[YM_HASH_BYTES])
{
    struct ym_buf hex = {0};

    if (ym_hex_encode(hash, YM_HASH_BYTES, &hex) == YM_OK)
        printf(ym_text(text), files, folder, ym_buf_str(&hex));
    ym_buf_release(&hex);
    puts(T(BORDER_NOT_ADVICE));
}

int ym_site_cmd_dossier_export(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    uint8_t hash[YM_HASH_BYTES];
    struct ym_site site;
    struct pack p = {.folder = a->positional[1], .files = json_object()};
    enum ym_code code = ym_site_open(a, &site, &st);
    int rc = YM_EXIT_DONE;

    if (code == YM_OK)
        code = gather(a, &site, &p, &st);
    if (code == YM_OK)
        code = put_all(&p, hash, &st);
    if (code != YM_OK)
        rc = ym_site_fail(&site, &st);
    else
        say_done(YM_TEXT_SITE_PACK_WRITTEN, json_object_size(p.files), p.folder, hash);
    release(&p);
    return rc;
}

/* A name that is in the folder itself, and not the manifest's own. */
static bool plain_name(const char *name)
{
    return name[0] && name[0] != '.' && strlen(name) < 64 && strcmp(name, "manifest.json") != 0 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == strlen(name);
}

static bool file_holds(const char *folder, const char *name, const json_t *says, struct ym_status *st)
{
    uint8_t want[YM_HASH_BYTES], have[YM_HASH_BYTES];
    struct ym_buf bytes = {0};
    char path[YM_SITE_PATH];
    enum ym_code code = plain_name(name) ? ym_fs_join(path, sizeof path, folder, name)
                                         : ym_status_set(st, YM_INVALID, "no name of a file: \"%.60s\"", name);

    if (code == YM_OK)
        code = ym_json_get_hash(says, "sha256", want, st);
    if (code == YM_OK)
        code = ym_fs_read(path, FILE_LIMIT, &bytes, st);
    if (code == YM_OK) {
        ym_sha256(bytes.data, bytes.len, have);
        if ((long long)bytes.len != ym_get_int(says, "bytes") || memcmp(want, have, sizeof want) != 0)
            code = ym_status_set(st, YM_CORRUPT, T(SITE_PACK_DIFFERS), name);
    }
    ym_buf_release(&bytes);
    return code == YM_OK;
}

static enum ym_code read_manifest(const char *folder, json_t **out, uint8_t hash[YM_HASH_BYTES], struct ym_status *st)
{
    struct ym_buf text = {0};
    char path[YM_SITE_PATH];
    enum ym_code code = ym_fs_join(path, sizeof path, folder, "manifest.json");

    if (code == YM_OK)
        code = ym_fs_read(path, MANIFEST_MAX, &text, st);
    if (code == YM_OK)
        code = ym_json_parse(text.data, text.len, MANIFEST_MAX, out, st);
    if (code == YM_OK && (strcmp(ym_get_text(*out, "yumen"), "dossier/1") != 0 ||
                          json_object_size(json_object_get(*out, "files")) > MOST_FILES))
        code = ym_status_set(st, YM_INVALID, "%s", T(SITE_PACK_NONE));
    if (code == YM_OK)
        ym_sha256(text.data, text.len, hash);
    ym_buf_release(&text);
    return code;
}

/* Nothing lies beside what the manifest names. */
static enum ym_code no_others(const char *folder, const json_t *files, struct ym_status *st)
{
    char **names = NULL;
    size_t count = 0;
    enum ym_code code = ym_fs_list(folder, &names, &count, st);

    for (size_t i = 0; i < count && code == YM_OK; i++)
        if (strcmp(names[i], "manifest.json") != 0 && !json_object_get(files, names[i]))
            code = ym_status_set(st, YM_CORRUPT, T(SITE_PACK_OTHER), names[i]);
    ym_fs_names_free(names, count);
    return code;
}

int ym_site_cmd_dossier_check(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    const char *folder = a->positional[0], *name;
    uint8_t hash[YM_HASH_BYTES];
    json_t *manifest = NULL, *says;
    const json_t *files;
    enum ym_code code = read_manifest(folder, &manifest, hash, &st);

    files = json_object_get(manifest, "files");
    json_object_foreach((json_t *)files, name, says) if (code == YM_OK && !file_holds(folder, name, says, &st)) code =
        st.code;
    if (code == YM_OK)
        code = no_others(folder, files, &st);
    if (code == YM_OK)
        say_done(YM_TEXT_SITE_PACK_GOOD, json_object_size(files), folder, hash);
    json_decref(manifest);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen-site", &st);
}
