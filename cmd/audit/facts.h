#ifndef YM_CMD_AUDIT_FACTS_H
#define YM_CMD_AUDIT_FACTS_H

#include "audit/spend.h"
#include "audit/verify/verify.h"
#include "gate/plan.h"

/* What a report tells, read out of verified ledgers once more: who, what, under
 * which approvals, what it cost, what stands out. A leaf that lies in several
 * logs counts once. Texts of others are as their leaves hold them: UTF-8, to be
 * escaped by whoever prints them. */

struct fact_party {
    char name[64], role[16], key[17]; /* key: as leaves name it */
    int64_t since;
};

#define FACT_ROUNDS_SHOWN 120
struct fact_member { /* of a study, as its results name them */
    char hospital[64];
    uint64_t counted, left_out;
    char part[FACT_ROUNDS_SHOWN]; /* of rounds 1, 2, ...: '+' counted, '-' left out, 0 neither */
};

struct fact_study {
    char name[64], sponsor[64], plan_hash[65];
    char first_state[65], last_state[65], last_sum[65]; /* "" before the first */
    char content[384];                                  /* content id of the last model; "" before the first */
    int64_t offered, begun, ended;                      /* 0: not known, not yet */
    int64_t rounds;                                     /* of the newest result */
    bool done, aborted;
    struct fact_member *member;
    size_t member_count;
    struct ym_plan *plan; /* NULL: not among the objects */
};

enum fact_decision_kind { FACT_APPROVAL, FACT_VETO };
struct fact_decision {
    enum fact_decision_kind kind;
    size_t study;
    char hospital[64], dataset[64], data[65], plan[65];
    int64_t time, epsilon_micro;
};

struct fact_card {
    char hospital[64], dataset[64], hash[65], size_class[32], identified[16];
    char title[513];
    size_t group; /* number among the hospital's groups of data sets that share patients */
};

struct fact_program {
    char who[64], role[16], build[41], binary[65];
    uint64_t entries;
    int64_t first, last; /* times */
    bool changed;        /* who ran another one before */
};

enum fact_event_kind {
    FACT_OVERRIDE,
    FACT_INCIDENT,
    FACT_RECOVERED,
    FACT_ABORT,
    FACT_STUDY_ABORT,
    FACT_VETOED,
    FACT_PAUSED,
    FACT_RESUMED,
    FACT_REVOKED,
    FACT_REPEATED,
    FACT_UNRELEASED,
    FACT_LEFT_OUT,
    FACT_PROGRAM,
    FACT_BORDER_ASKED,
    FACT_BORDER_UNASKED,
    FACT_EVENT_KINDS
};
struct fact_event {
    enum fact_event_kind kind;
    size_t log;
    uint64_t entry;
    int64_t time, round, attempt, epsilon_micro; /* 0 where it has none */
    char who[64], study[64];
    char text[513];
};
#define FACT_EVENTS_MAX 200 /* kept; the rest is counted */

/* A curve of one group of data sets at one hospital. */
struct fact_point {
    int64_t spent_micro, cap_micro, tight_micro, certified_micro; /* certified -1: not computed here */
    size_t study;
    int64_t round;
};
struct fact_budget {
    size_t log, group;
    char dataset[64]; /* the first; more: how many besides */
    size_t more;
    int64_t delta_e18, order_milli, month_micro, month_limit_micro;
    struct fact_point *point;
    size_t count;
    bool certified; /* the certified accountant had an answer for the last point */
};

struct fact_charge { /* of a hospital's own ledger */
    size_t log;
    uint64_t entry;
    int64_t time;
    struct ym_events events; /* count 0: no accountant takes them */
};

/* A hospital's own gate, by the log it stands in (facts_gate.c). At most FACT_ROWS_MAX of each are kept, and the rest
 * is counted. */
#define FACT_ROWS_MAX 200
struct fact_policy {
    size_t log;
    uint64_t entry;
    int64_t time, cap_micro, month_micro, delta_e18, min_patients;
    char *terms; /* canonical JSON, "" when it has none */
};
struct fact_ruleset {
    size_t log;
    int64_t time, gone, version; /* gone: when it was withdrawn or a newer one of the name was signed; 0: in force */
    bool draft, replaced;
    char name[64], file[65], from[16];
};
struct fact_record {
    size_t log;
    int64_t time, gone; /* gone: when it was taken back; 0: it was not */
    char record[64], issuer[200], number[100], study[64], dataset[64], from[16], until[16], document[65];
};
struct fact_outcome { /* what the rule sets decided on one plan and data set */
    size_t log;
    uint64_t decisions;
    int64_t time, people; /* of the newest one; people -1: unknown */
    char study[64], dataset[64], plan[65], outcome[32], label[64];
};
struct fact_withdrawal { /* the newest of a data set */
    size_t log;
    int64_t time, people;
    char dataset[64];
};
struct fact_warning {
    size_t log;
    int64_t time, from, percent, people, year;
    char ruleset[64], fact[64];
};
struct fact_inference { /* scores of one model on one data set and basis */
    size_t log;
    uint64_t entries;
    int64_t time, rows, left_out; /* of the newest; sums of what entries say, in hundreds */
    char content_id[513], dataset[64], basis[16];
};
struct fact_us { /* charges that count US persons, for one recipient and its categories */
    size_t log;
    uint64_t charges;
    int64_t people, until; /* the most of one charge; the last second in which any of them may leave */
    char recipient[65], categories[64];
};
struct fact_office {
    size_t log;
    int64_t since; /* of the key in force */
    uint64_t seals;
    char office[64], key[17]; /* key "": none */
};
struct fact_asked { /* whether rule sets are asked: the newest word of it */
    size_t log;
    int64_t time;
    bool asked;
    char reason[513];
};

struct facts {
    char federation[513];
    struct fact_party *party;
    struct fact_study *study;
    struct fact_decision *decision;
    struct fact_card *card;
    struct fact_program *program;
    struct fact_event *event;
    struct fact_budget *budget;
    struct fact_charge *charge;
    struct fact_policy *policy;
    struct fact_ruleset *ruleset;
    struct fact_record *record;
    struct fact_outcome *outcome;
    struct fact_withdrawal *withdrawal;
    struct fact_warning *warning;
    struct fact_us *us;
    struct fact_inference *inference;
    struct fact_office *office;
    struct fact_asked *asked;
    size_t policy_count, ruleset_count, record_count, outcome_count, withdrawal_count, warning_count, us_count,
        inference_count, office_count, asked_count;
    uint64_t gate_left; /* entries of these kinds that are not shown */
    size_t party_count, study_count, decision_count, card_count, program_count, event_count, budget_count, charge_count;
    uint64_t event_total;
    int64_t newest; /* time of the newest leaf */
};

/* objects: NULL, or the folder that plans may lie in. YM_CONFLICT: a ledger is
 * no longer the one that was verified. Whole also on failure: release it. */
enum ym_code audit_facts(const struct ym_verification *v, const char *objects, struct facts *out, struct ym_status *st);
void audit_facts_release(struct facts *f);
/* The charge of a line, NULL when it could not be read. */
const struct fact_charge *audit_facts_charge(const struct facts *f, const struct ym_charge_line *l);
/* The charges as curves (facts_budget.c); audit_facts calls it last. */
enum ym_code audit_facts_budget(const struct ym_verification *v, struct facts *f, struct ym_status *st);

/* One entry of a hospital's own log, for what its gate did. False: out of memory. */
struct ym_entry;
bool audit_facts_gate(struct facts *f, size_t log, uint64_t at, const struct ym_entry *e);
void audit_facts_gate_release(struct facts *f);

/* One more element of a growing array of facts, zeroed; NULL without memory. */
void *audit_grow(void *array, size_t *count, size_t size);
#define AUDIT_GROW(array, count) audit_grow(&(array), &(count), sizeof(*(array)))

#endif
