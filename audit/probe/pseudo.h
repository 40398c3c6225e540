#ifndef YM_AUDIT_PROBE_PSEUDO_H
#define YM_AUDIT_PROBE_PSEUDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Pseudo-patients whose gradients are known, so that what leaves a hospital shows
 * what its trainer did (probe.h). They come as an ordinary card, CSV and plans.
 *
 * The study is linear, its inputs categories whose columns are 0 or 1. A patient
 * has one row, or two, with a 1 in the patient's column and outcome -sign, and one
 * row of reference levels that balances it. At parameters 0 the mean gradient of the rows is
 * sign/2 (or sign/3) in that column and 0 elsewhere, the intercept included: some
 * hundred times YM_PSEUDO_CLIP, so after the clip exactly sign x clip norm. The
 * learning rate keeps parameters below 1e-3 for the whole study, and so true.
 *
 *   canary j   alone in column j, in the data by a coin of its own
 *   crowd g    YM_PSEUDO_CROWD patients together in column YM_PSEUDO_CANARIES + g
 *   the other columns and the intercept are idle: nobody's gradient touches them
 * Every third canary and crowd has three rows and sign -1, the others two and +1;
 * the variable "kind" says which, for studies that look at all patients at once. */
enum {
    YM_PSEUDO_VARIABLES = 80,
    YM_PSEUDO_LEVELS = 62, /* of one character each; a card's public part must stay below 32 KiB */
    YM_PSEUDO_COLUMNS = YM_PSEUDO_VARIABLES * (YM_PSEUDO_LEVELS - 1),
    YM_PSEUDO_CANARIES = 2400,
    YM_PSEUDO_CROWDS = 40,
    YM_PSEUDO_CROWD = 60,
    YM_PSEUDO_FEW = 4,         /* variables of a YM_PSEUDO_FEW study */
    YM_PSEUDO_NOMINAL = 2000,  /* the plans' nominal_patients */
    YM_PSEUDO_SCALE_BITS = 40, /* of the update lattice */
};
#define YM_PSEUDO_CLIP 0.001
#define YM_PSEUDO_RATE 0.01 /* learning rate: one clip norm is at least 5,000 units of the update lattice */

struct ym_pseudo {
    bool in[YM_PSEUDO_CANARIES]; /* the coins: known to the test alone */
    double kept[2]; /* of the clip, by patients of two rows and of three: 1, or less by the bounded route */
};

void ym_pseudo_toss(struct ym_pseudo *p); /* from the kernel; kept 1 */
double ym_pseudo_sign(size_t index);      /* of canary or crowd, in the noised sum */
/* Patients in the data with two rows, and with three. */
void ym_pseudo_count(const struct ym_pseudo *p, size_t *two, size_t *three);

/* Column "kind" first (two columns: two rows, three rows), or the first few
 * variables, or all. dim = columns + 1, the intercept last. */
enum ym_pseudo_inputs { YM_PSEUDO_INPUTS_KIND, YM_PSEUDO_INPUTS_FEW, YM_PSEUDO_INPUTS_ALL };
size_t ym_pseudo_dim(enum ym_pseudo_inputs inputs);

struct ym_pseudo_study {
    const char *name;
    enum ym_pseudo_inputs inputs;
    const char *sigma, *q; /* decimals, as in a plan; sigma in clip norms */
    unsigned rounds;       /* of one noisy step each */
    bool both;             /* hospitals h1 and h2 in one sum; else the one named */
    const char *hospital;
    const char *route; /* "integer", "bounded" */
};

/* Append the texts. YM_EXHAUSTED without memory. */
enum ym_code ym_pseudo_card(struct ym_buf *yaml); /* data set "pseudo", file pseudo.csv */
enum ym_code ym_pseudo_csv(const struct ym_pseudo *p, struct ym_buf *csv);
enum ym_code ym_pseudo_plan(const struct ym_pseudo_study *s, const char *delta, const char *epsilon,
                            struct ym_buf *yaml);

/* A sum of updates (int64, update lattice) as the sum of clipped gradients and
 * noise that it is made of, in clip norms; q as in the plan. */
double ym_pseudo_noised(int64_t update, double q);

#endif
