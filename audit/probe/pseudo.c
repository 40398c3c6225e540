#include "audit/probe/pseudo.h"

#include <math.h>
#include <stdio.h>

#include "base/rng.h"

static const char level[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

_Static_assert(sizeof level - 1 == YM_PSEUDO_LEVELS, "a character a level");
_Static_assert(YM_PSEUDO_CANARIES + YM_PSEUDO_CROWDS < YM_PSEUDO_COLUMNS, "idle columns");

static bool three_rows(size_t index)
{
    return index % 3 == 0;
}

double ym_pseudo_sign(size_t index)
{
    return three_rows(index) ? -1 : 1;
}

void ym_pseudo_toss(struct ym_pseudo *p)
{
    p->kept[0] = p->kept[1] = 1;
    uint8_t coin[YM_PSEUDO_CANARIES];

    ym_random(coin, sizeof coin);
    for (size_t j = 0; j < YM_PSEUDO_CANARIES; j++)
        p->in[j] = coin[j] & 1;
}

void ym_pseudo_count(const struct ym_pseudo *p, size_t *two, size_t *three)
{
    *two = *three = 0;
    for (size_t j = 0; j < YM_PSEUDO_CANARIES; j++)
        *(three_rows(j) ? three : two) += p->in[j];
    for (size_t g = 0; g < YM_PSEUDO_CROWDS; g++)
        *(three_rows(g) ? three : two) += YM_PSEUDO_CROWD;
}

size_t ym_pseudo_dim(enum ym_pseudo_inputs inputs)
{
    if (inputs == YM_PSEUDO_INPUTS_KIND)
        return 3;
    return (inputs == YM_PSEUDO_INPUTS_FEW ? YM_PSEUDO_FEW * (YM_PSEUDO_LEVELS - 1) : YM_PSEUDO_COLUMNS) + 1;
}

/* ---- texts; room for all of one is taken first, so that no append fails ---- */

enum { TEXT_BYTES = 64 * 1024, ROW_BYTES = 64 + 2 * YM_PSEUDO_VARIABLES };

static void add_levels(struct ym_buf *b)
{
    for (size_t i = 0; i < YM_PSEUDO_LEVELS; i++)
        ym_buf_printf(b, "%s\"%c\"", i ? ", " : "", level[i]);
}

enum ym_code ym_pseudo_card(struct ym_buf *b)
{
    if (ym_buf_reserve(b, TEXT_BYTES) != YM_OK)
        return YM_EXHAUSTED;
    ym_buf_puts(b, "yumen: card/1\nname: pseudo\ntitle: Pseudo-patients of a self-test\nfile: pseudo.csv\n"
                   "encoding: utf-8\nseparator: \",\"\npatient_column: pid\nsize_class: \"2000-9999\"\ntier: general\n"
                   "variables:\n  - {name: y, column: y, unit: \"1\", low: -1, high: 1}\n"
                   "  - {name: kind, column: kind, levels: [\"none\", \"two\", \"three\"]}\n");
    for (size_t v = 0; v < YM_PSEUDO_VARIABLES; v++) {
        ym_buf_printf(b, "  - {name: v%02zu, column: v%02zu, levels: [", v, v);
        add_levels(b);
        ym_buf_puts(b, "]}\n");
    }
    return YM_OK;
}

/* One row: a 1 in the column, or reference levels everywhere. */
static void add_row(struct ym_buf *b, const char *pid, const char *y, const char *kind, size_t column, bool touched)
{
    char cells[2 * YM_PSEUDO_VARIABLES];

    for (size_t v = 0; v < YM_PSEUDO_VARIABLES; v++) {
        cells[2 * v] = level[0];
        cells[2 * v + 1] = v + 1 < YM_PSEUDO_VARIABLES ? ',' : '\n';
    }
    if (touched)
        cells[column / (YM_PSEUDO_LEVELS - 1) * 2] = level[column % (YM_PSEUDO_LEVELS - 1) + 1];
    ym_buf_printf(b, "%s,%s,%s,", pid, y, touched ? kind : "none");
    ym_buf_append(b, cells, sizeof cells);
}

static void add_patient(struct ym_buf *b, const char *pid, size_t index, size_t column)
{
    if (three_rows(index)) { /* gradient (0 - y) x, mean of three: -1/3 */
        add_row(b, pid, "0.5", "three", column, true);
        add_row(b, pid, "0.5", "three", column, true);
        add_row(b, pid, "-1", "three", column, false);
    } else {
        add_row(b, pid, "-1", "two", column, true);
        add_row(b, pid, "1", "two", column, false);
    }
}

enum ym_code ym_pseudo_csv(const struct ym_pseudo *p, struct ym_buf *b)
{
    size_t two, three;
    char pid[48];

    ym_pseudo_count(p, &two, &three);
    if (ym_buf_reserve(b, (2 * two + 3 * three + 3) * ROW_BYTES) != YM_OK)
        return YM_EXHAUSTED;
    ym_buf_puts(b, "pid,y,kind");
    for (size_t v = 0; v < YM_PSEUDO_VARIABLES; v++)
        ym_buf_printf(b, ",v%02zu", v);
    ym_buf_puts(b, "\n");
    for (size_t j = 0; j < YM_PSEUDO_CANARIES; j++) {
        snprintf(pid, sizeof pid, "canary-%zu", j);
        if (p->in[j])
            add_patient(b, pid, j, j);
    }
    for (size_t g = 0; g < YM_PSEUDO_CROWDS; g++) {
        for (size_t i = 0; i < YM_PSEUDO_CROWD; i++) {
            snprintf(pid, sizeof pid, "crowd-%zu-%zu", g, i);
            add_patient(b, pid, g, YM_PSEUDO_CANARIES + g);
        }
    }
    return YM_OK;
}

static void add_inputs(struct ym_buf *b, enum ym_pseudo_inputs inputs)
{
    size_t count = inputs == YM_PSEUDO_INPUTS_ALL ? YM_PSEUDO_VARIABLES : YM_PSEUDO_FEW;

    if (inputs == YM_PSEUDO_INPUTS_KIND) {
        ym_buf_puts(b, "    - {name: kind, levels: [\"none\", \"two\", \"three\"]}\n");
        return;
    }
    for (size_t v = 0; v < count; v++) {
        ym_buf_printf(b, "    - {name: v%02zu, levels: [", v);
        add_levels(b);
        ym_buf_puts(b, "]}\n");
    }
}

enum ym_code ym_pseudo_plan(const struct ym_pseudo_study *s, const char *delta, const char *epsilon, struct ym_buf *b)
{
    if (ym_buf_reserve(b, TEXT_BYTES) != YM_OK)
        return YM_EXHAUSTED;
    ym_buf_printf(b,
                  "yumen: plan/1\nstudy: %s\nsponsor: auditor\ntitle: Self-test\npurpose: to measure what leaves\n"
                  "model:\n  family: linear\n  inputs:\n",
                  s->name);
    add_inputs(b, s->inputs);
    ym_buf_printf(b,
                  "  outcome: {name: y, unit: \"1\", low: -1, high: 1}\n"
                  "training:\n  rounds: %u\n  local_steps: 1\n  sampling_probability: %s\n  nominal_patients: %d\n"
                  "  learning_rate: %g\n  max_records_per_patient: 3\n"
                  "privacy:\n  route: %s\n  clip_norm: %g\n  noise_multiplier: %s\n  delta: %s\n  epsilon: %s\n  "
                  "min_patients: 20\n"
                  "server: {optimizer: fedavg, learning_rate: 1}\n"
                  "update: {scale_bits: %d, width_bits: 60}\n",
                  s->rounds, s->q, YM_PSEUDO_NOMINAL, YM_PSEUDO_RATE, s->route, YM_PSEUDO_CLIP, s->sigma, delta,
                  epsilon, YM_PSEUDO_SCALE_BITS);
    if (s->both)
        ym_buf_puts(b, "federation:\n  hospitals: [{name: h1}, {name: h2}]\n");
    else
        ym_buf_printf(b, "federation:\n  hospitals: [{name: %s}]\n", s->hospital);
    ym_buf_puts(b, "  ready_timeout_s: 60\n  collect_timeout_s: 120\n");
    return YM_OK;
}

double ym_pseudo_noised(int64_t update, double q)
{
    return -ldexp((double)update, -YM_PSEUDO_SCALE_BITS) * q * YM_PSEUDO_NOMINAL / (YM_PSEUDO_RATE * YM_PSEUDO_CLIP);
}
