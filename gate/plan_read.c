#include "gate/plan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "privacy/clip.h"

const char *const ym_plan_families[] = {"linear",  "logistic",        "multinomial",           "mlp", "network",
                                        "poisson", "discrete_hazard", "piecewise_exponential", "cox", NULL};
static const char *const activations[] = {"tanh", "relu", NULL};
static const char *const routes[] = {"integer", "bounded", NULL};
static const char *const local_optimizers[] = {"sgd", "nesterov", "adam", NULL};
static const char *const schedules[] = {"constant", "linear", "cosine", "step", NULL};
static const char *const optimizers[] = {"fedavg", "fedadam", "fedavgm", "fedyogi", "fedadagrad", NULL};
static const char *const missing_rules[] = {"drop", "constant", "indicator", NULL};

static const struct ym_decimal_range any_value = {"-1000000000000", "1000000000000", false};
static const struct ym_decimal_range positive_1000 = {"0", "1000", true};
static const struct ym_decimal_range zero_1000 = {"0", "1000", false};
static const struct ym_decimal_range zero_one = {"0", "1", true};
static const struct ym_decimal_range some_momentum = {"0", "0.9999", true};
static const struct ym_decimal_range share_range_0 = {"0", "1", false};
static const struct ym_decimal_range momentum = {"0", "0.9999", false};
/* 2^16 clips of noise: 2^40 lattice units, what privacy/noise.h draws */
const char ym_plan_noise_most[] = "65536";
static const struct ym_decimal_range noise_range = {"0.01", ym_plan_noise_most, false};
static const struct ym_decimal_range epsilon_range = {"0", "100", true};
static const struct ym_decimal_range quantile_range = {"0.01", "0.99", false};
static const struct ym_decimal_range clip_rate_range = {"0", "10", true};
static const struct ym_decimal_range share_range = {"0.001", "0.9", false};
static const struct ym_decimal_range least_scale_range = {"0.001", "1", false};
static const struct ym_decimal_range clip_range = {"0", "1000000", true};

enum { MAX_TIMEOUT_S = 30 * 86400 };

const char *ym_plan_local_word(enum ym_local_opt opt)
{
    return local_optimizers[opt];
}

const char *ym_plan_schedule_word(enum ym_schedule schedule)
{
    return schedules[schedule];
}

const char *ym_plan_server_word(enum ym_server_opt opt)
{
    return optimizers[opt - 1];
}

const char *ym_plan_route_word(enum ym_route route)
{
    return routes[route];
}

/* ---- variables ---- */

static bool copy_levels(struct ym_schema *s, struct ym_at *list, struct ym_variable *v)
{
    size_t count = ym_schema_count(list), good = 0;
    v->level = calloc(count, sizeof *v->level);
    if (!v->level) {
        s->exhausted = true;
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char *level = v->level[good];
        if (!ym_schema_item_text(s, list, i, level, sizeof v->level[0]))
            continue;
        for (size_t k = 0; k < good; k++)
            if (!strcmp(v->level[k], level))
                ym_schema_say(s, list, NULL, T(PLAN_DUPLICATE_LEVEL), level);
        good++;
    }
    v->level_count = good;
    return good == count;
}

static void read_number(struct ym_schema *s, const struct ym_at *at, struct ym_variable *v)
{
    struct ym_decimal low, high;
    v->kind = YM_VAR_NUMBER;
    ym_schema_text(s, at, "unit", "", v->unit, sizeof v->unit);
    bool ok = ym_schema_decimal(s, at, "low", NULL, &any_value, &low);
    ok &= ym_schema_decimal(s, at, "high", NULL, &any_value, &high);
    if (!ok)
        return;
    if (low.scaled >= high.scaled)
        ym_schema_say(s, at, "low", "%s", T(PLAN_LOW_HIGH));
    v->low = ym_decimal_double(low);
    v->high = ym_decimal_double(high);
}

static void read_category(struct ym_schema *s, const struct ym_at *at, struct ym_variable *v)
{
    struct ym_at list = ym_schema_list(s, at, "levels", 2, YM_PLAN_MAX_LEVELS);
    v->kind = YM_VAR_CATEGORY;
    if (list.value)
        copy_levels(s, &list, v);
}

/* The parts that inputs and the outcome share. */
static bool read_variable(struct ym_schema *s, const struct ym_at *at, struct ym_variable *v)
{
    bool number = ym_schema_has(at, "low") || ym_schema_has(at, "high") || ym_schema_has(at, "unit");
    bool category = ym_schema_has(at, "levels");
    ym_schema_name(s, at, "name", v->name);
    if (number == category) {
        ym_schema_say(s, at, NULL, "%s", T(PLAN_NUMBER_OR_LEVELS));
        return false;
    }
    if (number)
        read_number(s, at, v);
    else
        read_category(s, at, v);
    return true;
}

static void read_constant(struct ym_schema *s, const struct ym_at *at, struct ym_variable *v)
{
    char level[64];
    struct ym_decimal d;
    if (v->kind == YM_VAR_NUMBER) {
        if (!ym_schema_decimal(s, at, "constant", NULL, &any_value, &d))
            return;
        v->constant = ym_decimal_double(d);
        if (v->low < v->high && (v->constant < v->low || v->constant > v->high))
            ym_schema_say(s, at, "constant", "%s", T(PLAN_CONSTANT_RANGE));
        return;
    }
    if (!ym_schema_text(s, at, "constant", NULL, level, sizeof level))
        return;
    for (size_t i = 0; i < v->level_count; i++)
        if (!strcmp(v->level[i], level)) {
            v->constant = (double)i;
            return;
        }
    ym_schema_say(s, at, "constant", "%s", T(PLAN_CONSTANT_LEVEL));
}

static void read_input(struct ym_schema *s, const struct ym_at *at, struct ym_variable *v)
{
    static const char *const keys[] = {"name", "unit", "low", "high", "levels", "missing", "constant", NULL};
    size_t rule;
    if (ym_schema_has(at, "channels") || ym_schema_has(at, "height") || ym_schema_has(at, "width")) {
        ym_plan_read_image(s, at, v);
        return;
    }
    ym_schema_keys(s, at, keys);
    if (!read_variable(s, at, v) || !ym_schema_choice(s, at, "missing", "drop", missing_rules, &rule))
        return;
    v->missing = (enum ym_missing)(rule + 1);
    if (v->missing == YM_MISSING_CONSTANT)
        read_constant(s, at, v);
    else if (ym_schema_has(at, "constant"))
        ym_schema_say(s, at, "constant", "%s", T(PLAN_CONSTANT_UNUSED));
}

static void read_inputs(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    struct ym_at list = ym_schema_list(s, model, "inputs", 1, YM_PLAN_MAX_INPUTS);
    size_t count = ym_schema_count(&list);
    if (!count)
        return;
    plan->input = calloc(count + 1, sizeof *plan->input); /* one more for a survival family's time */
    if (!plan->input) {
        s->exhausted = true;
        return;
    }
    plan->input_count = count;
    for (size_t i = 0; i < count; i++) {
        struct ym_at item = ym_schema_item(s, &list, i);
        if (item.value)
            read_input(s, &item, &plan->input[i]);
    }
}

static void read_outcome(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    static const char *const keys[] = {"name", "unit", "low", "high", "levels", NULL};
    struct ym_at at = ym_schema_object(s, model, "outcome", true);
    if (!at.value)
        return;
    ym_schema_keys(s, &at, keys);
    read_variable(s, &at, &plan->outcome);
    plan->outcome.missing = YM_MISSING_DROP;
}

/* ---- sections ---- */

static void read_hidden(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    struct ym_at list = ym_schema_list(s, model, "hidden", 1, YM_PLAN_MAX_HIDDEN);
    for (size_t i = 0; i < ym_schema_count(&list); i++) {
        int64_t width;
        if (ym_schema_item_int(s, &list, i, 1, 65536, &width))
            plan->hidden[plan->hidden_count++] = (uint32_t)width;
    }
}

static void read_mlp(struct ym_schema *s, const struct ym_at *model, struct ym_plan *plan)
{
    size_t activation;
    if (plan->family != YM_FAMILY_MLP) {
        if (ym_schema_has(model, "hidden"))
            ym_schema_say(s, model, "hidden", "%s", T(PLAN_MLP_ONLY));
        if (ym_schema_has(model, "activation"))
            ym_schema_say(s, model, "activation", "%s", T(PLAN_MLP_ONLY));
        return;
    }
    read_hidden(s, model, plan);
    if (ym_schema_choice(s, model, "activation", "tanh", activations, &activation))
        plan->activation = (enum ym_activation)(activation + 1);
}

static void read_model(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {"family", "inputs", "outcome", "hidden", "activation",
                                       "layers", "start",  "freeze",  "seed",   "formula",
                                       "time",   "cuts",   "ties",    "strata", NULL};
    static const int64_t one = 1;
    struct ym_at at = ym_schema_object(s, root, "model", true);
    size_t family;
    int64_t seed;
    ym_schema_keys(s, &at, keys);
    if (ym_schema_choice(s, &at, "family", NULL, ym_plan_families, &family)) {
        plan->family = (enum ym_family)(family + 1);
        read_mlp(s, &at, plan);
    }
    read_inputs(s, &at, plan);
    read_outcome(s, &at, plan);
    ym_plan_read_layers(s, &at, plan);
    ym_plan_read_survival(s, &at, plan);
    ym_plan_read_formula(s, &at, plan);
    ym_plan_read_start(s, &at, plan);
    if (ym_schema_int(s, &at, "seed", &one, 0, INT64_MAX, &seed))
        plan->init_seed = (uint64_t)seed;
}

static void get_u32(struct ym_schema *s, const struct ym_at *at, const char *key, const int64_t *fallback, int64_t low,
                    int64_t high, uint32_t *out)
{
    int64_t v;
    if (ym_schema_int(s, at, key, fallback, low, high, &v))
        *out = (uint32_t)v;
}

static void get_double(struct ym_schema *s, const struct ym_at *at, const char *key, const char *fallback,
                       const struct ym_decimal_range *range, double *out)
{
    struct ym_decimal d;
    if (ym_schema_decimal(s, at, key, fallback, range, &d))
        *out = ym_decimal_double(d);
}

static void refuse(struct ym_schema *s, const struct ym_at *at, const char *const *keys, const char *why)
{
    for (size_t i = 0; keys[i]; i++)
        if (ym_schema_has(at, keys[i]))
            ym_schema_say(s, at, keys[i], "%s", why);
}

static void read_momentum(struct ym_schema *s, const struct ym_at *at, struct ym_plan *plan)
{
    static const char *const adam[] = {"beta1", "beta2", "tau", NULL};
    refuse(s, at, adam, T(PLAN_ADAM_ONLY));
    if (ym_schema_has(at, "momentum"))
        get_double(s, at, "momentum", NULL, &some_momentum, &plan->momentum);
    else if (plan->local_opt == YM_LOCAL_NESTEROV)
        ym_schema_say(s, at, "momentum", "%s", T(PLAN_NESTEROV_MOMENTUM));
}

/* The default is not written out: plans from before the key keep their hash. */
static void read_local_optimizer(struct ym_schema *s, const struct ym_at *at, struct ym_plan *plan)
{
    static const char *const momentum_key[] = {"momentum", NULL};
    size_t optimizer = YM_LOCAL_SGD;
    if (ym_schema_has(at, "optimizer") && !ym_schema_choice(s, at, "optimizer", NULL, local_optimizers, &optimizer))
        return;
    plan->local_opt = (enum ym_local_opt)optimizer;
    if (plan->local_opt == YM_LOCAL_SGD)
        json_object_del(at->canon, "optimizer");
    if (plan->local_opt != YM_LOCAL_ADAM) {
        read_momentum(s, at, plan);
        return;
    }
    refuse(s, at, momentum_key, T(PLAN_SGD_ONLY));
    get_double(s, at, "beta1", "0.9", &momentum, &plan->local_beta1);
    get_double(s, at, "beta2", "0.999", &momentum, &plan->local_beta2);
    get_double(s, at, "tau", "1e-8", &positive_1000, &plan->local_tau);
}

static void read_schedule(struct ym_schema *s, const struct ym_at *training, struct ym_plan *plan)
{
    static const char *const keys[] = {"shape", "warm_up", "final", "every", "factor", NULL};
    static const char *const step_keys[] = {"every", "factor", NULL}, *const final_key[] = {"final", NULL};
    static const int64_t none = 0;
    size_t shape;
    if (!ym_schema_has(training, "schedule"))
        return;
    struct ym_at at = ym_schema_object(s, training, "schedule", true);
    ym_schema_keys(s, &at, keys);
    get_u32(s, &at, "warm_up", &none, 0, 10000000, &plan->warm_up_steps);
    if (!ym_schema_choice(s, &at, "shape", "constant", schedules, &shape))
        return;
    plan->schedule = (enum ym_schedule)shape;
    if (plan->schedule == YM_SCHEDULE_LINEAR || plan->schedule == YM_SCHEDULE_COSINE)
        get_double(s, &at, "final", "0", &share_range_0, &plan->schedule_final);
    else
        refuse(s, &at, final_key, T(PLAN_SCHEDULE_FINAL));
    if (plan->schedule != YM_SCHEDULE_STEP) {
        refuse(s, &at, step_keys, T(PLAN_SCHEDULE_STEP));
        return;
    }
    get_u32(s, &at, "every", NULL, 1, 10000000, &plan->schedule_every);
    get_double(s, &at, "factor", NULL, &zero_one, &plan->schedule_factor);
}

static void read_training(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {"rounds",
                                       "local_steps",
                                       "sampling_probability",
                                       "nominal_patients",
                                       "learning_rate",
                                       "optimizer",
                                       "momentum",
                                       "beta1",
                                       "beta2",
                                       "tau",
                                       "schedule",
                                       "prox",
                                       "correction",
                                       "augmentation",
                                       "l2",
                                       "max_records_per_patient",
                                       NULL};
    static const int64_t one = 1;
    struct ym_at at = ym_schema_object(s, root, "training", true);
    struct ym_decimal q;
    ym_schema_keys(s, &at, keys);
    get_u32(s, &at, "rounds", NULL, 1, YM_PLAN_MAX_ROUNDS, &plan->rounds);
    get_u32(s, &at, "local_steps", NULL, 1, 1000, &plan->steps_per_round);
    if (ym_schema_decimal(s, &at, "sampling_probability", NULL, &zero_one, &q))
        YM_ASSERT(ym_decimal_k64(q, &plan->sampling_k, NULL) == YM_OK);
    get_u32(s, &at, "nominal_patients", NULL, 1, 1000000000, &plan->nominal_patients);
    get_double(s, &at, "learning_rate", NULL, &positive_1000, &plan->learning_rate);
    get_double(s, &at, "l2", "0", &zero_1000, &plan->l2);
    read_local_optimizer(s, &at, plan);
    read_schedule(s, &at, plan);
    if (ym_schema_has(&at, "prox"))
        get_double(s, &at, "prox", NULL, &positive_1000, &plan->prox);
    ym_plan_read_correction(s, &at, plan);
    ym_plan_read_augmentation(s, &at, plan);
    get_u32(s, &at, "max_records_per_patient", &one, 1, 1000, &plan->max_records_per_patient);
}

/* ceil(z * 2^24) in integers: z <= 2^16, so 10^18 z 2^24 < 2^100. */
static uint64_t sigma_from(struct ym_decimal z)
{
    const __int128 unit = (__int128)1000000000000000000;
    return (uint64_t)((z.scaled * YM_CLIP_UNITS + unit - 1) / unit);
}

/* Andrew et al. 2021; the bit's share of the ball in integers: share < 1. */
static void read_adaptive_clip(struct ym_schema *s, const struct ym_at *privacy, struct ym_plan *plan)
{
    static const char *const keys[] = {"quantile", "learning_rate", "share", NULL};
    struct ym_decimal share;
    if (!ym_schema_has(privacy, "adaptive_clip"))
        return;
    struct ym_at at = ym_schema_object(s, privacy, "adaptive_clip", true);
    ym_schema_keys(s, &at, keys);
    get_double(s, &at, "quantile", "0.5", &quantile_range, &plan->clip_quantile);
    get_double(s, &at, "learning_rate", "0.2", &clip_rate_range, &plan->clip_lr);
    if (ym_schema_decimal(s, &at, "share", "0.1", &share_range, &share))
        plan->clip_bit_units = (uint32_t)(share.scaled * YM_CLIP_UNITS / 1000000000000000000);
}

/* The default is not written out: plans from before the key keep their hash. */
static void read_route(struct ym_schema *s, const struct ym_at *privacy, struct ym_plan *plan)
{
    size_t route;
    if (!ym_schema_has(privacy, "route") || !ym_schema_choice(s, privacy, "route", NULL, routes, &route))
        return;
    plan->route = (enum ym_route)route;
    if (plan->route == YM_ROUTE_INTEGER)
        json_object_del(privacy->canon, "route");
}

static void read_scaling(struct ym_schema *s, const struct ym_at *privacy, struct ym_plan *plan)
{
    static const char *const keys[] = {"noise_multiplier", "least_scale", NULL};
    struct ym_decimal z;
    if (!ym_schema_has(privacy, "scaling"))
        return;
    struct ym_at at = ym_schema_object(s, privacy, "scaling", true);
    ym_schema_keys(s, &at, keys);
    if (ym_schema_decimal(s, &at, "noise_multiplier", NULL, &noise_range, &z))
        plan->scaling_sigma_units = sigma_from(z);
    get_double(s, &at, "least_scale", "0.1", &least_scale_range, &plan->scaling_least);
}

static void read_privacy(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {"route", "clip_norm", "adaptive_clip", "scaling", "noise_multiplier",
                                       "delta", "epsilon",   "min_patients",  NULL};
    static const int64_t twenty = 20;
    struct ym_at at = ym_schema_object(s, root, "privacy", true);
    struct ym_decimal z;
    ym_schema_keys(s, &at, keys);
    read_route(s, &at, plan);
    get_double(s, &at, "clip_norm", "1", &clip_range, &plan->clip_norm);
    read_adaptive_clip(s, &at, plan);
    read_scaling(s, &at, plan);
    if (ym_schema_decimal(s, &at, "noise_multiplier", NULL, &noise_range, &z))
        plan->sigma_units = sigma_from(z);
    ym_schema_decimal(s, &at, "delta", NULL, &zero_one, &plan->delta);
    ym_schema_decimal(s, &at, "epsilon", NULL, &epsilon_range, &plan->epsilon_max);
    get_u32(s, &at, "min_patients", &twenty, 1, 1000000000, &plan->min_patients);
}

/* Bins where the score is one probability; classes count themselves. */
static void read_metric_bins(struct ym_schema *s, const struct ym_at *at, struct ym_plan *plan)
{
    static const int64_t bins = 32, risks = 8;
    if (ym_plan_outputs(plan) != 1) {
        if (ym_schema_has(at, "bins"))
            ym_schema_say(s, at, "bins", "%s", T(PLAN_METRICS_CLASSES));
        return;
    }
    get_u32(s, at, "bins", ym_plan_survival(plan) ? &risks : &bins, 2, 256, &plan->metric_bins);
    if (plan->metric_bins % 2)
        ym_schema_say(s, at, "bins", "%s", T(PLAN_METRICS_BINS));
}

static void read_metrics(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {"every", "bins", "noise_multiplier", "stop", "per_site", NULL};
    static const char *const truth[] = {"false", "true", NULL};
    struct ym_decimal z;
    size_t per_site = 0;
    if (!ym_schema_has(root, "metrics"))
        return;
    struct ym_at at = ym_schema_object(s, root, "metrics", true);
    ym_schema_keys(s, &at, keys);
    get_u32(s, &at, "every", NULL, 1, YM_PLAN_MAX_ROUNDS, &plan->metric_every);
    if (ym_schema_decimal(s, &at, "noise_multiplier", NULL, &noise_range, &z))
        plan->metric_sigma_units = sigma_from(z);
    ym_plan_read_stop(s, &at, plan);
    if (ym_schema_has(&at, "per_site") && ym_schema_choice(s, &at, "per_site", NULL, truth, &per_site) && !per_site)
        json_object_del(at.canon, "per_site");
    plan->metric_per_site = per_site == 1;
    if (plan->outcome.kind == YM_VAR_NUMBER)
        ym_schema_say(s, root, "metrics", "%s", T(PLAN_METRICS_NUMBER));
    else if (plan->outcome.kind == YM_VAR_CATEGORY)
        read_metric_bins(s, &at, plan);
}

static void read_evaluation(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {"holdout", NULL};
    static const struct ym_decimal_range part = {"0.01", "0.5", false};
    double holdout = 0;
    if (!ym_schema_has(root, "evaluation"))
        return;
    struct ym_at at = ym_schema_object(s, root, "evaluation", true);
    ym_schema_keys(s, &at, keys);
    get_double(s, &at, "holdout", NULL, &part, &holdout);
    plan->holdout = (uint32_t)(holdout * YM_HOLDOUT_ONE + 0.5);
}

/* Keys that another optimizer has; at most one of them is said about an optimizer's own. */
static void read_server_moments(struct ym_schema *s, const struct ym_at *at, struct ym_plan *plan)
{
    static const char *const fedavg_not[] = {"beta1", "beta2", "tau", NULL}, *const beta2_only[] = {"beta2", NULL},
                             *const momentum_only[] = {"momentum", NULL};
    enum ym_server_opt o = plan->server;
    bool adaptive = o != YM_SERVER_FEDAVG && o != YM_SERVER_FEDAVGM;
    if (o == YM_SERVER_FEDAVGM)
        get_double(s, at, "momentum", "0.9", &momentum, &plan->beta1);
    else
        refuse(s, at, momentum_only, T(PLAN_FEDAVGM_ONLY));
    if (!adaptive) {
        refuse(s, at, fedavg_not, T(PLAN_FEDADAM_ONLY));
        return;
    }
    get_double(s, at, "beta1", o == YM_SERVER_FEDADAGRAD ? "0" : "0.9", &momentum, &plan->beta1);
    get_double(s, at, "tau", "0.001", &positive_1000, &plan->server_eps);
    if (o == YM_SERVER_FEDADAGRAD)
        refuse(s, at, beta2_only, T(PLAN_FEDYOGI_ONLY));
    else
        get_double(s, at, "beta2", "0.99", &momentum, &plan->beta2);
}

static void read_server(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {"optimizer", "learning_rate", "momentum", "beta1", "beta2", "tau", NULL};
    struct ym_at at = ym_schema_object(s, root, "server", false);
    size_t optimizer;
    ym_schema_keys(s, &at, keys);
    if (!ym_schema_choice(s, &at, "optimizer", "fedavg", optimizers, &optimizer))
        return;
    plan->server = (enum ym_server_opt)(optimizer + 1);
    bool plain = plan->server == YM_SERVER_FEDAVG || plan->server == YM_SERVER_FEDAVGM;
    get_double(s, &at, "learning_rate", plain ? "1" : "0.01", &positive_1000, &plan->server_lr);
    read_server_moments(s, &at, plan);
}

static void read_update(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {"scale_bits", "width_bits", NULL};
    static const int64_t scale = 20, width = 40;
    struct ym_at at = ym_schema_object(s, root, "update", false);
    ym_schema_keys(s, &at, keys);
    get_u32(s, &at, "scale_bits", &scale, 1, 40, &plan->update_scale_bits);
    get_u32(s, &at, "width_bits", &width, 8, 60, &plan->update_width_bits);
}

static void read_sites(struct ym_schema *s, const struct ym_at *federation, struct ym_plan *plan)
{
    static const char *const keys[] = {"name", "weight", NULL};
    static const int64_t one = 1;
    struct ym_at list = ym_schema_list(s, federation, "hospitals", 1, YM_PLAN_MAX_SITES);
    size_t count = ym_schema_count(&list);
    plan->site = count ? calloc(count, sizeof *plan->site) : NULL;
    if (!plan->site) {
        s->exhausted |= count > 0;
        return;
    }
    plan->site_count = count;
    for (size_t i = 0; i < count; i++) {
        struct ym_at item = ym_schema_item(s, &list, i);
        ym_schema_keys(s, &item, keys);
        ym_schema_name(s, &item, "name", plan->site[i].name);
        get_u32(s, &item, "weight", &one, 1, 1000, &plan->site[i].weight);
    }
}

static void get_ms(struct ym_schema *s, const struct ym_at *at, const char *key, int64_t fallback, int64_t low,
                   uint32_t *out)
{
    uint32_t seconds = 0;
    get_u32(s, at, key, &fallback, low, MAX_TIMEOUT_S, &seconds);
    *out = seconds * 1000;
}

static void read_federation(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {
        "hospitals", "quorum", "max_attempts", "ready_timeout_s", "collect_timeout_s", "start_after_s", NULL};
    static const int64_t three = 3;
    struct ym_at at = ym_schema_object(s, root, "federation", true);
    ym_schema_keys(s, &at, keys);
    read_sites(s, &at, plan);
    int64_t all = plan->site_count ? (int64_t)plan->site_count : 1;
    get_u32(s, &at, "quorum", &all, 1, YM_PLAN_MAX_SITES, &plan->quorum);
    get_u32(s, &at, "max_attempts", &three, 1, 100, &plan->max_attempts);
    get_ms(s, &at, "ready_timeout_s", 60, 1, &plan->ready_ms);
    get_ms(s, &at, "collect_timeout_s", 600, 1, &plan->collect_ms);
    get_ms(s, &at, "start_after_s", 0, 0, &plan->start_ms);
}

static void read_head(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    static const char *const keys[] = {"yumen",  "study",    "sponsor",    "title",   "purpose",
                                       "model",  "training", "privacy",    "metrics", "evaluation",
                                       "server", "update",   "federation", "border",  NULL};
    ym_schema_keys(s, root, keys);
    ym_schema_name(s, root, "study", plan->study);
    ym_schema_name(s, root, "sponsor", plan->sponsor);
    ym_schema_text(s, root, "title", NULL, plan->title, sizeof plan->title);
    ym_schema_text(s, root, "purpose", NULL, plan->purpose, sizeof plan->purpose);
}

void ym_plan_read_keys(struct ym_schema *s, const struct ym_at *root, struct ym_plan *plan)
{
    if (!ym_schema_version(s, root, "plan/1", T(PLAN_VERSION)))
        return;
    read_head(s, root, plan);
    read_model(s, root, plan);
    read_training(s, root, plan);
    read_privacy(s, root, plan);
    read_metrics(s, root, plan);
    read_evaluation(s, root, plan);
    read_server(s, root, plan);
    read_update(s, root, plan);
    read_federation(s, root, plan);
    ym_border_read_plan(s, root, plan);
}
