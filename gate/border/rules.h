#ifndef YM_GATE_BORDER_RULES_H
#define YM_GATE_BORDER_RULES_H

#include "base/crypto.h"
#include "base/doc.h"
#include "gate/border/clocks.h"
#include "gate/border/facts.h"
#include "gate/border/zone.h"

/* A rule set: a dated, versioned data file (YAML, "yumen: ruleset/1",
 * docs/border.md) that says for some tracks which label a transfer gets. Each
 * track is a flat table, first match wins; a row names values of choices and
 * bands of counts, all of which must hold. There are no expressions. A set may
 * also hold, or hold nothing but, a zone's negative list (zone.h) or
 * procedural clocks (clocks.h). The site
 * signs the hash of the canonical form; what nobody signed does not evaluate,
 * a draft only forecasts. */

enum ym_track {
    YM_TRACK_CAC,     /* data export */
    YM_TRACK_HGR,     /* human genetic resources */
    YM_TRACK_ETHICS,  /* ethics committee and hospital */
    YM_TRACK_CONSENT, /* patients' own */
    YM_TRACK_AI,
    YM_TRACK_US, /* US bulk data rule */
    YM_TRACK_COUNT
};
const char *ym_track_word(enum ym_track track); /* "cac" "hgr" "ethics" "consent" "ai" "us" */

/* From the mildest to the worst; labels of one rank are alike to the gate. */
enum ym_label {
    YM_LABEL_NONE,
    YM_LABEL_OFF_LIST,
    YM_LABEL_EXEMPT_CLAIM,
    YM_LABEL_RECORD, /* a recorded approval or filing */
    YM_LABEL_CONTRACT_OR_CERTIFICATE,
    YM_LABEL_SECURITY_ASSESSMENT,
    YM_LABEL_HGR_REVIEW,
    YM_LABEL_HOLD,
    YM_LABEL_REFUSE,
    YM_LABEL_COUNT
};
const char *ym_label_word(enum ym_label label); /* "none" "off_list" "exempt_claim" "record" ... */
unsigned ym_label_rank(enum ym_label label);    /* 0 none ... 6 refuse */

enum {
    YM_RULE_MOST_NEEDS = 6,
    YM_RULE_MOST_BANDS = 6,
    YM_RULES_MOST = 48, /* rows of one track */
    YM_RULES_MAX_BYTES = 256 * 1024,
};

/* A row. needs: every group must have one live record, else the track holds; a
 * group is a bit set of enum ym_record. With "then: next" a row whose needs are
 * met does not end its track: the rows below are asked too, and the track's
 * label is the worst of them (a hold that is met leaves no label). */
struct ym_rule {
    char id[32];
    uint16_t choice[YM_CHOICE_COUNT]; /* bit v: value v matches; 0: any, unknown too */
    uint16_t people[YM_PEOPLE_COUNT]; /* bit b: band b matches; 0: any */
    enum ym_label label;
    enum ym_office role; /* who can change what a hold or refusal rests on */
    uint32_t need[YM_RULE_MOST_NEEDS];
    size_t need_count;
    bool next;         /* needs met: ask the rows below too */
    char text[2][512]; /* English, Chinese: shown to people */
    char source[128];  /* where the rule comes from */
};

/* Bands of a count: [0, from[0]), [from[0], from[1]) ... named in order. */
struct ym_bands {
    char name[YM_RULE_MOST_BANDS][32]; /* name[0] for what is below from[0] */
    int64_t from[YM_RULE_MOST_BANDS];  /* from[0] is 0; ascending */
    size_t count;                      /* 0: the set does not use this count */
};

struct ym_rules {
    char name[64];
    int64_t version;
    char effective_from[16]; /* YYYY-MM-DD, Asia/Shanghai */
    bool draft;
    char title[2][256];
    bool covers[YM_TRACK_COUNT];
    char authority[YM_TRACK_COUNT][2][128];
    struct ym_rule *rule[YM_TRACK_COUNT]; /* [rule_count[t]] */
    size_t rule_count[YM_TRACK_COUNT];
    struct ym_bands bands[YM_PEOPLE_COUNT];
    struct ym_zone_list *zone;       /* a free-trade zone's negative list; NULL: none in this set */
    struct ym_clocks *clocks;        /* by when authorities answer; NULL: none in this set */
    uint8_t assume[YM_CHOICE_COUNT]; /* what an unknown choice is taken for; 0: it stays unknown */
    uint8_t hash[YM_HASH_BYTES];     /* SHA-256 of canonical */
    struct ym_buf canonical;
};

/* Read and check a whole set; all problems are collected. *out new. */
enum ym_code ym_rules_read(const struct ym_doc *doc, struct ym_rules **out, struct ym_problems *p,
                           struct ym_status *st);
void ym_rules_free(struct ym_rules *rules);

#endif
