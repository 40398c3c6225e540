#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "models/results/onnx.h"
#include "models/results/wire.h"
#include "tests/support/plan.h"

/* A reader of its own: fields of a message, and a machine for the few operators. */

struct field {
    uint32_t number, type;
    uint64_t value;
    struct ym_bytes bytes;
};

static bool next_varint(struct ym_bytes *b, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 64 && b->len > 0; shift += 7) {
        uint8_t c = *b->data;

        b->data++, b->len--;
        *v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return true;
    }
    return false;
}

static bool next(struct ym_bytes *b, struct field *f)
{
    uint64_t tag;

    if (b->len == 0)
        return false;
    assert_true(next_varint(b, &tag) && next_varint(b, &f->value));
    f->number = (uint32_t)(tag >> 3);
    f->type = tag & 7;
    assert_true(f->type == 0 || (f->type == 2 && f->value <= b->len));
    f->bytes = (struct ym_bytes){b->data, f->type == 2 ? f->value : 0};
    b->data += f->bytes.len;
    b->len -= f->bytes.len;
    return true;
}

/* The nth field of that number. */
static struct field find(struct ym_bytes b, uint32_t number, size_t nth)
{
    struct field f = {0};

    while (next(&b, &f))
        if (f.number == number && nth-- == 0)
            return f;
    return (struct field){0};
}

static bool is(struct ym_bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

static bool same(struct ym_bytes a, struct ym_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static struct ym_bytes initializer(struct ym_bytes graph, struct ym_bytes name, size_t count)
{
    for (size_t i = 0;; i++) {
        struct ym_bytes t = find(graph, 5, i).bytes;

        assert_non_null(t.data);
        if (!same(find(t, 8, 0).bytes, name))
            continue;
        t = find(t, 9, 0).bytes;
        assert_int_equal(t.len, 4 * count);
        return t;
    }
}

static float at(struct ym_bytes raw, size_t i)
{
    float v;

    memcpy(&v, raw.data + 4 * i, sizeof v);
    return v;
}

static size_t run_gemm(struct ym_bytes graph, struct ym_bytes node, double *x, size_t in)
{
    struct ym_bytes weight = find(node, 1, 1).bytes, bias = find(node, 1, 2).bytes, attribute = find(node, 5, 0).bytes;
    double y[64];
    size_t out = 0;

    assert_true(is(find(attribute, 1, 0).bytes, "transB") && find(attribute, 3, 0).value == 1);
    for (size_t i = 0;; i++) {
        struct ym_bytes t = find(graph, 5, i).bytes;

        if (!same(find(t, 8, 0).bytes, weight))
            continue;
        out = find(t, 1, 0).value;
        assert_int_equal(find(t, 1, 1).value, in);
        break;
    }
    weight = initializer(graph, weight, out * in);
    bias = initializer(graph, bias, out);
    for (size_t o = 0; o < out; o++) {
        y[o] = at(bias, o);
        for (size_t i = 0; i < in; i++)
            y[o] += (double)at(weight, o * in + i) * x[i];
    }
    memcpy(x, y, out * sizeof *y);
    return out;
}

/* x [64]: raw columns in, scores out; returns how many. Each node must read what the last one wrote. */
static size_t run(struct ym_bytes model, double *x, size_t width)
{
    struct ym_bytes graph = find(model, 7, 0).bytes, node, value = {(const uint8_t *)"x", 1};

    for (size_t n = 0; (node = find(graph, 1, n).bytes).data != NULL; n++) {
        struct ym_bytes op = find(node, 4, 0).bytes;
        double sum = 0;

        assert_true(same(find(node, 1, 0).bytes, value));
        value = find(node, 2, 0).bytes;
        if (is(op, "Gemm"))
            width = run_gemm(graph, node, x, width);
        for (size_t i = 0; i < width; i++) {
            x[i] = is(op, "Relu") ? fmax(x[i], 0) : is(op, "Tanh") ? tanh(x[i]) : x[i];
            x[i] = is(op, "Sigmoid") ? 1 / (1 + exp(-x[i])) : is(op, "Softmax") ? exp(x[i]) : x[i];
            sum += x[i];
        }
        for (size_t i = 0; i < width && is(op, "Softmax"); i++)
            x[i] /= sum;
    }
    assert_true(is(value, "score"));
    return width;
}

/* ---- what is written ---- */

static void write_model(struct ym_plan *p, struct ym_model *m, float *params, struct ym_buf *out)
{
    const struct ym_onnx_note note = {"study", "study-1"};

    assert_int_equal(ym_model_from_plan(p, m, NULL), YM_OK);
    for (size_t i = 0; i < m->dim; i++)
        params[i] = (float)((double)(i * 37 % 19) / 10 - 0.9);
    assert_int_equal(ym_onnx_write(p, m, params, &note, 1, out, NULL), YM_OK);
}

static void make_category(struct ym_variable *v, size_t levels)
{
    v->kind = YM_VAR_CATEGORY;
    v->level_count = levels;
}

/* x, and the design row that the plan's rules make of it, by hand. */
static void score_is_as_predicted(struct ym_plan *p, const double *raw, size_t width, const float *row)
{
    struct ym_model m;
    struct ym_buf out = {0};
    float params[512], want[8];
    double x[64];
    struct ym_model_work *w;
    size_t outputs;

    write_model(p, &m, params, &out);
    memcpy(x, raw, width * sizeof *x);
    assert_int_equal(width, ym_onnx_columns(p));
    outputs = run(ym_buf_bytes(&out), x, width);
    w = ym_model_work_new(&m, 1);
    ym_model_predict(&m, params, row, 1, w, want);
    assert_int_equal(outputs, ym_plan_outputs(p));
    for (size_t i = 0; i < outputs; i++) {
        double mine = m.loss == YM_LOSS_SQUARED ? (p->outcome.high + p->outcome.low) / 2 +
                                                      (double)want[i] * (p->outcome.high - p->outcome.low) / 2
                                                : (double)want[i];

        assert_true(fabs(x[i] - mine) < 2e-6 * fmax(1, fabs(mine)));
    }
    ym_model_work_free(w);
    ym_buf_release(&out);
}

/* a number of [100, 300] with indicator, a category of three with indicator, a plain number of [-1, 1] */
static struct ym_plan *mixed(enum ym_family family, size_t outputs)
{
    struct ym_plan *p = plan_make(family, 3, outputs);

    p->input[0].low = 100;
    p->input[0].high = 300;
    p->input[0].missing = YM_MISSING_INDICATOR;
    make_category(&p->input[1], 3);
    p->input[1].missing = YM_MISSING_INDICATOR;
    return p;
}

static void raw_columns_become_those_of_the_design_matrix(void **state)
{
    static const struct {
        double raw[5];
        float row[6]; /* number, its flag, level 1, level 2, its flag, number */
    } cases[] = {
        {{250, 0, 0, 0, 0.25}, {0.5f, 0, 0, 0, 0, 0.25f}}, {{100, 0, 1, 0, -1}, {-1, 0, 1, 0, 0, -1}},
        {{1e6, 0, 2, 0, 1}, {1, 0, 0, 1, 0, 1}},      /* cut to the range */
        {{-1e6, 0, 2, 0, -7}, {-1, 0, 0, 1, 0, -1}},  /* likewise */
        {{-777, 1, 1, 0, 0}, {0, 1, 1, 0, 0, 0}},     /* missing: whatever stands there */
        {{1e6, 1, 2, 1, 0.5}, {0, 1, 0, 0, 1, 0.5f}}, /* both missing */
        {{300, 0, -777, 1, 0}, {1, 0, 0, 0, 1, 0}},
    };
    static const enum ym_family families[] = {YM_FAMILY_LINEAR, YM_FAMILY_LOGISTIC, YM_FAMILY_MULTINOMIAL};
    struct ym_plan *p;

    (void)state;
    for (size_t f = 0; f < 3; f++) {
        p = mixed(families[f], f == 2 ? 3 : 1);
        if (f == 0)
            p->outcome.low = 10, p->outcome.high = 50;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            score_is_as_predicted(p, cases[i].raw, 5, cases[i].row);
        plan_drop(p);
    }
}

static void hidden_layers_keep_their_activation(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_MLP, 2, 3);

    (void)state;
    p->hidden_count = 2;
    p->hidden[0] = 4;
    p->hidden[1] = 3;
    for (int act = YM_ACT_TANH; act <= YM_ACT_RELU; act++) {
        p->activation = (enum ym_activation)act;
        score_is_as_predicted(p, (double[]){0.5, -0.25}, 2, (float[]){0.5f, -0.25f});
    }
    plan_drop(p);
}

/* The bytes are held, for a reader out there may hold files of ours: tests/integration/test_onnx.py gives the same
 * file to python3-onnx and OpenCV. */
static void small_file_has_the_golden_bytes(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_LOGISTIC, 1, 1);
    struct ym_model m;
    struct ym_buf out = {0}, golden = {0};
    float params[8];

    (void)state;
    p->input[0].low = 0;
    p->input[0].high = 8;
    write_model(p, &m, params, &out);
    assert_int_equal(ym_fs_read(YM_TEST_SOURCE_ROOT "/tests/vectors/onnx/logistic.onnx", 4096, &golden, NULL), YM_OK);
    assert_int_equal(out.len, golden.len);
    assert_memory_equal(out.data, golden.data, out.len);
    ym_buf_release(&out);
    ym_buf_release(&golden);
    plan_drop(p);
}

static void raw_columns_are_named(void **state)
{
    static const char *const want[] = {"x0", "x0.missing", "x1", "x1.missing", "x2"};
    struct ym_plan *p = mixed(YM_FAMILY_LOGISTIC, 1);
    char name[80];

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        ym_onnx_column(p, i, name);
        assert_string_equal(name, want[i]);
    }
    plan_drop(p);
}

static void too_wide_a_model_is_refused(void **state)
{
    struct ym_plan *p = plan_make(YM_FAMILY_LOGISTIC, 40, 1);
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf out = {0};
    struct ym_model m;
    float *params;

    (void)state;
    for (size_t i = 0; i < 40; i++)
        make_category(&p->input[i], 64);
    assert_int_equal(ym_model_from_plan(p, &m, NULL), YM_OK);
    params = calloc(m.dim, sizeof *params);
    assert_int_equal(ym_onnx_write(p, &m, params, NULL, 0, &out, &st), YM_INVALID);
    assert_non_null(strstr(st.message, "2520 columns"));
    assert_int_equal(out.len, 0);
    free(params);
    plan_drop(p);
}

static void varints_are_written_as_the_format_says(void **state)
{
    static const uint8_t want[] = {0x08, 0x96, 0x01, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0x01, 0x1a, 0x02, 'h',  'i'};
    struct ym_wire w = {0};

    (void)state;
    ym_wire_int(&w, 1, 150); /* the encoding guide's own example */
    ym_wire_int(&w, 2, -1);
    ym_wire_text(&w, 3, "hi");
    assert_int_equal(w.bytes.len, sizeof want);
    assert_memory_equal(w.bytes.data, want, sizeof want);
    assert_false(w.failed);
    ym_wire_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_are_written_as_the_format_says),
        cmocka_unit_test(raw_columns_are_named),
        cmocka_unit_test(raw_columns_become_those_of_the_design_matrix),
        cmocka_unit_test(hidden_layers_keep_their_activation),
        cmocka_unit_test(small_file_has_the_golden_bytes),
        cmocka_unit_test(too_wide_a_model_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
