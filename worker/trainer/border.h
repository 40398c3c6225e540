#ifndef YM_TRAINER_BORDER_H
#define YM_TRAINER_BORDER_H

#include "gate/border/dossier.h"
#include "gate/border/evaluate.h"
#include "gate/card.h"
#include "worker/trainer/site.h"

/* The site's own gate (docs/border.md): a fold over its ledger of the rule sets
 * it signed, the outside documents it filed and what was last decided. Until
 * the ledger says otherwise the gate is asked before every charge, and with
 * nothing signed nothing passes. One thread. */

struct ym_border;
struct ym_border *ym_border_new(const struct ym_site *site); /* borrowed */
void ym_border_free(struct ym_border *b);

/* Fold one leaf of the own ledger and its line; others than ruleset, dossier, border, decision
 * and warning change nothing. YM_CORRUPT: a leaf that cannot be, or a signed rule
 * set whose file is gone or another. */
enum ym_code ym_border_take(struct ym_border *b, const json_t *leaf, struct ym_bytes line, struct ym_status *st);
/* SHA-256 of the newest decision leaf's line of this plan and data set; NULL: none, or rule sets are not asked. */
const uint8_t *ym_border_decision(const struct ym_border *b, const struct ym_plan *plan, const char *dataset);

bool ym_border_asked(const struct ym_border *b);
/* Why it is not asked, as somebody signed; "" otherwise. */
const char *ym_border_why_not(const struct ym_border *b);

/* People of this calendar year in China, the round in question included, and who may be used for it
 * (worker/data/admit.h); below 0: unknown. */
struct ym_border_people {
    int64_t people, records, eligible;
    int64_t us;             /* US persons of the last twelve months (us.h), with those of us_categories among them */
    unsigned us_categories; /* none: the card says of no patient that it is one */
};

/* What the plan needs of this card's patients today; a record counts while it is live. */
void ym_border_consent(const struct ym_border *b, const struct ym_plan *plan, const struct ym_card *card, int64_t now,
                       struct ym_consent_need *out);

/* The fact "zone" (gate/border/zone.h). st: why it is unknown. */
uint8_t ym_border_zone(const struct ym_border *b, const struct ym_plan *plan, const struct ym_card *card,
                       int64_t people, int64_t now, bool forecast, struct ym_status *st);

/* What is decided for a plan on a card today. out borrows from b, until the next take. */
void ym_border_ask(const struct ym_border *b, const struct ym_plan *plan, const struct ym_card *card,
                   const struct ym_border_people *n, int64_t now, bool forecast, struct ym_facts *facts,
                   struct ym_crossing *out);
/* The same for facts as an old decision holds them. */
void ym_border_decide_facts(const struct ym_border *b, const struct ym_facts *facts, int64_t now,
                            struct ym_crossing *out);
/* Members of a decision leaf: people rounded up to 100, the sets that were in
 * force by hash. NULL: out of memory. */
json_t *ym_border_decision_members(const struct ym_border *b, const struct ym_plan *plan, const char *dataset,
                                   const struct ym_facts *facts, const struct ym_crossing *d);
/* Does the newest decision leaf of this plan and data set say the same? */
bool ym_border_decided(const struct ym_border *b, const json_t *members);

/* Members of the next warning leaf that is due before a decision on these facts: a count reaches 50, 80 or 95 percent
 * of a limit of a set in force, and this year's warnings have not said so. NULL: none, or out of memory. */
json_t *ym_border_warning(struct ym_border *b, const struct ym_facts *facts, int64_t now);

/* Members of a ruleset leaf; NULL: out of memory. */
json_t *ym_border_rules_members(const struct ym_rules *r, bool withdrawn);
/* The same. Reads the text (YAML) and keeps its canonical form in
 * rules/<hash>.json, fsynced, first. problems: what is wrong with the text. */
enum ym_code ym_border_keep_rules(struct ym_border *b, const char *file, struct ym_bytes text, json_t **members,
                                  struct ym_problems *problems, struct ym_status *st);
size_t ym_border_rules_count(const struct ym_border *b);
const struct ym_rules *ym_border_rules_at(const struct ym_border *b, size_t i);
const struct ym_dossier *ym_border_dossier(const struct ym_border *b);

/* data/<dataset>.card.json. *out new. */
enum ym_code ym_site_card(const struct ym_site *site, const char *dataset, struct ym_card **out, struct ym_status *st);

#endif
