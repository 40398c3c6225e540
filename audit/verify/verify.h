#ifndef YM_VERIFY_H
#define YM_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Checks ledger folders offline: form, signatures, tree, what each leaf type
 * demands, the life of studies at the hub, the budget at hospitals, and both
 * against each other (docs/audit.md). Reads files only; changes nothing; takes
 * no lock. Its JSON, tree, note and signature code is its own; the accountant
 * and the state function are shared with the programs. */

/* Exit codes of yumen-audit verify. */
enum ym_verdict {
    YM_VERDICT_GOOD = 0,
    YM_VERDICT_UNANCHORED = 1, /* consistent, origin not checked: no trust file */
    YM_VERDICT_TAMPERED = 10,
    YM_VERDICT_GAP = 11,
    YM_VERDICT_BUDGET = 12,
    YM_VERDICT_MODEL = 13,
};

/* Reasons: stable ids (lower case), with their verdict. Never rename one. */
#define YM_REASONS(X)                                                                                                  \
    X(CHECKPOINT_MALFORMED, checkpoint_malformed, TAMPERED)       /* not a signed note of origin, size, root */        \
    X(CHECKPOINT_UNTRUSTED, checkpoint_untrusted, TAMPERED)       /* no signature by the key that must sign it */      \
    X(CHECKPOINT_SIGNATURE, checkpoint_signature, TAMPERED)       /* that key's signature does not fit */              \
    X(CHECKPOINT_INCONSISTENT, checkpoint_inconsistent, TAMPERED) /* two checkpoints of one log that do not fit */     \
    X(ROOT_MISMATCH, root_mismatch, TAMPERED)                     /* the entries give another root */                  \
    X(TILE_MISMATCH, tile_mismatch, TAMPERED)                     /* a hash tile does not fit the entries */           \
    X(ENTRY_EXTRA, entry_extra, TAMPERED)                         /* a bundle holds more than its name says */         \
    X(LEAF_MALFORMED, leaf_malformed, TAMPERED)                   /* not canonical restricted JSON with a signature */ \
    X(LEAF_TYPE, leaf_type, TAMPERED)                             /* a type that is unknown or not for this log */     \
    X(LEAF_FIELDS, leaf_fields, TAMPERED)                         /* members missing, unknown, or out of range */      \
    X(LEAF_SIGNER, leaf_signer, TAMPERED)                      /* signer unknown, or not the one the type asks for */  \
    X(LEAF_SIGNATURE, leaf_signature, TAMPERED)                /* the leaf's signature does not fit */                 \
    X(LEAF_REPEATED, leaf_repeated, TAMPERED)                  /* an approval entered once more */                     \
    X(GENESIS_WRONG, genesis_wrong, TAMPERED)                  /* leaf 0 does not fit origin and key */                \
    X(IDENTITY_DIFFERS, identity_differs, TAMPERED)            /* the hub enrolled another key than the site has */    \
    X(CHARGE_DIFFERS, charge_differs, TAMPERED)                /* hub and hospital hold different charges */           \
    X(COSIGNED_DIFFERS, cosigned_differs, TAMPERED)            /* a checkpoint in cosigned/ is not of this log */      \
    X(COSIGNATURE_WRONG, cosignature_wrong, TAMPERED)          /* a witness's line does not fit the checkpoint */      \
    X(SEEN_SIGNATURE, seen_signature, TAMPERED)                /* the checkpoint seen was not signed by its log */     \
    X(SEEN_DIFFERS, seen_differs, TAMPERED)                    /* a log was shown to another party as another one */   \
    X(RECEIPT_MALFORMED, receipt_malformed, TAMPERED)          /* not a tlog-proof with its entry */                   \
    X(RECEIPT_WRONG, receipt_wrong, TAMPERED)                  /* the proof does not lead to the checkpoint's root */  \
    X(CHECKPOINT_MISSING, checkpoint_missing, GAP)             /* entries without a checkpoint */                      \
    X(CHECKPOINT_BEHIND, checkpoint_behind, GAP)               /* entries that no checkpoint covers */                 \
    X(ENTRIES_MISSING, entries_missing, GAP)                   /* fewer entries than the checkpoint says */            \
    X(BUNDLE_TORN, bundle_torn, GAP)                           /* a bundle ends inside an entry */                     \
    X(TILE_MISSING, tile_missing, GAP)                         /* a hash tile is not there */                          \
    X(TILE_TORN, tile_torn, GAP)                               /* a hash tile has the wrong length */                  \
    X(CHARGE_ABSENT, charge_absent, GAP)                       /* a charge at the hub that the hospital lacks */       \
    X(RELEASE_ABSENT, release_absent, GAP)                     /* a release at the hub that the hospital lacks */      \
    X(SURVIVOR_WITHOUT_CHARGE, survivor_without_charge, GAP)   /* counted without a charge in the log */               \
    X(SURVIVOR_WITHOUT_RELEASE, survivor_without_release, GAP) /* counted without a release in the log */              \
    X(OBJECT_MISSING, object_missing, GAP)                     /* a plan, state or sum is not among the objects */     \
    X(COSIGNATURE_MISSING, cosignature_missing, GAP)           /* no checkpoint has the policy's quorum */             \
    X(COSIGNATURE_BEHIND, cosignature_behind, GAP)             /* two rounds ended since the last one that has it */   \
    X(SEEN_AHEAD, seen_ahead, GAP)                             /* another party saw more of this log than there is */  \
    X(SEAL_WRONG, seal_wrong, TAMPERED)                        /* an office's seal that is no good */                  \
    X(SEALS_MISSING, seals_missing, BUDGET)                    /* fewer offices sealed it than must */                 \
    X(RECOVER_DIFFERS, recover_differs, BUDGET)                /* not the entries that a recover took back */          \
    X(POLICY_ORDER, policy_order, BUDGET)                      /* an order off the grid, or changed later */           \
    X(CHARGE_REPEATED, charge_repeated, BUDGET)                /* one attempt charged twice */                         \
    X(CHARGE_BEFORE_POLICY, charge_before_policy, BUDGET)      /* no policy allowed it */                              \
    X(CHARGE_POLICY, charge_policy, BUDGET)                    /* cap or delta is not the policy's */                  \
    X(CHARGE_DATASET, charge_dataset, BUDGET)                  /* no card of this data set, or other data */           \
    X(CHARGE_NOT_APPROVED, charge_not_approved, BUDGET)        /* plan not approved, or vetoed since */                \
    X(APPROVAL_PLAN, approval_plan, BUDGET)                    /* another study or epsilon than its plan's */          \
    X(CHARGE_PAUSED, charge_paused, BUDGET)                    /* while the hospital had paused the study */           \
    X(COHORT_TOO_SMALL, cohort_too_small, BUDGET)              /* the size class is below the policy's least cohort */ \
    X(CHARGE_PLAN, charge_plan, BUDGET)                        /* not for the round's plan or state, or its events */  \
    X(EPSILON_ROUND, epsilon_round, BUDGET)                    /* the round's epsilon is not what it costs */          \
    X(EPSILON_SPENT, epsilon_spent, BUDGET)                    /* the epsilon spent is not what was spent */           \
    X(CAP_EXCEEDED, cap_exceeded, BUDGET)                      /* more than the cap allowed */                         \
    X(ACCOUNTANTS_DISAGREE, accountants_disagree, BUDGET)      /* three accountants contradict one another */          \
    X(OVERRIDE_MISSING, override_missing, BUDGET)              /* an epsilon above 20 that nobody explained before */  \
    X(DELTA_TOO_LARGE, delta_too_large, BUDGET)                /* delta above 1 / (10 x the public size class) */      \
    X(MONTH_EXCEEDED, month_exceeded, BUDGET)                  /* more than the policy's limit for a month */          \
    X(IDENTIFIED_DIFFERS, identified_differs, BUDGET)          /* not how the card says patients were identified */    \
    X(POLICY_TERMS, policy_terms, BUDGET)                      /* whom the policy does not serve, or not with this */  \
    X(POLICY_HOURS, policy_hours, BUDGET)                      /* at a time at which the policy lets no round run */   \
    X(INFERENCE_POLICY, inference_policy,                                                                              \
      BUDGET)                                 /* scores that the policy did not allow, or more of them in an hour */   \
    X(STUDY_EXCEEDED, study_exceeded, BUDGET) /* more than the policy's limit for one study */                         \
    X(DECISION_MISSING, decision_missing, BUDGET) /* the rule sets did not let it pass, or were not asked */           \
    X(DECISION_RULES, decision_rules, BUDGET)     /* other rule sets decided than those in force */                    \
    X(DECISION_RECORDS, decision_records, BUDGET) /* it rests on a document that was not live */                       \
    X(DECISION_PEOPLE, decision_people, BUDGET)   /* the rule sets were asked with fewer people than are counted */    \
    X(WARNING_MISSING, warning_missing, BUDGET)   /* a count reached a mark of a limit, and no entry says so */        \
    X(PEOPLE_FELL, people_fell, BUDGET)           /* fewer people in a year than an earlier charge counted */          \
    X(PEOPLE_YEAR, people_year, BUDGET)           /* charge or release of a year in which the charge counts nobody */  \
    X(WITHDRAWAL_FELL, withdrawal_fell, BUDGET)   /* fewer people withdrew than had, or not in hundreds */             \
    X(RELEASE_WITHOUT_CHARGE, release_without_charge, BUDGET) /* no earlier charge for it */                           \
    X(RELEASE_REPEATED, release_repeated, BUDGET)             /* two releases on one charge */                         \
    X(RELEASE_DIFFERS, release_differs, BUDGET)               /* not the attempt, plan or state that was charged */    \
    X(RELEASE_PLAN, release_plan, BUDGET)                     /* not the length or lattice that its plan asks for */   \
    X(ROUND_WITHOUT_PLAN, round_without_plan, MODEL)          /* a round of a study or plan that is not logged */      \
    X(ROUND_ORDER, round_order, MODEL)                        /* rounds or attempts out of order */                    \
    X(STUDY_ENDED, study_ended, MODEL)                        /* a round after the study ended */                      \
    X(STATE_CHAIN, state_chain, MODEL)                        /* a state that does not follow from the last */         \
    X(RESULT_WITHOUT_OPEN, result_without_open, MODEL)        /* a result of an attempt that is not open */            \
    X(RESULT_REPEATED, result_repeated, MODEL)                /* two results of one round */                           \
    X(SURVIVOR_NOT_IN_ROSTER, survivor_not_in_roster, MODEL)  /* counted without having been asked */                  \
    X(SURVIVORS_INCOMPLETE, survivors_incomplete, MODEL)      /* asked, and neither counted nor left out */            \
    X(UPDATE_DIFFERS, update_differs, MODEL)                  /* an update that is not what its release says */        \
    X(SUM_DIFFERS, sum_differs, MODEL)                        /* the updates give another sum */                       \
    X(PARTY_REVOKED, party_revoked, MODEL)                    /* asked or planning after the hub shut it out */        \
    X(STATE_RECOMPUTED, state_recomputed, MODEL)              /* recomputing gives another state */

enum ym_reason {
#define X(id, name, verdict) YM_REASON_##id,
    YM_REASONS(X)
#undef X
        YM_REASON_COUNT
};
const char *ym_reason_name(enum ym_reason r);
enum ym_verdict ym_reason_verdict(enum ym_reason r);

struct ym_finding {
    enum ym_reason reason;
    size_t log;       /* index into the logs */
    int64_t entry;    /* -1: the log as a whole */
    char detail[256]; /* technical, English */
};
#define YM_FINDINGS_MAX 100 /* kept; the rest is counted */

/* One charge of a hospital's ledger, recomputed. */
struct ym_charge_line {
    size_t log;
    uint64_t entry;
    const char *dataset, *study, *identified;    /* kept by the verification; how a patient was identified */
    int64_t round_micro, spent_micro, cap_micro; /* millionths of epsilon; spent: at the policy's order */
    int64_t tight_micro;                         /* as spent, had all charges been fixed beforehand: over all orders */
    int64_t delta_e18, order_milli;
    int64_t month_micro;       /* what the month's charges so far, this one included, added to spent */
    int64_t month_limit_micro; /* the policy's */
    int64_t certified_micro,
        estimate_micro; /* as tight, by the certified accountant and by the contour integral: of a
                           data set's newest charge, when asked for and they have a figure; else 0 */
    uint32_t round, attempt;
    bool released;
};

/* One override of a hospital's ledger: what it explains, and why. */
struct ym_override_line {
    size_t log;
    uint64_t entry;
    int64_t epsilon_micro;
    char subject[65], reason[513];
};

/* People of one exporter in one calendar year, by a hospital's charges. */
struct ym_people_line {
    size_t log;
    uint64_t entry, first; /* the newest charge that raised the count; the first that counts for it */
    int64_t people;        /* in hundreds, rounded up */
    int year;
    char exporter[65];
};

struct ym_log_summary {
    const char *dir; /* as given */
    char origin[256], role[16], name[64];
    uint64_t size;
    uint8_t root[32];
    bool anchored;                               /* the checkpoint's key is in the trust file */
    uint64_t cosigned;                           /* so many entries under a checkpoint with the policy's quorum, or,
                                                    where it asks nothing, with any witness's line; 0: none */
    uint64_t cosigners, seen;                    /* witnesses on that checkpoint; checkpoint_seen entries held against
                                                    the logs they name */
    uint64_t recovers, returned;                 /* recover entries, and how many entries they took back */
    uint64_t signatures, unchecked;              /* leaf signatures checked; foreign ones without a key */
    uint64_t charges, releases, results, states; /* states recomputed */
    uint64_t updates, sums;                      /* updates that are what their release says; sums that they give */
    uint64_t planless, alone; /* approvals and charges whose plan was not given; charges at the hub of
                                 hospitals whose own ledger was not given */
    uint64_t programs;        /* that made its charges or results, one after another; the newest: */
    char binary[65];
    uint64_t posted, received; /* of a hospital's charges and releases: the hub's log has them too */
    bool compared;             /* with a hub's log: those two mean something */
    uint64_t checkpoints;      /* older ones that were given and signed */
};

struct ym_verification {
    struct ym_log_summary *log;
    size_t log_count;
    struct ym_finding *finding;
    size_t finding_count, finding_total;
    struct ym_charge_line *charge;
    size_t charge_count, charge_cap;
    char **name; /* what charges point to */
    size_t name_count;
    struct ym_override_line *override;
    size_t override_count;
    struct ym_people_line *people;
    size_t people_count;
    size_t costs; /* distinct charges whose epsilon three accountants were asked for, and agreed on */
    double tree_s, rules_s, signatures_s; /* wall time: files and tree; parsing, chain and budget; leaf signatures */
    double cpu_s;                         /* of the first two, all threads together */
};

struct ym_verify_options {
    const char *trust;             /* trust file, NULL: none */
    const char *objects;           /* the hub's objects folder, NULL: states not recomputed */
    const char *updates;           /* folder of released updates, NULL: none; needs objects */
    const char *const *checkpoint; /* files: older checkpoints of these logs */
    size_t checkpoint_count;
    bool certified; /* all accountants, tens of milliseconds a data set and for each distinct charge (64 at most) */
};

/* YM_OK whatever was found; else a folder or the trust file could not be read
 * (YM_NOT_FOUND, YM_UNAVAILABLE) or is no trust file (YM_INVALID). */
enum ym_code ym_verify(const char *const *dir, size_t count, const struct ym_verify_options *o,
                       struct ym_verification **out, struct ym_status *st);
void ym_verification_free(struct ym_verification *v);
/* Line i's exporter and year over all hospitals whose ledgers were given, each once: an upper bound, for
 * whoever is known to two counts twice. False: an earlier line of that exporter and year says it. */
struct ym_exporter_sum {
    const char *exporter; /* the line's */
    int year;
    int64_t people;
    size_t hospitals;
};
bool ym_verification_exporter(const struct ym_verification *v, size_t i, struct ym_exporter_sum *out);
/* The finding that decides (tampering before gap before budget before model
 * chain; the first of its kind); NULL when there is none. */
const struct ym_finding *ym_verification_worst(const struct ym_verification *v);
enum ym_verdict ym_verification_verdict(const struct ym_verification *v);

#endif
