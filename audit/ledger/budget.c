#include "audit/ledger/budget.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "audit/spend.h"
#include "base/buf.h"
#include "base/json.h"
#include "privacy/clip.h"

#define DELTA_ONE 1000000000000000000
#define CAP_MAX 1000000000000 /* a million epsilon */
#define DATASETS_MAX 4096

struct dataset {
    char name[64];
    size_t parent;         /* itself: the group's own entry */
    struct ym_spend spend; /* at the group's own entry */
};

struct ym_budget {
    bool broken; /* a leaf could not be understood: full stop */
    bool have_policy;
    int64_t cap_micro, delta_e18;
    int64_t order_milli; /* set once */
    char owner[17];      /* key of the genesis leaf, "" before it */
    struct dataset *dataset;
    size_t dataset_count;
    struct ym_budget_line *line;
    size_t line_count, line_cap;
    struct ym_spend_cache *cache;
};

static struct ym_budget *budget_new(void)
{
    struct ym_budget *b = calloc(1, sizeof(*b));

    if (b && !(b->cache = ym_spend_cache_new())) {
        free(b);
        return NULL;
    }
    return b;
}

void ym_budget_free(struct ym_budget *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->dataset_count; i++)
        ym_spend_release(&b->dataset[i].spend);
    free(b->dataset);
    free(b->line);
    ym_spend_cache_free(b->cache);
    free(b);
}

static size_t group_of(const struct ym_budget *b, size_t i)
{
    while (b->dataset[i].parent != i)
        i = b->dataset[i].parent;
    return i;
}

static bool find_dataset(const struct ym_budget *b, const char *name, size_t *out)
{
    for (size_t i = 0; i < b->dataset_count; i++)
        if (strcmp(b->dataset[i].name, name) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static enum ym_code add_dataset(struct ym_budget *b, const char *name, size_t *out, struct ym_status *st)
{
    struct dataset *d;

    if (find_dataset(b, name, out))
        return YM_OK;
    if (b->dataset_count >= DATASETS_MAX)
        return ym_status_set(st, YM_CORRUPT, "more than %d data sets", DATASETS_MAX);
    d = realloc(b->dataset, (b->dataset_count + 1) * sizeof(*d));
    if (!d)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory for the budget");
    b->dataset = d;
    d = &b->dataset[b->dataset_count];
    memset(d, 0, sizeof(*d));
    memcpy(d->name, name, strlen(name) + 1);
    d->parent = *out = b->dataset_count++;
    return YM_OK;
}

/* Patients once shared stay shared: a group only grows. */
static enum ym_code join(struct ym_budget *b, size_t x, size_t y, struct ym_status *st)
{
    size_t into = group_of(b, x), from = group_of(b, y);
    enum ym_code code;

    if (into == from)
        return YM_OK;
    code = ym_spend_merge(&b->dataset[into].spend, &b->dataset[from].spend, st);
    if (code != YM_OK)
        return code;
    ym_spend_release(&b->dataset[from].spend);
    b->dataset[from].parent = into;
    return YM_OK;
}

/* The filter's theorem is about one order, chosen before anything was released. */
static enum ym_code take_order(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    int64_t order;
    enum ym_code code = ym_json_get_int(leaf, "order_milli", 1, INT64_MAX, &order, st);

    if (code == YM_OK && !ym_spend_order_valid(order))
        code = ym_status_set(st, YM_INVALID, "'order_milli' %" PRId64 " is no order of the accountant", order);
    if (code == YM_OK && b->have_policy && order != b->order_milli)
        code = ym_status_set(st, YM_INVALID, "'order_milli' is %" PRId64 ", but the first policy fixed it at %" PRId64,
                             order, b->order_milli);
    if (code == YM_OK)
        b->order_milli = order;
    return code;
}

static enum ym_code take_policy(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    int64_t cap, delta;
    enum ym_code code = ym_json_get_int(leaf, "epsilon_cap_micro", 0, CAP_MAX, &cap, st);

    if (code == YM_OK)
        code = ym_json_get_int(leaf, "delta_e18", 1, DELTA_ONE - 1, &delta, st);
    if (code == YM_OK)
        code = take_order(b, leaf, st);
    if (code != YM_OK)
        return code;
    b->cap_micro = cap;
    b->delta_e18 = delta;
    b->have_policy = true;
    return YM_OK;
}

static enum ym_code get_name(const json_t *leaf, const char *key, const char **out, struct ym_status *st)
{
    enum ym_code code = ym_json_get_str(leaf, key, out, st);

    if (code == YM_OK && !ym_name_valid(*out))
        code = ym_status_set(st, YM_INVALID, "'%s' is not a name", key);
    return code;
}

static enum ym_code take_card(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    const json_t *group = json_object_get(leaf, "group"), *member;
    const char *name;
    size_t own, other, i;
    enum ym_code code = get_name(leaf, "dataset", &name, st);

    if (code != YM_OK)
        return code;
    if (!json_is_array(group))
        return ym_status_set(st, YM_INVALID, "'group' must be an array of data sets");
    code = add_dataset(b, name, &own, st);
    json_array_foreach(group, i, member)
    {
        if (code != YM_OK)
            return code;
        if (!json_is_string(member) || !ym_name_valid(json_string_value(member)))
            return ym_status_set(st, YM_INVALID, "'group' holds something that is not a name");
        code = add_dataset(b, json_string_value(member), &other, st);
        if (code == YM_OK)
            code = join(b, own, other, st);
    }
    return code;
}

static bool text_is(const json_t *leaf, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(leaf, key));

    return text && strcmp(text, expected) == 0;
}

/* A charge of a kind that this program cannot account for is a full stop. */
static enum ym_code check_kind(const json_t *leaf, struct ym_status *st)
{
    int64_t clip;

    if (!text_is(leaf, "mechanism", "poisson-sampled rounded gaussian") || !text_is(leaf, "unit", "patient") ||
        !text_is(leaf, "relation", "add-or-remove-one") || !text_is(leaf, "accountant", "rdp/1") ||
        (!text_is(leaf, "route", "integer") && !text_is(leaf, "route", "bounded")))
        return ym_status_set(st, YM_INVALID, "a charge of an unknown mechanism, route, unit, relation or accountant");
    return ym_json_get_int(leaf, "clip_units", YM_CLIP_UNITS, YM_CLIP_UNITS, &clip, st);
}

static enum ym_code read_event(const json_t *o, struct ym_event *e, struct ym_status *st)
{
    const char *variance, *k;
    int64_t steps;
    enum ym_code code = ym_json_get_str(o, "noise_variance", &variance, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "sampling_k", &k, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "steps", 1, INT64_MAX, &steps, st);
    if (code == YM_OK && !ym_spend_event(variance, k, steps, e))
        code = ym_status_set(st, YM_INVALID, "noise_variance, sampling_k or steps is malformed");
    return code;
}

static enum ym_code read_also(const json_t *o, struct ym_events *e, struct ym_status *st)
{
    struct ym_event one;
    const char *use;
    enum ym_code code = ym_json_get_str(o, "for", &use, st);

    if (code == YM_OK)
        code = read_event(o, &one, st);
    if (code == YM_OK && (json_object_size(o) != 4 || !ym_spend_also(e, use, &one)))
        code = ym_status_set(st, YM_INVALID, "'also' holds something unknown or too much");
    return code;
}

static enum ym_code read_events(const json_t *leaf, struct ym_events *e, struct ym_status *st)
{
    const json_t *also = json_object_get(leaf, "also");
    enum ym_code code = read_event(leaf, &e->event[0], st);

    e->count = 1;
    e->use[0] = YM_USE_TRAINING;
    if (code == YM_OK && !json_is_array(also))
        code = ym_status_set(st, YM_INVALID, "'also' must be a list");
    for (size_t i = 0; code == YM_OK && i < json_array_size(also); i++)
        code = read_also(json_array_get(also, i), e, st);
    return code;
}

static enum ym_code read_charge(const json_t *leaf, struct ym_budget_line *line, struct ym_status *st)
{
    const char *study, *dataset;
    int64_t round, attempt;
    enum ym_code code = get_name(leaf, "study", &study, st);

    if (code == YM_OK)
        code = get_name(leaf, "dataset", &dataset, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "round", 1, UINT32_MAX, &round, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "attempt", 1, UINT32_MAX, &attempt, st);
    if (code == YM_OK)
        code = check_kind(leaf, st);
    if (code == YM_OK)
        code = read_events(leaf, &line->events, st);
    if (code != YM_OK)
        return code;
    memcpy(line->study, study, strlen(study) + 1);
    memcpy(line->dataset, dataset, strlen(dataset) + 1);
    line->round = (uint32_t)round;
    line->attempt = (uint32_t)attempt;
    return YM_OK;
}

static enum ym_code push_line(struct ym_budget *b, const struct ym_budget_line *line, struct ym_status *st)
{
    if (b->line_count == b->line_cap) {
        size_t cap = b->line_cap ? 2 * b->line_cap : 16;
        struct ym_budget_line *grown = realloc(b->line, cap * sizeof(*grown));

        if (!grown)
            return ym_status_set(st, YM_EXHAUSTED, "out of memory for the budget");
        b->line = grown;
        b->line_cap = cap;
    }
    b->line[b->line_count++] = *line;
    return YM_OK;
}

static enum ym_code take_charge(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    static const struct ym_spend nothing;
    struct ym_budget_line line = {.cap_micro = b->cap_micro, .delta_e18 = b->delta_e18, .order_milli = b->order_milli};
    struct ym_spend *spend;
    size_t dataset;
    enum ym_code code = read_charge(leaf, &line, st);

    if (code != YM_OK)
        return code;
    if (!b->have_policy)
        return ym_status_set(st, YM_INVALID, "a charge before any policy");
    if (!find_dataset(b, line.dataset, &dataset))
        return ym_status_set(st, YM_INVALID, "a charge on data set '%s', which has no card", line.dataset);
    if (ym_budget_charged(b, line.study, line.round, line.attempt))
        return ym_status_set(st, YM_INVALID, "study '%s' round %" PRIu32 " attempt %" PRIu32 " is charged twice",
                             line.study, line.round, line.attempt);
    spend = &b->dataset[group_of(b, dataset)].spend;
    code = ym_spend_micro(&nothing, &line.events, b->delta_e18, b->cache, &line.round_micro, st);
    if (code == YM_OK)
        code = ym_spend_add_all(spend, &line.events, st);
    if (code == YM_OK)
        code = ym_spend_micro_at(spend, NULL, b->delta_e18, b->order_milli, b->cache, &line.spent_micro, st);
    if (code == YM_OK)
        code = ym_spend_micro(spend, NULL, b->delta_e18, b->cache, &line.tight_micro, st);
    return code == YM_OK ? push_line(b, &line, st) : code;
}

static enum ym_code take_typed(struct ym_budget *b, const char *type, const json_t *leaf, struct ym_status *st)
{
    if (strcmp(type, "policy") == 0)
        return take_policy(b, leaf, st);
    if (strcmp(type, "dataset_card") == 0)
        return take_card(b, leaf, st);
    return take_charge(b, leaf, st);
}

static enum ym_code take_parsed(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    const char *type = json_string_value(json_object_get(leaf, "type"));
    const char *key = json_string_value(json_object_get(leaf, "key"));
    enum ym_code code;

    if (strcmp(type, "genesis") == 0 && b->owner[0] == '\0')
        memcpy(b->owner, key, sizeof(b->owner));
    if (strcmp(type, "policy") != 0 && strcmp(type, "dataset_card") != 0 && strcmp(type, "charge") != 0)
        return YM_OK;
    if (b->owner[0] && strcmp(b->owner, key) != 0)
        return ym_status_set(st, YM_CORRUPT, "leaf '%s' is not signed by the ledger's owner", type);
    code = take_typed(b, type, leaf, st);
    if (code != YM_OK && code != YM_EXHAUSTED)
        return ym_status_wrap(st, YM_CORRUPT, "leaf '%s'", type);
    return code;
}

enum ym_code ym_budget_take(struct ym_budget *b, struct ym_bytes leaf, struct ym_status *st)
{
    json_t *parsed = NULL;
    enum ym_code code;

    if (b->broken)
        return ym_status_set(st, YM_CORRUPT, "budget: an earlier leaf could not be understood");
    code = ym_leaf_parse(leaf, &parsed, st);
    if (code == YM_OK)
        code = take_parsed(b, parsed, st);
    json_decref(parsed);
    if (code == YM_OK)
        return YM_OK;
    b->broken = true;
    return ym_status_wrap(st, code == YM_EXHAUSTED ? code : YM_CORRUPT, "budget");
}

struct fold {
    struct ym_budget *b;
    enum ym_code code;
    struct ym_status *st;
};

static bool fold_leaf(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct fold *f = ctx;

    f->code = ym_budget_take(f->b, leaf, f->st);
    if (f->code != YM_OK)
        ym_status_wrap(f->st, f->code, "entry %" PRIu64, index);
    return f->code == YM_OK;
}

enum ym_code ym_budget_fold(struct ym_ledger *l, struct ym_budget **out, struct ym_status *st)
{
    struct fold f = {.b = budget_new(), .code = YM_OK, .st = st};
    enum ym_code code;

    if (!f.b)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory for the budget");
    code = ym_ledger_each(l, 0, fold_leaf, &f, st);
    if (code == YM_OK)
        code = f.code;
    if (code != YM_OK) {
        ym_budget_free(f.b);
        return code;
    }
    *out = f.b;
    return YM_OK;
}

size_t ym_budget_count(const struct ym_budget *b)
{
    return b->line_count;
}

const struct ym_budget_line *ym_budget_at(const struct ym_budget *b, size_t i)
{
    YM_ASSERT(i < b->line_count);
    return &b->line[i];
}

static enum ym_code usable(const struct ym_budget *b, const char *dataset, size_t *index, struct ym_status *st)
{
    if (b->broken)
        return ym_status_set(st, YM_CORRUPT, "budget: a leaf could not be understood");
    if (!b->have_policy)
        return ym_status_set(st, YM_DENIED, "no policy sets a privacy budget; sign one with yumen-site policy");
    if (!find_dataset(b, dataset, index))
        return ym_status_set(st, YM_NOT_FOUND, "data set '%.63s' has no card in the ledger", dataset);
    return YM_OK;
}

enum ym_code ym_budget_spent(const struct ym_budget *b, const char *dataset, int64_t *spent_micro, int64_t *cap_micro,
                             int64_t *delta_e18, struct ym_status *st)
{
    size_t index;
    int64_t spent;
    enum ym_code code = usable(b, dataset, &index, st);

    if (code == YM_OK)
        code = ym_spend_micro_at(&b->dataset[group_of(b, index)].spend, NULL, b->delta_e18, b->order_milli, b->cache,
                                 &spent, st);
    if (code != YM_OK)
        return code;
    *spent_micro = spent;
    *cap_micro = b->cap_micro;
    *delta_e18 = b->delta_e18;
    return YM_OK;
}

enum ym_code ym_budget_tight(const struct ym_budget *b, const char *dataset, int64_t *tight_micro, struct ym_status *st)
{
    size_t index;
    enum ym_code code = usable(b, dataset, &index, st);

    if (code != YM_OK)
        return code;
    return ym_spend_micro(&b->dataset[group_of(b, index)].spend, NULL, b->delta_e18, b->cache, tight_micro, st);
}

int64_t ym_budget_order_milli(const struct ym_budget *b)
{
    return b->order_milli;
}

enum ym_code ym_budget_check(const struct ym_budget *b, const char *dataset, const struct ym_events *e,
                             int64_t *alone_micro, int64_t *after_micro, struct ym_status *st)
{
    static const struct ym_spend nothing;
    size_t index;
    int64_t alone, after;
    enum ym_code code = usable(b, dataset, &index, st);

    if (code == YM_OK)
        code = ym_spend_micro(&nothing, e, b->delta_e18, b->cache, &alone, st);
    if (code == YM_OK)
        code = ym_spend_micro_at(&b->dataset[group_of(b, index)].spend, e, b->delta_e18, b->order_milli, b->cache,
                                 &after, st);
    if (code != YM_OK)
        return code;
    if (after > b->cap_micro)
        return ym_status_set(st, YM_EXHAUSTED,
                             "data set '%s': this would bring the epsilon spent to %.6f; the cap is %.6f", dataset,
                             (double)after / 1e6, (double)b->cap_micro / 1e6);
    *alone_micro = alone;
    *after_micro = after;
    return YM_OK;
}

enum ym_code ym_budget_study(const struct ym_budget *b, const char *study, const struct ym_events *plus,
                             int64_t delta_e18, int64_t *micro, struct ym_status *st)
{
    struct ym_spend all = {0};
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && i < b->line_count; i++)
        if (strcmp(b->line[i].study, study) == 0)
            code = ym_spend_add_all(&all, &b->line[i].events, st);
    if (code == YM_OK)
        code = ym_spend_micro(&all, plus, delta_e18, b->cache, micro, st);
    ym_spend_release(&all);
    return code;
}

bool ym_budget_charged(const struct ym_budget *b, const char *study, uint32_t round, uint32_t attempt)
{
    for (size_t i = 0; i < b->line_count; i++)
        if (b->line[i].round == round && b->line[i].attempt == attempt && strcmp(b->line[i].study, study) == 0)
            return true;
    return false;
}
