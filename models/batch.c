#include "models/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "models/batch_internal.h"
#include "models/model_internal.h"
#include "models/shape.h"

#define VALUE_BITS 21
#define WEIGHT_BITS 22
#define TERMS ((size_t)1 << (53 - VALUE_BITS - WEIGHT_BITS))
#define GRAM_LEN ((size_t)2 * YM_BATCH_PATIENT_ROWS * YM_BATCH_PATIENT_ROWS)
#define SMALLEST (-900)  /* exponents below count as zero: no scale can overflow */
#define ROUNDER 0x1.8p52 /* added and taken away again: rounds to the nearest whole number */

/* ---- memory ---- */

static size_t widest(const struct ym_model *m)
{
    size_t w = 0;

    for (size_t i = 0; i <= m->layer_count; i++)
        w = m->width[i] > w ? m->width[i] : w;
    return w;
}

static size_t units_of(const struct ym_model *m)
{
    size_t n = 2 * widest(m);

    for (size_t l = 0; l < m->layer_count; l++)
        n += m->width[l] + 1 + m->width[l + 1];
    return n;
}

size_t ym_batch_rows_for(const struct ym_model *m)
{
    size_t rows = ((size_t)1 << 22) / units_of(m);

    return rows < 1 ? 1 : rows > YM_BATCH_MOST_ROWS ? YM_BATCH_MOST_ROWS : rows;
}

static double *take(double **next, size_t count)
{
    double *p = *next;

    *next += count;
    return p;
}

static void lay_out(struct ym_batch *b)
{
    const struct ym_model *m = &b->m;
    double *next = b->wide;
    float *narrow = b->narrow;

    for (size_t l = 0; l < m->layer_count; l++) {
        b->weight[l] = take(&next, m->width[l + 1] * m->width[l]);
        b->in[l] = take(&next, b->max_rows * (m->width[l] + 1));
        b->out[l] = take(&next, b->max_rows * m->width[l + 1]);
        b->in_exp[l] = b->exps + 2 * l * b->max_rows;
        b->out_exp[l] = b->in_exp[l] + b->max_rows;
        b->act[l + 1] = narrow;
        narrow += b->max_rows * m->width[l + 1];
    }
    b->product = take(&next, b->max_rows * widest(m));
    b->part = take(&next, b->max_rows * widest(m));
    b->tile = take(&next, b->tile_len);
    b->gram = take(&next, GRAM_LEN);
    b->delta = narrow;
}

struct ym_batch *ym_batch_new(const struct ym_model *m, size_t max_rows)
{
    struct ym_batch *b = calloc(1, sizeof *b);

    YM_ASSERT(max_rows >= 1 && max_rows <= YM_BATCH_MOST_ROWS && widest(m) <= YM_BATCH_WIDEST);
    if (!b)
        return NULL;
    b->m = *m;
    b->max_rows = max_rows;
    b->tile_len = widest(m) + 1 > YM_BATCH_TILE ? widest(m) + 1 : YM_BATCH_TILE;
    b->wide_len = m->dim + max_rows * units_of(m) + b->tile_len + GRAM_LEN;
    b->narrow_len = max_rows * units_of(m);
    b->wide = malloc(b->wide_len * sizeof *b->wide);
    b->narrow = malloc(b->narrow_len * sizeof *b->narrow);
    b->exps = calloc(2 * m->layer_count * max_rows, sizeof *b->exps);
    b->first = calloc(max_rows + 1, sizeof *b->first);
    b->y = calloc(max_rows, ym_model_targets(m) * sizeof *b->y);
    b->bad = calloc(max_rows, sizeof *b->bad);
    if (!b->wide || !b->narrow || !b->exps || !b->first || !b->y || !b->bad) {
        b->wide_len = b->wide ? b->wide_len : 0;
        ym_batch_free(b);
        return NULL;
    }
    lay_out(b);
    return b;
}

void ym_batch_free(struct ym_batch *b)
{
    if (!b)
        return;
    if (b->wide)
        ym_wipe(b->wide, b->wide_len * sizeof *b->wide);
    if (b->narrow)
        ym_wipe(b->narrow, b->narrow_len * sizeof *b->narrow);
    if (b->y)
        ym_wipe(b->y, b->max_rows * ym_model_targets(&b->m) * sizeof *b->y);
    if (b->exps)
        ym_wipe(b->exps, 2 * b->m.layer_count * b->max_rows * sizeof *b->exps);
    free(b->wide);
    free(b->narrow);
    free(b->exps);
    free(b->first);
    free(b->y);
    free(b->bad);
    free(b);
}

/* ---- whole numbers under a power of two ---- */

/* v[i] becomes a whole number of at most 2^bits in magnitude, the largest at least
 * half of that; value = whole * 2^exp. False, and all zero: something is not finite. */
static bool make_whole(double *v, size_t n, int bits, int *exp)
{
    double top = 0, poison = 0, scale;
    int e = 0;

    for (size_t i = 0; i < n; i++) {
        double a = fabs(v[i]);

        top = a > top ? a : top;
        poison += v[i] * 0; /* NaN when v[i] is not finite */
    }
    frexp(poison == 0 ? top : 0, &e);
    *exp = 0;
    if (poison != 0 || isnan(poison) || top == 0 || e < SMALLEST) {
        memset(v, 0, n * sizeof *v);
        return poison == 0;
    }
    *exp = e - bits;
    scale = ldexp(1, bits - e);
    for (size_t i = 0; i < n; i++)
        v[i] = (v[i] * scale + ROUNDER) - ROUNDER;
    return true;
}

bool ym_batch_weights(struct ym_batch *b, const float *params)
{
    bool good = true;

    b->params = params;
    for (size_t i = 0; i < b->m.dim && good; i++)
        good = isfinite(params[i]);
    for (size_t l = 0; l < b->m.layer_count && good; l++) {
        size_t count = b->m.width[l + 1] * b->m.width[l];
        const float *from = params + ym_model_layer_offset(&b->m, l);

        for (size_t i = 0; i < count; i++)
            b->weight[l][i] = from[i];
        make_whole(b->weight[l], count, WEIGHT_BITS, &b->weight_exp[l]);
    }
    return good;
}

void ym_batch_product(const struct ym_batch *b, struct ym_wide a, struct ym_wide w, bool transpose_w, struct ym_wide c)
{
    size_t inner = a.cols;
    struct ym_wide part = {b->part, c.rows, c.cols, c.step};

    for (size_t k = 0; k < inner; k += TERMS) {
        size_t count = inner - k < TERMS ? inner - k : TERMS;
        struct ym_wide ak = {a.at + k, a.rows, count, a.step};
        struct ym_wide wk = transpose_w ? (struct ym_wide){w.at + k, w.rows, count, w.step}
                                        : (struct ym_wide){w.at + k * w.step, count, w.cols, w.step};

        ym_wide_mul(ak, false, wk, transpose_w, k == 0 ? c : part);
        for (size_t i = 0; k > 0 && i < c.rows * c.step; i++)
            c.at[i] += part.at[i];
    }
}

/* ---- forward and backward ---- */

static void take_row(struct ym_batch *b, size_t l, size_t row, const float *from)
{
    size_t width = b->m.width[l];
    double *v = b->in[l] + row * (width + 1);

    for (size_t i = 0; i < width; i++)
        v[i] = from[i];
    v[width] = 1; /* the bias sees a constant input */
    b->bad[row] |= !make_whole(v, width + 1, VALUE_BITS, &b->in_exp[l][row]);
}

bool ym_batch_put(struct ym_batch *b, const float *x, const float *y, size_t n)
{
    YM_ASSERT(n >= 1);
    if (n > b->max_rows - b->rows)
        return false;
    for (size_t i = 0; i < n; i++) {
        b->bad[b->rows + i] = false;
        take_row(b, 0, b->rows + i, x + i * b->m.width[0]);
    }
    memcpy(b->y + b->rows * ym_model_targets(&b->m), y, n * ym_model_targets(&b->m) * sizeof *y);
    b->rows += n;
    b->first[++b->patients] = b->rows;
    return true;
}

static void forward(struct ym_batch *b, size_t l)
{
    size_t in = b->m.width[l], out = b->m.width[l + 1];
    const float *bias = b->params + ym_model_bias_offset(&b->m, l);

    ym_batch_product(b, (struct ym_wide){b->in[l], b->rows, in, in + 1}, (struct ym_wide){b->weight[l], out, in, in},
                     true, (struct ym_wide){b->product, b->rows, out, out});
    for (size_t r = 0; r < b->rows; r++) {
        double scale = ldexp(1, b->in_exp[l][r] + b->weight_exp[l]);
        const double *z = b->product + r * out;

        for (size_t i = 0; i < out; i++)
            b->act[l + 1][r * out + i] = (float)(z[i] * scale + bias[i]);
    }
}

static void backward(struct ym_batch *b, size_t l)
{
    size_t in = b->m.width[l], out = b->m.width[l + 1];

    for (size_t r = 0; r < b->rows; r++) {
        double *e = b->out[l] + r * out;

        for (size_t i = 0; i < out; i++)
            e[i] = b->delta[r * out + i];
        b->bad[r] |= !make_whole(e, out, VALUE_BITS, &b->out_exp[l][r]);
    }
    if (l == 0)
        return;
    ym_batch_product(b, (struct ym_wide){b->out[l], b->rows, out, out}, (struct ym_wide){b->weight[l], out, in, in},
                     false, (struct ym_wide){b->product, b->rows, in, in});
    for (size_t r = 0; r < b->rows; r++) {
        double scale = ldexp(1, b->out_exp[l][r] + b->weight_exp[l]);

        for (size_t i = 0; i < in; i++)
            b->delta[r * in + i] = (float)(b->product[r * in + i] * scale);
    }
    ym_model_through_activation(&b->m, b->act[l], b->rows * in, b->delta);
}

void ym_batch_pass(struct ym_batch *b)
{
    size_t layers = b->m.layer_count, k = b->m.width[layers];

    if (b->rows == 0)
        return;
    for (size_t l = 0; l < layers; l++) {
        forward(b, l);
        if (l + 1 == layers)
            break;
        ym_model_activate(&b->m, b->act[l + 1], b->rows * b->m.width[l + 1]);
        for (size_t r = 0; r < b->rows; r++)
            take_row(b, l + 1, r, b->act[l + 1] + r * b->m.width[l + 1]);
    }
    for (size_t p = 0; p < b->patients; p++) {
        size_t r = b->first[p];

        ym_model_output_delta(&b->m, b->act[layers] + r * k, b->y + r * ym_model_targets(&b->m), b->first[p + 1] - r,
                              b->delta + r * k);
    }
    for (size_t l = layers; l-- > 0;)
        backward(b, l);
}

size_t ym_batch_patients(const struct ym_batch *b)
{
    return b->patients;
}

void ym_batch_clear(struct ym_batch *b)
{
    b->rows = b->patients = 0;
}
