#include "gate/formula.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const transforms[] = {"", "log", "log1p"};

struct parser {
    const struct ym_plan *plan;
    const char *text, *next;
    char word[64];
    size_t word_at;
    struct ym_formula *out;
};

static bool refuse(struct parser *p, size_t at, const char *word, const char *why)
{
    p->out->at = at + 1;
    snprintf(p->out->word, sizeof p->out->word, "%s", word);
    p->out->why = why;
    return false;
}

static bool refuse_word(struct parser *p, const char *why)
{
    return refuse(p, p->word_at, p->word, why);
}

/* ---- words ---- */

static void skip_space(struct parser *p)
{
    while (*p->next == ' ')
        p->next++;
}

static bool word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == 'S';
}

static bool take_word(struct parser *p)
{
    size_t n = 0;
    skip_space(p);
    p->word_at = (size_t)(p->next - p->text);
    while (word_byte(p->next[n]))
        n++;
    snprintf(p->word, sizeof p->word, "%.*s", (int)n, p->next);
    if (n == 0 || n >= sizeof p->word)
        return refuse(p, p->word_at, "", T(FORMULA_NAME));
    p->next += n;
    return true;
}

static bool take_mark(struct parser *p, char mark)
{
    skip_space(p);
    if (*p->next != mark)
        return false;
    p->next++;
    return true;
}

static bool need_mark(struct parser *p, char mark)
{
    char word[2] = {mark, 0};
    return take_mark(p, mark) || refuse(p, (size_t)(p->next - p->text), word, T(FORMULA_MARK));
}

/* ---- left side ---- */

static bool need_name(struct parser *p, const char *name)
{
    return take_word(p) && (!strcmp(p->word, name) || refuse_word(p, T(FORMULA_LEFT)));
}

static bool left_side(struct parser *p)
{
    const struct ym_plan *plan = p->plan;
    if (!ym_plan_survival(plan))
        return need_name(p, plan->outcome.name) && need_mark(p, '~');
    return need_name(p, "Surv") && need_mark(p, '(') && need_name(p, plan->input[plan->time_input].name) &&
           need_mark(p, ',') && need_name(p, plan->outcome.name) && need_mark(p, ')') && need_mark(p, '~');
}

/* ---- terms ---- */

static bool find_input(struct parser *p, struct ym_factor *f)
{
    const struct ym_plan *plan = p->plan;
    size_t i = 0;
    while (i < plan->input_count && strcmp(plan->input[i].name, p->word) != 0)
        i++;
    if (i == plan->input_count || plan->input[i].role != YM_AS_COLUMN)
        return refuse_word(p, T(FORMULA_UNKNOWN));
    f->input = (uint16_t)i;
    return true;
}

/* A logarithm's range must lie where it is finite. */
static bool check_transform(struct parser *p, struct ym_factor f)
{
    const struct ym_variable *v = &p->plan->input[f.input];
    if (f.transform == YM_AS_IS)
        return true;
    if (v->kind != YM_VAR_NUMBER)
        return refuse_word(p, T(FORMULA_LOG_NUMBER));
    if (v->missing == YM_MISSING_INDICATOR)
        return refuse_word(p, T(FORMULA_LOG_INDICATOR));
    if (f.transform == YM_LOG ? v->low > 0 : v->low >= 0)
        return true;
    return refuse_word(p, f.transform == YM_LOG ? T(FORMULA_LOG_RANGE) : T(FORMULA_LOG1P_RANGE));
}

/* The word is taken already. */
static bool factor(struct parser *p, struct ym_factor *f)
{
    *f = (struct ym_factor){0};
    for (int t = YM_LOG; t <= YM_LOG1P; t++)
        if (!strcmp(p->word, transforms[t]) && take_mark(p, '(')) {
            f->transform = (uint8_t)t;
            return take_word(p) && find_input(p, f) && check_transform(p, *f) && need_mark(p, ')');
        }
    return find_input(p, f);
}

static int factor_order(const void *a, const void *b)
{
    const struct ym_factor *x = a, *y = b;
    return x->input != y->input ? (int)x->input - (int)y->input : (int)x->transform - (int)y->transform;
}

static bool same_term(const struct ym_term *a, const struct ym_term *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = factor_order(&a->factor[i], &b->factor[i]) == 0;
    return same;
}

static bool add_term(struct parser *p, struct ym_term *t)
{
    struct ym_formula *f = p->out;
    qsort(t->factor, t->count, sizeof *t->factor, factor_order);
    for (size_t i = 1; i < t->count; i++)
        if (t->factor[i].input == t->factor[i - 1].input)
            return refuse_word(p, T(FORMULA_SQUARE));
    for (size_t i = 0; i < f->term_count; i++)
        if (same_term(&f->term[i], t))
            return refuse_word(p, T(FORMULA_TWICE));
    if (f->term_count == YM_FORMULA_MAX_TERMS)
        return refuse_word(p, T(FORMULA_MANY));
    f->term[f->term_count++] = *t;
    return true;
}

static bool offset_term(struct parser *p)
{
    struct ym_formula *f = p->out;
    if (p->plan->family != YM_FAMILY_POISSON || f->has_offset)
        return refuse_word(p, T(FORMULA_OFFSET));
    if (!take_word(p) || !factor(p, &f->offset) || !need_mark(p, ')'))
        return false;
    if (p->plan->input[f->offset.input].kind != YM_VAR_NUMBER ||
        p->plan->input[f->offset.input].missing == YM_MISSING_INDICATOR)
        return refuse_word(p, T(FORMULA_OFFSET_NUMBER));
    f->has_offset = true;
    return true;
}

static bool term(struct parser *p)
{
    struct ym_term t = {0};
    if (!take_word(p))
        return false;
    if (!strcmp(p->word, "offset") && take_mark(p, '('))
        return offset_term(p);
    for (;;) {
        if (t.count == YM_TERM_MAX_FACTORS)
            return refuse_word(p, T(FORMULA_FACTORS));
        if (!factor(p, &t.factor[t.count++]))
            return false;
        if (!take_mark(p, ':'))
            return add_term(p, &t);
        if (!take_word(p))
            return false;
    }
}

/* ---- the whole ---- */

static bool uses(const struct ym_formula *f, size_t input, bool alone)
{
    if (f->has_offset && f->offset.input == input)
        return !alone;
    for (size_t i = 0; i < f->term_count; i++)
        for (size_t k = 0; k < f->term[i].count; k++)
            if (f->term[i].factor[k].input == input && (!alone || f->term[i].count == 1))
                return true;
    return false;
}

static bool check_inputs(struct parser *p)
{
    const struct ym_plan *plan = p->plan;
    const struct ym_formula *f = p->out;
    for (size_t i = 0; i < plan->input_count; i++) {
        const struct ym_variable *v = &plan->input[i];
        if (v->role != YM_AS_COLUMN)
            continue;
        if (!uses(f, i, false))
            return refuse(p, 0, v->name, T(FORMULA_UNUSED));
        if (v->missing == YM_MISSING_INDICATOR && !uses(f, i, true))
            return refuse(p, 0, v->name, T(FORMULA_INDICATOR));
    }
    for (size_t i = 0; f->has_offset && i < f->term_count; i++)
        for (size_t k = 0; k < f->term[i].count; k++)
            if (f->term[i].factor[k].input == f->offset.input)
                return refuse(p, 0, plan->input[f->offset.input].name, T(FORMULA_OFFSET_TERM));
    return f->term_count > 0 || refuse(p, 0, "", T(FORMULA_EMPTY));
}

static void order_by_degree(struct ym_formula *f)
{
    for (size_t i = 1; i < f->term_count; i++) {
        struct ym_term moved = f->term[i];
        size_t k = i;
        for (; k && f->term[k - 1].count > moved.count; k--)
            f->term[k] = f->term[k - 1];
        f->term[k] = moved;
    }
}

bool ym_formula_parse(const struct ym_plan *plan, const char *text, struct ym_formula *out)
{
    struct parser p = {.plan = plan, .text = text, .next = text, .out = out};
    *out = (struct ym_formula){0};
    if (!left_side(&p))
        return false;
    do {
        if (!term(&p))
            return false;
    } while (take_mark(&p, '+'));
    if (*p.next)
        return refuse(&p, (size_t)(p.next - text), "", T(FORMULA_REST));
    if (!check_inputs(&p))
        return false;
    order_by_degree(out);
    return true;
}

void ym_factor_format(const struct ym_plan *plan, struct ym_factor f, char out[YM_FORMULA_FACTOR_BYTES])
{
    const char *name = plan->input[f.input].name;
    if (f.transform == YM_AS_IS)
        snprintf(out, YM_FORMULA_FACTOR_BYTES, "%s", name);
    else
        snprintf(out, YM_FORMULA_FACTOR_BYTES, "%s(%s)", transforms[f.transform], name);
}

void ym_formula_format(const struct ym_plan *plan, const struct ym_formula *f, struct ym_buf *out)
{
    char word[YM_FORMULA_FACTOR_BYTES];
    if (ym_plan_survival(plan))
        ym_buf_printf(out, "Surv(%s, %s) ~ ", plan->input[plan->time_input].name, plan->outcome.name);
    else
        ym_buf_printf(out, "%s ~ ", plan->outcome.name);
    for (size_t i = 0; i < f->term_count; i++)
        for (size_t k = 0; k < f->term[i].count; k++) {
            ym_factor_format(plan, f->term[i].factor[k], word);
            ym_buf_printf(out, "%s%s", k ? ":" : i ? " + " : "", word);
        }
    if (f->has_offset) {
        ym_factor_format(plan, f->offset, word);
        ym_buf_printf(out, " + offset(%s)", word);
    }
}
