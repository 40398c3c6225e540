#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/limits.h"
#include "audit/verify/check.h"
#include "audit/verify/crypto.h"
#include "base/fs.h"
#include "gate/plan.h"
#include "models/model.h"

/* Approvals and charges against the plans that they name. */

struct study { /* what one hospital was charged for a study, as this log tells it */
    char by[64], name[64];
    struct ym_spend spend;
    int64_t round;     /* of the newest charge */
    uint32_t in_round; /* charges of that round */
};

struct pass {
    struct ym_check *c;
    size_t log, i;
    const struct ym_entry *e;
    char hash[65];        /* the plan asked for last: leaves of a study stand together */
    struct ym_plan *plan; /* NULL: not among the objects */
    struct study *study;
    size_t study_count;
    struct ym_vmap places;     /* of studies, by name and hospital */
    struct ym_vmap most_delta; /* by hospital and data set: what the card's size class allows */
};

#define FIND(p, reason, ...) ym_check_find((p)->c, (p)->log, (int64_t)(p)->i, YM_REASON_##reason, __VA_ARGS__)

struct ym_plan *ym_check_plan(const struct ym_check *c, const char *hash)
{
    struct ym_plan *plan = NULL;
    struct ym_buf bytes = {0};
    char path[4096], actual[65] = "";
    uint8_t raw[YM_VHASH];

    if (c->objects && ym_fs_join(path, sizeof(path), c->objects, hash) == YM_OK &&
        ym_fs_read(path, YM_PLAN_MAX_BYTES, &bytes, NULL) == YM_OK) {
        ym_vhash(bytes.data, bytes.len, raw);
        ym_vhex_text(raw, sizeof(raw), actual);
    }
    if (strcmp(actual, hash) == 0)
        ym_plan_decode(bytes.data, bytes.len, &plan, NULL);
    ym_buf_release(&bytes);
    return plan;
}

static bool know_plan(struct pass *p)
{
    const char *hash = ym_entry_text(p->e, "plan");

    if (strcmp(p->hash, hash) != 0) {
        ym_plan_free(p->plan);
        memcpy(p->hash, hash, sizeof(p->hash));
        p->plan = ym_check_plan(p->c, hash);
    }
    return p->plan != NULL;
}

static struct study *study_of(struct pass *p)
{
    const char *name = ym_entry_text(p->e, "study");
    struct study *grown;
    uint64_t at;

    if (ym_vmap_get(&p->places, &at, "%s|%s", name, p->e->by))
        return &p->study[at];
    grown = realloc(p->study, (p->study_count + 1) * sizeof *grown);
    if (!grown) {
        p->c->no_memory = true;
        return NULL;
    }
    p->study = grown;
    ym_check_keep(p->c, &p->places, p->study_count, "%s|%s", name, p->e->by);
    grown += p->study_count++;
    *grown = (struct study){0};
    memcpy(grown->name, name, strlen(name) + 1);
    memcpy(grown->by, p->e->by, strlen(p->e->by) + 1);
    return grown;
}

/* The plan's own ceiling, all charges of the study together, and its number of attempts. */
static void check_study(struct pass *p, const struct ym_events *events)
{
    int64_t round = ym_entry_int(p->e, "round"), micro, most = ym_plan_epsilon_micro(p->plan);
    struct study *s = study_of(p);

    if (!s)
        return;
    s->in_round = s->round == round ? s->in_round + 1 : 1;
    s->round = round;
    if (s->in_round > p->plan->max_attempts)
        FIND(p, CHARGE_PLAN, "round %" PRId64 " of '%s' is charged %" PRIu32 " times, its plan allows %" PRIu32, round,
             s->name, s->in_round, p->plan->max_attempts);
    if (ym_spend_add_all(&s->spend, events, NULL) != YM_OK ||
        ym_spend_micro(&s->spend, NULL, (int64_t)p->plan->delta.scaled, p->c->cache, &micro, NULL) != YM_OK)
        FIND(p, EPSILON_SPENT, "the charges of '%s' cannot be composed", s->name);
    else if (micro > most)
        FIND(p, CAP_EXCEEDED, "study '%s': %" PRId64 " millionths spent, its plan allows %" PRId64, s->name, micro,
             most);
}

/* What the round's release carries is fixed by the plan, and so is what it must cost. */
static void take_charge(struct pass *p)
{
    int64_t round = ym_entry_int(p->e, "round");
    struct ym_events said, due;

    if (!ym_check_events(p->e, &said)) /* said by the rules' pass */
        return;
    ym_plan_events(p->plan, (uint32_t)round, (uint32_t)round, &due);
    if (round > p->plan->rounds || !ym_check_same_events(&said, &due) ||
        strcmp(ym_entry_text(p->e, "route"), ym_plan_route_word(p->plan->route)) != 0)
        FIND(p, CHARGE_PLAN,
             "the plan of '%s' asks for another route, noise, sampling, steps or events in round %" PRId64,
             ym_entry_text(p->e, "study"), round);
    check_study(p, &said);
}

/* What left the hospital is as long as the plan says, and on its lattice. */
static void take_release(struct pass *p)
{
    struct ym_model model;

    if (ym_model_from_plan(p->plan, &model, NULL) != YM_OK)
        return; /* said where states are recomputed */
    if ((uint64_t)ym_entry_int(p->e, "bytes") != 8 * (uint64_t)ym_model_update_dim(&model) ||
        ym_entry_int(p->e, "scale_bits") != p->plan->update_scale_bits ||
        ym_entry_int(p->e, "width_bits") != p->plan->update_width_bits)
        FIND(p, RELEASE_PLAN,
             "%" PRId64 " bytes at 2^-%" PRId64 " in %" PRId64 " bits; the plan of '%s' asks for %zu at 2^-%" PRIu32
             " in %" PRIu32,
             ym_entry_int(p->e, "bytes"), ym_entry_int(p->e, "scale_bits"), ym_entry_int(p->e, "width_bits"),
             ym_entry_text(p->e, "study"), 8 * ym_model_update_dim(&model), p->plan->update_scale_bits,
             p->plan->update_width_bits);
}

static void take_card(struct pass *p)
{
    ym_check_keep(p->c, &p->most_delta, (size_t)ym_size_class_delta_e18(ym_entry_inner(p->e, "public", "size_class")),
                  "%s|%s", p->e->by, ym_entry_text(p->e, "dataset"));
}

static void take_approval(struct pass *p)
{
    const char *dataset = ym_entry_text(p->e, "dataset");
    int64_t said = ym_entry_int(p->e, "epsilon_micro"), epsilon = ym_plan_epsilon_micro(p->plan);
    uint64_t most = 0;

    if (strcmp(ym_entry_text(p->e, "study"), p->plan->study) != 0)
        FIND(p, APPROVAL_PLAN, "it says study '%s', its plan says '%s'", ym_entry_text(p->e, "study"), p->plan->study);
    else if (said != epsilon)
        FIND(p, APPROVAL_PLAN, "it says epsilon %" PRId64 " millionths, its plan %" PRId64, said, epsilon);
    if (ym_vmap_get(&p->most_delta, &most, "%s|%s", p->e->by, dataset) && p->plan->delta.scaled > (__int128)most)
        FIND(p, DELTA_TOO_LARGE,
             "delta %" PRId64 " of the plan of '%s', at most %" PRIu64 " for the size class of '%s'",
             (int64_t)p->plan->delta.scaled, ym_entry_text(p->e, "study"), most, dataset);
}

static void take(void *ctx, size_t i, const struct ym_entry *e)
{
    struct pass *p = ctx;

    p->i = i;
    p->e = e;
    if (p->e->type == YM_ENTRY_CARD)
        take_card(p);
    if (p->e->type != YM_ENTRY_APPROVAL && p->e->type != YM_ENTRY_CHARGE && p->e->type != YM_ENTRY_RELEASE)
        return;
    if (!know_plan(p))
        p->c->v->log[p->log].planless += p->e->type != YM_ENTRY_RELEASE; /* counted with its charge */
    else if (p->e->type == YM_ENTRY_RELEASE)
        take_release(p);
    else if (p->e->type == YM_ENTRY_APPROVAL)
        take_approval(p);
    else
        take_charge(p);
}

static void *begin(struct ym_check *c, size_t log)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (p)
        *p = (struct pass){.c = c, .log = log};
    return p;
}

static void end(void *pass)
{
    struct pass *p = pass;

    for (size_t i = 0; i < p->study_count; i++)
        ym_spend_release(&p->study[i].spend);
    free(p->study);
    ym_vmap_release(&p->most_delta);
    ym_vmap_release(&p->places);
    ym_plan_free(p->plan);
    free(p);
}

const struct ym_rule ym_rule_plan = {begin, take, end};
