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
        json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "rows", (json_int_t)s->rows, "loss", real_or_null(s->loss),
                  "accuracy", real_or_null(s->accuracy), "auc", real_or_null(s->auc), "brier", real_or_null(s->brier),
                  "calibration_intercept", real_or_null(s->intercept), "calibration_slope", real_or_null(s->slope));

    if (isnan(s->concordance))
        return o;
    json_object_set_new(o, "concordance", json_real(s->concordance));
    json_object_set_new(o, "expected_events", real_or_null(s->expected));
    json_object_set_new(o, "observed_events", real_or_null(s->observed));
    return o;
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
