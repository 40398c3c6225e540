#include "gate_help.h"
#include "worker/data/freeze.h"

/* From bytes of images to what a step reads. */

static const char card_text[] = "yumen: card/1\nname: d1\ntitle: t\nfile: x.csv\npatient_column: id\n"
                                "size_class: \"<100\"\ntier: general\nvariables:\n"
                                "  - {name: eye, column: e, channels: 1, height: 1, width: 2}\n"
                                "  - {name: xray, column: x, channels: 3, height: 1, width: 2}\n"
                                "  - {name: ill, column: y, levels: [yes, no]}\n"
                                "  - {name: age, column: a, unit: year, low: 0, high: 100}\n";

/* The third image of p1 is over the plan's records, p2's has no outcome, p3's no image, p4's eye alone is missing. */
static const char csv_text[] = "id,e,x,y,a\n"
                               "p1,1,10,no,5\np1,2,20,yes,5\np1,3,30,yes,5\n"
                               "p2,4,40,,5\n"
                               "p3,5,,yes,5\n"
                               "p4,,60,no,5\n";

/* Cell n is a picture of bytes n, n + 1, ... */
static enum ym_code picture(void *ctx, size_t var, const char *cell, size_t len, uint8_t *out, struct ym_status *st)
{
    char text[8] = {0};
    (void)ctx, (void)st;
    assert_true(len < sizeof text);
    memcpy(text, cell, len);
    for (int i = 0; i < (var ? 6 : 2); i++)
        out[i] = (uint8_t)(atoi(text) + i);
    return YM_OK;
}

static struct ym_frozen *frozen_of(void)
{
    static const uint8_t salt[32] = {1};
    struct ym_card *card = card_must(card_text);
    struct ym_freeze *f = NULL;
    struct ym_buf bytes = {0}, report = {0};
    struct ym_frozen *out = NULL;
    assert_int_equal(ym_freeze_new(card, salt, false, &report, &f, NULL), YM_OK);
    ym_freeze_pictures(f, picture, NULL);
    assert_int_equal(ym_freeze_push(f, csv_text, strlen(csv_text), NULL), YM_OK);
    assert_int_equal(ym_freeze_finish(f, &bytes, NULL), YM_OK);
    assert_int_equal(ym_frozen_parse(bytes_in(&bytes), &out, NULL), YM_OK);
    ym_freeze_free(f);
    ym_card_free(card);
    ym_buf_release(&bytes);
    ym_buf_release(&report);
    return out;
}

static struct ym_plan *plan_of(const char *input, const char *rest)
{
    struct ym_buf text = {0};
    ym_buf_printf(&text,
                  "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\nmodel:\n  inputs: [%s]\n"
                  "  outcome: {name: ill, levels: [no, yes]}\n%s"
                  "training: {rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 4, "
                  "learning_rate: 1, max_records_per_patient: 2}\n"
                  "privacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 3, min_patients: 1}\n"
                  "federation: {hospitals: [{name: h1}]}\n",
                  input, rest);
    struct ym_plan *plan = plan_must(ym_buf_str(&text));
    ym_buf_release(&text);
    return plan;
}

static const char network[] = "  family: network\n  layers: [dense: {width: 2}]\n";

static enum ym_code build(const char *input, const char *rest, struct ym_table **t, struct ym_buf *report)
{
    struct ym_frozen *f = frozen_of();
    struct ym_plan *plan = plan_of(input, rest);
    enum ym_code code = ym_table_build(plan, f, NULL, t, report, NULL);
    ym_plan_free(plan);
    ym_frozen_free(f);
    return code;
}

static void bytes_become_declared_values_row_by_row(void **state)
{
    struct ym_table *t = NULL;
    float scratch[12];
    (void)state;
    assert_int_equal(build("{name: xray, channels: 3, height: 1, width: 2, mean: 0.25, scale: 0.5}", network, &t, NULL),
                     YM_OK);
    assert_int_equal(t->columns, 6);
    assert_int_equal(t->patients, 2); /* p1, and p4, whose missing eye nobody asked for */
    assert_int_equal(t->rows, 3);
    assert_null(t->x);
    assert_int_equal(ym_table_scratch(t, 2), 12);
    assert_int_equal(ym_table_most_rows(t), 2);
    for (size_t p = 0; p < 2; p++) {
        size_t first = t->first_row[p], n = t->first_row[p + 1] - first;
        const float *x = ym_table_rows(t, first, n, scratch);
        for (size_t r = 0; r < n; r++)
            for (int i = 0; i < 6; i++) {
                int byte = (n == 1 ? 60 : r ? 20 : 10) + i;
                assert_true(x[6 * r + (size_t)i] == (float)((byte / 255.0 - 0.25) / 0.5));
            }
        assert_true(t->y[first] == 0 && (n == 1 || t->y[first + 1] == 1));
    }
    ym_table_free(t);
}

static void refused(const char *input, const char *rest, enum ym_code code, const char *why)
{
    struct ym_table *t = NULL;
    struct ym_buf report = {0};
    assert_int_equal(build(input, rest, &t, &report), code);
    assert_non_null(strstr(ym_buf_str(&report), why));
    assert_null(t);
    ym_buf_release(&report);
}

static void what_is_no_such_image_is_refused(void **state)
{
    (void)state;
    refused("{name: xray, channels: 3, height: 2, width: 1}", network, YM_INVALID, "the plan wants 3, 2, 1");
    refused("{name: xray, channels: 1, height: 1, width: 2}", network, YM_INVALID, "has 3 channels");
    refused("{name: age, channels: 1, height: 1, width: 2}", network, YM_INVALID, "not an image");
    refused("{name: scan, channels: 1, height: 1, width: 2}", network, YM_NOT_FOUND, "scan");
    refused("{name: xray, unit: year, low: 0, high: 100}", "  family: logistic\n", YM_INVALID, "wants a number");
    refused("{name: xray, levels: [yes, no]}", "  family: logistic\n", YM_INVALID, "wants a category");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_become_declared_values_row_by_row),
        cmocka_unit_test(what_is_no_such_image_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
