#include "audit/ledger/budget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "audit/limits.h"
#include "audit/spend.h"
#include "base/buf.h"
#include "base/calendar.h"
#include "base/json.h"
#include "base/text.h"
#include "privacy/clip.h"

#define DELTA_ONE 1000000000000000000
#define CAP_MAX 1000000000000 /* a million epsilon */
#define DATASETS_MAX 4096

struct dataset {
    char name[64];
    size_t parent;         /* itself: the group's own entry */
    struct ym_spend spend; /* at the group's own entry */
    struct ym_spend month; /* what of it was charged in the newest month; at the group's own entry */
    struct ym_budget_card card;
};

struct override {
    char subject[65];
    int64_t epsilon_micro;
};

struct ym_budget {
    bool broken; /* a leaf could not be understood: full stop */
    bool have_policy;
    bool cap_explained; /* not above what needs no override, or an earlier override allows it */
    int64_t cap_micro, delta_e18, month_micro;
    int64_t order_milli; /* set once */
    int64_t month;       /* newest month in which the owner signed anything: clocks that go back open nothing */
    struct override *override;
    size_t override_count;
    uint64_t returning; /* leaves to come that are taken back after a loss */
    char owner[17];     /* key of the genesis leaf, "" before it */
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

static void free_dataset(struct dataset *d)
{
    ym_spend_release(&d->spend);
    ym_spend_release(&d->month);
}

void ym_budget_free(struct ym_budget *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->dataset_count; i++)
        free_dataset(&b->dataset[i]);
    free(b->dataset);
    free(b->override);
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
    if (code == YM_OK)
        code = ym_spend_merge(&b->dataset[into].month, &b->dataset[from].month, st);
    if (code != YM_OK)
        return code;
    free_dataset(&b->dataset[from]);
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

bool ym_budget_explained(const struct ym_budget *b, const char *subject, int64_t epsilon_micro)
{
    for (size_t i = 0; i < b->override_count; i++)
        if (strcmp(b->override[i].subject, subject) == 0 && b->override[i].epsilon_micro >= epsilon_micro)
            return true;
    return epsilon_micro <= YM_EPSILON_PLAIN_MICRO;
}

static enum ym_code take_override(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    struct override o = {0}, *grown;
    const char *subject, *reason;
    enum ym_code code = ym_json_get_int(leaf, "epsilon_micro", 0, INT64_MAX, &o.epsilon_micro, st);

    if (code == YM_OK)
        code = ym_json_get_str(leaf, "subject", &subject, st);
    if (code == YM_OK)
        code = ym_json_get_str(leaf, "reason", &reason, st);
    if (code != YM_OK)
        return code;
    if (strlen(subject) >= sizeof o.subject || reason[0] == '\0')
        return ym_status_set(st, YM_INVALID, "an override without a subject of ours or without a reason");
    memcpy(o.subject, subject, strlen(subject));
    grown = realloc(b->override, (b->override_count + 1) * sizeof *grown);
    if (!grown)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory for the budget");
    b->override = grown;
    b->override[b->override_count++] = o;
    return YM_OK;
}

static enum ym_code take_policy(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    int64_t cap, delta, month;
    enum ym_code code = ym_json_get_int(leaf, "epsilon_cap_micro", 0, CAP_MAX, &cap, st);

    if (code == YM_OK)
        code = ym_json_get_int(leaf, "delta_e18", 1, DELTA_ONE - 1, &delta, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "epsilon_month_micro", 0, CAP_MAX, &month, st);
    if (code == YM_OK)
        code = take_order(b, leaf, st);
    if (code != YM_OK)
        return code;
    b->cap_micro = cap;
    b->delta_e18 = delta;
    b->month_micro = month;
    b->cap_explained = ym_budget_explained(b, "policy", cap);
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

/* What is missing or too long stays empty, and no charge is made then. */
static void take_word(const json_t *public, const char *key, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(public, key));

    snprintf(out, cap, "%s", text && strlen(text) < cap ? text : "");
}

static enum ym_code take_card(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    const json_t *group = json_object_get(leaf, "group"), *public = json_object_get(leaf, "public"), *member;
    const char *name;
    size_t own, other, i;
    enum ym_code code = get_name(leaf, "dataset", &name, st);

    if (code != YM_OK)
        return code;
    if (!json_is_array(group))
        return ym_status_set(st, YM_INVALID, "'group' must be an array of data sets");
    code = add_dataset(b, name, &own, st);
    if (code == YM_OK) {
        struct ym_budget_card *card = &b->dataset[own].card;

        take_word(public, "size_class", card->size_class, sizeof card->size_class);
        take_word(public, "patient_identifier", card->identified, sizeof card->identified);
    }
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
    if (b->returning == 0 && ym_budget_charged(b, line.study, line.round, line.attempt))
        return ym_status_set(st, YM_INVALID, "study '%s' round %" PRIu32 " attempt %" PRIu32 " is charged twice",
                             line.study, line.round, line.attempt);
    spend = &b->dataset[group_of(b, dataset)].spend;
    code = ym_spend_micro(&nothing, &line.events, b->delta_e18, b->cache, &line.round_micro, st);
    if (code == YM_OK)
        code = ym_spend_add_all(spend, &line.events, st);
    if (code == YM_OK)
        code = ym_spend_add_all(&b->dataset[group_of(b, dataset)].month, &line.events, st);
    if (code == YM_OK)
        code = ym_spend_micro_at(spend, NULL, b->delta_e18, b->order_milli, b->cache, &line.spent_micro, st);
    if (code == YM_OK)
        code = ym_spend_micro(spend, NULL, b->delta_e18, b->cache, &line.tight_micro, st);
    return code == YM_OK ? push_line(b, &line, st) : code;
}

void ym_budget_return(struct ym_budget *b, uint64_t count)
{
    b->returning = count;
}

bool ym_budget_shared(const struct ym_budget *b, const char *dataset, const char *other)
{
    size_t i, k;

    return find_dataset(b, dataset, &i) && find_dataset(b, other, &k) && group_of(b, i) == group_of(b, k);
}

/* Charges that nobody holds any more, as one event that spends as much. */
static enum ym_code take_loss(struct ym_budget *b, const json_t *loss, struct ym_status *st)
{
    struct ym_event e;
    const char *dataset;
    size_t i;
    enum ym_code code = get_name(loss, "for", &dataset, st);

    if (code == YM_OK)
        code = read_event(loss, &e, st);
    if (code == YM_OK)
        code = add_dataset(b, dataset, &i, st);
    if (code == YM_OK)
        code = ym_spend_add(&b->dataset[group_of(b, i)].spend, &e, st);
    return code == YM_OK ? ym_spend_add(&b->dataset[group_of(b, i)].month, &e, st) : code;
}

static enum ym_code take_recover(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    const json_t *lost = json_object_get(leaf, "lost"), *loss;
    int64_t count;
    size_t i;
    enum ym_code code = ym_json_get_int(leaf, "count", 0, INT64_MAX, &count, st);

    if (code == YM_OK && !json_is_array(lost))
        code = ym_status_set(st, YM_INVALID, "'lost' must be a list");
    if (code == YM_OK)
        ym_budget_return(b, (uint64_t)count + 1); /* this leaf is counted too */
    json_array_foreach(lost, i, loss)
    {
        if (code == YM_OK)
            code = take_loss(b, loss, st);
    }
    return code;
}

static enum ym_code take_typed(struct ym_budget *b, const char *type, const json_t *leaf, struct ym_status *st)
{
    if (strcmp(type, "policy") == 0)
        return take_policy(b, leaf, st);
    if (strcmp(type, "dataset_card") == 0)
        return take_card(b, leaf, st);
    if (strcmp(type, "override") == 0)
        return take_override(b, leaf, st);
    if (strcmp(type, "recover") == 0)
        return take_recover(b, leaf, st);
    return take_charge(b, leaf, st);
}

/* Only the owner's own clock counts: nobody else may move this hospital's month. */
static void take_time(struct ym_budget *b, const json_t *leaf)
{
    int64_t month = ym_month_of(json_integer_value(json_object_get(leaf, "time")));

    if (month <= b->month)
        return;
    b->month = month;
    for (size_t i = 0; i < b->dataset_count; i++)
        ym_spend_release(&b->dataset[i].month);
}

static bool folded(const char *type)
{
    static const char *const types[] = {"policy", "dataset_card", "charge", "override", "recover"};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], type) == 0)
            return true;
    return false;
}

static enum ym_code take_parsed(struct ym_budget *b, const json_t *leaf, struct ym_status *st)
{
    const char *type = json_string_value(json_object_get(leaf, "type"));
    const char *key = json_string_value(json_object_get(leaf, "key"));
    enum ym_code code;

    if (strcmp(type, "genesis") == 0 && b->owner[0] == '\0')
        memcpy(b->owner, key, sizeof(b->owner));
    if (!b->owner[0] || strcmp(b->owner, key) == 0)
        take_time(b, leaf);
    if (!folded(type))
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
    if (code == YM_OK && b->returning > 0)
        b->returning--;
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
        return ym_status_set(st, YM_DENIED, "no policy sets a privacy budget; sign one with yumen-site policy sign");
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

enum ym_code ym_budget_tight(const struct ym_budget *b, const char *dataset, const struct ym_events *plus,
                             struct ym_tight *out, struct ym_status *st)
{
    size_t index;
    enum ym_code code = usable(b, dataset, &index, st);

    if (code != YM_OK)
        return code;
    return ym_spend_tight(&b->dataset[group_of(b, index)].spend, plus, b->delta_e18, b->cache, out, st);
}

int64_t ym_budget_order_milli(const struct ym_budget *b)
{
    return b->order_milli;
}

bool ym_budget_policy(const struct ym_budget *b, struct ym_budget_policy *out)
{
    if (b->have_policy)
        *out = (struct ym_budget_policy){b->cap_micro, b->delta_e18, b->order_milli, b->month_micro};
    return b->have_policy;
}

const struct ym_budget_card *ym_budget_card(const struct ym_budget *b, const char *dataset)
{
    size_t i;

    return find_dataset(b, dataset, &i) ? &b->dataset[i].card : NULL;
}

/* ---- may it be charged at all ---- */

static void delta_text(int64_t e18, char out[32])
{
    struct ym_buf text = {0};

    snprintf(out, 32, "%s", ym_decimal_format((struct ym_decimal){e18}, &text) == YM_OK ? ym_buf_str(&text) : "?");
    ym_buf_release(&text);
}

enum ym_code ym_budget_delta(const struct ym_budget *b, const char *dataset, int64_t delta_e18, bool of_plan,
                             struct ym_status *st)
{
    const struct ym_budget_card *card = ym_budget_card(b, dataset);
    int64_t most = card ? ym_size_class_delta_e18(card->size_class) : 0;
    char delta[32], limit[32];

    if (delta_e18 <= most)
        return YM_OK;
    if (most == 0)
        return ym_status_set(st, YM_DENIED, T(REFUSE_NO_CLASS), dataset);
    delta_text(delta_e18, delta);
    delta_text(most, limit);
    return ym_status_set(st, YM_DENIED, of_plan ? T(REFUSE_DELTA_PLAN) : T(REFUSE_DELTA_POLICY), dataset,
                         card->size_class, delta, (long long)ym_size_class_patients(card->size_class), limit);
}

/* The policy itself must make sense for this data set. */
static enum ym_code allowed(const struct ym_budget *b, const char *dataset, size_t *index, struct ym_status *st)
{
    enum ym_code code = usable(b, dataset, index, st);

    if (code == YM_OK && !b->cap_explained)
        code = ym_status_set(st, YM_DENIED, T(REFUSE_CAP_LARGE), (double)b->cap_micro / 1e6,
                             YM_EPSILON_PLAIN_MICRO / 1000000);
    return code == YM_OK ? ym_budget_delta(b, dataset, b->delta_e18, false, st) : code;
}

enum ym_code ym_budget_after(const struct ym_budget *b, const char *dataset, const struct ym_events *e,
                             int64_t *after_micro, struct ym_status *st)
{
    size_t index;
    enum ym_code code = usable(b, dataset, &index, st);

    return code == YM_OK ? ym_spend_micro_at(&b->dataset[group_of(b, index)].spend, e, b->delta_e18, b->order_milli,
                                             b->cache, after_micro, st)
                         : code;
}

/* ---- the month ---- */

/* What was charged in the month of now, or in a later one that the ledger has seen. */
static const struct ym_spend *month_of(const struct ym_budget *b, size_t index, int64_t now)
{
    static const struct ym_spend nothing;

    return ym_month_of(now) > b->month ? &nothing : &b->dataset[group_of(b, index)].month;
}

enum ym_code ym_budget_month(const struct ym_budget *b, const char *dataset, const struct ym_events *plus, int64_t now,
                             int64_t *added_micro, struct ym_status *st)
{
    size_t index;
    enum ym_code code = usable(b, dataset, &index, st);

    return code == YM_OK
               ? ym_spend_added_micro(month_of(b, index, now), plus, b->order_milli, b->cache, added_micro, st)
               : code;
}

enum ym_code ym_budget_month_check(const struct ym_budget *b, const char *dataset, const struct ym_events *e,
                                   int64_t now, struct ym_status *st)
{
    int64_t added;
    enum ym_code code = ym_budget_month(b, dataset, e, now, &added, st);

    if (code == YM_OK && added > b->month_micro)
        code = ym_status_set(st, YM_EXHAUSTED, T(REFUSE_MONTH), dataset, (double)added / 1e6,
                             (double)b->month_micro / 1e6);
    return code;
}

/* ---- how many more ---- */

struct room {
    const struct ym_budget *b;
    const struct ym_spend *spend, *month;
    ym_budget_rounds_fn events;
    const void *ctx;
    struct ym_status *st;
    enum ym_code code;
};

static bool fits(struct room *r, uint64_t rounds, bool month)
{
    struct ym_events e;
    int64_t micro = INT64_MAX;

    r->events(r->ctx, (uint32_t)rounds, &e);
    if (r->code == YM_OK && month)
        r->code = ym_spend_added_micro(r->month, &e, r->b->order_milli, r->b->cache, &micro, r->st);
    else if (r->code == YM_OK)
        r->code = ym_spend_micro_at(r->spend, &e, r->b->delta_e18, r->b->order_milli, r->b->cache, &micro, r->st);
    return micro <= (month ? r->b->month_micro : r->b->cap_micro);
}

/* The largest number of rounds that fits: what they cost only grows. */
static uint64_t most_rounds(struct room *r, bool month)
{
    uint64_t low = 0, high = YM_BUDGET_ROUNDS_MAX + 1;

    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        if (fits(r, middle, month))
            low = middle;
        else
            high = middle;
    }
    return low;
}

enum ym_code ym_budget_rounds(const struct ym_budget *b, const char *dataset, ym_budget_rounds_fn events,
                              const void *ctx, int64_t now, uint64_t *under_cap, uint64_t *this_month,
                              struct ym_status *st)
{
    struct room r = {.b = b, .events = events, .ctx = ctx, .st = st};
    uint64_t cap, month;
    size_t index;
    enum ym_code code = usable(b, dataset, &index, st);

    if (code != YM_OK)
        return code;
    r.spend = &b->dataset[group_of(b, index)].spend;
    r.month = month_of(b, index, now);
    cap = most_rounds(&r, false);
    month = most_rounds(&r, true);
    if (r.code != YM_OK)
        return r.code;
    *under_cap = cap;
    *this_month = month < cap ? month : cap;
    return YM_OK;
}

enum ym_code ym_budget_check(const struct ym_budget *b, const char *dataset, const struct ym_events *e,
                             int64_t *alone_micro, int64_t *after_micro, struct ym_status *st)
{
    static const struct ym_spend nothing;
    size_t index;
    int64_t alone, after;
    enum ym_code code = allowed(b, dataset, &index, st);

    if (code == YM_OK)
        code = ym_spend_micro(&nothing, e, b->delta_e18, b->cache, &alone, st);
    if (code == YM_OK)
        code = ym_spend_micro_at(&b->dataset[group_of(b, index)].spend, e, b->delta_e18, b->order_milli, b->cache,
                                 &after, st);
    if (code != YM_OK)
        return code;
    if (after > b->cap_micro)
        return ym_status_set(st, YM_EXHAUSTED, T(REFUSE_CAP), dataset, (double)after / 1e6, (double)b->cap_micro / 1e6);
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
