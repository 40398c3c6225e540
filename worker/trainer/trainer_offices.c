#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/trainer/trainer_internal.h"

/* What offices must seal before the site signs it: proposed, kept in pending/
 * until enough people have sealed it, and only then recorded. */

enum { PENDING_MOST = 256, PENDING_MAX = 64 * 1024, DAY_S = 86400, NAME_LEAST = 16, NAME_HEX = 2 * YM_HASH_BYTES };

static struct ym_seal_need need_of(struct ym_trainer *t, const char *type, const json_t *members)
{
    struct ym_budget_policy p = {0};
    struct ym_seal_limits before = {.have = ym_budget_policy(t->budget, &p)};

    before.cap_micro = p.cap_micro;
    before.month_micro = p.month_micro;
    before.delta_e18 = p.delta_e18;
    before.min_patients = ym_core_min_patients(t->core);
    before.terms = t->policy ? t->policy->terms : NULL;
    return ym_seal_need(type, members, &before, &t->offices);
}

/* ---- pending/ ---- */

static enum ym_code pending_path(struct ym_trainer *t, const char *type, const json_t *members, char path[YM_SITE_PATH],
                                 struct ym_status *st)
{
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = ym_seal_name(type, members, hash, st);

    if (code == YM_OK)
        code = ym_site_hash_path(&t->site, "pending", hash, ".json", path);
    return code;
}

static enum ym_code save(struct ym_trainer *t, const json_t *item, struct ym_status *st)
{
    struct ym_buf text = {0};
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_path(&t->site, "pending", NULL, path);

    if (code == YM_OK)
        code = ym_fs_mkdirs(path, 0700, st);
    if (code == YM_OK)
        code = pending_path(t, ym_trainer_text(item, "type"), json_object_get(item, "members"), path, st);
    if (code == YM_OK)
        code = ym_json_canonical(item, &text, st);
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&text), 0600, st);
    ym_buf_release(&text);
    return code;
}

/* Seals that hold no more (a key was replaced, they are old) fall out. */
static void keep_good(struct ym_trainer *t, json_t *item)
{
    json_t *seals = json_object_get(item, "seals");
    enum ym_office office;

    for (size_t i = json_array_size(seals); i-- > 0;)
        if (ym_seal_check(&t->offices, ym_trainer_text(item, "type"), t->site.name, json_object_get(item, "members"),
                          json_array_get(seals, i), ym_clock_unix(), &office, NULL) != YM_OK)
            json_array_remove(seals, i);
}

static bool file_named(const char *name, const char *digits)
{
    return strlen(name) == NAME_HEX + 5 && strncmp(name, digits, strlen(digits)) == 0;
}

/* One file; what does not read, fits another name or is a month old is removed. */
static json_t *load_item(struct ym_trainer *t, const char *name)
{
    struct ym_buf text = {0};
    char path[YM_SITE_PATH], own[YM_SITE_PATH];
    int64_t time = 0;
    json_t *item = NULL;
    bool good = ym_site_path(&t->site, "pending", name, path) == YM_OK &&
                ym_fs_read(path, PENDING_MAX, &text, NULL) == YM_OK &&
                ym_json_parse(text.data, text.len, PENDING_MAX, &item, NULL) == YM_OK &&
                json_is_object(json_object_get(item, "members")) && json_is_array(json_object_get(item, "seals")) &&
                ym_json_get_int(item, "time", 0, INT64_MAX, &time, NULL) == YM_OK &&
                pending_path(t, ym_trainer_text(item, "type"), json_object_get(item, "members"), own, NULL) == YM_OK &&
                strcmp(own, path) == 0 && ym_clock_unix() - time <= (int64_t)YM_SEAL_DAYS * DAY_S;

    ym_buf_release(&text);
    if (good) {
        keep_good(t, item);
        return item;
    }
    unlink(path);
    json_decref(item);
    return NULL;
}

static void drop_item(struct ym_trainer *t, const json_t *item)
{
    char path[YM_SITE_PATH];

    if (pending_path(t, ym_trainer_text(item, "type"), json_object_get(item, "members"), path, NULL) == YM_OK)
        unlink(path);
}

/* All, or those whose name begins with digits; new. */
static json_t *load_items(struct ym_trainer *t, const char *digits)
{
    char path[YM_SITE_PATH], **names = NULL;
    size_t count = 0;
    json_t *list = json_array(), *item;

    if (ym_site_path(&t->site, "pending", NULL, path) == YM_OK)
        ym_fs_list(path, &names, &count, NULL);
    for (size_t i = 0; i < count; i++)
        if (file_named(names[i], digits) && (item = load_item(t, names[i])))
            json_array_append_new(list, item);
    ym_fs_names_free(names, count);
    return list;
}

static json_t *words_of(unsigned mask)
{
    json_t *list = json_array();

    for (int i = 0; i < YM_OFFICES; i++)
        if (mask & (1u << i))
            json_array_append_new(list, json_string(ym_office_word((enum ym_office)i)));
    return list;
}

static unsigned sealed_by(const json_t *item)
{
    unsigned mask = 0;
    size_t i;
    const json_t *seal;

    json_array_foreach(json_object_get(item, "seals"), i, seal)
    {
        int office = ym_office_find(ym_trainer_text(seal, "office"));

        mask |= office < 0 ? 0 : 1u << office;
    }
    return mask;
}

/* The type's own members of a signed leaf; new. */
static json_t *bare_members(const json_t *leaf)
{
    static const char *const envelope[] = {"type", "v", "time", "by", "key", "sig"};
    json_t *o = json_copy((json_t *)leaf);

    for (size_t i = 0; o && i < sizeof envelope / sizeof *envelope; i++)
        json_object_del(o, envelope[i]);
    return o;
}

bool ym_trainer_sealed(void *ctx, const json_t *leaf)
{
    struct ym_trainer *t = ctx;
    const char *type = ym_trainer_text(leaf, "type");
    json_t *members = bare_members(leaf), *seal;
    struct ym_seal_need need = need_of(t, type, members);
    struct ym_status st = YM_STATUS_INIT;
    unsigned sealed = 0, from;
    size_t i;

    json_array_foreach(json_object_get(leaf, "seals"), i, seal)
    {
        enum ym_office office;

        if (ym_seal_check(&t->offices, type, t->site.name, members, seal,
                          json_integer_value(json_object_get(leaf, "time")), &office, &st) == YM_OK)
            sealed |= 1u << office;
    }
    json_decref(members);
    if (ym_seal_missing(&need, sealed, &from) == 0)
        return true;
    ym_log(YM_LOG_WARN, "trainer.unsealed", "type=%s study=%s why=\"%s\"", type, ym_trainer_text(leaf, "study"),
           st.message);
    return false;
}

/* {hash, type, members, sealed, left, from, lapses} */
static json_t *item_json(struct ym_trainer *t, const json_t *item)
{
    const json_t *members = json_object_get(item, "members");
    struct ym_seal_need need = need_of(t, ym_trainer_text(item, "type"), members);
    unsigned from, left = ym_seal_missing(&need, sealed_by(item), &from);
    uint8_t hash[YM_HASH_BYTES];
    json_t *o =
        json_pack("{s:s, s:O, s:o, s:I, s:o, s:I}", "type", ym_trainer_text(item, "type"), "members", (json_t *)members,
                  "sealed", words_of(sealed_by(item)), "left", (json_int_t)left, "from", words_of(from), "lapses",
                  json_integer_value(json_object_get(item, "time")) + (json_int_t)YM_SEAL_DAYS * DAY_S);

    if (o && ym_seal_name(ym_trainer_text(item, "type"), members, hash, NULL) == YM_OK)
        ym_json_set_hash(o, "hash", hash);
    return o;
}

/* ---- recording ---- */

static enum ym_code settle_approval(struct ym_trainer *t, const json_t *members, json_t *seals, struct ym_status *st)
{
    struct ym_actions a = {0};
    struct ym_core_study *s;
    json_t *now = NULL;
    enum ym_code code = ym_core_find(t->core, ym_trainer_text(members, "plan"), &s, st);

    if (code == YM_OK)
        code = ym_core_approval(t->core, s, ym_trainer_text(members, "dataset"), &now, st);
    if (code == YM_OK && !json_equal(now, members))
        code = ym_status_set(st, YM_CONFLICT, "%s", T(SEAL_CHANGED));
    if (code == YM_OK)
        code = ym_trainer_policy_allows(t, s->plan, st);
    if (code == YM_OK)
        code = ym_core_approve(t->core, s, ym_trainer_text(members, "dataset"), seals, &a, st);
    if (code == YM_OK)
        ym_trainer_act(t, &a);
    json_decref(now);
    return code;
}

/* What was true when it was proposed may not be so when the last seal comes. */
static enum ym_code settle(struct ym_trainer *t, const char *type, const json_t *members, json_t *seals,
                           struct ym_status *st)
{
    json_t *all;
    enum ym_code code = YM_OK;

    if (strcmp(type, "approval") == 0)
        return settle_approval(t, members, seals, st);
    if (strcmp(type, "rotate") == 0)
        code = ym_offices_may_rotate(&t->offices, members, st);
    if (code != YM_OK)
        return code;
    all = json_deep_copy(members);
    if (all && json_object_set(all, "seals", seals) != 0) {
        json_decref(all);
        all = NULL;
    }
    return ym_trainer_record_new(t, type, all, st);
}

static enum ym_code keep(struct ym_trainer *t, const char *type, const json_t *members, json_t **reply,
                         struct ym_status *st)
{
    json_t *item = NULL, *waiting = load_items(t, "");
    enum ym_code code = YM_OK;
    size_t i;

    json_array_foreach(waiting, i, item) if (strcmp(ym_trainer_text(item, "type"), type) == 0 &&
                                             json_equal(json_object_get(item, "members"), members)) break;
    item = i < json_array_size(waiting) ? json_incref(item)
                                        : json_pack("{s:I, s:s, s:O, s:[]}", "time", (json_int_t)ym_clock_unix(),
                                                    "type", type, "members", (json_t *)members, "seals");
    if (!item)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for a proposal");
    else if (json_array_size(waiting) >= PENDING_MOST)
        code = ym_status_set(st, YM_EXHAUSTED, T(SEAL_MOST), (int)PENDING_MOST);
    if (code == YM_OK)
        code = save(t, item, st);
    if (code == YM_OK)
        *reply = json_pack("{s:b, s:o}", "ok", 1, "pending", item_json(t, item));
    json_decref(item);
    json_decref(waiting);
    return code;
}

enum ym_code ym_trainer_propose(struct ym_trainer *t, const char *type, json_t *members, json_t **reply,
                                struct ym_status *st)
{
    struct ym_seal_need need;
    json_t *none;
    enum ym_code code;

    if (!members)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a %s leaf", type);
    need = need_of(t, type, members);
    if (need.count > 0) {
        code = keep(t, type, members, reply, st);
    } else {
        none = json_array();
        code = settle(t, type, members, none, st);
        json_decref(none);
    }
    json_decref(members);
    return code;
}

/* ---- the desk ---- */

json_t *ym_trainer_offices_json(struct ym_trainer *t)
{
    json_t *list = json_array();

    for (int i = 0; i < YM_OFFICES; i++) {
        struct ym_buf key = {0};

        if (t->offices.have[i])
            ym_base64_encode(t->offices.key[i], YM_PUBKEY_BYTES, &key);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:I}", "office", ym_office_word((enum ym_office)i), "public_key",
                                        ym_buf_str(&key), "account", (json_int_t)t->site.account[i]));
        ym_buf_release(&key);
    }
    return json_pack("{s:b, s:o}", "ok", 1, "offices", list);
}

json_t *ym_trainer_pending_json(struct ym_trainer *t)
{
    json_t *items = load_items(t, ""), *list = json_array(), *item;
    size_t i;

    json_array_foreach(items, i, item) json_array_append_new(list, item_json(t, item));
    json_decref(items);
    return json_pack("{s:b, s:o}", "ok", 1, "pending", list);
}

enum ym_code ym_trainer_rotate(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    json_t *members = json_pack("{s:s, s:s}", "office", ym_trainer_text(request, "office"), "public_key",
                                ym_trainer_text(request, "key"));
    enum ym_code code = ym_offices_may_rotate(&t->offices, members, st);

    if (code != YM_OK) {
        json_decref(members);
        return code;
    }
    code = ym_trainer_propose(t, "rotate", members, reply, st);
    if (code == YM_OK && !*reply)
        *reply = ym_trainer_offices_json(t);
    return code;
}

/* An office that site.yaml gives an account seals from there alone, whoever else got hold of its key. */
static enum ym_code from_its_account(const struct ym_trainer *t, enum ym_office office, const char *type,
                                     struct ym_status *st)
{
    int64_t want = t->site.account[office];
    bool good = want < 0 || want == t->asker;

    ym_log(good ? YM_LOG_INFO : YM_LOG_WARN, good ? "trainer.seal" : "trainer.seal_refused",
           "type=%s office=%s account=%lld", type, ym_office_word(office), (long long)t->asker);
    return good ? YM_OK
                : ym_status_set(st, YM_DENIED, T(OFFICE_OTHER_ACCOUNT), ym_office_word(office), (long long)want,
                                (long long)t->asker);
}

/* Each must be good; an office's second seal changes nothing. */
static enum ym_code add_seals(struct ym_trainer *t, json_t *item, const json_t *seals, struct ym_status *st)
{
    json_t *have = json_object_get(item, "seals"), *seal;
    size_t i;

    json_array_foreach(seals, i, seal)
    {
        enum ym_office office;
        enum ym_code code = ym_seal_check(&t->offices, ym_trainer_text(item, "type"), t->site.name,
                                          json_object_get(item, "members"), seal, ym_clock_unix(), &office, st);

        if (code == YM_OK)
            code = from_its_account(t, office, ym_trainer_text(item, "type"), st);
        if (code != YM_OK)
            return code;
        if (!(sealed_by(item) & (1u << office)))
            json_array_append(have, seal);
    }
    return YM_OK;
}

static enum ym_code seal_item(struct ym_trainer *t, json_t *item, const json_t *request, json_t **reply,
                              struct ym_status *st)
{
    const char *type = ym_trainer_text(item, "type");
    json_t *members = json_object_get(item, "members");
    struct ym_seal_need need = need_of(t, type, members);
    unsigned from;
    bool done;
    enum ym_code code = add_seals(t, item, json_object_get(request, "seals"), st);

    if (code != YM_OK)
        return code;
    done = ym_seal_missing(&need, sealed_by(item), &from) == 0;
    if (done) {
        code = settle(t, type, members, json_object_get(item, "seals"), st);
        drop_item(t, item);
    } else {
        code = save(t, item, st);
    }
    if (code == YM_OK)
        *reply = json_pack("{s:b, s:b, s:o}", "ok", 1, "done", done, "pending", item_json(t, item));
    return code;
}

enum ym_code ym_trainer_seal(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    const char *digits = ym_trainer_text(request, "hash");
    json_t *items;
    enum ym_code code;

    if (strlen(digits) < NAME_LEAST)
        return ym_status_set(st, YM_INVALID, "%s", T(SEAL_NO_PENDING));
    items = load_items(t, digits);
    code = json_array_size(items) == 1 ? seal_item(t, json_array_get(items, 0), request, reply, st)
                                       : ym_status_set(st, YM_NOT_FOUND, "%s", T(SEAL_NO_PENDING));
    json_decref(items);
    return code;
}
