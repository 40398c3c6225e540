#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"
#include "gate/border/facts.h"

/* Seals of the hospital's offices (docs/leaves.md, "Seals"), read anew from the
 * ledger: whose key was in force, whether each seal fits, and whether a leaf has
 * those that it needs. */

#define DOMAIN "yumen/seal/v1"
#define BIT(office) (1u << YM_OFFICE_##office)
#define EVERY (BIT(IT) | BIT(DATA_OFFICE) | BIT(ETHICS) | BIT(AUDIT))

enum { AHEAD_S = 300, LASTS_S = 30 * 86400, OFFICES = YM_OFFICE_SPONSOR, KEEP = 3 };

struct where {
    struct ym_check *c;
    size_t log, i;
    const struct ym_entry *e;
    struct ym_seal_state *s;
    bool returning;
};
#define FIND(w, reason, ...)                                                                                           \
    do {                                                                                                               \
        if (!(w)->returning)                                                                                           \
            ym_check_find((w)->c, (w)->log, (int64_t)(w)->i, YM_REASON_##reason, __VA_ARGS__);                         \
    } while (0)

static int office_of(const char *word)
{
    for (int i = 0; i < OFFICES; i++)
        if (strcmp(word, ym_office_word((enum ym_office)i)) == 0)
            return i;
    return -1;
}

static unsigned bits(unsigned mask)
{
    return (unsigned)__builtin_popcount(mask);
}

/* Whose own a leaf is. */
static unsigned may_seal(const struct ym_entry *e)
{
    int i;

    switch (e->type) {
    case YM_ENTRY_APPROVAL:
        return BIT(IT) | BIT(DATA_OFFICE) | BIT(ETHICS);
    case YM_ENTRY_POLICY:
    case YM_ENTRY_BORDER:
        return BIT(IT) | BIT(DATA_OFFICE) | BIT(AUDIT);
    case YM_ENTRY_OVERRIDE:
        return BIT(DATA_OFFICE) | BIT(ETHICS) | BIT(AUDIT);
    case YM_ENTRY_RULESET:
        return EVERY;
    case YM_ENTRY_ROTATE:
        return (i = office_of(ym_entry_text(e, "office"))) < 0 ? 0 : EVERY & ~(1u << i);
    case YM_ENTRY_DOSSIER:
        if ((i = ym_record_find(ym_entry_text(e, "record"))) < 0)
            return 0;
        i = ym_record_office((enum ym_record)i);
        return i == YM_OFFICE_SPONSOR ? BIT(DATA_OFFICE) : 1u << i;
    default:
        return 0;
    }
}

static bool read_terms(const struct ym_entry *e, uint8_t hash[32])
{
    struct ym_bytes text;
    bool there = ym_entry_spelled(e, "terms", &text);

    if (there)
        ym_vhash(text.data, text.len, hash);
    return there;
}

static bool other_terms(const struct ym_seal_state *s, const struct ym_entry *e)
{
    uint8_t hash[32];

    return read_terms(e, hash) && !(s->terms && memcmp(s->terms_hash, hash, sizeof hash) == 0);
}

static bool loosens(const struct ym_seal_state *s, const struct ym_entry *e)
{
    return !s->policy || ym_entry_int(e, "epsilon_cap_micro") > s->cap ||
           ym_entry_int(e, "epsilon_month_micro") > s->month || ym_entry_int(e, "delta_e18") > s->delta ||
           ym_entry_int(e, "min_patients") < s->min_patients || other_terms(s, e);
}

/* How many seals, and who must be among them. */
static unsigned needed(const struct ym_seal_state *s, const struct ym_entry *e, unsigned *must)
{
    *must = 0;
    if (bits(s->open) < 2)
        return 0;
    if (e->type == YM_ENTRY_POLICY && !loosens(s, e))
        return 0;
    if (e->type == YM_ENTRY_BORDER && ym_entry_bool(e, "asked"))
        return 0;
    if (e->type == YM_ENTRY_DOSSIER)
        *must = may_seal(e);
    if (e->type == YM_ENTRY_RULESET)
        *must = BIT(DATA_OFFICE);
    return e->type == YM_ENTRY_DOSSIER ? 1 : 2;
}

static bool fits(const struct ym_entry *e, const struct ym_entry_seal *seal, const uint8_t key[32])
{
    struct ym_buf text = {0};
    char digits[24];
    bool good;

    snprintf(digits, sizeof digits, "%" PRId64, seal->time);
    good = ym_buf_append(&text, DOMAIN, sizeof DOMAIN) == YM_OK &&
           ym_buf_append(&text, e->type_name, strlen(e->type_name) + 1) == YM_OK &&
           ym_buf_append(&text, e->by, strlen(e->by) + 1) == YM_OK &&
           ym_buf_append(&text, digits, strlen(digits) + 1) == YM_OK && ym_entry_own_members(e, &text) &&
           ym_vsig_good(key, text.data, text.len, seal->signature);
    ym_buf_release(&text);
    return good;
}

/* The bit of who sealed; 0 and a finding when it is no good. */
static unsigned check_seal(const struct where *w, const struct ym_entry_seal *seal, unsigned before)
{
    int office = office_of(seal->office);
    int64_t time = ym_entry_int(w->e, "time");
    unsigned bit = office < 0 ? 0 : 1u << office;

    if (!(bit & may_seal(w->e)))
        FIND(w, SEAL_WRONG, "a seal of '%.32s' on a %s, which is not its own", seal->office, w->e->type_name);
    else if (!(bit & w->s->open))
        FIND(w, SEAL_WRONG, "'%s' had no key", seal->office);
    else if (bit & before)
        FIND(w, SEAL_WRONG, "'%s' sealed it twice", seal->office);
    else if (seal->time > time + AHEAD_S || time > seal->time + LASTS_S)
        FIND(w, SEAL_WRONG, "the seal of '%s' is of another time", seal->office);
    else if (!fits(w->e, seal, w->s->key[office]))
        FIND(w, SEAL_WRONG, "the seal of '%s' does not fit its key", seal->office);
    else if (ym_vmap_get(&w->c->log[w->log].seen, NULL, "s|%s", seal->text))
        FIND(w, SEAL_WRONG, "the seal of '%s' was used before", seal->office);
    else
        return bit;
    return 0;
}

static bool check_seals(const struct where *w)
{
    struct ym_entry_seal seal;
    unsigned sealed = 0, must, count = needed(w->s, w->e, &must);

    for (size_t k = 0; ym_entry_seal_at(w->e, k, &seal); k++) {
        sealed |= check_seal(w, &seal, sealed);
        ym_check_keep(w->c, &w->c->log[w->log].seen, w->i, "s|%s", seal.text);
    }
    if (bits(sealed) >= count && !(must & ~sealed))
        return true;
    FIND(w, SEALS_MISSING, "%s has good seals of %u office(s), needs %u", w->e->type_name, bits(sealed), count);
    return false;
}

static void take_rotate(const struct where *w)
{
    struct ym_seal_state *s = w->s;
    int office = office_of(ym_entry_text(w->e, "office"));
    uint8_t key[32];
    bool closed = ym_entry_text(w->e, "public_key")[0] == '\0';

    if (office < 0) {
        FIND(w, SEAL_WRONG, "'%.32s' is no office", ym_entry_text(w->e, "office"));
        return;
    }
    if (closed) {
        if (office == YM_OFFICE_DATA_OFFICE || bits(s->open) <= KEEP)
            FIND(w, SEALS_MISSING, "without the key of '%s' too few offices have one", ym_entry_text(w->e, "office"));
        s->open &= ~(1u << office);
        return;
    }
    ym_entry_pub(w->e, "public_key", key);
    for (int k = 0; k < OFFICES; k++)
        if (k != office && s->open & (1u << k) && memcmp(s->key[k], key, sizeof key) == 0)
            FIND(w, SEAL_WRONG, "two offices have one key");
    memcpy(s->key[office], key, sizeof key);
    s->open |= 1u << office;
}

static void take_policy(const struct where *w)
{
    w->s->policy = true;
    w->s->terms = read_terms(w->e, w->s->terms_hash);
    w->s->cap = ym_entry_int(w->e, "epsilon_cap_micro");
    w->s->month = ym_entry_int(w->e, "epsilon_month_micro");
    w->s->delta = ym_entry_int(w->e, "delta_e18");
    w->s->min_patients = ym_entry_int(w->e, "min_patients");
}

bool ym_check_seals(struct ym_check *c, size_t log, size_t i, const struct ym_entry *e, bool returning,
                    struct ym_seal_state *s)
{
    struct where w = {c, log, i, e, s, returning};
    bool sealed = !may_seal(e) || check_seals(&w);

    if (e->type == YM_ENTRY_ROTATE)
        take_rotate(&w);
    if (e->type == YM_ENTRY_POLICY)
        take_policy(&w);
    return sealed;
}
