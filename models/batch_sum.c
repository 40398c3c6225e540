#include <math.h>
#include <string.h>

#include "models/batch_internal.h"
#include "models/shape.h"

#define GRAM_SLACK 0x1p-32  /* of the squared sum of the rows' norms: what Gram matrices in double may miss */
#define SPILL_SLACK 0x1p-20 /* a product of magnitude 2^30 may be rounded by 2^-23 before it is truncated */

struct span {
    size_t row, count;
};

static struct span rows_of(const struct ym_batch *b, size_t i)
{
    return (struct span){b->first[i], b->first[i + 1] - b->first[i]};
}

static double square(const double *v, size_t n)
{
    double sum[4] = {0};
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++)
            sum[k] += v[i + k] * v[i + k];
    for (; i < n; i++)
        sum[0] += v[i] * v[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* ---- norms ---- */

/* One layer's part of a patient, times unit: its squared norm, the sum of the norms
 * of its rows' outer products, and that of their activations. */
struct layer_norm {
    double squared, rows, inputs;
};

static double row_unit(const struct ym_batch *b, size_t l, size_t row, double unit)
{
    return ldexp(unit, b->in_exp[l][row] + b->out_exp[l][row]);
}

static void add_row(const struct ym_batch *b, size_t l, size_t row, double unit, struct layer_norm *n)
{
    size_t in = b->m.width[l] + 1, out = b->m.width[l + 1];
    double a = sqrt(square(b->in[l] + row * in, in)), e = sqrt(square(b->out[l] + row * out, out));

    n->rows += a * e * row_unit(b, l, row, unit);
    n->inputs += a;
}

/* sum over pairs of rows of (a·a')(e·e'), in our own order: BLAS has no say in its last bits. */
static double gram_squared(const struct ym_batch *b, size_t l, struct span s, double unit)
{
    size_t in = b->m.width[l] + 1, out = b->m.width[l + 1], n = s.count;
    struct ym_wide a = {b->in[l] + s.row * in, n, in, in}, e = {b->out[l] + s.row * out, n, out, out};
    double sum = 0, *ga = b->gram, *ge = b->gram + n * n;

    ym_batch_product(b, a, a, true, (struct ym_wide){ga, n, n, n});
    ym_batch_product(b, e, e, true, (struct ym_wide){ge, n, n, n});
    for (size_t r = 0; r < n; r++)
        for (size_t k = 0; k < n; k++)
            sum += ga[r * n + k] * ge[r * n + k] * row_unit(b, l, s.row + r, unit) * row_unit(b, l, s.row + k, unit);
    return sum;
}

static struct layer_norm norm_of(const struct ym_batch *b, size_t l, struct span s, double unit)
{
    struct layer_norm n = {0};

    for (size_t r = s.row; r < s.row + s.count; r++)
        add_row(b, l, r, unit, &n);
    n.squared = s.count == 1 ? n.rows * n.rows : gram_squared(b, l, s, unit) + GRAM_SLACK * n.rows * n.rows;
    return n;
}

void ym_batch_ghost(const struct ym_batch *b, size_t i, double unit, double *norm, double *reach, double *spill)
{
    struct span s = rows_of(b, i);
    double squared = 0;

    YM_ASSERT(i < b->patients && s.count <= YM_BATCH_PATIENT_ROWS);
    *reach = *spill = 0;
    for (size_t l = 0; l < b->m.layer_count; l++) {
        struct layer_norm n = norm_of(b, l, s, unit);

        squared += n.squared;
        *reach = n.rows > *reach ? n.rows : *reach;
        *spill += s.count == 1 ? 0 : n.inputs * sqrt((double)b->m.width[l + 1]) * (1 + SPILL_SLACK);
    }
    for (size_t r = s.row; r < s.row + s.count; r++)
        squared = b->bad[r] ? INFINITY : squared;
    *norm = sqrt(squared);
}

/* ---- clip ---- */

static void truncate_scaled(double *e, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++)
        e[i] = (double)(int32_t)(e[i] * scale);
}

void ym_batch_scale(struct ym_batch *b, size_t i, double unit, double factor)
{
    struct span s = rows_of(b, i);

    YM_ASSERT(i < b->patients && factor >= 0 && factor <= 1);
    for (size_t l = 0; l < b->m.layer_count; l++) {
        size_t out = b->m.width[l + 1];

        for (size_t r = s.row; r < s.row + s.count; r++) {
            double *e = b->out[l] + r * out;

            if (factor > 0)
                truncate_scaled(e, out, row_unit(b, l, r, unit) * factor);
            else
                memset(e, 0, out * sizeof *e); /* not times 0: the unit may be infinite */
        }
    }
}

/* ---- sum ---- */

static void add_whole(int64_t *sum, const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += (int64_t)v[i];
}

static void add_layer(struct ym_batch *b, size_t l, struct span s, int64_t *sum)
{
    size_t in = b->m.width[l] + 1, out = b->m.width[l + 1], most = b->tile_len / in;
    int64_t *weights = sum + ym_model_layer_offset(&b->m, l), *bias = sum + ym_model_bias_offset(&b->m, l);
    struct ym_wide a = {b->in[l] + s.row * in, s.count, in, in};

    for (size_t j = 0; j < out; j += most) {
        size_t count = out - j < most ? out - j : most;
        struct ym_wide e = {b->out[l] + s.row * out + j, s.count, count, out};

        ym_wide_mul(e, true, a, false, (struct ym_wide){b->tile, count, in, in});
        for (size_t k = 0; k < count; k++) {
            const double *row = b->tile + k * in;

            add_whole(weights + (j + k) * (in - 1), row, in - 1);
            bias[j + k] += (int64_t)row[in - 1];
        }
    }
}

void ym_batch_add(struct ym_batch *b, size_t first, size_t count, int64_t *sum)
{
    YM_ASSERT(first + count <= b->patients);
    if (count == 0)
        return;
    for (size_t l = 0; l < b->m.layer_count; l++)
        add_layer(b, l, (struct span){b->first[first], b->first[first + count] - b->first[first]}, sum);
}
