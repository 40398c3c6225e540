#include "cmd/yumen/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/listing.h"
#include "base/text.h"
#include "cmd/yumen/plan.h"

void ym_print_pad(struct ym_buf *out, const char *text, int columns)
{
    int used = (int)ym_listing_width(text);

    ym_buf_printf(out, "%s%*s", text, used < columns ? columns - used : 0, "");
}

void ym_print_micro(struct ym_buf *out, int64_t micro)
{
    if (micro < 0)
        ym_buf_puts(out, "-");
    else if (micro == INT64_MAX)
        ym_buf_puts(out, "inf");
    else
        ym_buf_printf(out, "%" PRId64 ".%06" PRId64, micro / 1000000, micro % 1000000);
}

void ym_print_score(struct ym_buf *out, const struct ym_score *s)
{
    ym_buf_printf(out, T(SPONSOR_SCORE_LOSS), s->loss);
    if (!isnan(s->accuracy))
        ym_buf_printf(out, T(SPONSOR_SCORE_ACCURACY), s->accuracy);
    if (!isnan(s->auc))
        ym_buf_printf(out, T(SPONSOR_SCORE_AUC), s->auc);
    if (!isnan(s->slope))
        ym_buf_printf(out, T(SPONSOR_SCORE_CALIBRATION), s->brier, s->intercept, s->slope);
    if (!isnan(s->concordance))
        ym_buf_printf(out, T(SPONSOR_SCORE_SURVIVAL), s->concordance, s->expected, s->observed);
}

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *ym_json_score(const struct ym_score *s)
{
    json_t *o =
        json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "rows", (json_int_t)s->rows, "loss", real_or_null(s->loss),
                  "accuracy", real_or_null(s->accuracy), "auc", real_or_null(s->auc), "auc_se", real_or_null(s->auc_se),
                  "rmse", real_or_null(s->rmse), "brier", real_or_null(s->brier), "calibration_intercept",
                  real_or_null(s->intercept), "calibration_slope", real_or_null(s->slope));

    if (!isnan(s->concordance)) {
        json_object_set_new(o, "concordance", json_real(s->concordance));
        json_object_set_new(o, "concordance_se", real_or_null(s->concordance_se));
        json_object_set_new(o, "expected_events", real_or_null(s->expected));
        json_object_set_new(o, "observed_events", real_or_null(s->observed));
    } else if (!isnan(s->expected)) {
        json_object_set_new(o, "expected", json_real(s->expected));
        json_object_set_new(o, "observed", real_or_null(s->observed));
    }
    return o;
}

static void line_se(struct ym_buf *out, const char *name, double value, double se)
{
    if (!isnan(value) && !isnan(se))
        ym_buf_printf(out, T(SPONSOR_SCORE_SE), name, value, se);
    else if (!isnan(value))
        ym_buf_printf(out, T(SPONSOR_SCORE_ONE), name, value);
    if (!isnan(value))
        ym_buf_puts(out, "\n");
}

static void print_figures(struct ym_buf *out, const struct ym_scores *scores)
{
    struct ym_score s = ym_scores_sum(scores);

    ym_buf_printf(out, T(SPONSOR_SCORE_LOSS), s.loss);
    ym_buf_puts(out, "\n");
    line_se(out, T(SPONSOR_METRIC_ACCURACY), s.accuracy, NAN);
    line_se(out, "AUC", s.auc, s.auc_se);
    line_se(out, "Brier", s.brier, NAN);
    line_se(out, T(SPONSOR_SCORE_RMSE), s.rmse, NAN);
    line_se(out, "C", s.concordance, s.concordance_se);
    if (!isnan(s.slope))
        ym_buf_printf(out, T(SPONSOR_SCORE_CALIBRATION_ONE), s.intercept, s.slope);
    else if (!isnan(s.expected))
        ym_buf_printf(out, scores->risk ? T(SPONSOR_SCORE_EVENTS) : T(SPONSOR_SCORE_COUNTS), s.expected, s.observed,
                      s.expected / s.observed);
    if (!isnan(s.slope) || !isnan(s.expected))
        ym_buf_puts(out, "\n");
}

static void print_bins(struct ym_buf *out, const struct ym_scores *s)
{
    struct ym_score_bin bin[YM_SCORE_BINS];
    size_t n = ym_scores_bins(s, bin);

    if (n > 0)
        ym_buf_printf(out, "\n%s\n", s->risk ? T(SPONSOR_SCORE_BINS_RISK) : T(SPONSOR_SCORE_BINS));
    for (size_t k = 0; k < n; k++)
        ym_buf_printf(out, s->risk ? "%.3e-%.3e %8zu %10.2f %10.0f\n" : "%.1f-%.1f %13zu %10.4f %10.4f\n", bin[k].from,
                      bin[k].to, bin[k].count, bin[k].expected, bin[k].observed);
}

static size_t *confusion_of(const struct ym_scores *s)
{
    size_t levels = s->plan->outcome.level_count;
    bool has = s->plan->outcome.kind == YM_VAR_CATEGORY && !ym_plan_survival(s->plan) && s->rows > 0;
    size_t *count = has ? calloc(levels * levels, sizeof *count) : NULL;

    if (count)
        ym_scores_confusion(s, count);
    return count;
}

static void print_confusion(struct ym_buf *out, const struct ym_scores *s)
{
    const struct ym_variable *y = &s->plan->outcome;
    size_t *count = confusion_of(s);

    if (!count)
        return;
    ym_buf_printf(out, "\n%s\n", T(SPONSOR_SCORE_CONFUSION));
    ym_print_pad(out, "", 20);
    for (size_t k = 0; k < y->level_count; k++) {
        ym_buf_puts(out, " ");
        ym_print_pad(out, y->level[k], 10);
    }
    ym_buf_puts(out, "\n");
    for (size_t i = 0; i < y->level_count; i++) {
        ym_print_pad(out, y->level[i], 20);
        for (size_t k = 0; k < y->level_count; k++)
            ym_buf_printf(out, " %-10zu", count[i * y->level_count + k]);
        ym_buf_puts(out, "\n");
    }
    free(count);
}

void ym_print_scores(struct ym_buf *out, const struct ym_scores *s)
{
    print_figures(out, s);
    print_bins(out, s);
    print_confusion(out, s);
}

static json_t *bins_json(const struct ym_scores *s)
{
    struct ym_score_bin bin[YM_SCORE_BINS];
    size_t n = ym_scores_bins(s, bin);
    json_t *list = n > 0 ? json_array() : json_null();

    for (size_t k = 0; k < n; k++)
        json_array_append_new(list, json_pack("{s:f,s:f,s:I,s:f,s:f}", "from", bin[k].from, "to", bin[k].to, "count",
                                              (json_int_t)bin[k].count, "expected", bin[k].expected, "observed",
                                              bin[k].observed));
    return list;
}

static json_t *confusion_json(const struct ym_scores *s)
{
    const struct ym_variable *y = &s->plan->outcome;
    size_t *count = confusion_of(s);
    json_t *levels = json_array(), *rows = json_array();

    for (size_t i = 0; count && i < y->level_count; i++) {
        json_t *row = json_array();

        for (size_t k = 0; k < y->level_count; k++)
            json_array_append_new(row, json_integer((json_int_t)count[i * y->level_count + k]));
        json_array_append_new(rows, row);
        json_array_append_new(levels, json_string(y->level[i]));
    }
    if (count) {
        free(count);
        return json_pack("{s:o,s:o}", "levels", levels, "counts", rows);
    }
    json_decref(levels);
    json_decref(rows);
    return json_null();
}

json_t *ym_json_scores(const struct ym_scores *s)
{
    return json_pack("{s:o,s:o}", "reliability", bins_json(s), "confusion", confusion_json(s));
}

void ym_print_json(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17));

    if (text != NULL)
        puts(text);
    fflush(stdout);
    free(text);
}

void ym_print_wait(bool on)
{
    if (!isatty(STDERR_FILENO))
        return;
    fputs(on ? T(SPONSOR_WAIT) : "\r\x1b[K", stderr);
    fflush(stderr);
}

static enum ym_code open_exact(const char *path, struct ym_plan **out, struct ym_problems *p, struct ym_status *st)
{
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_load(path, &doc, p, st);

    if (code == YM_OK)
        code = ym_plan_read_exact(doc, out, p, st);
    ym_doc_free(doc);
    return code;
}

static enum ym_code load_with(enum ym_code (*open)(const char *, struct ym_plan **, struct ym_problems *,
                                                   struct ym_status *),
                              const char *path, struct ym_plan **out, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    enum ym_code code = open(path, out, &problems, st);

    ym_problems_format(&problems, &text);
    fputs(ym_buf_str(&text), stderr);
    ym_buf_release(&text);
    ym_problems_release(&problems);
    return code;
}

enum ym_code ym_plan_load(const char *path, struct ym_plan **out, struct ym_status *st)
{
    return load_with(ym_plan_open, path, out, st);
}

enum ym_code ym_plan_load_exact(const char *path, struct ym_plan **out, struct ym_status *st)
{
    return load_with(open_exact, path, out, st);
}

enum ym_code ym_test_load(const struct ym_plan *plan, const char *path, struct ym_table **out, struct ym_status *st)
{
    struct ym_buf report = {0};
    enum ym_code code = ym_sim_load_test(plan, path, out, &report, st);

    if (code != YM_OK && report.len > 0)
        fprintf(stderr, "%s%s\n", ym_buf_str(&report), T(SPONSOR_SIM_TEST_HINT));
    ym_buf_release(&report);
    return code;
}
