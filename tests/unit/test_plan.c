#include "gate/plan.h"

#include <math.h>

#include "base/json.h"
#include "base/text.h"
#include "gate_help.h"
#include "privacy/accountant.h"

static void every_key_reaches_the_plan(void **state)
{
    struct ym_plan *p = plan_must(good_plan);
    (void)state;
    assert_string_equal(p->study, "s1");
    assert_string_equal(p->sponsor, "acme");
    assert_string_equal(p->title, "一项研究");
    assert_int_equal(p->family, YM_FAMILY_LOGISTIC);
    assert_int_equal(p->input_count, 2);
    assert_int_equal(p->input[0].kind, YM_VAR_NUMBER);
    assert_string_equal(p->input[0].unit, "mm");
    assert_true(p->input[0].low == 6 && p->input[0].high == 30);
    assert_int_equal(p->input[1].kind, YM_VAR_CATEGORY);
    assert_string_equal(p->input[1].level[1], "male");
    assert_int_equal(p->outcome.level_count, 2);
    assert_int_equal(p->rounds, 15);
    assert_int_equal(p->steps_per_round, 4);
    assert_true(p->sampling_k == UINT64_C(1) << 62);
    assert_int_equal(p->nominal_patients, 100);
    assert_true(p->learning_rate == 0.5 && p->clip_norm == 1 && p->l2 == 0);
    assert_int_equal(p->sigma_units, 4 << 24);
    assert_true(p->delta.scaled == (__int128)10000000000000);
    assert_int_equal(p->min_patients, 20);
    assert_int_equal(p->max_records_per_patient, 1);
    assert_int_equal(p->server, YM_SERVER_FEDAVG);
    assert_true(p->server_lr == 1);
    assert_int_equal(p->update_scale_bits, 20);
    assert_int_equal(p->update_width_bits, 40);
    assert_int_equal(p->site_count, 2);
    assert_int_equal(p->site[1].weight, 1);
    assert_int_equal(p->quorum, 2);
    assert_int_equal(p->max_attempts, 3);
    assert_int_equal(p->ready_ms, 60000);
    assert_int_equal(p->collect_ms, 600000);
    assert_int_equal(p->start_ms, 0);
    assert_int_equal(p->init_seed, 1);
    assert_int_equal(ym_plan_columns(p), 2);
    assert_int_equal(ym_plan_outputs(p), 1);
    ym_plan_free(p);
}

static void noise_is_rounded_up_to_the_lattice(void **state)
{
    /* 4.0000001 * 2^24 = 67108865.677..., by hand */
    char *text = text_edit(good_plan, "4.0\n", "4.0000001\n");
    struct ym_plan *p = plan_must(text);
    (void)state;
    assert_int_equal(p->sigma_units, 67108866);
    ym_plan_free(p);
    free(text);
}

static void mlp_and_fedadam_have_their_keys(void **state)
{
    char *a = text_edit(good_plan, "family: logistic\n", "family: mlp\n  hidden: [8, 4]\n  activation: relu\n");
    char *b = text_edit(a, "federation:", "server: {optimizer: fedadam, learning_rate: 0.1, tau: 1e-3}\nfederation:");
    struct ym_plan *p = plan_must(b);
    (void)state;
    assert_int_equal(p->hidden_count, 2);
    assert_int_equal(p->hidden[1], 4);
    assert_int_equal(p->activation, YM_ACT_RELU);
    assert_int_equal(ym_plan_outputs(p), 1);
    assert_int_equal(p->server, YM_SERVER_FEDADAM);
    assert_true(p->beta1 == 0.9 && p->beta2 == 0.99 && p->server_eps == 1e-3 && p->server_lr == 0.1);
    ym_plan_free(p);
    free(a);
    free(b);
}

static struct ym_plan *plan_server(const char *server)
{
    char *text = text_edit(good_plan, "", server);
    struct ym_plan *p = plan_must(text), *q = NULL;
    assert_int_equal(ym_plan_decode(p->canonical.data, p->canonical.len, &q, NULL), YM_OK);
    ym_plan_free(p);
    free(text);
    return q;
}

static void server_optimizers_have_their_keys(void **state)
{
    struct ym_plan *p = plan_server("server: {optimizer: fedavgm, momentum: 0.8}\n");
    (void)state;
    assert_true(p->server == YM_SERVER_FEDAVGM && p->server_lr == 1 && p->beta1 == 0.8);
    ym_plan_free(p);
    p = plan_server("server: {optimizer: fedyogi}\n");
    assert_true(p->server == YM_SERVER_FEDYOGI && p->server_lr == 0.01 && p->beta1 == 0.9 && p->beta2 == 0.99);
    ym_plan_free(p);
    p = plan_server("server: {optimizer: fedadagrad, tau: 0.01}\n");
    assert_true(p->server == YM_SERVER_FEDADAGRAD && p->beta1 == 0 && p->server_eps == 0.01);
    ym_plan_free(p);
}

/* good_plan with lines more in its training section, which has 60 steps. */
static struct ym_plan *plan_training(const char *lines)
{
    char line[256];
    snprintf(line, sizeof line, "learning_rate: 0.5\n%s", lines);
    char *text = text_edit(good_plan, "learning_rate: 0.5\n", line);
    struct ym_plan *p = plan_must(text), *q = NULL;
    assert_int_equal(ym_plan_decode(p->canonical.data, p->canonical.len, &q, NULL), YM_OK);
    ym_plan_free(p);
    free(text);
    return q;
}

static void local_programs_have_their_keys(void **state)
{
    struct ym_plan *p = plan_training("  momentum: 0.9\n  prox: 0.01\n  schedule: {shape: cosine, warm_up: 5}\n");
    (void)state;
    assert_true(p->local_opt == YM_LOCAL_SGD && p->momentum == 0.9 && p->prox == 0.01);
    assert_true(p->schedule == YM_SCHEDULE_COSINE && p->warm_up_steps == 5 && p->schedule_final == 0);
    ym_plan_free(p);
    p = plan_training("  optimizer: nesterov\n  momentum: 0.9\n  schedule: {shape: step, every: 20, factor: 0.1}\n");
    assert_true(p->local_opt == YM_LOCAL_NESTEROV && p->schedule_every == 20 && p->schedule_factor == 0.1);
    ym_plan_free(p);
    p = plan_training("  optimizer: adam\n  beta2: 0.99\n  schedule: {shape: linear, final: 0.1}\n");
    assert_true(p->local_opt == YM_LOCAL_ADAM && p->local_beta1 == 0.9 && p->local_beta2 == 0.99);
    assert_true(p->local_tau == 1e-8 && p->schedule_final == 0.1);
    ym_plan_free(p);
}

static void plain_sgd_leaves_no_trace_in_the_canonical_form(void **state)
{
    char *text = text_edit(good_plan, "learning_rate: 0.5\n", "learning_rate: 0.5\n  optimizer: sgd\n");
    struct ym_plan *a = plan_must(good_plan), *b = plan_must(text);
    (void)state;
    assert_memory_equal(a->hash, b->hash, sizeof a->hash);
    assert_null(strstr(ym_buf_str(&a->canonical), "momentum"));
    ym_plan_free(a);
    ym_plan_free(b);
    free(text);
}

static void refused_in_training(const char *lines, const char *key)
{
    char line[256];
    struct ym_plan *p = NULL;
    struct ym_problems problems = {0};
    struct ym_buf why = {0};
    snprintf(line, sizeof line, "learning_rate: 0.5\n%s", lines);
    char *text = text_edit(good_plan, "learning_rate: 0.5\n", line);
    assert_int_equal(plan_parse(text, &p, &problems), YM_INVALID);
    ym_problems_format(&problems, &why);
    assert_non_null(strstr(ym_buf_str(&why), key));
    ym_buf_release(&why);
    ym_problems_release(&problems);
    free(text);
}

static void senseless_programs_are_refused(void **state)
{
    (void)state;
    refused_in_training("  optimizer: lion\n", "training.optimizer");
    refused_in_training("  optimizer: adam\n  momentum: 0.9\n", "training.momentum");
    refused_in_training("  optimizer: nesterov\n", "training.momentum");
    refused_in_training("  momentum: 1\n", "training.momentum");
    refused_in_training("  beta1: 0.9\n", "training.beta1");
    refused_in_training("  tau: 0.1\n", "training.tau");
    refused_in_training("  prox: 0\n", "training.prox");
    refused_in_training("  schedule: {}\n", "training.schedule");
    refused_in_training("  schedule: {shape: cosine, every: 3}\n", "training.schedule.every");
    refused_in_training("  schedule: {shape: step, every: 60, factor: 0.5}\n", "training.schedule.every");
    refused_in_training("  schedule: {shape: step, every: 3}\n", "training.schedule.factor");
    refused_in_training("  schedule: {warm_up: 3, final: 0.5}\n", "training.schedule.final");
    refused_in_training("  schedule: {warm_up: 60}\n", "training.schedule.warm_up");
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void start_and_freeze_have_their_keys(void **state)
{
    char *text = text_edit(good_plan, "family: logistic\n",
                           "family: mlp\n  hidden: [8, 4]\n"
                           "  start: {sha256: " HASH ", except: [layer2]}\n  freeze: [layer0, layer1]\n");
    struct ym_plan *p = plan_must(text), *q = NULL;
    (void)state;
    assert_int_equal(ym_plan_decode(p->canonical.data, p->canonical.len, &q, NULL), YM_OK);
    assert_true(q->starts && q->start_hash[0] == 0x01 && q->start_hash[31] == 0xef);
    assert_int_equal(q->start_except, 4);
    assert_int_equal(q->frozen, 3);
    ym_plan_free(p);
    ym_plan_free(q);
    free(text);
}

static void refused_in_model(const char *lines, const char *key)
{
    char line[512];
    struct ym_plan *p = NULL;
    struct ym_problems problems = {0};
    struct ym_buf why = {0};
    snprintf(line, sizeof line, "family: mlp\n  hidden: [8]\n%s", lines);
    char *text = text_edit(good_plan, "family: logistic\n", line);
    assert_int_equal(plan_parse(text, &p, &problems), YM_INVALID);
    ym_problems_format(&problems, &why);
    assert_non_null(strstr(ym_buf_str(&why), key));
    ym_buf_release(&why);
    ym_problems_release(&problems);
    free(text);
}

static void senseless_starts_are_refused(void **state)
{
    (void)state;
    refused_in_model("  start: {}\n", "model.start.sha256");
    refused_in_model("  start: {sha256: 0123}\n", "model.start.sha256");
    refused_in_model("  start: {sha256: " HASH ", except: [layer7]}\n", "layer7");
    refused_in_model("  start: {sha256: " HASH ", except: [layer0, layer0]}\n", "twice");
    refused_in_model("  start: {sha256: " HASH ", except: [layer0, layer1]}\n", "nothing of the file");
    refused_in_model("  freeze: [layer0]\n", "no file gives");
    refused_in_model("  start: {sha256: " HASH ", except: [layer0]}\n  freeze: [layer0]\n", "no file gives");
    refused_in_model("  start: {sha256: " HASH "}\n  freeze: [layer0, layer1]\n", "nothing is left");
}

static void missing_rules_add_columns_and_constants(void **state)
{
    char *text = text_edit(good_plan, "    - {name: sex, levels: [female, male], missing: drop}\n",
                           "    - {name: sex, levels: [female, male, other], missing: indicator}\n"
                           "    - {name: age, unit: year, low: 0, high: 120, missing: constant, constant: 60}\n"
                           "    - {name: stage, levels: [i, ii, iii], missing: constant, constant: iii}\n"
                           "    - {name: crp, unit: mg/L, low: 0, high: 300, missing: indicator}\n");
    struct ym_plan *p = plan_must(text);
    (void)state;
    assert_int_equal(ym_plan_columns(p), 1 + 3 + 1 + 2 + 2);
    assert_int_equal(p->input[1].missing, YM_MISSING_INDICATOR);
    assert_true(p->input[2].constant == 60);
    assert_true(p->input[3].constant == 2);
    ym_plan_free(p);
    free(text);
}

static void levels_that_yaml_reads_as_numbers_are_names(void **state)
{
    char *text = text_edit(good_plan, "levels: [benign, malignant]", "levels: [0, 1]");
    struct ym_plan *p = plan_must(text);
    (void)state;
    assert_string_equal(p->outcome.level[0], "0");
    assert_string_equal(p->outcome.level[1], "1");
    assert_non_null(strstr(ym_buf_str(&p->canonical), "\"levels\":[\"0\",\"1\"]"));
    ym_plan_free(p);
    free(text);
}

static void canonical_form_reads_back_to_the_same_bytes(void **state)
{
    struct ym_plan *p = plan_must(good_plan), *q = NULL;
    uint8_t hash[YM_HASH_BYTES];
    (void)state;
    assert_int_equal(ym_plan_decode(p->canonical.data, p->canonical.len, &q, NULL), YM_OK);
    assert_int_equal(q->canonical.len, p->canonical.len);
    assert_memory_equal(q->canonical.data, p->canonical.data, p->canonical.len);
    assert_memory_equal(q->hash, p->hash, sizeof hash);
    ym_sha256(p->canonical.data, p->canonical.len, hash);
    assert_memory_equal(p->hash, hash, sizeof hash);
    assert_string_equal(q->title, p->title);
    assert_int_equal(q->sigma_units, p->sigma_units);
    ym_plan_free(p);
    ym_plan_free(q);
}

/* Absent it leaves no trace in the canonical form, so that older plans keep their hash. */
static void adaptive_clip_has_defaults_and_reads_back(void **state)
{
    static const char *const spelled[] = {"4.0\n  adaptive_clip: {}\n",
                                          "4.0\n  adaptive_clip: {share: 0.10, quantile: 5e-1, learning_rate: 0.2}\n"};
    struct ym_plan *plain = plan_must(good_plan), *p[2], *q = NULL;
    (void)state;
    assert_int_equal(plain->clip_bit_units, 0);
    assert_null(strstr(ym_buf_str(&plain->canonical), "adaptive"));
    for (size_t i = 0; i < 2; i++) {
        char *text = text_edit(good_plan, "4.0\n", spelled[i]);
        p[i] = plan_must(text);
        free(text);
    }
    assert_int_equal(p[0]->clip_bit_units, 1677721); /* floor(0.1 * 2^24) */
    assert_true(p[0]->clip_quantile == 0.5 && p[0]->clip_lr == 0.2 && p[0]->clip_norm == 1);
    assert_memory_equal(p[0]->hash, p[1]->hash, YM_HASH_BYTES);
    assert_non_null(strstr(ym_buf_str(&p[0]->canonical),
                           "\"adaptive_clip\":{\"learning_rate\":\"0.2\",\"quantile\":\"0.5\",\"share\":\"0.1\"}"));
    assert_int_equal(ym_plan_decode(p[0]->canonical.data, p[0]->canonical.len, &q, NULL), YM_OK);
    assert_memory_equal(q->hash, p[0]->hash, YM_HASH_BYTES);
    assert_int_equal(q->clip_bit_units, 1677721);
    ym_plan_free(plain);
    ym_plan_free(p[0]);
    ym_plan_free(p[1]);
    ym_plan_free(q);
}

/* The integer route leaves no trace either, written out or not. */
static void route_is_integer_unless_said(void **state)
{
    char *same = text_edit(good_plan, "4.0\n", "4.0\n  route: integer\n");
    char *other = text_edit(good_plan, "4.0\n", "4.0\n  route: bounded\n");
    struct ym_plan *plain = plan_must(good_plan), *p = plan_must(same), *q = plan_must(other), *r = NULL;
    (void)state;
    assert_int_equal(plain->route, YM_ROUTE_INTEGER);
    assert_memory_equal(plain->hash, p->hash, YM_HASH_BYTES);
    assert_null(strstr(ym_buf_str(&p->canonical), "route"));
    assert_int_equal(q->route, YM_ROUTE_BOUNDED);
    assert_non_null(strstr(ym_buf_str(&q->canonical), "\"route\":\"bounded\""));
    assert_int_equal(ym_plan_decode(q->canonical.data, q->canonical.len, &r, NULL), YM_OK);
    assert_int_equal(r->route, YM_ROUTE_BOUNDED);
    free(same);
    free(other);
    ym_plan_free(plain);
    ym_plan_free(p);
    ym_plan_free(q);
    ym_plan_free(r);
}

static void scaling_reads_back_and_is_paid_for(void **state)
{
    char *text = text_edit(good_plan, "4.0\n", "4.0\n  scaling: {noise_multiplier: 6}\n");
    struct ym_plan *plain = plan_must(good_plan), *p = plan_must(text), *q = NULL;
    int64_t before, after;
    (void)state;
    assert_true(plain->scaling_sigma_units == 0 && ym_plan_scaled_columns(plain) == 0 && !ym_plan_scales(plain, 1));
    assert_true(p->scaling_sigma_units == 6 << 24 && p->scaling_least == 0.1);
    assert_true(ym_plan_scaled_columns(p) == 1 && ym_plan_scales(p, 1) && !ym_plan_scales(p, 2));
    assert_non_null(
        strstr(ym_buf_str(&p->canonical), "\"scaling\":{\"least_scale\":\"0.1\",\"noise_multiplier\":\"6\"}"));
    assert_int_equal(ym_plan_decode(p->canonical.data, p->canonical.len, &q, NULL), YM_OK);
    assert_memory_equal(q->hash, p->hash, YM_HASH_BYTES);
    assert_int_equal(ym_plan_epsilon(plain, 1, 14, &before, NULL), YM_OK);
    assert_int_equal(ym_plan_epsilon(p, 1, 15, &after, NULL), YM_OK);
    assert_true(after > before);
    ym_plan_free(plain);
    ym_plan_free(p);
    ym_plan_free(q);
    free(text);
}

#define METRICS "metrics: {every: 5, noise_multiplier: 6.5}\n"

static void holding_out_is_read_and_costs_nothing_more(void **state)
{
    char *text = text_edit(good_plan, "", "evaluation: {holdout: 0.25}\n");
    struct ym_plan *p = plan_must(text), *plain = plan_must(good_plan);
    int64_t with, without;
    (void)state;
    assert_int_equal(p->holdout, YM_HOLDOUT_ONE / 4);
    assert_int_equal(plain->holdout, 0);
    assert_null(strstr(ym_buf_str(&plain->canonical), "evaluation"));
    assert_non_null(strstr(ym_buf_str(&p->canonical), "\"evaluation\":{\"holdout\":\"0.25\"}"));
    assert_true(ym_plan_holds(p, YM_HOLDOUT_ONE / 4 - 1) && !ym_plan_holds(p, YM_HOLDOUT_ONE / 4));
    assert_int_equal(ym_plan_epsilon(p, 1, p->rounds, &with, NULL), YM_OK);
    assert_int_equal(ym_plan_epsilon(plain, 1, plain->rounds, &without, NULL), YM_OK);
    assert_true(with == without);
    free(text);
    ym_plan_free(p);
    ym_plan_free(plain);
}

static void metrics_have_a_default_and_their_cost(void **state)
{
    char *text = text_edit(good_plan, "", METRICS);
    struct ym_plan *plain = plan_must(good_plan), *p = plan_must(text), *q = NULL;
    struct ym_events e;
    int64_t with, without, one;
    (void)state;
    assert_int_equal(ym_plan_metric_dim(plain), 0);
    assert_null(strstr(ym_buf_str(&plain->canonical), "metrics"));
    assert_int_equal(p->metric_every, 5);
    assert_int_equal(p->metric_bins, 32);
    assert_int_equal(p->metric_sigma_units, 13 << 23);
    assert_int_equal(ym_plan_metric_dim(p), 64);
    assert_non_null(
        strstr(ym_buf_str(&p->canonical), "\"metrics\":{\"bins\":32,\"every\":5,\"noise_multiplier\":\"6.5\"}"));
    assert_int_equal(ym_plan_decode(p->canonical.data, p->canonical.len, &q, NULL), YM_OK);
    assert_memory_equal(q->hash, p->hash, YM_HASH_BYTES);
    ym_plan_events(p, 1, 15, &e);
    assert_int_equal(e.count, 2);
    assert_int_equal(e.event[0].steps, 60);
    assert_int_equal(e.use[1], YM_USE_METRIC);
    assert_int_equal(e.event[1].steps, 3); /* rounds 5, 10 and 15 */
    assert_true(e.event[1].sigma_units == 13 << 23 && e.event[1].sampling_k == UINT64_MAX);
    ym_plan_events(p, 6, 9, &e);
    assert_int_equal(e.count, 1);
    ym_plan_events(p, 16, 15, &e);
    assert_int_equal(e.count, 0);
    assert_int_equal(ym_plan_epsilon(p, 1, 15, &with, NULL), YM_OK);
    assert_int_equal(ym_plan_epsilon(plain, 1, 15, &without, NULL), YM_OK);
    assert_int_equal(ym_plan_epsilon(p, 5, 5, &one, NULL), YM_OK);
    assert_true(with > without + 10000 && one > 0);
    ym_plan_free(plain);
    ym_plan_free(p);
    ym_plan_free(q);
    free(text);
}

static void the_last_round_always_has_metrics(void **state)
{
    char *text = text_edit(good_plan, "", "metrics: {every: 7, noise_multiplier: 6.5}\n");
    struct ym_plan *p = plan_must(text);
    (void)state;
    for (uint32_t r = 1; r <= 15; r++)
        assert_int_equal(ym_plan_metric_due(p, r), r == 7 || r == 14 || r == 15);
    ym_plan_free(p);
    free(text);
}

static void classes_count_against_each_other(void **state)
{
    char *logistic = text_edit(good_plan, "levels: [benign, malignant]}", "levels: [a, b, c]}");
    char *multi = text_edit(logistic, "family: logistic", "family: multinomial");
    char *text = text_edit(multi, "", METRICS);
    struct ym_plan *p = plan_must(text);
    (void)state;
    assert_int_equal(ym_plan_metric_dim(p), 9);
    assert_int_equal(p->metric_bins, 0);
    assert_null(strstr(ym_buf_str(&p->canonical), "bins"));
    ym_plan_free(p);
    free(text);
    free(multi);
    free(logistic);
}

/* A study that fits only without its metrics, and the noise that the message names with them. */
static void metrics_are_in_what_the_check_asks(void **state)
{
    char *text = text_edit(good_plan, "", "metrics: {every: 1, noise_multiplier: 8}\n"), noise[64];
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    double advised;
    (void)state;
    assert_int_equal(plan_parse(text, &plan, &p), YM_INVALID);
    assert_problem(&p, 21, "privacy.epsilon", "noise_multiplier");
    const char *said = strstr(p.item[0].message, "set noise_multiplier to ");
    assert_non_null(said);
    advised = strtod(said + strlen("set noise_multiplier to "), NULL);
    ym_problems_release(&p);
    for (int less = 0; less <= 1; less++) {
        snprintf(noise, sizeof noise, "noise_multiplier: %.3f", advised - 0.002 * less);
        char *edited = text_edit(text, "noise_multiplier: 4.0", noise);
        p = (struct ym_problems){0};
        assert_int_equal(plan_parse(edited, &plan, &p), less ? YM_INVALID : YM_OK);
        ym_problems_release(&p);
        if (!less)
            ym_plan_free(plan);
        free(edited);
    }
    free(text);
}

static void canonical_form_does_not_depend_on_spelling(void **state)
{
    char *a = text_edit(good_plan, "noise_multiplier: 4.0", "noise_multiplier: 4");
    char *b = text_edit(a, "delta: 1e-5", "delta: 0.000010");
    char *c = text_edit(b, "{name: h2}", "{weight: 1, name: h2}");
    struct ym_plan *p = plan_must(good_plan), *q = plan_must(c);
    (void)state;
    assert_memory_equal(p->hash, q->hash, YM_HASH_BYTES);
    ym_plan_free(p);
    ym_plan_free(q);
    free(a);
    free(b);
    free(c);
}

static void other_spellings_of_the_same_plan_are_refused_on_the_wire(void **state)
{
    static const char *const edits[][2] = {
        {"\"rounds\":15", "\"rounds\": 15"},
        {"\"delta\":\"0.00001\"", "\"delta\":\"1e-5\""},
        {"\"delta\":\"0.00001\"", "\"delta\":\"0.000010\""},
        {"\"min_patients\":20,", ""}, /* a default left out */
        {"\"clip_norm\":\"1\"", "\"clip_norm\":1"},
        {"\\u4e00", "一"},
    };
    struct ym_plan *p = plan_must(good_plan), *q = NULL;
    struct ym_status st;
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const char *find = edits[i][0];
        if (i == 5 && !strstr(ym_buf_str(&p->canonical), find))
            find = "\\u4E00";
        char *text = text_edit(ym_buf_str(&p->canonical), find, edits[i][1]);
        assert_int_equal(ym_plan_decode(text, strlen(text), &q, &st), YM_INVALID);
        assert_non_null(strstr(st.message, "canonical"));
        assert_null(q);
        free(text);
    }
    ym_plan_free(p);
}

static void wire_refusal_names_the_key(void **state)
{
    struct ym_plan *p = plan_must(good_plan), *q = NULL;
    struct ym_status st;
    char *text = text_edit(ym_buf_str(&p->canonical), "\"rounds\":15", "\"rounds\":0");
    (void)state;
    assert_int_equal(ym_plan_decode(text, strlen(text), &q, &st), YM_INVALID);
    assert_non_null(strstr(st.message, "training.rounds"));
    assert_int_equal(ym_plan_decode("[]", 2, &q, &st), YM_INVALID);
    assert_int_equal(ym_plan_decode("", 0, &q, &st), YM_INVALID);
    ym_plan_free(p);
    free(text);
}

struct bad {
    const char *find, *replace;
    int line;
    const char *key, *part;
};

static const struct bad bad_plans[] = {
    /* head */
    {"yumen: plan/1", "yumen: plan/2", 1, "yumen", "plan/1"},
    {"yumen: plan/1\nstudy: ", "yumen: card/1\nstudio: ", 1, "yumen", "plan/1"}, /* of another kind of file no more */
    {"", "trainig: 1\n", 25, "trainig", "\"training\""},
    {"", "colour: blue\n", 25, "colour", "known here"},
    {"study: s1\n", "", 1, "study", "missing"},
    {"study: s1", "study: My Study", 2, "study", "name"},
    {"title: 一项研究", "title: ''", 4, "title", "text"},
    {"title: 一项研究", "title: \"a\\u202Eb\"", 4, "title", "direction"},
    {"title: 一项研究", "title: \"a\\eb\"", 4, "title", "control"},
    {"purpose: test", "purpose: [a]", 5, "purpose", "text"},
    /* model */
    {"family: logistic", "family: gam", 7, "model.family", "logistic"},
    {"family: logistic", "family: cox", 7, "model.family", "piecewise_exponential"},
    {"family: logistic\n", "family: logistic\n  hidden: [3]\n", 8, "model.hidden", "mlp"},
    {"family: logistic\n", "family: logistic\n  activation: tanh\n", 8, "model.activation", "mlp"},
    {"family: logistic", "family: linear", 11, "model.outcome", "linear"},
    {"family: logistic\n", "family: mlp\n", 6, "model.hidden", "missing"},
    {"family: logistic\n", "family: mlp\n  hidden: [0]\n", 8, "model.hidden[0]", "whole number"},
    {"family: logistic\n", "family: mlp\n  hidden: [9, 9, 9, 9, 9, 9, 9, 9, 9]\n", 8, "model.hidden", "1 to 8"},
    {"family: logistic\n", "family: mlp\n  hidden: [8191, 8192]\n", 8, "model.hidden", "67108864"},
    {"levels: [benign, malignant]}", "levels: [a, b, c]}", 11, "model.outcome", "two levels"},
    {"levels: [benign, malignant]}", "levels: [a, b], missing: drop}", 11, "model.outcome.missing", "unknown"},
    {"levels: [benign, malignant]}", "unit: mm, low: 0, high: 1}", 11, "model.outcome", "category"},
    {"low: 6, high: 30", "low: 30, high: 6", 9, "model.inputs[0].low", "less than"},
    {"low: 6, high: 30", "low: 6, high: 6.0", 9, "model.inputs[0].low", "less than"},
    {"low: 6, high: 30", "low: six, high: 30", 9, "model.inputs[0].low", "number"},
    {"low: 6, high: 30", "low: -1e13, high: 30", 9, "model.inputs[0].low", "-1000000000000"},
    {"missing: drop", "mising: drop", 10, "model.inputs[1].mising", "\"missing\""},
    {"low: 6, high: 30", "low: 6, high: .nan", 9, "model.inputs[0].high", "number"},
    {", unit: mm, low: 6, high: 30", "", 9, "model.inputs[0]", "levels"},
    {"low: 6, high: 30", "low: 6, high: 30, levels: [a, b]", 9, "model.inputs[0]", "not both"},
    {"levels: [female, male]", "levels: [male, male]", 10, "model.inputs[1].levels", "twice"},
    {"levels: [female, male]", "levels: [male]", 10, "model.inputs[1].levels", "2 to 64"},
    {"levels: [female, male]", "levels: [a, [b]]", 10, "model.inputs[1].levels[1]", "text"},
    {"missing: drop", "missing: mean", 10, "model.inputs[1].missing", "indicator"},
    {"missing: drop", "constant: male", 10, "model.inputs[1].constant", "missing: constant"},
    {"missing: drop", "missing: constant, constant: other", 10, "model.inputs[1].constant", "levels"},
    {"missing: drop", "missing: constant", 10, "model.inputs[1].constant", "missing"},
    {"high: 30}", "high: 30, missing: constant, constant: 31}", 9, "model.inputs[0].constant", "between"},
    {"name: sex", "name: radius", 10, "model.inputs[1].name", "twice"},
    {"name: sex", "name: malignant", 10, "model.inputs[1].name", "twice"},
    /* training */
    {"rounds: 15", "rounds: 0", 13, "training.rounds", "1 to 10000"},
    {"rounds: 15", "rounds: 1000000000", 13, "training.rounds", "1 to 10000"},
    {"rounds: 15", "rounds: 1.5", 13, "training.rounds", "whole number"},
    {"rounds: 15", "rounds: \"15\"", 13, "training.rounds", "whole number"},
    {"rounds: 15", "rounds: true", 13, "training.rounds", "whole number"},
    {"  rounds: 15\n", "", 12, "training.rounds", "missing"},
    {"sampling_probability: 0.25", "sampling_probability: 0", 15, "training.sampling_probability", "greater than 0"},
    {"sampling_probability: 0.25", "sampling_probability: 1.01", 15, "training.sampling_probability", "at most 1"},
    {"local_steps: 4", "local_steps: 0", 14, "training.local_steps", "1 to 1000"},
    {"sampling_probability: 0.25", "sampling_probability: -0.25", 15, "training.sampling_probability",
     "greater than 0"},
    {"learning_rate: 0.5", "learning_rate: 0", 17, "training.learning_rate", "greater than 0"},
    {"learning_rate: 0.5", "learning_rate: true", 17, "training.learning_rate", "number"},
    {"learning_rate: 0.5", "learning_rate: 0.1234567890123456", 17, "training.learning_rate", "15 digits"},
    {"nominal_patients: 100", "nominal_patients: 0", 16, "training.nominal_patients", "whole number"},
    /* privacy */
    {"noise_multiplier: 4.0", "noise_multiplier: 0", 19, "privacy.noise_multiplier", "from 0.01 to 65536"},
    {"noise_multiplier: 4.0", "noise_multiplier: -4", 19, "privacy.noise_multiplier", "from 0.01 to 65536"},
    {"epsilon: 3\n", "epsilon: 3\n  adaptive_clip: 0.5\n", 22, "privacy.adaptive_clip", "mapping"},
    {"epsilon: 3\n", "epsilon: 3\n  adaptive_clip: {quantle: 0.5}\n", 22, "privacy.adaptive_clip.quantle", "quantile"},
    {"epsilon: 3\n", "epsilon: 3\n  adaptive_clip: {quantile: 1}\n", 22, "privacy.adaptive_clip.quantile", "0.99"},
    {"epsilon: 3\n", "epsilon: 3\n  adaptive_clip: {learning_rate: 0}\n", 22, "privacy.adaptive_clip.learning_rate",
     "greater than 0"},
    {"epsilon: 3\n", "epsilon: 3\n  adaptive_clip: {share: 1}\n", 22, "privacy.adaptive_clip.share", "0.001 to 0.9"},
    {"epsilon: 3\n", "epsilon: 3\n  scaling: {}\n", 22, "privacy.scaling.noise_multiplier", "missing"},
    {"epsilon: 3\n", "epsilon: 3\n  scaling: noised\n", 22, "privacy.scaling", "mapping"},
    {"epsilon: 3\n", "epsilon: 3\n  scaling: {noise_multiplier: 9, least_scale: 0}\n", 22,
     "privacy.scaling.least_scale", "0.001 to 1"},
    {"epsilon: 3\n", "epsilon: 3\n  scaling: {noise_multiplier: 0.2}\n", 21, "privacy.epsilon", "costs epsilon"},
    {"rounds: 15\n  local_steps: 4\n  sampling_probability: 0.25\n  nominal_patients: 100\n  learning_rate: "
     "0.5\nprivacy:\n",
     "rounds: 1\n  local_steps: 4\n  sampling_probability: 0.25\n  nominal_patients: 100\n  learning_rate: "
     "0.5\nprivacy:\n"
     "  scaling: {noise_multiplier: 9}\n",
     19, "privacy.scaling", "two rounds"},
    {"    - {name: radius, unit: mm, low: 6, high: 30}\n    - {name: sex, levels: [female, male], missing: drop}\n"
     "  outcome: {name: malignant, levels: [benign, malignant]}\ntraining:\n  rounds: 15\n  local_steps: 4\n"
     "  sampling_probability: 0.25\n  nominal_patients: 100\n  learning_rate: 0.5\nprivacy:\n",
     "    - {name: sex, levels: [female, male], missing: drop}\n"
     "  outcome: {name: malignant, levels: [benign, malignant]}\ntraining:\n  rounds: 15\n  local_steps: 4\n"
     "  sampling_probability: 0.25\n  nominal_patients: 100\n  learning_rate: 0.5\nprivacy:\n  scaling: "
     "{noise_multiplier: 9}\n",
     18, "privacy.scaling", "number"},
    {"delta: 1e-5", "delta: 0.0011", 20, "privacy.delta", "0.001"},
    {"delta: 1e-5", "delta: 0", 20, "privacy.delta", "greater than 0"},
    {"epsilon: 3", "epsilon: 0", 21, "privacy.epsilon", "greater than 0"},
    {"epsilon: 3", "epsilon: -1", 21, "privacy.epsilon", "greater than 0"},
    {"epsilon: 3", "epsilon: 1000000", 21, "privacy.epsilon", "at most 100"},
    {"epsilon: 3", "epsilon: 1", 21, "privacy.epsilon", "noise_multiplier"},
    {"epsilon: 3\n", "epsilon: 3\n  route: float\n", 22, "privacy.route", "bounded"},
    {"epsilon: 3\n", "epsilon: 3\n  min_patients: 0\n", 22, "privacy.min_patients", "whole number"},
    /* server, update */
    {"", "server: {beta1: 0.5}\n", 25, "server.beta1", "fedadam"},
    {"", "server: {momentum: 0.5}\n", 25, "server.momentum", "fedavgm"},
    {"", "server: {optimizer: fedavgm, beta1: 0.5}\n", 25, "server.beta1", "fedadam"},
    {"", "server: {optimizer: fedadagrad, beta2: 0.5}\n", 25, "server.beta2", "fedyogi"},
    {"", "server: {optimizer: fedyogi, momentum: 0.5}\n", 25, "server.momentum", "fedavgm"},
    {"", "server: {optimizer: sgd}\n", 25, "server.optimizer", "fedavg"},
    {"", "server: fedavg\n", 25, "server", "mapping"},
    {"", "update: {width_bits: 61}\n", 25, "update.width_bits", "8 to 60"},
    {"", "evaluation: {holdout: 0.51}\n", 25, "evaluation.holdout", "0.01 to 0.5"},
    {"", "evaluation: {holdout: 0.001}\n", 25, "evaluation.holdout", "0.01 to 0.5"},
    {"", "evaluation: {}\n", 25, "evaluation.holdout", "missing"},
    {"", "evaluation: {holdout: 0.2, seed: 1}\n", 25, "evaluation.seed", "unknown"},
    {"", "metrics: {every: 0, noise_multiplier: 6}\n", 25, "metrics.every", "1 to 10000"},
    {"", "metrics: {noise_multiplier: 6}\n", 25, "metrics.every", "missing"},
    {"", "metrics: {every: 5}\n", 25, "metrics.noise_multiplier", "missing"},
    {"", "metrics: {every: 5, noise_multiplier: 0}\n", 25, "metrics.noise_multiplier", "from 0.01"},
    {"", "metrics: {every: 5, noise_multiplier: 6, bins: 33}\n", 25, "metrics.bins", "even"},
    {"", "metrics: {every: 5, noise_multiplier: 6, bins: 258}\n", 25, "metrics.bins", "2 to 256"},
    {"", "metrics: {every: 5, noise_multiplier: 6, auc: true}\n", 25, "metrics.auc", "unknown"},
    {"", "metrics: {every: 5, noise_multiplier: 6}\nupdate: {scale_bits: 8, width_bits: 13}\n", 26, "update.width_bits",
     "at least 14"},
    {"", "update: {width_bits: 20}\n", 25, "update.scale_bits", "less than"},
    /* federation */
    {"{name: h2}", "{name: h1}", 23, "federation.hospitals[1].name", "\"h1\""},
    {"{name: h2}", "{name: h2, weight: 0}", 23, "federation.hospitals[1].weight", "1 to 1000"},
    {"{name: h2}", "h2", 23, "federation.hospitals[1]", "mapping"},
    {"[{name: h1, weight: 1}, {name: h2}]", "[]", 23, "federation.hospitals", "1 to 100"},
    {"quorum: 2", "quorum: 3", 24, "federation.quorum", "2 hospitals"},
    {"quorum: 2", "quorum: 0", 24, "federation.quorum", "whole number"},
    {"quorum: 2\n", "quorum: 2\n  ready_timeout_s: 0\n", 25, "federation.ready_timeout_s", "whole number"},
};

static void each_mistake_gives_one_problem_with_line_and_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_plans / sizeof *bad_plans; i++) {
        const struct bad *b = &bad_plans[i];
        char *text = text_edit(good_plan, b->find, b->replace);
        struct ym_problems p = {0};
        struct ym_plan *plan = NULL;
        assert_int_equal(plan_parse(text, &plan, &p), YM_INVALID);
        assert_null(plan);
        assert_problem(&p, b->line, b->key, b->part);
        ym_problems_release(&p);
        free(text);
    }
}

static void aliases_and_duplicate_keys_are_refused(void **state)
{
    static const char *const edits[][2] = {
        {"outcome: {name: malignant, levels: [benign, malignant]}", "outcome: &o {name: m, levels: [a, b]}"},
        {"{name: h1, weight: 1}, {name: h2}", "&a {name: h1}, *a"},
        {"  rounds: 15\n", "  rounds: 15\n  rounds: 15\n"},
        {"study: s1", "study: !!str s1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *text = text_edit(good_plan, edits[i][0], edits[i][1]);
        struct ym_problems p = {0};
        struct ym_plan *plan = NULL;
        assert_int_equal(plan_parse(text, &plan, &p), YM_INVALID);
        assert_int_equal(p.count, 1);
        assert_true(p.item[0].line >= 2);
        ym_problems_release(&p);
        free(text);
    }
}

static void all_mistakes_are_told_at_once_in_the_order_of_lines(void **state)
{
    char *a = text_edit(good_plan, "study: s1", "study: S1"), *b = text_edit(a, "quorum: 2", "quorum: 7"),
         *c = text_edit(b, "rounds: 15", "rounds: x"), *d = text_edit(c, "name: sex", "name: radius");
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    static const int lines[] = {2, 10, 13, 24};
    (void)state;
    assert_int_equal(plan_parse(d, &plan, &p), YM_INVALID);
    assert_int_equal(p.count, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(p.item[i].line, lines[i]);
    ym_problems_release(&p);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void problems_are_told_in_chinese_too(void **state)
{
    char *text = text_edit(good_plan, "rounds: 15", "rounds: 0");
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    (void)state;
    ym_text_init("zh");
    assert_int_equal(plan_parse(text, &plan, &p), YM_INVALID);
    ym_text_init("en");
    assert_problem(&p, 13, "training.rounds", "整数");
    ym_problems_release(&p);
    free(text);
}

/* What would make a figure without meaning is refused in both languages: what, where, what to do. */
static void refusals_that_privacy_rests_on_are_told_in_both_languages(void **state)
{
    static const struct {
        const char *find, *replace, *key, *en, *zh;
        int line;
    } each[] = {
        {"noise_multiplier: 4.0", "noise_multiplier: 0", "privacy.noise_multiplier", "from 0.01 to 65536", "0.01", 19},
        {"sampling_probability: 0.25", "sampling_probability: 1.000001", "training.sampling_probability", "at most 1",
         "不超过 1", 15},
        {"local_steps: 4", "local_steps: 0", "training.local_steps", "whole number from 1", "1 至 1000", 14},
        {"delta: 1e-5", "delta: 0.0010000001", "privacy.delta", "1 / (10 x nominal_patients) = 0.001", "请改小", 20},
        {"epsilon: 3", "epsilon: 100.1", "privacy.epsilon", "at most 100", "不超过 100", 21},
    };
    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++)
        for (int zh = 0; zh < 2; zh++) {
            char *text = text_edit(good_plan, each[i].find, each[i].replace);
            struct ym_problems p = {0};
            struct ym_plan *plan = NULL;
            ym_text_init(zh ? "zh" : "en");
            assert_int_equal(plan_parse(text, &plan, &p), YM_INVALID);
            ym_text_init("en");
            assert_problem(&p, each[i].line, each[i].key, zh ? each[i].zh : each[i].en);
            ym_problems_release(&p);
            free(text);
        }
}

static void a_flood_of_problems_is_cut(void **state)
{
    struct ym_buf text = {0};
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    (void)state;
    ym_buf_puts(&text, good_plan);
    for (int i = 0; i < 1000; i++)
        ym_buf_printf(&text, "x%d: 1\n", i);
    assert_int_equal(plan_parse(ym_buf_str(&text), &plan, &p), YM_INVALID);
    assert_int_equal(p.count, 201);
    assert_non_null(strstr(p.item[200].message, "800 more"));
    ym_problems_release(&p);
    ym_buf_release(&text);
}

/* The message's own advice must work, and a hair less noise must not. */
static void the_noise_that_the_message_names_fits(void **state)
{
    char *text = text_edit(good_plan, "epsilon: 3", "epsilon: 1"), noise[64];
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    double advised;
    (void)state;
    assert_int_equal(plan_parse(text, &plan, &p), YM_INVALID);
    assert_int_equal(sscanf(strstr(p.item[0].message, "noise_multiplier to "), "noise_multiplier to %lf", &advised), 1);
    ym_problems_release(&p);
    for (int less = 0; less <= 1; less++) {
        snprintf(noise, sizeof noise, "noise_multiplier: %.3f", advised - 0.002 * less);
        char *edited = text_edit(text, "noise_multiplier: 4.0", noise);
        assert_int_equal(plan_parse(edited, &plan, &p), less ? YM_INVALID : YM_OK);
        ym_problems_release(&p);
        if (!less)
            ym_plan_free(plan);
        free(edited);
    }
    free(text);
}

/* The fold of a hospital's ledger, round by round, stays within what was checked. */
static void an_accepted_plan_fits_round_by_round(void **state)
{
    struct ym_plan *p = plan_must(good_plan);
    struct ym_rdp spent;
    (void)state;
    ym_rdp_clear(&spent);
    for (uint32_t r = 0; r < p->rounds; r++) {
        struct ym_event e = {p->sigma_units, p->sampling_k, p->steps_per_round};
        assert_int_equal(ym_rdp_add(&spent, &e, NULL), YM_OK);
    }
    assert_true(ym_rdp_epsilon(&spent, 1e-5, NULL) <= 3);
    ym_plan_free(p);
}

static void widest_lattice_is_exactly_the_bound(void **state)
{
    /* weights sum to 8: 8 * 2^(w-1) < 2^62 holds for w = 59, not for w = 60 */
    char *a = text_edit(good_plan, "{name: h1, weight: 1}, {name: h2}", "{name: h1, weight: 7}, {name: h2}");
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    (void)state;
    for (int w = 58; w <= 60; w++) {
        char update[64];
        snprintf(update, sizeof update, "update: {width_bits: %d}\n", w);
        char *text = text_edit(a, "", update);
        assert_int_equal(plan_parse(text, &plan, &p), w < 60 ? YM_OK : YM_INVALID);
        if (w < 60)
            ym_plan_free(plan);
        else
            assert_problem(&p, 25, "update.width_bits", "59");
        ym_problems_release(&p);
        free(text);
    }
    free(a);
}

/* docs/plan.md, "No sum wraps", at the ends of every key at once: 100 hospitals of the largest weight, the most noise,
 * the largest clip and frozen set. The widest width that is accepted holds all sums; one more is refused. */
static void no_sum_of_a_hundred_hospitals_wraps(void **state)
{
    struct ym_buf sites = {0}, text = {0};
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    (void)state;
    for (int i = 0; i < YM_PLAN_MAX_SITES; i++)
        ym_buf_printf(&sites, "%s{name: h%d, weight: 1000}", i ? ", " : "", i);
    char *a = text_edit(good_plan, "noise_multiplier: 4.0", "noise_multiplier: 65536");
    char *b = text_edit(a, "{name: h1, weight: 1}, {name: h2}", ym_buf_str(&sites));
    for (int w = 45; w <= 47; w++) {
        ym_buf_clear(&text);
        ym_buf_printf(&text, "%supdate: {width_bits: %d}\n", b, w);
        assert_int_equal(plan_parse(ym_buf_str(&text), &plan, &p), w <= 46 ? YM_OK : YM_INVALID);
        if (w <= 46) {
            unsigned __int128 weights = 0, most = (unsigned __int128)1 << (plan->update_width_bits - 1);
            for (size_t i = 0; i < plan->site_count; i++)
                weights += plan->site[i].weight;
            assert_int_equal(plan->site_count, 100);
            assert_true(weights == 100000 && weights * most < (unsigned __int128)1 << 62);
            assert_int_equal(w == 46, weights * most * 2 >= (unsigned __int128)1 << 62);
            /* one step: 2^31 patients of 2^24 each, and 2^22 standard deviations of noise */
            assert_true(plan->sigma_units == (uint64_t)1 << 40);
            assert_true(((unsigned __int128)1 << 55) + (((unsigned __int128)plan->sigma_units) << 22) <
                        (unsigned __int128)1 << 63);
            ym_plan_free(plan);
        } else {
            assert_problem(&p, 25, "update.width_bits", "46");
        }
        ym_problems_release(&p);
    }
    free(a);
    free(b);
    ym_buf_release(&sites);
    ym_buf_release(&text);
}

static void the_example_in_docs_is_a_plan(void **state)
{
    struct ym_doc *doc = NULL;
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    (void)state;
    assert_int_equal(ym_doc_load(YM_TEST_SOURCE_ROOT "/docs/examples/wdbc-plan.yaml", &doc, &p, NULL), YM_OK);
    assert_int_equal(ym_plan_read(doc, &plan, &p, NULL), YM_OK);
    assert_int_equal(plan->input_count, 30);
    ym_plan_free(plan);
    ym_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_reaches_the_plan),
        cmocka_unit_test(noise_is_rounded_up_to_the_lattice),
        cmocka_unit_test(mlp_and_fedadam_have_their_keys),
        cmocka_unit_test(server_optimizers_have_their_keys),
        cmocka_unit_test(local_programs_have_their_keys),
        cmocka_unit_test(plain_sgd_leaves_no_trace_in_the_canonical_form),
        cmocka_unit_test(senseless_programs_are_refused),
        cmocka_unit_test(start_and_freeze_have_their_keys),
        cmocka_unit_test(senseless_starts_are_refused),
        cmocka_unit_test(missing_rules_add_columns_and_constants),
        cmocka_unit_test(levels_that_yaml_reads_as_numbers_are_names),
        cmocka_unit_test(canonical_form_reads_back_to_the_same_bytes),
        cmocka_unit_test(adaptive_clip_has_defaults_and_reads_back),
        cmocka_unit_test(route_is_integer_unless_said),
        cmocka_unit_test(scaling_reads_back_and_is_paid_for),
        cmocka_unit_test(holding_out_is_read_and_costs_nothing_more),
        cmocka_unit_test(metrics_have_a_default_and_their_cost),
        cmocka_unit_test(the_last_round_always_has_metrics),
        cmocka_unit_test(classes_count_against_each_other),
        cmocka_unit_test(metrics_are_in_what_the_check_asks),
        cmocka_unit_test(canonical_form_does_not_depend_on_spelling),
        cmocka_unit_test(other_spellings_of_the_same_plan_are_refused_on_the_wire),
        cmocka_unit_test(wire_refusal_names_the_key),
        cmocka_unit_test(each_mistake_gives_one_problem_with_line_and_key),
        cmocka_unit_test(aliases_and_duplicate_keys_are_refused),
        cmocka_unit_test(all_mistakes_are_told_at_once_in_the_order_of_lines),
        cmocka_unit_test(problems_are_told_in_chinese_too),
        cmocka_unit_test(refusals_that_privacy_rests_on_are_told_in_both_languages),
        cmocka_unit_test(a_flood_of_problems_is_cut),
        cmocka_unit_test(the_noise_that_the_message_names_fits),
        cmocka_unit_test(an_accepted_plan_fits_round_by_round),
        cmocka_unit_test(widest_lattice_is_exactly_the_bound),
        cmocka_unit_test(no_sum_of_a_hundred_hospitals_wraps),
        cmocka_unit_test(the_example_in_docs_is_a_plan),
    };
    ym_text_init("en");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
