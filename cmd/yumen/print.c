#include "cmd/yumen/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "cmd/yumen/plan.h"

/* Wide: Hangul Jamo, CJK and full-width forms; enough for names in Chinese. */
static int columns_of(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
                   (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
                   (c >= 0x20000 && c <= 0x3fffd)
               ? 2
               : 1;
}

static uint32_t next_char(const uint8_t **p)
{
    uint32_t c = *(*p)++;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

    c &= more == 3 ? 0x07 : more == 2 ? 0x0f : more == 1 ? 0x1f : 0x7f;
    for (; more > 0 && (**p & 0xc0) == 0x80; more--)
        c = c << 6 | (*(*p)++ & 0x3f);
    return c;
}

void ym_print_pad(struct ym_buf *out, const char *text, int columns)
{
    const uint8_t *p = (const uint8_t *)text;
    int used = 0;

    while (*p != '\0')
        used += columns_of(next_char(&p));
    ym_buf_puts(out, text);
    for (; used < columns; used++)
        ym_buf_puts(out, " ");
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
}

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *ym_json_score(const struct ym_score *s)
{
    return json_pack("{s:I,s:o,s:o,s:o}", "rows", (json_int_t)s->rows, "loss", real_or_null(s->loss), "accuracy",
                     real_or_null(s->accuracy), "auc", real_or_null(s->auc));
}

void ym_print_json(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17));

    if (text != NULL)
        puts(text);
    fflush(stdout);
    free(text);
}

enum ym_code ym_plan_load(const char *path, struct ym_plan **out, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    enum ym_code code = ym_plan_open(path, out, &problems, st);

    ym_problems_format(&problems, &text);
    fputs(ym_buf_str(&text), stderr);
    ym_buf_release(&text);
    ym_problems_release(&problems);
    return code;
}
