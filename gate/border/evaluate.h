#ifndef YM_GATE_BORDER_EVALUATE_H
#define YM_GATE_BORDER_EVALUATE_H

#include "gate/border/rules.h"

/* The gate's decision: a label for every track and one outcome, the worst.
 * Total: any facts and any sets give an answer. Pure.
 *
 * Unknown never opens a gate, whatever a rule set says: a row that an unknown
 * fact alone keeps from matching ends its track with a hold that names the
 * fact and who can say. So if a track proceeds, each row down to the matched
 * one is independent of every unknown fact, and any value of them would have
 * given the same row. (What a set's "assume" replaces is known from then on;
 * tests ask of the shipped sets that what they assume is the worst.) */

enum ym_outcome { YM_PROCEED, YM_HOLD, YM_REFUSE };
const char *ym_outcome_word(enum ym_outcome outcome); /* "proceed" "hold" "refuse" */

enum ym_ground {
    YM_GROUND_RULE,     /* the rule's label decides; of a hold or refusal nothing else */
    YM_GROUND_UNKNOWN,  /* a fact that the rule asks for is unknown */
    YM_GROUND_RECORD,   /* the label needs a record that is not live */
    YM_GROUND_NO_MATCH, /* no row matched */
    YM_GROUND_NO_SET,   /* no signed set in force covers the track */
    YM_GROUND_TWO_SETS, /* two do: they are not ranked, so nothing proceeds */
    YM_GROUND_ARTEFACT, /* what would leave may never leave, or lacks its protection */
};

/* An answer for one track. rule and rules are borrowed from the sets. */
struct ym_track_decision {
    enum ym_label label;
    enum ym_outcome outcome;
    enum ym_ground ground;
    enum ym_office role;          /* who can change it, when it does not proceed */
    const struct ym_rules *rules; /* NULL: none covers the track */
    const struct ym_rule *rule;   /* NULL: no row */
    const char *fact;             /* word of the choice or count that is unknown; NULL */
    int record;                   /* enum ym_record that is not live; -1 */
    enum ym_record_state record_state;
};

struct ym_crossing {
    struct ym_track_decision artefact; /* what leaves: fixed by the product, no rule set */
    struct ym_track_decision track[YM_TRACK_COUNT];
    enum ym_label label;     /* worst of the tracks */
    enum ym_outcome outcome; /* worst of all */
    bool forecast;           /* a draft took part, or it was asked as one: opens nothing */
};

/* A set and whether this site signed exactly it. */
struct ym_rules_in {
    const struct ym_rules *rules;
    bool is_signed;
};

/* today: YYYY-MM-DD in Asia/Shanghai; sets of a later effective_from are not in
 * force. forecast: drafts count in place of the set of the same tracks, and the
 * outcome is marked. */
void ym_border_decide(const struct ym_rules_in *sets, size_t count, const struct ym_facts *f, const char *today,
                      bool forecast, struct ym_crossing *out);

/* One line a track, in English or Chinese, ending with the line that the
 * software gives no legal advice (docs/border.md). */
enum ym_code ym_crossing_print(const struct ym_crossing *d, struct ym_buf *out);
/* Why, in a sentence, without who can change it. */
enum ym_code ym_track_reason(const struct ym_track_decision *d, struct ym_buf *out);
/* What keeps it from proceeding, a sentence a track, on one line. */
enum ym_code ym_crossing_reasons(const struct ym_crossing *d, struct ym_buf *out);
/* As restricted JSON: {forecast, label, outcome, tracks: [{fact, ground, label,
 * outcome, record, role, rule, ruleset, track, version}]}. New reference. */
json_t *ym_crossing_json(const struct ym_crossing *d);

#endif
