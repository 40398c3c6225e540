#include "audit/spend.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define STEPS_MAX ((uint64_t)1 << 62)
#define DELTA_ONE 1000000000000000000

struct cached {
    uint64_t sigma_units, sampling_k;
    struct ym_rdp one;
};

struct ym_spend_cache {
    struct cached *item;
    size_t count, cap;
};

struct ym_spend_cache *ym_spend_cache_new(void)
{
    return calloc(1, sizeof(struct ym_spend_cache));
}

void ym_spend_cache_free(struct ym_spend_cache *c)
{
    if (!c)
        return;
    free(c->item);
    free(c);
}

static enum ym_code cache_get(struct ym_spend_cache *c, const struct ym_event *e, const struct ym_rdp **out,
                              struct ym_status *st)
{
    struct ym_event one = {e->sigma_units, e->sampling_k, 1};
    struct cached *item;
    enum ym_code code;

    for (size_t i = 0; i < c->count; i++)
        if (c->item[i].sigma_units == e->sigma_units && c->item[i].sampling_k == e->sampling_k) {
            *out = &c->item[i].one;
            return YM_OK;
        }
    if (c->count == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 8;

        item = realloc(c->item, cap * sizeof(*item));
        if (!item)
            return ym_status_set(st, YM_EXHAUSTED, "out of memory for the accountant");
        c->item = item;
        c->cap = cap;
    }
    item = &c->item[c->count];
    item->sigma_units = e->sigma_units;
    item->sampling_k = e->sampling_k;
    ym_rdp_clear(&item->one);
    code = ym_rdp_add(&item->one, &one, st);
    if (code != YM_OK)
        return code;
    c->count++;
    *out = &item->one;
    return YM_OK;
}

void ym_spend_release(struct ym_spend *s)
{
    free(s->item);
    *s = (struct ym_spend){0};
}

static int compare(const struct ym_event *a, const struct ym_event *b)
{
    if (a->sigma_units != b->sigma_units)
        return a->sigma_units < b->sigma_units ? -1 : 1;
    return a->sampling_k < b->sampling_k ? -1 : a->sampling_k > b->sampling_k;
}

static size_t place_of(const struct ym_spend *s, const struct ym_event *e)
{
    size_t i = 0;

    while (i < s->count && compare(&s->item[i], e) < 0)
        i++;
    return i;
}

static bool valid(const struct ym_event *e)
{
    return e->sigma_units > 0 && e->sampling_k > 0 && e->steps > 0 && e->steps <= STEPS_MAX;
}

enum ym_code ym_spend_add(struct ym_spend *s, const struct ym_event *e, struct ym_status *st)
{
    size_t at = place_of(s, e);
    uint64_t held = at < s->count && compare(&s->item[at], e) == 0 ? s->item[at].steps : 0;

    if (!valid(e) || held + e->steps > STEPS_MAX)
        return ym_status_set(st, YM_INVALID, "a charge without noise, sampling or a sensible number of steps");
    if (held > 0) {
        s->item[at].steps += e->steps;
        return YM_OK;
    }
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 4;
        struct ym_event *item = realloc(s->item, cap * sizeof(*item));

        if (!item)
            return ym_status_set(st, YM_EXHAUSTED, "out of memory for the budget");
        s->item = item;
        s->cap = cap;
    }
    memmove(&s->item[at + 1], &s->item[at], (s->count - at) * sizeof(*s->item));
    s->item[at] = *e;
    s->count++;
    return YM_OK;
}

enum ym_code ym_spend_add_all(struct ym_spend *s, const struct ym_events *e, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && i < e->count; i++)
        code = ym_spend_add(s, &e->event[i], st);
    return code;
}

enum ym_code ym_spend_merge(struct ym_spend *into, const struct ym_spend *from, struct ym_status *st)
{
    for (size_t i = 0; i < from->count; i++) {
        enum ym_code code = ym_spend_add(into, &from->item[i], st);

        if (code != YM_OK)
            return code;
    }
    return YM_OK;
}

/* nextafter(x, INFINITY) of x >= 0, without the call: it is most of what a charge costs. */
static double next_up(double x)
{
    uint64_t bits;

    if (!(x < INFINITY))
        return x;
    memcpy(&bits, &x, sizeof bits);
    bits++;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* sum + steps * one, each operation rounded up. */
static double add_up(double sum, uint64_t steps, double one)
{
    return next_up(sum + next_up((double)steps * one * (1 + 0x1p-51)));
}

struct places { /* of the grid, which are wanted */
    size_t from, to;
};

static enum ym_code compose(struct ym_rdp *sum, const struct ym_event *e, struct places at, struct ym_spend_cache *c,
                            struct ym_status *st)
{
    const struct ym_rdp *one = NULL;
    enum ym_code code = cache_get(c, e, &one, st);

    if (code != YM_OK)
        return code;
    for (size_t i = at.from; i < at.to; i++)
        sum->at[i] = add_up(sum->at[i], e->steps, one->at[i]);
    return YM_OK;
}

static enum ym_code compose_all(struct ym_rdp *sum, const struct ym_spend *s, struct places at,
                                struct ym_spend_cache *c, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && i < s->count; i++)
        code = compose(sum, &s->item[i], at, c, st);
    return code;
}

/* The same with one more charge: a copy, so that the order of adding is the same as if it had been added. */
static enum ym_code compose_plus(struct ym_rdp *sum, const struct ym_spend *s, const struct ym_events *plus,
                                 struct places at, struct ym_spend_cache *c, struct ym_status *st)
{
    struct ym_spend both = {0};
    enum ym_code code = ym_spend_merge(&both, s, st);

    if (code == YM_OK)
        code = ym_spend_add_all(&both, plus, st);
    if (code == YM_OK)
        code = compose_all(sum, &both, at, c, st);
    ym_spend_release(&both);
    return code;
}

/* sum: zero everywhere when nothing was charged. */
static enum ym_code compose_valid(struct ym_rdp *sum, const struct ym_spend *s, const struct ym_events *plus,
                                  int64_t delta_e18, struct places at, struct ym_spend_cache *c, struct ym_status *st)
{
    if (delta_e18 < 1 || delta_e18 >= DELTA_ONE)
        return ym_status_set(st, YM_INVALID, "delta must lie between 0 and 1");
    ym_rdp_clear(sum);
    return plus ? compose_plus(sum, s, plus, at, c, st) : compose_all(sum, s, at, c, st);
}

enum ym_code ym_spend_micro(const struct ym_spend *s, const struct ym_events *plus, int64_t delta_e18,
                            struct ym_spend_cache *c, int64_t *micro, struct ym_status *st)
{
    const double *order;
    struct places all = {0, ym_rdp_orders(&order)};
    struct ym_rdp sum;
    enum ym_code code = compose_valid(&sum, s, plus, delta_e18, all, c, st);

    if (code == YM_OK)
        *micro = ym_epsilon_micro(ym_rdp_epsilon(&sum, (double)delta_e18 / 1e18, NULL));
    return code;
}

static struct ym_event *flat_list(const struct ym_spend *s, const struct ym_events *plus, size_t *count)
{
    struct ym_event *list = calloc(s->count + (plus ? plus->count : 0) + 1, sizeof *list);

    *count = 0;
    for (size_t i = 0; list && i < s->count; i++)
        list[(*count)++] = s->item[i];
    for (size_t i = 0; list && plus && i < plus->count; i++)
        list[(*count)++] = plus->event[i];
    return list;
}

enum ym_code ym_spend_tight(const struct ym_spend *s, const struct ym_events *plus, int64_t delta_e18,
                            struct ym_spend_cache *c, struct ym_tight *out, struct ym_status *st)
{
    struct ym_tight t = {0};
    struct ym_figures f;
    struct ym_event *list;
    size_t count;
    enum ym_code code = ym_spend_micro(s, plus, delta_e18, c, &t.micro, st);

    if (code != YM_OK)
        return code;
    t.certified = t.micro == 0; /* nothing is below 0 */
    list = flat_list(s, plus, &count);
    if (!list)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory for the accountant");
    if (count > 0 && ym_accountants_agree(list, count, (double)delta_e18 / 1e18, &f, NULL) == YM_OK &&
        ym_epsilon_micro(f.certified) <= t.micro)
        t = (struct ym_tight){ym_epsilon_micro(f.certified), true};
    free(list);
    *out = t;
    return YM_OK;
}

const char *ym_tight_name(const struct ym_tight *t)
{
    return t->certified ? "pld" : "rdp";
}

const char *ym_tight_words(const char *name)
{
    return strcmp(name, "pld") == 0 ? T(ACCOUNTANT_PLD) : T(ACCOUNTANT_RDP);
}

static double order_of(int64_t order_milli)
{
    return (double)order_milli / 1000;
}

/* Place on the grid; the grid's length when it is not there. */
static size_t place_of_order(int64_t order_milli, size_t *count)
{
    const double *order;
    size_t i = 0;

    *count = ym_rdp_orders(&order);
    while (i < *count && order[i] != order_of(order_milli))
        i++;
    return i;
}

bool ym_spend_order_valid(int64_t order_milli)
{
    size_t count, at = place_of_order(order_milli, &count);

    return at < count;
}

static enum ym_code no_order(int64_t order_milli, struct ym_status *st)
{
    return ym_status_set(st, YM_INVALID, "order %" PRId64 " thousandths is not one of the accountant's", order_milli);
}

enum ym_code ym_spend_micro_at(const struct ym_spend *s, const struct ym_events *plus, int64_t delta_e18,
                               int64_t order_milli, struct ym_spend_cache *c, int64_t *micro, struct ym_status *st)
{
    struct ym_rdp sum;
    size_t count, at = place_of_order(order_milli, &count);
    enum ym_code code;

    if (at == count)
        return no_order(order_milli, st);
    code = compose_valid(&sum, s, plus, delta_e18, (struct places){at, at + 1}, c, st);
    if (code == YM_OK)
        *micro = ym_epsilon_micro(ym_rdp_epsilon_at(&sum, (double)delta_e18 / 1e18, order_of(order_milli)));
    return code;
}

enum ym_code ym_spend_added_micro(const struct ym_spend *s, const struct ym_events *plus, int64_t order_milli,
                                  struct ym_spend_cache *c, int64_t *micro, struct ym_status *st)
{
    struct ym_rdp sum;
    size_t count, at = place_of_order(order_milli, &count);
    enum ym_code code;

    if (at == count)
        return no_order(order_milli, st);
    code = compose_valid(&sum, s, plus, 1, (struct places){at, at + 1}, c, st);
    if (code == YM_OK)
        *micro = ym_epsilon_micro(sum.at[at]);
    return code;
}

static bool parse_digits(const char *text, unsigned __int128 *out)
{
    unsigned __int128 n = 0;
    size_t len = strlen(text);

    if (len == 0 || len > 38 || text[0] == '0')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        n = 10 * n + (unsigned)(text[i] - '0');
    }
    *out = n;
    return true;
}

static uint64_t square_root(unsigned __int128 n)
{
    uint64_t root = 0;

    for (int bit = 62; bit >= 0; bit--) {
        uint64_t next = root | (uint64_t)1 << bit;

        if ((unsigned __int128)next * next <= n)
            root = next;
    }
    return root;
}

bool ym_spend_event(const char *noise_variance, const char *sampling_k, int64_t steps, struct ym_event *out)
{
    unsigned __int128 variance, k;
    struct ym_event e;

    if (!parse_digits(noise_variance, &variance) || !parse_digits(sampling_k, &k) || k > UINT64_MAX || steps < 1)
        return false;
    e = (struct ym_event){square_root(variance), (uint64_t)k, (uint64_t)steps};
    if ((unsigned __int128)e.sigma_units * e.sigma_units != variance || !valid(&e))
        return false;
    *out = e;
    return true;
}

static const char *const uses[YM_USE_COUNT] = {
    [YM_USE_TRAINING] = "training", [YM_USE_METRIC] = "metric", [YM_USE_SCALING] = "scaling"};

const char *ym_spend_use_name(enum ym_use use)
{
    return uses[use];
}

bool ym_spend_also(struct ym_events *e, const char *use, const struct ym_event *one)
{
    for (int u = YM_USE_TRAINING + 1; u < YM_USE_COUNT && e->count < YM_EVENTS_MAX; u++)
        if (strcmp(uses[u], use) == 0) {
            e->use[e->count] = (enum ym_use)u;
            e->event[e->count++] = *one;
            return true;
        }
    return false;
}
