#include "worker/data/cell.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_BYTES = 64 };

/* ---- text ---- */

/* Bytes of the space at p (ASCII blank, U+00A0, U+3000), 0 when there is none. */
static size_t space_at(const char *p, size_t len)
{
    if (len && (*p == ' ' || *p == '\t'))
        return 1;
    if (len >= 2 && !memcmp(p, "\xc2\xa0", 2))
        return 2;
    return len >= 3 && !memcmp(p, "\xe3\x80\x80", 3) ? 3 : 0;
}

static size_t space_before(const char *end, size_t len)
{
    for (size_t n = 1; n <= 3 && n <= len; n++)
        if (space_at(end - n, n) == n)
            return n;
    return 0;
}

void ym_cell_trim(const char **text, size_t *len)
{
    size_t n;
    while ((n = space_at(*text, *len))) {
        *text += n;
        *len -= n;
    }
    while ((n = space_before(*text + *len, *len)))
        *len -= n;
}

enum ym_cell_fault ym_cell_text(const char *text, size_t len)
{
    if (memchr(text, 0, len))
        return YM_CELL_NUL;
    return ym_utf8_valid(text, len) ? YM_CELL_FINE : YM_CELL_BYTES;
}

static bool same(const char *a, const char *text, size_t len)
{
    return strlen(a) == len && !memcmp(a, text, len);
}

/* ---- numbers ---- */

static size_t digits_at(const char *p, size_t len)
{
    size_t n = 0;
    while (n < len && p[n] >= '0' && p[n] <= '9')
        n++;
    return n;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit on one side of the point */
static bool number_shape(const char *p, size_t len)
{
    size_t i = len && (*p == '+' || *p == '-');
    size_t whole = digits_at(p + i, len - i), part = 0;
    i += whole;
    if (i < len && p[i] == '.') {
        part = digits_at(p + i + 1, len - i - 1);
        i += 1 + part;
    }
    if (!whole && !part)
        return false;
    if (i < len && (p[i] == 'e' || p[i] == 'E')) {
        i++;
        i += i < len && (p[i] == '+' || p[i] == '-');
        size_t exponent = digits_at(p + i, len - i);
        i += exponent;
        if (!exponent)
            return false;
    }
    return i == len;
}

static bool holds(const char *text, size_t len, const char *needle)
{
    return memmem(text, len, needle, strlen(needle)) != NULL;
}

static bool full_width(const char *text, size_t len)
{
    for (size_t i = 0; i + 3 <= len; i++)
        if (!memcmp(text + i, "\xef\xbc", 2) && (uint8_t)text[i + 2] >= 0x8b && (uint8_t)text[i + 2] <= 0x99)
            return true; /* U+FF0B .. U+FF19: + , - . / and the digits */
    return false;
}

static bool word_for_nothing(const char *text, size_t len)
{
    static const char *const words[] = {"nan", "na", "n/a", "null", "none", "inf", "-inf", "+inf", "infinity",
                                        "-",   "--", ".",   "?",    "/",    "无",  "未查", "未测", "不详"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == len && !strncasecmp(words[i], text, len))
            return true;
    return false;
}

/* Why a text is not a number, so that the message can say what to do. */
static enum ym_cell_fault number_fault(const char *text, size_t len)
{
    if (full_width(text, len))
        return YM_CELL_FULL_WIDTH;
    if (word_for_nothing(text, len))
        return YM_CELL_NO_VALUE;
    if (*text == '<' || *text == '>' || holds(text, len, "≤") || holds(text, len, "≥") || holds(text, len, "＜") ||
        holds(text, len, "＞"))
        return YM_CELL_COMPARED;
    size_t i = *text == '-' || *text == '+';
    size_t whole = digits_at(text + i, len - i);
    if (whole && i + whole < len && text[i + whole] == ',' && digits_at(text + i + whole + 1, len - i - whole - 1))
        return YM_CELL_THOUSANDS;
    return YM_CELL_NUMBER;
}

static locale_t c_locale;

static void c_locale_make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    YM_ASSERT(c_locale);
}

static enum ym_cell_fault number_read(const char *text, size_t len, double *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char copy[NUMBER_BYTES];
    if (!number_shape(text, len))
        return number_fault(text, len);
    if (len >= sizeof copy)
        return YM_CELL_TOO_LARGE;
    memcpy(copy, text, len);
    copy[len] = 0;
    pthread_once(&once, c_locale_make);
    *out = strtod_l(copy, NULL, c_locale);
    return isfinite(*out) ? YM_CELL_FINE : YM_CELL_TOO_LARGE;
}

/* ---- dates ---- */

static bool take_int(const char **p, const char *end, size_t min, size_t max, int *out)
{
    size_t n = digits_at(*p, (size_t)(end - *p));
    if (n > max)
        n = max;
    if (n < min)
        return false;
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out = *out * 10 + ((*p)[i] - '0');
    *p += n;
    return true;
}

/* Days from 1970-01-01; H. Hinnant, "chrono-compatible low-level date algorithms". */
static long days_from_civil(long y, int m, int d)
{
    y -= m <= 2;
    long era = (y >= 0 ? y : y - 399) / 400;
    long year_of_era = y - era * 400;
    long day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    long day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int days_in_month(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return days[m - 1] + (m == 2 && leap);
}

enum ym_cell_fault ym_cell_date(const char *format, const char *text, size_t len, double *out)
{
    const char *p = text, *end = text + len;
    int part[256] = {0};
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            if (p == end || *p++ != *f)
                return YM_CELL_DATE;
            continue;
        }
        uint8_t letter = (uint8_t) * ++f;
        if (!letter || !take_int(&p, end, letter == 'Y' ? 4 : 1, letter == 'Y' ? 4 : 2, &part[letter]))
            return YM_CELL_DATE;
    }
    int y = part['Y'], m = part['m'], d = part['d'];
    if (p != end || m < 1 || m > 12 || d < 1 || d > days_in_month(y, m))
        return YM_CELL_DATE;
    if (part['H'] > 23 || part['M'] > 59 || part['S'] > 60)
        return YM_CELL_DATE;
    *out = (double)days_from_civil(y, m, d);
    return YM_CELL_FINE;
}

/* ---- the card's meaning ---- */

static bool is_missing(const struct ym_card_var *var, const char *text, size_t len)
{
    for (size_t i = 0; i < var->missing_count; i++)
        if (same(var->missing[i], text, len))
            return true;
    return len == 0;
}

struct code {
    const char *text;
    size_t len;
};

static int code_compare(const void *a, const void *b)
{
    const struct code *code = a;
    const struct ym_card_map *entry = b;
    size_t n = strlen(entry->from);
    int order = memcmp(code->text, entry->from, code->len < n ? code->len : n);
    return order ? order : (code->len > n) - (code->len < n);
}

static const struct ym_card_map *map_find(const struct ym_card_var *var, const char *text, size_t len)
{
    struct code code = {text, len};
    return var->map_count ? bsearch(&code, var->map, var->map_count, sizeof *var->map, code_compare) : NULL;
}

static enum ym_cell_fault level_read(const struct ym_card_var *var, const char *text, size_t len, double *out)
{
    for (size_t i = 0; i < var->level_count; i++)
        if (same(var->level[i], text, len)) {
            *out = (double)i;
            return YM_CELL_FINE;
        }
    return YM_CELL_LEVEL;
}

enum ym_cell_fault ym_cell_value(const struct ym_card_var *var, const char *text, size_t len, double *out)
{
    enum ym_cell_fault fault = ym_cell_text(text, len);
    if (fault)
        return fault;
    ym_cell_trim(&text, &len);
    *out = NAN;
    if (is_missing(var, text, len))
        return YM_CELL_FINE;
    if (var->channels) {
        *out = 0;
        return YM_CELL_FINE;
    }
    const struct ym_card_map *entry = map_find(var, text, len);
    double value = entry ? entry->to : NAN;
    if (!entry)
        fault = var->category         ? level_read(var, text, len, &value)
                : var->date_format[0] ? ym_cell_date(var->date_format, text, len, &value)
                                      : number_read(text, len, &value);
    if (fault)
        return fault;
    if (!var->category)
        value = value * var->factor + var->offset;
    if (!isfinite(value))
        return YM_CELL_TOO_LARGE;
    *out = value;
    return YM_CELL_FINE;
}
