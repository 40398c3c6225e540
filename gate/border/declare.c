#include "gate/border/declare.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "gate/card.h"
#include "gate/plan.h"
#include "gate/schema.h"

/* ---- reading ---- */

/* Choices that nobody declares: they follow from something else. */
static bool computed(int choice)
{
    return choice == YM_CHOICE_TIER || choice == YM_CHOICE_CONSENT || choice == YM_CHOICE_EXPORTER ||
           choice == YM_CHOICE_AI_SECTIONS;
}

static void declare_choice(struct ym_schema *s, struct ym_at *at, int c, const char *word, struct ym_facts *f)
{
    char text[64];
    if (!ym_schema_pair_text(s, at, word, text, sizeof text))
        return;
    int v = ym_choice_value_find((enum ym_choice)c, text);
    bool follows = c == YM_CHOICE_ZONE && v > 1; /* from a list */
    if (v < 0 || follows || !strcmp(text, "wrong_signer"))
        ym_schema_say(s, at, word, T(RULES_VALUE), text);
    else
        f->choice[c] = (uint8_t)v;
}

static void read_declares(struct ym_schema *s, const struct ym_at *border, enum ym_office role, struct ym_facts *f)
{
    const char *word;
    json_t *value;
    struct ym_at at = ym_schema_object(s, border, "declares", false);
    json_object_foreach((json_t *)at.value, word, value)
    {
        int c = ym_choice_find(word), p = ym_people_find(word);
        (void)value;
        if (c >= 0 && !computed(c) && ym_choice_office((enum ym_choice)c) == role)
            declare_choice(s, &at, c, word, f);
        else if (p >= 0 && ym_people_office((enum ym_people)p) == role)
            ym_schema_int(s, &at, word, NULL, 0, INT64_MAX, &f->people[p]);
        else
            ym_schema_say(s, &at, word, "%s", T(BORDER_NOT_YOURS));
    }
}

void ym_card_border_release(struct ym_card_border *b)
{
    ym_card_zone_release(&b->zone);
}

/* A letter and its accent apart: the same name could be written in two ways. */
static bool combines(const char *text)
{
    uint32_t c;
    for (size_t step; (step = ym_text_character(text, &c)) > 0; text += step)
        if (c >= 0x300 && c <= 0x36f)
            return true;
    return false;
}

void ym_border_read_card(struct ym_schema *s, const struct ym_at *root, struct ym_card_border *out)
{
    static const char *const keys[] = {"exporter", "exporter_elsewhere", "province", "declares", "zone", NULL};
    ym_facts_init(&out->declared);
    if (!ym_schema_has(root, "border"))
        return;
    struct ym_at at = ym_schema_object(s, root, "border", true);
    ym_schema_keys(s, &at, keys);
    if (ym_schema_text(s, &at, "exporter", NULL, out->exporter, sizeof out->exporter))
        out->declared.choice[YM_CHOICE_EXPORTER] = 1;
    if (combines(out->exporter))
        ym_schema_say(s, &at, "exporter", "%s", T(BORDER_COMBINES));
    if (ym_schema_has(&at, "exporter_elsewhere"))
        ym_schema_int(s, &at, "exporter_elsewhere", NULL, 0, INT32_MAX, &out->elsewhere);
    if (ym_schema_has(&at, "province"))
        ym_schema_name(s, &at, "province", out->province);
    read_declares(s, &at, YM_OFFICE_DATA_OFFICE, &out->declared);
    if (ym_schema_has(&at, "zone"))
        ym_zone_read_card(s, &at, &out->zone);
    if (out->zone.list[0] && out->declared.choice[YM_CHOICE_ZONE])
        ym_schema_say(s, &at, "zone", "%s", T(ZONE_TWICE));
}

/* Eight sections, each a text; all eight: complete. */
static void read_duties(struct ym_schema *s, const struct ym_at *border, struct ym_facts *f)
{
    static const char *const duties[] = {"sourcing",          "consent",        "data_quality",
                                         "data_security",     "annotation",     "content_labels",
                                         "misuse_prevention", "explainability", NULL};
    char text[512];
    bool all = true;
    struct ym_at at = ym_schema_object(s, border, "ai", false);
    ym_schema_keys(s, &at, duties);
    for (size_t i = 0; duties[i]; i++)
        if (ym_schema_has(&at, duties[i]))
            all &= ym_schema_text(s, &at, duties[i], NULL, text, sizeof text);
        else
            all = false;
    f->choice[YM_CHOICE_AI_SECTIONS] = all ? 1 : 2;
}

void ym_border_read_plan(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {"recipient",
                                       "contact",
                                       "method",
                                       "categories",
                                       "rights",
                                       "storage",
                                       "foreign_law",
                                       "model_release",
                                       "recipients",
                                       "declares",
                                       "ai",
#define TOPIC(id, word) word,
                                       YM_NOTICE_TOPICS(TOPIC)
#undef TOPIC
                                           NULL};
    static const char *const releases[] = {"open", "domestic_only", NULL};
    struct ym_plan_border *out = &plan->border;
    size_t release = 0;
    ym_facts_init(&out->declared);
    if (!ym_schema_has(root, "border"))
        return;
    struct ym_at at = ym_schema_object(s, root, "border", true);
    out->given = true;
    ym_schema_keys(s, &at, keys);
    ym_notice_read_topics(s, &at, out->topic);
    ym_schema_text(s, &at, "recipient", NULL, out->recipient, sizeof out->recipient);
    ym_schema_text(s, &at, "contact", NULL, out->contact, sizeof out->contact);
    ym_schema_text(s, &at, "method", NULL, out->method, sizeof out->method);
    ym_schema_text(s, &at, "categories", NULL, out->categories, sizeof out->categories);
    ym_schema_text(s, &at, "rights", NULL, out->rights, sizeof out->rights);
    ym_schema_text(s, &at, "storage", NULL, out->storage, sizeof out->storage);
    ym_schema_text(s, &at, "foreign_law", NULL, out->foreign_law, sizeof out->foreign_law);
    ym_schema_choice(s, &at, "model_release", "open", releases, &release);
    out->domestic_only = release;
    ym_recipients_read(s, &at, release, plan, &out->recipients);
    read_declares(s, &at, YM_OFFICE_SPONSOR, &out->declared);
    read_duties(s, &at, &out->declared);
}

/* ---- what follows ---- */

const char *ym_material_word(enum ym_material m)
{
    static const char *const words[] = {"purpose", "scope", "sensitivity", "storage", "method", "foreign_law"};
    return words[m];
}

/* Texts one after another, each with its length before it, so that no two lists of texts hash alike. */
static void add_text(struct ym_sha256 *h, const char *text)
{
    uint64_t len = strlen(text);
    uint8_t size[8];
    for (size_t i = 0; i < sizeof size; i++)
        size[i] = (uint8_t)(len >> 8 * i);
    ym_sha256_update(h, size, sizeof size);
    ym_sha256_update(h, text, len);
}

static void hash_texts(const char *const *text, size_t count, uint8_t out[YM_HASH_BYTES])
{
    struct ym_sha256 *h = ym_sha256_new();
    for (size_t i = 0; i < count; i++)
        add_text(h, text[i]);
    ym_sha256_final(&h, out);
}

static const char *said(const struct ym_facts *f, enum ym_choice c)
{
    return ym_choice_value(c, f->choice[c]);
}

/* Where the exporter is and what it says of each variable; nothing of a card that does not say. */
static void add_zone(struct ym_sha256 *h, const struct ym_plan *plan, const struct ym_card_border *b)
{
    char version[24];
    if (b->province[0])
        add_text(h, b->province);
    if (!b->zone.list[0])
        return;
    snprintf(version, sizeof version, "%lld", (long long)b->zone.version);
    add_text(h, b->zone.list);
    add_text(h, version);
    add_text(h, b->zone.registered);
    for (size_t i = 0; i < plan->input_count; i++)
        add_text(h, ym_zone_item_of(&b->zone, plan->input[i].name));
    add_text(h, ym_zone_item_of(&b->zone, plan->outcome.name));
}

static void scope_of(const struct ym_plan *plan, const struct ym_card *card, uint8_t out[YM_HASH_BYTES])
{
    struct ym_sha256 *h = ym_sha256_new();
    for (size_t i = 0; i < plan->input_count; i++)
        add_text(h, plan->input[i].name);
    add_text(h, plan->outcome.name);
    add_text(h, card->name);
    add_text(h, card->border.exporter);
    add_zone(h, plan, &card->border);
    ym_sha256_final(&h, out);
}

void ym_material_of(const struct ym_plan *plan, const struct ym_card *card,
                    uint8_t out[YM_MATERIAL_COUNT][YM_HASH_BYTES])
{
    const struct ym_plan_border *b = &plan->border;
    const char *sensitivity[] = {card->tier, said(&card->border.declared, YM_CHOICE_SENSITIVE_PI),
                                 said(&card->border.declared, YM_CHOICE_HGR)};
    const char *method[] = {b->recipient, b->method, said(&b->declared, YM_CHOICE_RECIPIENT),
                            said(&b->declared, YM_CHOICE_OVERSEAS_ACCESS)};
    const char *purpose = plan->purpose, *storage = b->storage, *law = b->foreign_law;
    hash_texts(&purpose, 1, out[YM_MATERIAL_PURPOSE]);
    scope_of(plan, card, out[YM_MATERIAL_SCOPE]);
    hash_texts(sensitivity, sizeof sensitivity / sizeof *sensitivity, out[YM_MATERIAL_SENSITIVITY]);
    hash_texts(&storage, 1, out[YM_MATERIAL_STORAGE]);
    hash_texts(method, sizeof method / sizeof *method, out[YM_MATERIAL_METHOD]);
    hash_texts(&law, 1, out[YM_MATERIAL_FOREIGN_LAW]);
}

/* Topics that nobody addresses are none of the notice. */
static void hash_notice(const char *recipient, const char *contact, const char *purpose, const char *method,
                        const char *categories, const char *rights, const char (*topic)[256],
                        uint8_t out[YM_HASH_BYTES])
{
    const char *text[6 + YM_NOTICE_TOPIC_COUNT] = {recipient, contact, purpose, method, categories, rights};
    bool any = false;
    for (size_t i = 0; i < YM_NOTICE_TOPIC_COUNT; i++) {
        text[6 + i] = topic[i];
        any |= topic[i][0] != 0;
    }
    hash_texts(text, any ? 6 + YM_NOTICE_TOPIC_COUNT : 6, out);
}

void ym_notice_read_topics(struct ym_schema *s, const struct ym_at *at, char topic[YM_NOTICE_TOPIC_COUNT][256])
{
    static const char *const word[] = {
#define TOPIC(id, word) word,
        YM_NOTICE_TOPICS(TOPIC)
#undef TOPIC
    };
    for (size_t i = 0; i < YM_NOTICE_TOPIC_COUNT; i++)
        if (ym_schema_has(at, word[i]))
            ym_schema_text(s, at, word[i], NULL, topic[i], sizeof topic[i]);
}

void ym_notice_hash(const struct ym_notice *n, uint8_t out[YM_HASH_BYTES])
{
    hash_notice(n->recipient, n->contact, n->purpose, n->method, n->categories, n->rights, n->topic, out);
}

void ym_notice_of(const struct ym_plan *plan, uint8_t out[YM_HASH_BYTES])
{
    const struct ym_plan_border *b = &plan->border;
    hash_notice(b->recipient, b->contact, plan->purpose, b->method, b->categories, b->rights, b->topic, out);
}

void ym_border_facts(const struct ym_plan *plan, const struct ym_card *card, struct ym_facts *out)
{
    const struct ym_facts *theirs = &plan->border.declared, *ours = &card->border.declared;
    int tier = ym_choice_value_find(YM_CHOICE_TIER, card->tier);
    ym_facts_init(out);
    for (size_t i = 0; i < YM_CHOICE_COUNT; i++)
        out->choice[i] = ym_choice_office((enum ym_choice)i) == YM_OFFICE_SPONSOR ? theirs->choice[i] : ours->choice[i];
    for (size_t i = 0; i < YM_PEOPLE_COUNT; i++)
        out->people[i] = ours->people[i];
    out->choice[YM_CHOICE_TIER] = (uint8_t)(tier < 0 ? 0 : tier);
    out->choice[YM_CHOICE_CONSENT] = 0;
}

static bool blank(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0xa0 || c == 0x3000;
}

/* As people see it: case and width of Latin letters, white space and what takes no room do not count. Never longer. */
static size_t fold_name(const char *name, char *out)
{
    size_t len = 0, step;
    uint32_t c;
    bool gap = false;
    for (; *name; name += step) {
        step = ym_text_character(name, &c);
        if (step == 0)
            break;
        if (blank(c) || ym_text_hides(c)) {
            gap |= blank(c);
            continue;
        }
        if (gap && len > 0)
            out[len++] = ' ';
        gap = false;
        if (c >= 0xff01 && c <= 0xff5e)
            c -= 0xfee0;
        if (c < 0x80)
            out[len++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        else
            for (size_t i = 0; i < step; i++)
                out[len++] = name[i];
    }
    return len;
}

/* context with its NUL */
static void hash_name(const char *context, const char *name, uint8_t out[YM_HASH_BYTES])
{
    char text[32 + 256];
    size_t len = strlen(context) + 1;
    memcpy(text, context, len);
    ym_sha256(text, len + fold_name(name, text + len), out);
}

void ym_exporter_of(const struct ym_card *card, uint8_t out[YM_HASH_BYTES])
{
    hash_name("yumen/exporter/v1", card->border.exporter, out);
}

void ym_recipient_of(const struct ym_plan *plan, uint8_t out[YM_HASH_BYTES])
{
    hash_name("yumen/recipient/v1", plan->border.recipient, out);
}
