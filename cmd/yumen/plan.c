#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "audit/limits.h"
#include "audit/spend.h"
#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/plan.h"
#include "cmd/yumen/print.h"
#include "gate/design.h"
#include "models/model.h"

static enum ym_code tight_of(const struct ym_plan *plan, struct ym_plan_cost *out, struct ym_status *st)
{
    static const struct ym_spend nothing;
    struct ym_spend_cache *cache = ym_spend_cache_new();
    struct ym_events e;
    struct ym_tight t;
    enum ym_code code;

    if (!cache)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    ym_plan_events(plan, 1, plan->rounds, &e);
    code = ym_spend_tight(&nothing, &e, (int64_t)plan->delta.scaled, cache, &t, st);
    ym_spend_cache_free(cache);
    if (code != YM_OK)
        return code;
    out->tight_micro = t.micro;
    out->tight_by = ym_tight_name(&t);
    return YM_OK;
}

static bool rounds_cost_less(const struct ym_plan *plan, uint32_t rounds, int64_t limit_micro)
{
    int64_t micro;

    return ym_plan_epsilon(plan, 1, rounds, &micro, NULL) == YM_OK && micro <= limit_micro;
}

/* The plan itself fits: it was checked. */
static uint32_t most_rounds(const struct ym_plan *plan)
{
    const __int128 micro = (__int128)1000000000000;
    int64_t limit = (int64_t)(plan->epsilon_max.scaled / micro);
    uint32_t low = plan->rounds, high = YM_PLAN_MAX_ROUNDS + 1;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (rounds_cost_less(plan, middle, limit))
            low = middle;
        else
            high = middle;
    }
    return low;
}

enum ym_code ym_plan_cost_of(const struct ym_plan *plan, struct ym_plan_cost *out, struct ym_status *st)
{
    struct ym_model model;
    enum ym_code code = ym_model_from_plan(plan, &model, st);

    if (code == YM_OK)
        code = ym_plan_epsilon(plan, 1, 1, &out->first_round_micro, st);
    if (code == YM_OK)
        code = ym_plan_epsilon(plan, 1, plan->rounds, &out->epsilon_micro, st);
    if (code == YM_OK)
        code = tight_of(plan, out, st);
    if (code == YM_OK)
        out->rounds_fit = most_rounds(plan);
    out->dim = model.dim;
    out->update_bytes = 8 * (uint64_t)ym_model_update_dim(&model);
    return code;
}

enum ym_code ym_plan_decimal(const struct ym_plan *plan, const char *section, const char *key, char out[64],
                             struct ym_status *st)
{
    json_t *root = NULL;
    const char *text;
    enum ym_code code = ym_json_parse(plan->canonical.data, plan->canonical.len, YM_PLAN_MAX_BYTES, &root, st);

    if (code == YM_OK)
        code = ym_json_get_str(json_object_get(root, section), key, &text, st);
    if (code == YM_OK)
        snprintf(out, 64, "%s", text);
    json_decref(root);
    return code;
}

static void print_hash(struct ym_buf *out, const struct ym_plan *plan)
{
    ym_hex_encode(plan->hash, sizeof plan->hash, out);
}

static void print_cost(const struct ym_plan *plan, const struct ym_plan_cost *c)
{
    struct ym_buf total = {0}, first = {0}, cap = {0}, delta = {0}, hash = {0}, tight = {0};

    ym_print_micro(&tight, c->tight_micro);
    ym_print_micro(&total, c->epsilon_micro);
    ym_print_micro(&first, c->first_round_micro);
    ym_decimal_format(plan->epsilon_max, &cap);
    ym_decimal_format(plan->delta, &delta);
    print_hash(&hash, plan);
    printf(T(SPONSOR_PLAN_OK), plan->study, ym_buf_str(&hash));
    printf(T(SPONSOR_PLAN_WORK), plan->rounds, plan->steps_per_round, plan->site_count, plan->quorum);
    printf(T(SPONSOR_PLAN_COST), ym_buf_str(&total), ym_buf_str(&delta), ym_buf_str(&cap), ym_buf_str(&first));
    printf(T(SPONSOR_PLAN_TIGHT), ym_buf_str(&tight), ym_tight_words(c->tight_by));
    printf(T(SPONSOR_PLAN_ROUNDS), c->rounds_fit);
    if (ym_plan_epsilon_micro(plan) > YM_EPSILON_PLAIN_MICRO)
        printf(T(SPONSOR_PLAN_LARGE), YM_EPSILON_PLAIN_MICRO / 1000000);
    printf("%s", T(SPONSOR_PLAN_UNIT));
    ym_buf_release(&tight);
    printf(T(SPONSOR_PLAN_BYTES), c->dim, (unsigned long long)c->update_bytes,
           (unsigned long long)c->update_bytes * plan->rounds);
    ym_print_border(plan);
    ym_buf_release(&total);
    ym_buf_release(&first);
    ym_buf_release(&cap);
    ym_buf_release(&delta);
    ym_buf_release(&hash);
}

json_t *ym_json_plan_cost(const struct ym_plan *plan, const struct ym_plan_cost *c)
{
    struct ym_buf hash = {0}, delta = {0}, cap = {0};
    json_t *o;

    print_hash(&hash, plan);
    ym_decimal_format(plan->delta, &delta);
    ym_decimal_format(plan->epsilon_max, &cap);
    o = json_pack("{s:b,s:s,s:s,s:i,s:i,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:s,s:i,s:o}", "ok", 1, "study",
                  plan->study, "plan", ym_buf_str(&hash), "rounds", (int)plan->rounds, "steps_per_round",
                  (int)plan->steps_per_round, "epsilon_micro", (json_int_t)c->epsilon_micro,
                  "epsilon_first_round_micro", (json_int_t)c->first_round_micro, "delta", ym_buf_str(&delta),
                  "epsilon_limit", ym_buf_str(&cap), "unit", "patient", "relation", "add-or-remove-one", "accountant",
                  "rdp/1", "parameters", (json_int_t)c->dim, "update_bytes", (json_int_t)c->update_bytes,
                  "release_bytes", (json_int_t)(c->update_bytes * plan->rounds), "tight_micro",
                  (json_int_t)c->tight_micro, "tight_accountant", c->tight_by, "rounds_fit", (int)c->rounds_fit,
                  "border", ym_json_border(plan));
    ym_buf_release(&hash);
    ym_buf_release(&delta);
    ym_buf_release(&cap);
    return o;
}

static json_t *problems_json(const struct ym_problems *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->count; i++)
        json_array_append_new(list, json_pack("{s:s,s:i,s:s,s:s}", "file", p->item[i].file, "line", p->item[i].line,
                                              "key", p->item[i].key, "message", p->item[i].message));
    return list;
}

void ym_print_problems(const struct ym_problems *p, bool json)
{
    struct ym_buf text = {0};

    if (json) {
        json_t *o = json_pack("{s:b,s:o}", "ok", 0, "problems", problems_json(p));

        ym_print_json(o);
        json_decref(o);
        return;
    }
    ym_problems_format(p, &text);
    printf("%s", ym_buf_str(&text));
    printf(T(SPONSOR_PLAN_PROBLEMS), p->count);
    ym_buf_release(&text);
}

static int print_checked(const struct ym_plan *plan, bool json, struct ym_status *st)
{
    struct ym_plan_cost cost = {0};

    if (ym_plan_cost_of(plan, &cost, st) != YM_OK)
        return ym_cli_fail("yumen", st);
    if (json) {
        json_t *o = ym_json_plan_cost(plan, &cost);

        ym_print_json(o);
        json_decref(o);
    } else {
        print_cost(plan, &cost);
    }
    return YM_EXIT_DONE;
}

enum ym_code ym_plan_open(const char *path, struct ym_plan **out, struct ym_problems *p, struct ym_status *st)
{
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_load(path, &doc, p, st);

    if (code == YM_OK)
        code = ym_plan_read(doc, out, p, st);
    ym_doc_free(doc);
    return code;
}

int ym_cmd_plan_check(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_problems problems = {0};
    struct ym_plan *plan = NULL;
    bool json = ym_cli_has(a, "json");
    int rc;

    if (ym_plan_open(a->positional[0], &plan, &problems, &st) == YM_OK) {
        rc = print_checked(plan, json, &st);
    } else if (problems.count > 0) {
        ym_print_problems(&problems, json);
        rc = YM_EXIT_NO;
    } else {
        rc = ym_cli_fail("yumen", &st);
    }
    ym_plan_free(plan);
    ym_problems_release(&problems);
    return rc;
}

static void show_variable(const struct ym_variable *v)
{
    printf("  %s", v->name);
    if (v->kind == YM_VAR_NUMBER)
        printf(T(SPONSOR_SHOW_NUMBER), v->low, v->high, v->unit);
    for (size_t i = 0; v->kind == YM_VAR_CATEGORY && i < v->level_count; i++)
        printf("%s%s", i == 0 ? ": " : " | ", v->level[i]);
    putchar('\n');
}

/* What a formula and time bins make of the inputs: those who approve see each column. */
static void show_columns(const struct ym_plan *plan)
{
    char name[YM_DESIGN_NAME_BYTES];

    printf(T(SPONSOR_SHOW_MODEL), ym_plan_family_word(plan->family), ym_plan_columns(plan));
    for (size_t i = 0; plan->term != NULL && i < ym_plan_columns(plan); i++) {
        ym_design_name(plan, i, name);
        printf("  %s\n", name);
    }
}

static void show_program(const struct ym_plan *plan)
{
    printf(T(SPONSOR_SHOW_PROGRAM), ym_plan_local_word(plan->local_opt), plan->momentum, plan->prox,
           ym_plan_schedule_word(plan->schedule), plan->warm_up_steps, ym_plan_server_word(plan->server));
}

static void show_options(const struct ym_plan *plan)
{
    if (plan->scaffold)
        fputs(T(SPONSOR_SHOW_SCAFFOLD), stdout);
    if (plan->augment.views > 0)
        printf(T(SPONSOR_SHOW_AUGMENT), plan->augment.views,
               plan->augment.flip ? T(SPONSOR_SHOW_FLIPPED) : T(SPONSOR_SHOW_UPRIGHT), plan->augment.shift);
}

static void show_metrics(const struct ym_plan *plan)
{
    if (plan->metric_every > 0)
        printf(T(SPONSOR_SHOW_METRICS), plan->metric_every, ym_plan_metric_dim(plan),
               ldexp((double)plan->metric_sigma_units, -24));
    if (plan->metric_per_site)
        printf("%s", T(SPONSOR_SHOW_PER_SITE));
    if (plan->stop_figure != YM_STOP_NEVER)
        printf(T(SPONSOR_SHOW_STOP), plan->stop_after, ym_plan_stop_word(plan->stop_figure), plan->stop_by);
}

static void show_start(const struct ym_plan *plan)
{
    struct ym_buf text = {0};
    char name[YM_PLAN_LAYER_NAME];

    if (plan->starts && ym_hex_encode(plan->start_hash, sizeof plan->start_hash, &text) == YM_OK)
        printf(T(SPONSOR_SHOW_START), ym_buf_str(&text));
    ym_buf_clear(&text);
    for (size_t i = 0; i < 64 && ym_plan_layer_name(plan, i, name); i++)
        if (plan->frozen >> i & 1)
            ym_buf_printf(&text, "%s%s", text.len > 0 ? ", " : "", name);
    if (text.len > 0)
        printf(T(SPONSOR_SHOW_FROZEN), ym_buf_str(&text));
    ym_buf_release(&text);
}

static void show(const struct ym_plan *plan)
{
    printf("%s\n%s\n\n%s\n", plan->title, plan->purpose, T(SPONSOR_SHOW_INPUTS));
    for (size_t i = 0; i < plan->input_count; i++)
        show_variable(&plan->input[i]);
    puts(T(SPONSOR_SHOW_OUTCOME));
    show_variable(&plan->outcome);
    show_columns(plan);
    puts(T(SPONSOR_SHOW_HOSPITALS));
    for (size_t i = 0; i < plan->site_count; i++)
        printf(T(SPONSOR_SHOW_HOSPITAL), plan->site[i].name, plan->site[i].weight);
    printf(T(SPONSOR_SHOW_TRAINING), ldexp((double)plan->sampling_k, -64), plan->nominal_patients, plan->learning_rate,
           plan->clip_norm, ldexp((double)plan->sigma_units, -24));
    if (plan->clip_bit_units > 0)
        printf(T(SPONSOR_SHOW_ADAPTIVE_CLIP), plan->clip_quantile, plan->clip_lr, ldexp(plan->clip_bit_units, -24));
    if (plan->scaling_sigma_units > 0)
        printf(T(SPONSOR_SHOW_SCALING), ldexp((double)plan->scaling_sigma_units, -24), plan->scaling_least);
    if (plan->route == YM_ROUTE_BOUNDED)
        fputs(T(SPONSOR_SHOW_BOUNDED), stdout);
    show_program(plan);
    show_options(plan);
    show_start(plan);
    if (plan->holdout > 0)
        printf(T(SPONSOR_SHOW_HOLDOUT), (double)plan->holdout / YM_HOLDOUT_ONE);
    show_metrics(plan);
    ym_show_border(plan);
    putchar('\n');
}

int ym_cmd_plan_show(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_plan *plan = NULL;
    int rc;

    if (ym_plan_load(a->positional[0], &plan, &st) != YM_OK)
        return ym_cli_fail("yumen", &st);
    if (ym_cli_has(a, "json")) {
        printf("%s\n", ym_buf_str(&plan->canonical)); /* the bytes that are hashed and signed */
        rc = YM_EXIT_DONE;
    } else {
        show(plan);
        rc = print_checked(plan, false, &st);
    }
    ym_plan_free(plan);
    return rc;
}
