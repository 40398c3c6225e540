#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmd/site/site.h"
#include "gate/border/words.h"
#include "worker/trainer/office.h"

/* The hospital's offices at the desk: their keys, what waits for their seals, sealing it. */

enum { TRIES = 3, NAME_LEAST = 16 };

/* --offices, else $YUMEN_OFFICES, else SITE/offices */
static enum ym_code keys_dir(const struct ym_cli_args *a, const struct ym_site *s, char out[PATH_MAX])
{
    const char *dir = ym_cli_get(a, "offices");

    if (!dir)
        dir = getenv("YUMEN_OFFICES");
    return dir ? ym_fs_join(out, PATH_MAX, dir, "") : ym_fs_join(out, PATH_MAX, s->dir, "offices");
}

static bool listed(const json_t *list, const char *word)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v) if (strcmp(json_string_value(v) ? json_string_value(v) : "", word) == 0) return true;
    return false;
}

static void join_words(const json_t *list, char *out, size_t cap)
{
    const json_t *v;
    size_t i, used = 0;

    out[0] = '\0';
    json_array_foreach(list, i, v) if (json_is_string(v) && used < cap) used += (size_t)snprintf(
        out + used, cap - used, "%s%s", i ? ", " : "", ym_word_text(YM_WORD_OFFICE, json_string_value(v)));
}

/* Every member, a line each: what is sealed is shown whole. */
static void put_members(FILE *f, const json_t *item)
{
    json_t *members = json_object_get(item, "members"), *value;
    const char *key;

    json_object_foreach(members, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS);

        fprintf(f, "  %s: %s\n", key, text ? text : "?");
        free(text);
    }
}

static void print_members(FILE *f, const json_t *item)
{
    fprintf(f, "%s %s\n", ym_site_leaf_text(ym_get_text(item, "type")), ym_get_text(item, "hash"));
    put_members(f, item);
}

/* ---- sealing ---- */

static enum ym_code seal_with(const char *dir, enum ym_office office, const struct ym_site *s, const json_t *item,
                              json_t *seals, struct ym_status *st)
{
    struct ym_key *key = NULL;
    json_t *seal = NULL;
    enum ym_code code = ym_office_key_load(dir, office, &key, st);

    if (code == YM_NOT_FOUND)
        return YM_OK; /* another account's */
    if (code == YM_OK)
        code = ym_seal_make(ym_get_text(item, "type"), s->name, json_object_get(item, "members"), office,
                            ym_clock_unix(), key, &seal, st);
    ym_key_free(key);
    if (code == YM_OK)
        json_array_append_new(seals, seal);
    return code;
}

/* With every key at hand whose own this is and that did not seal it yet. */
static enum ym_code make_seals(const struct ym_cli_args *a, const struct ym_site *s, const json_t *item, json_t *seals,
                               struct ym_status *st)
{
    unsigned may = ym_seal_may(ym_get_text(item, "type"), json_object_get(item, "members"));
    char dir[PATH_MAX];
    enum ym_code code = keys_dir(a, s, dir);

    for (int i = 0; code == YM_OK && i < YM_OFFICES; i++)
        if (may & (1u << i) && !listed(json_object_get(item, "sealed"), ym_office_word((enum ym_office)i)))
            code = seal_with(dir, (enum ym_office)i, s, item, seals, st);
    return code;
}

/* The name is of these members: what is shown is what is sealed. */
static bool named_so(const json_t *item)
{
    uint8_t own[YM_HASH_BYTES], said[YM_HASH_BYTES];

    return ym_json_get_hash(item, "hash", said, NULL) == YM_OK &&
           ym_seal_name(ym_get_text(item, "type"), json_object_get(item, "members"), own, NULL) == YM_OK &&
           memcmp(own, said, sizeof own) == 0;
}

static void tell_sealed(const json_t *item, const json_t *seals)
{
    json_t *who = json_array();
    const json_t *seal;
    char words[256];
    size_t i;

    json_array_foreach(seals, i, seal) json_array_append(who, json_object_get(seal, "office"));
    join_words(who, words, sizeof words);
    fprintf(stderr, T(SEAL_SEALING), words, ym_site_leaf_text(ym_get_text(item, "type")));
    put_members(stderr, item);
    json_decref(who);
}

/* *out new: what the trainer says, or when nothing could be added {done: false, pending: item}. */
static enum ym_code give_seals(const struct ym_cli_args *a, const struct ym_site *s, json_t *item, json_t **out,
                               struct ym_status *st)
{
    json_t *seals = json_array();
    enum ym_code code =
        named_so(item) ? make_seals(a, s, item, seals, st) : ym_status_set(st, YM_CORRUPT, "%s", T(SEAL_OTHERS));

    if (code == YM_OK && json_array_size(seals) == 0) {
        *out = json_pack("{s:b, s:O}", "done", 0, "pending", item);
    } else if (code == YM_OK) {
        tell_sealed(item, seals);
        code = ym_site_ask(
            s, json_pack("{s:s, s:s, s:O}", "do", "seal", "hash", ym_get_text(item, "hash"), "seals", seals), out, st);
    }
    json_decref(seals);
    return code;
}

static void show_waits(const json_t *item)
{
    char words[256];

    join_words(json_object_get(item, "from"), words, sizeof words);
    printf(T(SEAL_WAITS), ym_get_int(item, "left"), words, ym_get_text(item, "hash"));
}

/* Every member that the asker named is there and the same. */
static bool as_asked(const json_t *item, const json_t *want)
{
    const json_t *members = json_object_get(item, "members"), *mine = json_object_get(want, ym_get_text(item, "type"));
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)mine, key, value)
    {
        if (!json_equal(json_object_get(members, key), value))
            return false;
    }
    return json_is_object(mine);
}

enum ym_code ym_site_ask_sealed(const struct ym_cli_args *a, const struct ym_site *s, json_t *request,
                                const json_t *want, struct ym_sealing *out, struct ym_status *st)
{
    enum ym_code code = request ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for the request");

    *out = (struct ym_sealing){0};
    for (int i = 0; code == YM_OK && i < TRIES; i++) {
        json_t *item, *given = NULL;

        json_decref(out->reply);
        out->reply = NULL;
        code = ym_site_ask(s, json_deep_copy(request), &out->reply, st);
        item = json_object_get(out->reply, "pending");
        if (code != YM_OK || !item)
            break;
        code = as_asked(item, want) ? give_seals(a, s, item, &given, st)
                                    : ym_status_set(st, YM_DENIED, "%s", T(SEAL_OTHERS));
        out->sealed = code == YM_OK && json_is_true(json_object_get(given, "done"));
        if (code == YM_OK && !out->sealed)
            out->waits = json_incref(json_object_get(given, "pending"));
        json_decref(given);
        if (!out->sealed || strcmp(ym_get_text(item, "type"), "override") != 0)
            break; /* an override was in the way: now for what it allows */
    }
    json_decref(request);
    return code;
}

void ym_sealing_release(struct ym_sealing *s)
{
    json_decref(s->reply);
    json_decref(s->waits);
    *s = (struct ym_sealing){0};
}

int ym_sealing_waits(const struct ym_cli_args *a, const struct ym_sealing *s)
{
    if (ym_cli_has(a, "json"))
        ym_site_print_json(s->waits);
    else
        show_waits(s->waits);
    return YM_EXIT_NO;
}

int ym_site_run_sealed(const struct ym_cli_args *a, json_t *request, json_t *want, const char *view,
                       void (*show)(const json_t *reply))
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site s;
    struct ym_sealing sealing = {0};
    int rc = YM_EXIT_DONE;
    enum ym_code code = ym_site_open(a, &s, &st);

    if (code == YM_OK)
        code = ym_site_ask_sealed(a, &s, request, want, &sealing, &st);
    else
        json_decref(request);
    if (code == YM_OK && sealing.sealed) { /* what it is like now */
        json_decref(sealing.reply);
        sealing.reply = NULL;
        code = ym_site_ask(&s, json_pack("{s:s}", "do", view), &sealing.reply, &st);
    }
    if (code != YM_OK)
        rc = ym_site_fail(&s, &st);
    else if (sealing.waits)
        rc = ym_sealing_waits(a, &sealing);
    else if (ym_cli_has(a, "json"))
        ym_site_print_json(sealing.reply);
    else
        show(sealing.reply);
    ym_sealing_release(&sealing);
    json_decref(want);
    return rc;
}

static void show_pending(const json_t *o)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(o, "pending"), i, item)
    {
        print_members(stdout, item);
        show_waits(item);
    }
    if (!json_array_size(json_object_get(o, "pending")))
        fputs(T(SITE_NONE), stdout);
}

int ym_site_cmd_pending_list(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s}", "do", "pending"), show_pending);
}

static json_t *find_item(const json_t *reply, const char *digits)
{
    json_t *item, *found = NULL;
    size_t i;

    json_array_foreach(json_object_get(reply, "pending"), i, item)
    {
        if (strlen(digits) >= NAME_LEAST && strncmp(ym_get_text(item, "hash"), digits, strlen(digits)) == 0)
            found = item;
    }
    return found;
}

int ym_site_cmd_seal(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site s;
    json_t *reply = NULL, *given = NULL, *item = NULL;
    bool done = false;
    enum ym_code code = ym_site_open(a, &s, &st);

    if (code == YM_OK)
        code = ym_site_ask(&s, json_pack("{s:s}", "do", "pending"), &reply, &st);
    if (code == YM_OK && !(item = find_item(reply, a->positional[0])))
        code = ym_status_set(&st, YM_NOT_FOUND, "%s", T(SEAL_NO_PENDING));
    if (code == YM_OK)
        code = give_seals(a, &s, item, &given, &st);
    if (code == YM_OK) {
        done = json_is_true(json_object_get(given, "done"));
        if (ym_cli_has(a, "json"))
            ym_site_print_json(given);
        else if (done)
            fputs(T(SEAL_DONE), stdout);
        else {
            fputs(json_object_get(given, "ok") ? "" : T(SEAL_ALREADY), stdout);
            show_waits(json_object_get(given, "pending"));
        }
    }
    json_decref(reply);
    json_decref(given);
    return code != YM_OK ? ym_site_fail(&s, &st) : done ? YM_EXIT_DONE : YM_EXIT_NO;
}

/* ---- keys ---- */

static int bad_office(const char *word)
{
    fprintf(stderr, "yumen-site: ");
    fprintf(stderr, T(OFFICE_UNKNOWN), word);
    fprintf(stderr, "\n");
    return YM_EXIT_USAGE;
}

static void show_offices(const json_t *o)
{
    static const enum ym_text_id head[] = {YM_TEXT_SITE_COL_OFFICE, YM_TEXT_SITE_COL_KEY, YM_TEXT_SITE_COL_ACCOUNT};
    struct ym_listing t = {.columns = sizeof head / sizeof *head};
    const json_t *row;
    size_t i;

    ym_listing_head(&t, head);
    json_array_foreach(json_object_get(o, "offices"), i, row)
    {
        const char *key = ym_get_text(row, "public_key");
        char office[YM_WORD_BYTES];

        ym_listing_add(&t, "%s", ym_word_named(YM_WORD_OFFICE, ym_get_text(row, "office"), office));
        ym_listing_add(&t, "%s", key[0] ? key : T(OFFICE_CLOSED));
        if (ym_get_int(row, "account") >= 0)
            ym_listing_add(&t, "%lld", ym_get_int(row, "account"));
        else
            ym_listing_add(&t, "-");
    }
    ym_listing_print(&t);
}

int ym_site_cmd_offices_list(const struct ym_cli_args *a)
{
    return ym_site_run(a, json_pack("{s:s}", "do", "offices"), show_offices);
}

int ym_site_cmd_offices_make(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    const char *out = ym_cli_get(a, "out"), *word = a->positional[0];
    struct ym_key *key = NULL;
    struct ym_buf text = {0};
    uint8_t pub[YM_PUBKEY_BYTES];
    int office = ym_office_find(word);
    enum ym_code code;

    if (office < 0)
        return bad_office(word);
    if (!out)
        return ym_site_need("out");
    code = ym_office_key_make(out, (enum ym_office)office, &key, &st);
    if (code == YM_OK) {
        ym_key_public(key, pub);
        code = ym_base64_encode(pub, sizeof pub, &text);
    }
    if (code == YM_OK)
        printf(T(OFFICE_MADE), word, out, ym_buf_str(&text), word, ym_buf_str(&text));
    ym_key_free(key);
    ym_buf_release(&text);
    return code == YM_OK ? YM_EXIT_DONE : ym_site_fail(NULL, &st);
}

static int rotate(const struct ym_cli_args *a, const char *office, const char *key)
{
    if (ym_office_find(office) < 0)
        return bad_office(office);
    return ym_site_run_sealed(a, json_pack("{s:s, s:s, s:s}", "do", "office_rotate", "office", office, "key", key),
                              json_pack("{s:{s:s, s:s}}", "rotate", "office", office, "public_key", key), "offices",
                              show_offices);
}

int ym_site_cmd_offices_replace(const struct ym_cli_args *a)
{
    return rotate(a, a->positional[0], a->positional[1]);
}

int ym_site_cmd_offices_close(const struct ym_cli_args *a)
{
    return rotate(a, a->positional[0], "");
}
