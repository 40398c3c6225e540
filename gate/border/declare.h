#ifndef YM_GATE_BORDER_DECLARE_H
#define YM_GATE_BORDER_DECLARE_H

#include "base/crypto.h"
#include "gate/border/facts.h"
#include "gate/border/recipients.h"
#include "gate/border/zone.h"

/* What people declare about a transfer: the hospital's data office on the data
 * card, the sponsor in the plan. Both under the key "border" (docs/data.md,
 * docs/plan.md); absent means that all of it is unknown. */

struct ym_card_border {
    char exporter[256]; /* organisation that exports; "" unknown. The people meter's key */
    int64_t elsewhere;  /* people it counts this year where this federation does not see it */
    char province[64];  /* where it is registered; "" unknown */
    struct ym_card_zone zone;
    struct ym_facts declared;
};

/* What no rule settles and a notice should say: TOPIC(id, word). Where a plan says nothing of it, people read "not
 * addressed"; what it says is part of the notice like the rest. */
#define YM_NOTICE_TOPICS(TOPIC)                                                                                        \
    TOPIC(RISKS, "risks")             /* of the recipient's jurisdiction */                                            \
    TOPIC(OBLIGATIONS, "obligations") /* of the recipient */                                                           \
    TOPIC(ONWARD, "onward")           /* transfers to others */                                                        \
    TOPIC(BREACH, "breach")           /* who tells whom when something went wrong */                                   \
    TOPIC(REMEDIES, "remedies")       /* for patients */
enum ym_notice_topic {
#define TOPIC(id, word) YM_NOTICE_##id,
    YM_NOTICE_TOPICS(TOPIC)
#undef TOPIC
        YM_NOTICE_TOPIC_COUNT
};

struct ym_plan_border {
    bool given;
    char recipient[256], contact[256], method[256], categories[256], rights[256]; /* what a notice to patients names */
    char topic[YM_NOTICE_TOPIC_COUNT][256];                                       /* "": not addressed */
    char storage[256], foreign_law[256];
    bool domestic_only; /* the model is for domestic recipients alone: */
    struct ym_plan_recipients recipients;
    struct ym_facts declared;
};

struct ym_schema;
struct ym_at;
struct ym_plan;
void ym_card_border_release(struct ym_card_border *b);
void ym_border_read_card(struct ym_schema *s, const struct ym_at *root, struct ym_card_border *out);
/* After the plan's hospitals. */
void ym_border_read_plan(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan);

/* The six facts whose change makes a filing stale. */
enum ym_material {
    YM_MATERIAL_PURPOSE,
    YM_MATERIAL_SCOPE,       /* the columns, whose they are, what each is on a zone's list */
    YM_MATERIAL_SENSITIVITY, /* tier, sensitive personal information, genetic resources */
    YM_MATERIAL_STORAGE,
    YM_MATERIAL_METHOD, /* recipient, where, how */
    YM_MATERIAL_FOREIGN_LAW,
    YM_MATERIAL_COUNT
};
const char *ym_material_word(enum ym_material m); /* "purpose" "scope" ... */

struct ym_plan;
struct ym_card;
/* One SHA-256 for each, of the plan's and the card's words. */
void ym_material_of(const struct ym_plan *plan, const struct ym_card *card,
                    uint8_t out[YM_MATERIAL_COUNT][YM_HASH_BYTES]);
/* What a notice to patients must have named, for consents that point to it. */
struct ym_notice {
    char recipient[256], contact[256], purpose[512], method[256], categories[256], rights[256];
    char topic[YM_NOTICE_TOPIC_COUNT][256];
};
void ym_notice_read_topics(struct ym_schema *s, const struct ym_at *at, char topic[YM_NOTICE_TOPIC_COUNT][256]);
void ym_notice_hash(const struct ym_notice *n, uint8_t out[YM_HASH_BYTES]);
void ym_notice_of(const struct ym_plan *plan, uint8_t out[YM_HASH_BYTES]);

/* Who exports, as the people meters of all hospitals know them: a hash of the card's exporter, of
 * whose name neither case nor width of Latin letters count, nor how much white space there is.
 * None recorded is an exporter too. */
void ym_exporter_of(const struct ym_card *card, uint8_t out[YM_HASH_BYTES]);
/* Likewise who receives, of the plan's recipient. */
void ym_recipient_of(const struct ym_plan *plan, uint8_t out[YM_HASH_BYTES]);

/* Facts of a round on a card: both declarations, the tier, and what is computed
 * from them (exporter, sections on AI). Unknown stays unknown. People and
 * records are the caller's. */
void ym_border_facts(const struct ym_plan *plan, const struct ym_card *card, struct ym_facts *out);

#endif
