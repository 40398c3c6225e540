#include "models/augment.h"

#include <string.h>

struct move {
    bool flip;
    ptrdiff_t down, right;
};

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t ym_augment_draw(uint32_t round, uint32_t step, size_t patient)
{
    return mix(mix((uint64_t)round << 32 | step) + patient);
}

static ptrdiff_t within(uint32_t bits, uint32_t shift)
{
    return (ptrdiff_t)(bits % (2 * shift + 1)) - (ptrdiff_t)shift;
}

static struct move move_of(const struct ym_augment *a, uint64_t bits)
{
    return (struct move){.flip = a->flip && bits >> 63,
                         .down = within((uint32_t)bits & 0x7fffffff, a->shift),
                         .right = within((uint32_t)(bits >> 32) & 0x7fffffff, a->shift)};
}

static void view_of(struct ym_extent e, const float *x, struct move m, float fill, float *out)
{
    for (size_t row = 0; row < e.height; row++)
        for (size_t column = 0; column < e.width; column++, out += e.channels) {
            ptrdiff_t from_row = (ptrdiff_t)row - m.down, from = (ptrdiff_t)column - m.right;
            bool inside = from_row >= 0 && from_row < (ptrdiff_t)e.height && from >= 0 && from < (ptrdiff_t)e.width;
            size_t at = m.flip ? e.width - 1 - (size_t)from : (size_t)from;

            if (inside)
                memcpy(out, x + ((size_t)from_row * e.width + at) * e.channels, e.channels * sizeof *out);
            for (size_t c = 0; c < e.channels && !inside; c++)
                out[c] = fill;
        }
}

void ym_augment_views(const struct ym_plan *plan, const float *x, const float *y, size_t n, uint64_t draw, float *view,
                      float *view_y)
{
    const struct ym_augment *a = &plan->augment;
    struct ym_extent e = ym_plan_image(plan);
    size_t columns = ym_extent_values(e);
    float fill = a->black ? (float)(-plan->input[0].mean / plan->input[0].scale) : 0;

    for (size_t i = 0; i < n * a->views; i++) {
        size_t record = i / a->views;

        view_of(e, x + record * columns, move_of(a, mix(draw + i)), fill, view + i * columns);
        view_y[i] = y[record];
    }
}
