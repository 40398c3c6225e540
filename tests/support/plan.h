#ifndef YM_TESTS_SUPPORT_PLAN_H
#define YM_TESTS_SUPPORT_PLAN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/plan.h"

/* Plans built by hand, for tests below the parser: numbers in, one outcome. */
static inline struct ym_plan *plan_make(enum ym_family family, size_t columns, size_t outputs)
{
    struct ym_plan *p = calloc(1, sizeof *p);

    p->family = family;
    p->input_count = columns;
    p->input = calloc(columns, sizeof *p->input);
    for (size_t i = 0; i < columns; i++) {
        p->input[i].kind = YM_VAR_NUMBER;
        p->input[i].low = -1;
        p->input[i].high = 1;
        p->input[i].missing = YM_MISSING_DROP;
        snprintf(p->input[i].name, sizeof p->input[i].name, "x%zu", i);
    }
    p->outcome = (struct ym_variable){.name = "y", .kind = YM_VAR_NUMBER, .low = -1, .high = 1};
    if (family != YM_FAMILY_LINEAR) {
        p->outcome.kind = YM_VAR_CATEGORY;
        p->outcome.level_count = outputs == 1 ? 2 : outputs;
        p->outcome.level = calloc(p->outcome.level_count, sizeof *p->outcome.level);
        for (size_t i = 0; i < p->outcome.level_count; i++)
            snprintf(p->outcome.level[i], sizeof p->outcome.level[i], "l%zu", i);
    }
    p->activation = YM_ACT_TANH;
    snprintf(p->study, sizeof p->study, "study-1");
    snprintf(p->sponsor, sizeof p->sponsor, "sponsor");
    for (size_t i = 0; i < sizeof p->hash; i++)
        p->hash[i] = (uint8_t)(i * 7 + 1);
    p->rounds = 10;
    p->steps_per_round = 1;
    p->sampling_k = UINT64_C(1) << 63;
    p->nominal_patients = 100;
    p->learning_rate = 0.5;
    p->clip_norm = 1;
    p->sigma_units = 1 << 24;
    p->server = YM_SERVER_FEDAVG;
    p->server_lr = 1;
    p->update_scale_bits = 20;
    p->update_width_bits = 40;
    return p;
}

static inline void plan_add_sites(struct ym_plan *p, size_t count, const uint32_t *weight)
{
    p->site_count = count;
    p->site = calloc(count, sizeof *p->site);
    for (size_t i = 0; i < count; i++) {
        snprintf(p->site[i].name, sizeof p->site[i].name, "h%zu", i + 1);
        p->site[i].weight = weight[i];
    }
}

static inline void plan_drop(struct ym_plan *p)
{
    free(p->input);
    free(p->outcome.level);
    free(p->site);
    free(p);
}

#endif
