#include "worker/data/freeze_report.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "gate/schema.h"

enum { EXCERPT_BYTES = 40 };

void ym_report_line(struct ym_report *r, uint64_t line, const char *fmt, ...)
{
    char message[1024];
    va_list ap;
    r->count++;
    if (r->shown >= YM_REPORT_LINES)
        return;
    r->shown++;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (line)
        ym_buf_printf(r->out, T(DATA_LINE), (unsigned long long)line, message);
    else
        ym_buf_puts(r->out, message);
    ym_buf_puts(r->out, "\n");
}

/* The beginning of a cell as a terminal may show it. */
static void excerpt(const char *text, size_t len, char out[EXCERPT_BYTES + 4])
{
    size_t n = len < EXCERPT_BYTES ? len : EXCERPT_BYTES;
    while (n && n < len && ((uint8_t)text[n] & 0xc0) == 0x80)
        n--;
    memcpy(out, text, n);
    if (!ym_text_printable(out, n))
        for (size_t i = 0; i < n; i++)
            out[i] = out[i] >= 0x20 && out[i] < 0x7f ? out[i] : '?';
    memcpy(out + n, n < len ? "..." : "", n < len ? 4 : 1);
}

static const char *fault_text(enum ym_cell_fault fault)
{
    switch (fault) {
    case YM_CELL_BYTES:
        return T(DATA_CELL_BYTES);
    case YM_CELL_NUL:
        return T(DATA_CELL_NUL);
    case YM_CELL_THOUSANDS:
        return T(DATA_CELL_THOUSANDS);
    case YM_CELL_FULL_WIDTH:
        return T(DATA_CELL_FULL_WIDTH);
    case YM_CELL_COMPARED:
        return T(DATA_CELL_COMPARED);
    case YM_CELL_NO_VALUE:
        return T(DATA_CELL_NO_VALUE);
    case YM_CELL_TOO_LARGE:
        return T(DATA_CELL_TOO_LARGE);
    case YM_CELL_DATE:
        return T(DATA_CELL_DATE);
    case YM_CELL_LEVEL:
        return T(DATA_CELL_LEVEL);
    case YM_CELL_NUMBER:
    case YM_CELL_FINE:
        break;
    }
    return T(DATA_CELL_NUMBER);
}

/* FNV-1a: two kinds that collide hide a line from the screen, nothing else. */
static uint64_t kind_hash(const char *column, const char *what)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (; *column; column++)
        h = (h ^ (uint8_t)*column) * 0x100000001b3U;
    for (h *= 0x100000001b3U; *what; what++)
        h = (h ^ (uint8_t)*what) * 0x100000001b3U;
    return h;
}

/* Has enough of this kind been shown? Takes note of it. */
static bool seen_enough(struct ym_report *r, uint64_t hash)
{
    for (size_t i = 0; i < r->kind_count; i++)
        if (r->kind[i].hash == hash)
            return r->kind[i].seen++ >= YM_REPORT_ALIKE;
    if (r->kind_count < YM_REPORT_LINES) {
        r->kind[r->kind_count].hash = hash;
        r->kind[r->kind_count++].seen = 1;
    }
    return false;
}

void ym_report_cell(struct ym_report *r, uint64_t line, const char *column, const struct ym_card *card,
                    enum ym_cell_fault fault, const char *text, size_t len)
{
    char shown[EXCERPT_BYTES + 4], what[400];
    excerpt(text, len, shown);
    if (fault == YM_CELL_BYTES)
        snprintf(what, sizeof what, fault_text(fault), shown, card->encoding);
    else
        snprintf(what, sizeof what, fault_text(fault), shown);
    if (seen_enough(r, kind_hash(column, what)))
        r->count++;
    else
        ym_report_line(r, line, T(DATA_COLUMN), column, what);
}

void ym_report_end(struct ym_report *r)
{
    if (r->count == r->shown)
        return;
    ym_buf_printf(r->out, T(DATA_MORE), r->count - r->shown, YM_REPORT_ALIKE);
    ym_buf_puts(r->out, "\n");
}
