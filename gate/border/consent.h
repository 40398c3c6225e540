#ifndef YM_GATE_BORDER_CONSENT_H
#define YM_GATE_BORDER_CONSENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crypto.h"

/* What each patient agreed to, as the hospital's own data say, and what a plan
 * needs of it. A card's section "consent" (docs/data.md) maps columns to bits;
 * a frozen set holds one word a patient; one pure function answers. No bit
 * stands in for another, and what is not written is not given.
 * Rules: CN-01 to CN-12, CN-15 and CN-16 of the requirements (docs/border.md, "Consent"). */

/* CONSENT(id, word): the patient gave it. */
#define YM_CONSENTS(CONSENT)                                                                                           \
    CONSENT(PARTICIPATION, "participation")                                                                            \
    CONSENT(SENSITIVE_PI, "sensitive_pi")                                                                              \
    CONSENT(CROSS_BORDER, "cross_border")                                                                              \
    CONSENT(SECONDARY_USE, "secondary_use")                                                                            \
    CONSENT(HGR_COLLECT, "hgr_collect")                                                                                \
    CONSENT(HGR_PRESERVE, "hgr_preserve")                                                                              \
    CONSENT(HGR_USE, "hgr_use")                                                                                        \
    CONSENT(HGR_PROVIDE_ABROAD, "hgr_provide_abroad")                                                                  \
    CONSENT(WRITTEN, "written")                                                                                        \
    CONSENT(GUARDIAN, "guardian")
/* CAVEAT(id, word): counts as so unless the data say that it is not. */
#define YM_CAVEATS(CAVEAT)                                                                                             \
    CAVEAT(BUNDLED, "bundled")                                                                                         \
    CAVEAT(BROAD, "broad")                                                                                             \
    CAVEAT(VULNERABLE, "vulnerable")

/* Bits of a patient's word, the caveats behind the consents. */
enum ym_consent {
#define CONSENT(id, word) YM_CONSENT_##id,
    YM_CONSENTS(CONSENT) YM_CONSENT_COUNT,
#undef CONSENT
    YM_CONSENT_BEFORE_CAVEATS = YM_CONSENT_COUNT - 1,
#define CAVEAT(id, word) YM_CONSENT_##id,
    YM_CAVEATS(CAVEAT)
#undef CAVEAT
        YM_CONSENT_BITS
};
#define YM_CONSENT_BIT(id) (UINT64_C(1) << YM_CONSENT_##id)

/* Bits 16 to 21 of the word: which of the card's notices, counted from 1; 0 none. */
#define YM_CONSENT_NOTICE_SHIFT 16
#define YM_CONSENT_MAX_NOTICES 63
#define YM_CONSENT_WORD_END (UINT64_C(1) << 22) /* no word is as large */

const char *ym_consent_word(enum ym_consent c); /* caveats too */

struct ym_consent_item {
    char column[256]; /* "": nothing says so */
    char (*code)[64]; /* consent: these cells give it; caveat: these alone say no */
    size_t code_count;
    bool nobody; /* caveat: the data office declares that it is so of nobody */
};

struct ym_consent_notice {
    char code[64]; /* the cell that names it */
    bool enhanced;
    uint8_t hash[YM_HASH_BYTES]; /* as ym_notice_of */
};

struct ym_card_consent {
    bool given;
    char collected_for[64]; /* the study that the data were collected for; "": none */
    struct ym_consent_item item[YM_CONSENT_BITS];
    char notice_column[256];
    char form_column[256]; /* SHA-256 of the scanned form in hex; "written" counts with one alone */
    struct ym_consent_notice *notice;
    size_t notice_count;
};
void ym_card_consent_release(struct ym_card_consent *c);

struct ym_schema;
struct ym_at;
void ym_consent_read_card(struct ym_schema *s, const struct ym_at *root, struct ym_card_consent *out);

/* The columns it names, each once; returns how many. */
#define YM_CONSENT_COLUMNS (YM_CONSENT_BITS + 2)
size_t ym_consent_columns(const struct ym_card_consent *c, const char *out[YM_CONSENT_COLUMNS]);

/* One row's cells into a word: cell(ctx, column, &len) borrows the trimmed text. A
 * patient's word is that of all rows together, ym_consent_join. */
typedef const char *(*ym_consent_cell_fn)(void *ctx, const char *column, size_t *len);
uint64_t ym_consent_of_row(const struct ym_card_consent *c, ym_consent_cell_fn cell, void *ctx);
/* Given only where every row gives it, a caveat where any has it, a notice where all name the same. */
uint64_t ym_consent_join(uint64_t a, uint64_t b);

/* What a plan needs of a patient of this card. */
struct ym_consent_need {
    bool asked;       /* false: the card says nothing of consent; everybody passes, and the fact stays unknown */
    uint64_t bits;    /* all of these */
    uint64_t caveats; /* none of these */
    bool guardian;    /* a vulnerable patient passes with a guardian's consent */
    uint64_t notices; /* bit i: notice i names this recipient, purpose, method, categories and rights */
    uint8_t card[YM_HASH_BYTES]; /* the card it was made of */
};

struct ym_plan;
struct ym_card;
/* determination: the site's signed record, for this plan and data set, that bundled
 * and broad consents suffice, is live. ethics: the committee's is. What is
 * declared neither way counts against. */
void ym_consent_needed(const struct ym_plan *plan, const struct ym_card *card, bool determination, bool ethics,
                       struct ym_consent_need *out);

/* What a model's score of a patient needs inside the hospital, where nothing
 * leaves and so no notice of a recipient is asked: secondary use whatever the data were
 * collected for, use of genetic resources and of sensitive information where the
 * card does not say that there are none; no caveat. A card without the section
 * gives nobody: asked is true always. */
void ym_consent_needed_inside(const struct ym_card *card, bool determination, bool ethics, struct ym_consent_need *out);

bool ym_consent_need_same(const struct ym_consent_need *a, const struct ym_consent_need *b);

/* The first thing that a patient lacks: a bit, or YM_CONSENT_BITS for the notice; -1: nothing. */
int ym_consent_lacks(const struct ym_consent_need *need, uint64_t word);

#endif
