#include "gate/border/seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

#define DOMAIN "yumen/seal/v1"
#define BIT(office) (1u << YM_OFFICE_##office)
#define ALL (BIT(IT) | BIT(DATA_OFFICE) | BIT(ETHICS) | BIT(AUDIT))

enum { KEEP_OPEN = 3, DAY_S = 86400 };

int ym_office_find(const char *word)
{
    for (int i = 0; i < YM_OFFICES; i++)
        if (strcmp(ym_office_word((enum ym_office)i), word) == 0)
            return i;
    return -1;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

static int64_t int_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

/* ---- keys ---- */

void ym_offices_release(struct ym_offices *o)
{
    free(o->used);
    memset(o, 0, sizeof *o);
}

unsigned ym_offices_count(const struct ym_offices *o)
{
    unsigned n = 0;

    for (int i = 0; i < YM_OFFICES; i++)
        n += o->have[i];
    return n;
}

/* key_bytes: 32, or 0 for one that is closed. */
static bool read_rotate(const json_t *members, int *office, uint8_t key[YM_PUBKEY_BYTES], size_t *key_bytes)
{
    const char *text = text_of(members, "public_key");
    struct ym_buf raw = {0};
    bool good;

    *office = ym_office_find(text_of(members, "office"));
    good = ym_base64_decode(text, strlen(text), &raw) == YM_OK && (raw.len == 0 || raw.len == YM_PUBKEY_BYTES);
    if (good && raw.len)
        memcpy(key, raw.data, raw.len);
    *key_bytes = raw.len;
    ym_buf_release(&raw);
    return good && *office >= 0;
}

static enum ym_code use(struct ym_offices *o, const char *signature, struct ym_status *st)
{
    char(*grown)[YM_SEAL_TEXT + 1];

    if (strlen(signature) != YM_SEAL_TEXT)
        return ym_status_set(st, YM_CORRUPT, "a seal's signature has another length");
    if (o->used_count == o->used_cap) {
        size_t cap = o->used_cap ? 2 * o->used_cap : 16;

        grown = realloc(o->used, cap * sizeof *grown);
        if (!grown)
            return ym_status_set(st, YM_EXHAUSTED, "no memory for seals");
        o->used = grown;
        o->used_cap = cap;
    }
    memcpy(o->used[o->used_count++], signature, YM_SEAL_TEXT + 1);
    return YM_OK;
}

enum ym_code ym_offices_take(struct ym_offices *o, const json_t *leaf, struct ym_status *st)
{
    uint8_t key[YM_PUBKEY_BYTES];
    size_t bytes, i;
    int office;
    const json_t *seal;

    json_array_foreach(json_object_get(leaf, "seals"), i, seal)
    {
        enum ym_code code = use(o, text_of(seal, "signature"), st);

        if (code != YM_OK)
            return code;
    }
    if (strcmp(text_of(leaf, "type"), "rotate") != 0)
        return YM_OK;
    if (!read_rotate(leaf, &office, key, &bytes))
        return ym_status_set(st, YM_CORRUPT, "a rotate leaf without an office or a key");
    o->have[office] = bytes > 0;
    if (bytes)
        memcpy(o->key[office], key, sizeof key);
    return YM_OK;
}

static bool anothers_key(const struct ym_offices *o, int office, const uint8_t key[YM_PUBKEY_BYTES])
{
    for (int i = 0; i < YM_OFFICES; i++)
        if (i != office && o->have[i] && memcmp(o->key[i], key, YM_PUBKEY_BYTES) == 0)
            return true;
    return false;
}

enum ym_code ym_offices_may_rotate(const struct ym_offices *o, const json_t *members, struct ym_status *st)
{
    uint8_t key[YM_PUBKEY_BYTES];
    size_t bytes;
    int office;

    if (!read_rotate(members, &office, key, &bytes))
        return ym_status_set(st, YM_INVALID, "%s", T(OFFICE_BAD_KEY));
    if (bytes && anothers_key(o, office, key))
        return ym_status_set(st, YM_DENIED, "%s", T(OFFICE_SAME_KEY));
    if (!bytes && (office == YM_OFFICE_DATA_OFFICE || !o->have[office] || ym_offices_count(o) <= KEEP_OPEN))
        return ym_status_set(st, YM_DENIED, "%s", T(OFFICE_KEEP_OPEN));
    return YM_OK;
}

/* ---- whose leaf, how many ---- */

unsigned ym_seal_may(const char *type, const json_t *members)
{
    int i;

    if (strcmp(type, "approval") == 0)
        return BIT(IT) | BIT(DATA_OFFICE) | BIT(ETHICS);
    if (strcmp(type, "policy") == 0 || strcmp(type, "border") == 0)
        return BIT(IT) | BIT(DATA_OFFICE) | BIT(AUDIT);
    if (strcmp(type, "override") == 0)
        return BIT(DATA_OFFICE) | BIT(ETHICS) | BIT(AUDIT);
    if (strcmp(type, "ruleset") == 0)
        return ALL;
    if (strcmp(type, "rotate") == 0)
        return (i = ym_office_find(text_of(members, "office"))) < 0 ? 0 : ALL & ~(1u << i);
    if (strcmp(type, "dossier") == 0 && (i = ym_record_find(text_of(members, "record"))) >= 0)
        return ym_record_office((enum ym_record)i) == YM_OFFICE_SPONSOR ? BIT(DATA_OFFICE)
                                                                        : 1u << ym_record_office((enum ym_record)i);
    return 0;
}

/* Whether other terms let more in is for people to see: any that differ count. */
static bool other_terms(const json_t *policy, const struct ym_seal_limits *before)
{
    const json_t *terms = json_object_get(policy, "terms");

    return terms && !json_equal(terms, before->terms);
}

static bool loosens(const json_t *policy, const struct ym_seal_limits *before)
{
    return !before->have || int_of(policy, "epsilon_cap_micro") > before->cap_micro ||
           int_of(policy, "epsilon_month_micro") > before->month_micro ||
           int_of(policy, "delta_e18") > before->delta_e18 || int_of(policy, "min_patients") < before->min_patients ||
           other_terms(policy, before);
}

struct ym_seal_need ym_seal_need(const char *type, const json_t *members, const struct ym_seal_limits *before,
                                 const struct ym_offices *o)
{
    struct ym_seal_need need = {.may = ym_seal_may(type, members)};
    bool dossier = strcmp(type, "dossier") == 0;

    if (ym_offices_count(o) < 2 || !need.may)
        return (struct ym_seal_need){0};
    if (strcmp(type, "policy") == 0 && !loosens(members, before))
        return (struct ym_seal_need){0};
    if (strcmp(type, "border") == 0 && json_is_true(json_object_get(members, "asked")))
        return (struct ym_seal_need){0};
    need.must = dossier ? need.may : strcmp(type, "ruleset") == 0 ? BIT(DATA_OFFICE) : 0;
    need.count = dossier ? 1 : 2;
    return need;
}

static unsigned bits(unsigned mask)
{
    return (unsigned)__builtin_popcount(mask);
}

unsigned ym_seal_missing(const struct ym_seal_need *need, unsigned sealed, unsigned *from)
{
    unsigned have = sealed & need->may, must = need->must & ~have;
    unsigned left = bits(have) < need->count ? need->count - bits(have) : 0;

    if (left < bits(must))
        left = bits(must);
    *from = left == 0 ? 0 : left == bits(must) ? must : need->may & ~have;
    return left;
}

/* ---- seals ---- */

static enum ym_code own_members(const json_t *members, struct ym_buf *out, struct ym_status *st)
{
    json_t *bare = json_copy((json_t *)members);
    enum ym_code code = bare ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for a seal");

    if (code == YM_OK) {
        json_object_del(bare, "seals");
        code = ym_json_canonical(bare, out, st);
    }
    json_decref(bare);
    return code;
}

static enum ym_code text_to_sign(const char *type, const char *hospital, const json_t *members, int64_t time,
                                 struct ym_buf *out, struct ym_status *st)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRId64, time);
    if (ym_buf_append(out, DOMAIN, sizeof DOMAIN) != YM_OK || ym_buf_append(out, type, strlen(type) + 1) != YM_OK ||
        ym_buf_append(out, hospital, strlen(hospital) + 1) != YM_OK ||
        ym_buf_append(out, digits, strlen(digits) + 1) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a seal");
    return own_members(members, out, st);
}

enum ym_code ym_seal_name(const char *type, const json_t *members, uint8_t out[YM_HASH_BYTES], struct ym_status *st)
{
    struct ym_buf text = {0};
    enum ym_code code = ym_buf_append(&text, type, strlen(type) + 1);

    if (code == YM_OK)
        code = own_members(members, &text, st);
    if (code == YM_OK)
        ym_sha256(text.data, text.len, out);
    ym_buf_release(&text);
    return code;
}

enum ym_code ym_seal_make(const char *type, const char *hospital, const json_t *members, enum ym_office office,
                          int64_t time, const struct ym_key *key, json_t **out, struct ym_status *st)
{
    uint8_t sig[YM_SIG_BYTES];
    struct ym_buf text = {0}, base64 = {0};
    enum ym_code code = text_to_sign(type, hospital, members, time, &text, st);

    if (code == YM_OK) {
        ym_key_sign(key, text.data, text.len, sig);
        code = ym_base64_encode(sig, sizeof sig, &base64);
    }
    if (code == YM_OK) {
        *out = json_pack("{s:s, s:I, s:s}", "office", ym_office_word(office), "time", (json_int_t)time, "signature",
                         ym_buf_str(&base64));
        code = *out ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for a seal");
    }
    ym_buf_release(&text);
    ym_buf_release(&base64);
    return code;
}

static bool was_used(const struct ym_offices *o, const char *signature)
{
    for (size_t i = 0; i < o->used_count; i++)
        if (strcmp(o->used[i], signature) == 0)
            return true;
    return false;
}

static bool signed_by(const uint8_t key[YM_PUBKEY_BYTES], const struct ym_buf *text, const char *signature)
{
    struct ym_buf sig = {0};
    bool good = strlen(signature) == YM_SEAL_TEXT && ym_base64_decode(signature, strlen(signature), &sig) == YM_OK &&
                sig.len == YM_SIG_BYTES && ym_sig_verify(key, text->data, text->len, sig.data);

    ym_buf_release(&sig);
    return good;
}

enum ym_code ym_seal_check(const struct ym_offices *o, const char *type, const char *hospital, const json_t *members,
                           const json_t *seal, int64_t now, enum ym_office *office, struct ym_status *st)
{
    int who = ym_office_find(text_of(seal, "office"));
    int64_t time = int_of(seal, "time");
    struct ym_buf text = {0};
    enum ym_code code;

    if (who < 0 || json_object_size(seal) != 3 || !(ym_seal_may(type, members) & (1u << who)))
        return ym_status_set(st, YM_DENIED, T(SEAL_NOT_OWN), text_of(seal, "office"), type);
    if (!o->have[who])
        return ym_status_set(st, YM_DENIED, T(SEAL_NO_KEY), text_of(seal, "office"));
    if (time < 0 || time > now + YM_SEAL_AHEAD_S || now > time + (int64_t)YM_SEAL_DAYS * DAY_S)
        return ym_status_set(st, YM_DENIED, T(SEAL_TIME), text_of(seal, "office"), YM_SEAL_DAYS);
    code = text_to_sign(type, hospital, members, time, &text, st);
    if (code == YM_OK && !signed_by(o->key[who], &text, text_of(seal, "signature")))
        code = ym_status_set(st, YM_DENIED, T(SEAL_WRONG), text_of(seal, "office"));
    if (code == YM_OK && was_used(o, text_of(seal, "signature")))
        code = ym_status_set(st, YM_DENIED, T(SEAL_USED), text_of(seal, "office"));
    if (code == YM_OK)
        *office = (enum ym_office)who;
    ym_buf_release(&text);
    return code;
}
