#include "gate/border/consent.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gate/card.h"
#include "gate/plan.h"
#include "gate/schema.h"

enum { MOST_CODES = 64 };

static const char *const consent_words[YM_CONSENT_BITS + 1] = {
#define CONSENT(id, word) word,
    YM_CONSENTS(CONSENT) YM_CAVEATS(CONSENT)
#undef CONSENT
        NULL};

const char *ym_consent_word(enum ym_consent c)
{
    return consent_words[c];
}

void ym_card_consent_release(struct ym_card_consent *c)
{
    for (size_t i = 0; i < YM_CONSENT_BITS; i++)
        free(c->item[i].code);
    free(c->notice);
}

/* ---- reading ---- */

static void *alloc_items(struct ym_schema *s, size_t count, size_t size)
{
    void *items = count ? calloc(count, size) : NULL;
    s->exhausted |= count && !items;
    return items;
}

static void read_item(struct ym_schema *s, const struct ym_at *at, const char *word, struct ym_consent_item *out)
{
    static const char *const keys[] = {"column", "codes", NULL};
    struct ym_at item = ym_schema_object(s, at, word, true);
    ym_schema_keys(s, &item, keys);
    ym_schema_text(s, &item, "column", NULL, out->column, sizeof out->column);
    struct ym_at list = ym_schema_list(s, &item, "codes", 1, MOST_CODES);
    size_t count = ym_schema_count(&list);
    out->code = alloc_items(s, count, sizeof *out->code);
    for (size_t i = 0; out->code && i < count; i++)
        if (ym_schema_item_text(s, &list, i, out->code[out->code_count], sizeof *out->code))
            out->code_count++;
}

/* Words first .. end of the mapping key. */
static void read_items(struct ym_schema *s, const struct ym_at *at, const char *key, int first, int end,
                       struct ym_card_consent *out)
{
    const char *known[YM_CONSENT_BITS + 1] = {NULL};
    struct ym_at map = ym_schema_object(s, at, key, false);
    memcpy(known, consent_words + first, (size_t)(end - first) * sizeof *known);
    ym_schema_keys(s, &map, known);
    for (int i = first; i < end; i++)
        if (ym_schema_has(&map, consent_words[i]))
            read_item(s, &map, consent_words[i], &out->item[i]);
}

static void read_nobody(struct ym_schema *s, const struct ym_at *at, struct ym_card_consent *out)
{
    struct ym_at list = ym_schema_list(s, at, "nobody", 0, YM_CONSENT_BITS - YM_CONSENT_COUNT);
    char word[64];
    for (size_t i = 0; i < ym_schema_count(&list); i++) {
        int found = YM_CONSENT_COUNT;
        if (!ym_schema_item_text(s, &list, i, word, sizeof word))
            continue;
        while (found < YM_CONSENT_BITS && strcmp(consent_words[found], word))
            found++;
        if (found == YM_CONSENT_BITS || out->item[found].nobody || out->item[found].column[0])
            ym_schema_say(s, &list, NULL, T(CONSENT_NOBODY), word);
        else
            out->item[found].nobody = true;
    }
}

static void read_notice(struct ym_schema *s, const struct ym_at *at, struct ym_consent_notice *out)
{
    static const char *const keys[] = {"code",
                                       "level",
                                       "recipient",
                                       "contact",
                                       "purpose",
                                       "method",
                                       "categories",
                                       "rights",
#define TOPIC(id, word) word,
                                       YM_NOTICE_TOPICS(TOPIC)
#undef TOPIC
                                           NULL};
    static const char *const levels[] = {"general", "enhanced", NULL};
    struct ym_notice n = {0};
    size_t level = 0;
    ym_schema_keys(s, at, keys);
    ym_schema_text(s, at, "code", NULL, out->code, sizeof out->code);
    ym_schema_choice(s, at, "level", NULL, levels, &level);
    ym_schema_text(s, at, "recipient", NULL, n.recipient, sizeof n.recipient);
    ym_schema_text(s, at, "contact", NULL, n.contact, sizeof n.contact);
    ym_schema_text(s, at, "purpose", NULL, n.purpose, sizeof n.purpose);
    ym_schema_text(s, at, "method", NULL, n.method, sizeof n.method);
    ym_schema_text(s, at, "categories", NULL, n.categories, sizeof n.categories);
    ym_schema_text(s, at, "rights", NULL, n.rights, sizeof n.rights);
    ym_notice_read_topics(s, at, n.topic);
    out->enhanced = level;
    ym_notice_hash(&n, out->hash);
}

static void read_notices(struct ym_schema *s, const struct ym_at *at, struct ym_card_consent *out)
{
    struct ym_at list = ym_schema_list(s, at, "notices", 0, YM_CONSENT_MAX_NOTICES);
    size_t count = ym_schema_count(&list);
    out->notice = alloc_items(s, count, sizeof *out->notice);
    out->notice_count = out->notice ? count : 0;
    for (size_t i = 0; i < out->notice_count; i++) {
        struct ym_at item = ym_schema_item(s, &list, i);
        read_notice(s, &item, &out->notice[i]);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(out->notice[k].code, out->notice[i].code))
                ym_schema_say(s, &item, "code", T(CARD_DUPLICATE), out->notice[i].code);
    }
}

void ym_consent_read_card(struct ym_schema *s, const struct ym_at *root, struct ym_card_consent *out)
{
    static const char *const keys[] = {"collected_for", "given",       "unless",  "nobody",
                                       "notice_column", "form_column", "notices", NULL};
    if (!ym_schema_has(root, "consent"))
        return;
    struct ym_at at = ym_schema_object(s, root, "consent", true);
    out->given = true;
    ym_schema_keys(s, &at, keys);
    if (ym_schema_has(&at, "collected_for"))
        ym_schema_name(s, &at, "collected_for", out->collected_for);
    read_items(s, &at, "given", 0, YM_CONSENT_COUNT, out);
    read_items(s, &at, "unless", YM_CONSENT_COUNT, YM_CONSENT_BITS, out);
    read_nobody(s, &at, out);
    if (ym_schema_has(&at, "notice_column"))
        ym_schema_text(s, &at, "notice_column", NULL, out->notice_column, sizeof out->notice_column);
    if (ym_schema_has(&at, "form_column"))
        ym_schema_text(s, &at, "form_column", NULL, out->form_column, sizeof out->form_column);
    if (out->item[YM_CONSENT_WRITTEN].column[0] && !out->form_column[0])
        ym_schema_say(s, &at, "form_column", "%s", T(CONSENT_FORM));
    read_notices(s, &at, out);
}

/* ---- a patient's word ---- */

static void add_column(const char *column, const char **out, size_t *count)
{
    size_t i = 0;
    while (i < *count && strcmp(out[i], column))
        i++;
    if (column[0] && i == *count)
        out[(*count)++] = column;
}

size_t ym_consent_columns(const struct ym_card_consent *c, const char *out[YM_CONSENT_COLUMNS])
{
    size_t count = 0;
    for (size_t i = 0; i < YM_CONSENT_BITS; i++)
        add_column(c->item[i].column, out, &count);
    add_column(c->notice_column, out, &count);
    add_column(c->form_column, out, &count);
    return count;
}

static bool cell_is(const char *cell, size_t len, const char *code)
{
    return strlen(code) == len && !memcmp(cell, code, len);
}

static bool item_says(const struct ym_consent_item *item, ym_consent_cell_fn cell, void *ctx)
{
    size_t len = 0;
    const char *text = item->column[0] ? cell(ctx, item->column, &len) : NULL;
    for (size_t i = 0; text && i < item->code_count; i++)
        if (cell_is(text, len, item->code[i]))
            return true;
    return false;
}

/* A form that nobody can be shown was not signed. */
static bool form_is_there(const struct ym_card_consent *c, ym_consent_cell_fn cell, void *ctx)
{
    size_t len = 0;
    uint8_t hash[YM_HASH_BYTES];
    const char *text = c->form_column[0] ? cell(ctx, c->form_column, &len) : NULL;
    return text && ym_hex_decode(text, len, hash, sizeof hash) == YM_OK;
}

static uint64_t notice_of_row(const struct ym_card_consent *c, ym_consent_cell_fn cell, void *ctx)
{
    size_t len = 0;
    const char *text = c->notice_column[0] ? cell(ctx, c->notice_column, &len) : NULL;
    for (size_t i = 0; text && i < c->notice_count; i++)
        if (cell_is(text, len, c->notice[i].code))
            return i + 1;
    return 0;
}

uint64_t ym_consent_of_row(const struct ym_card_consent *c, ym_consent_cell_fn cell, void *ctx)
{
    uint64_t word = notice_of_row(c, cell, ctx) << YM_CONSENT_NOTICE_SHIFT;
    for (unsigned i = 0; i < YM_CONSENT_BITS; i++) {
        const struct ym_consent_item *item = &c->item[i];
        bool says = item_says(item, cell, ctx);
        bool set = i < YM_CONSENT_COUNT ? says : !says && !item->nobody;
        word |= (uint64_t)set << i;
    }
    if (!form_is_there(c, cell, ctx))
        word &= ~YM_CONSENT_BIT(WRITTEN);
    return c->given ? word : 0;
}

uint64_t ym_consent_join(uint64_t a, uint64_t b)
{
    const uint64_t given = (UINT64_C(1) << YM_CONSENT_COUNT) - 1;
    const uint64_t caveats = ((UINT64_C(1) << YM_CONSENT_BITS) - 1) & ~given;
    uint64_t notice = a >> YM_CONSENT_NOTICE_SHIFT == b >> YM_CONSENT_NOTICE_SHIFT ? a >> YM_CONSENT_NOTICE_SHIFT : 0;
    return (a & b & given) | ((a | b) & caveats) | notice << YM_CONSENT_NOTICE_SHIFT;
}

/* ---- what a plan needs ---- */

static bool declared(const struct ym_facts *f, enum ym_choice c, const char *value)
{
    return f->choice[c] == (uint8_t)ym_choice_value_find(c, value);
}

static uint64_t notices_of(const struct ym_plan *plan, const struct ym_card_consent *c, bool enhanced)
{
    uint8_t want[YM_HASH_BYTES];
    uint64_t good = 0;
    ym_notice_of(plan, want);
    for (size_t i = 0; i < c->notice_count; i++)
        if (!memcmp(c->notice[i].hash, want, sizeof want) && (c->notice[i].enhanced || !enhanced))
            good |= UINT64_C(1) << (i + 1);
    return good;
}

void ym_consent_needed(const struct ym_plan *plan, const struct ym_card *card, bool determination, bool ethics,
                       struct ym_consent_need *out)
{
    const struct ym_facts *theirs = &plan->border.declared, *ours = &card->border.declared;
    bool inside = declared(theirs, YM_CHOICE_RECIPIENT, "mainland") &&
                  declared(theirs, YM_CHOICE_OVERSEAS_ACCESS, "none") &&
                  !declared(theirs, YM_CHOICE_FOREIGN_UNIT, "yes");
    uint64_t separate = (declared(ours, YM_CHOICE_SENSITIVE_PI, "no") ? 0 : YM_CONSENT_BIT(SENSITIVE_PI)) |
                        (inside ? 0 : YM_CONSENT_BIT(CROSS_BORDER));
    *out = (struct ym_consent_need){.asked = card->consent.given, .guardian = ethics};
    memcpy(out->card, card->hash, sizeof out->card);
    out->bits = YM_CONSENT_BIT(PARTICIPATION) | separate;
    if (strcmp(card->consent.collected_for, plan->study) != 0)
        out->bits |= YM_CONSENT_BIT(SECONDARY_USE);
    if (!declared(ours, YM_CHOICE_HGR, "no"))
        out->bits |= YM_CONSENT_BIT(HGR_COLLECT) | YM_CONSENT_BIT(HGR_PRESERVE) | YM_CONSENT_BIT(HGR_USE) |
                     YM_CONSENT_BIT(WRITTEN) | (inside ? 0 : YM_CONSENT_BIT(HGR_PROVIDE_ABROAD));
    if (separate && !determination)
        out->caveats = YM_CONSENT_BIT(BUNDLED) | YM_CONSENT_BIT(BROAD);
    out->notices = notices_of(plan, &card->consent, !inside);
}

void ym_consent_needed_inside(const struct ym_card *card, bool determination, bool ethics, struct ym_consent_need *out)
{
    const struct ym_facts *ours = &card->border.declared;
    *out = (struct ym_consent_need){.asked = true, .guardian = ethics, .notices = UINT64_MAX};
    memcpy(out->card, card->hash, sizeof out->card);
    out->bits = YM_CONSENT_BIT(SECONDARY_USE);
    if (!declared(ours, YM_CHOICE_SENSITIVE_PI, "no"))
        out->bits |= YM_CONSENT_BIT(SENSITIVE_PI);
    if (!declared(ours, YM_CHOICE_HGR, "no"))
        out->bits |= YM_CONSENT_BIT(HGR_USE) | YM_CONSENT_BIT(WRITTEN);
    if (!determination)
        out->caveats = YM_CONSENT_BIT(BUNDLED) | YM_CONSENT_BIT(BROAD);
}

bool ym_consent_need_same(const struct ym_consent_need *a, const struct ym_consent_need *b)
{
    return a->asked == b->asked && a->bits == b->bits && a->caveats == b->caveats && a->guardian == b->guardian &&
           a->notices == b->notices && !memcmp(a->card, b->card, YM_HASH_BYTES);
}

static bool vulnerable_alone(const struct ym_consent_need *need, uint64_t word)
{
    return word & YM_CONSENT_BIT(VULNERABLE) && !(need->guardian && word & YM_CONSENT_BIT(GUARDIAN));
}

int ym_consent_lacks(const struct ym_consent_need *need, uint64_t word)
{
    uint64_t missing = (need->bits & ~word) | (need->caveats & word);
    if (!need->asked)
        return -1;
    if (missing)
        return __builtin_ctzll(missing);
    if (vulnerable_alone(need, word))
        return YM_CONSENT_VULNERABLE;
    return need->notices >> (word >> YM_CONSENT_NOTICE_SHIFT) & 1 ? -1 : YM_CONSENT_BITS;
}
