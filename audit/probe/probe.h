#ifndef YM_AUDIT_PROBE_PROBE_H
#define YM_AUDIT_PROBE_PROBE_H

#include "audit/probe/pseudo.h"

/* What noised sums over pseudo-patients (pseudo.h) say about the trainer that made
 * them, held against what it claims. Pure: sums in, figures and limits out. The
 * letters are the parts of docs/selftest.md. A correct trainer misses one limit of
 * a whole self-test with probability below 1e-6; exact statistics are normal, or
 * chi-square by Wilson and Hilferty's cube root. */

struct ym_view {       /* all rounds of a study */
    const double *sum; /* [rounds][dim] noised sums, in clip norms */
    size_t rounds, dim;
    double sigma, q; /* as claimed; sigma of this sum, in clip norms */
};

#define YM_PROBES(X)                                                                                                   \
    X(A_SPREAD)     /* standard deviation of idle coordinates / claimed */                                             \
    X(A_ROUNDS)     /* the same round by round: mean square of the standardised excess */                              \
    X(A_INTERCEPT)  /* standard deviation of the intercept / claimed */                                                \
    X(B_ROUND)      /* correlation of a coordinate with itself a round later, in standard errors */                    \
    X(B_COORDINATE) /* with its neighbour */                                                                           \
    X(B_HOSPITAL)   /* with the other hospital's */                                                                    \
    X(B_ANY_TWO)    /* largest of all pairs of noise vectors */                                                        \
    X(C_MEAN)       /* canaries: mean in clip norms; sampling probability when each shows 1 */                         \
    X(C_SQUARE)     /* canaries: mean square less sigma^2; the same probability */                                     \
    X(C_CROWD)      /* crowds: share of patients in a round */                                                         \
    X(C_TWO_ROWS)   /* everybody sampled: clip norms that a patient with two rows shows */                             \
    X(C_THREE_ROWS) /* and with three */                                                                               \
    X(D_BATCH)      /* spread of the number of patients in a step / binomial's; 0 for batches of fixed size */         \
    X(D_PATIENT)    /* spread of crowds' participation over all rounds / binomial's; 0 for shuffling */                \
    X(E_CHARGES)    /* rounds charged where nearly every sample is empty */                                            \
    X(E_SPREAD)     /* standard deviation of the noise there / claimed: the round that is farthest off */              \
    X(F_ONE_RUN)    /* lower bound on epsilon, 95 %; limit: the claimed one */                                         \
    X(F_GAUSSIAN)   /* the same by f-DP; too low means that this test has gone blind */                                \
    X(G_EPSILON)    /* epsilon recomputed from rounds that left, in millionths; the ledger's */                        \
    X(G_LEDGERS)    /* findings of the verifier */

enum ym_probe_id {
#define X(id) YM_PROBE_##id,
    YM_PROBES(X)
#undef X
        YM_PROBE_COUNT
};

const char *ym_probe_name(enum ym_probe_id id); /* stable, for programs: "idle_spread" ... */
char ym_probe_part(enum ym_probe_id id);        /* 'A' to 'G' */

struct ym_probe {
    bool done;
    double measured, low, high;
};
bool ym_probe_passed(const struct ym_probe *p); /* done and within its limits */

struct ym_probes {
    struct ym_probe at[YM_PROBE_COUNT];
};

void ym_probe_set(struct ym_probes *out, enum ym_probe_id id, double measured, double low, double high);

/* A, B, and C and D of crowds and canaries, F: two hospitals, a YM_PSEUDO_INPUTS_ALL
 * study each; their sums apart. claimed: the ledgers' epsilon of such a study.
 * YM_EXHAUSTED without memory. */
enum ym_code ym_probe_apart(const struct ym_pseudo *const p[2], const struct ym_view v[2], double claimed, double delta,
                            struct ym_probes *out);
/* D_BATCH at q = 1/2 and C_*_ROWS at q = 1, YM_PSEUDO_INPUTS_KIND, both hospitals in one sum. */
void ym_probe_batches(const struct ym_pseudo *const p[2], const struct ym_view *half, struct ym_probes *out);
void ym_probe_amplitude(const struct ym_pseudo *const p[2], const struct ym_view *whole, struct ym_probes *out);
/* E, any inputs: charges of each hospital. */
void ym_probe_empty(const struct ym_view *rare, size_t charges, struct ym_probes *out);

#endif
