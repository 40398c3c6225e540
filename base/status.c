#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8_internal.h"

/* Messages quote foreign bytes: whatever came in, what goes on is UTF-8 on one screen. */
static void clean(char *s)
{
    size_t len = strlen(s), at = 0;

    while (at < len) {
        size_t step = ym_utf8_step(s + at, len - at);

        if (step == 0 && len == YM_STATUS_BYTES - 1 && len - at < 4) {
            s[at] = '\0'; /* a character that the bound cut */
            return;
        }
        if (step == 0 || ((unsigned char)s[at] < 0x20 && s[at] != '\n') || s[at] == 0x7F)
            s[at] = '?';
        at += step ? step : 1;
    }
}

enum ym_code ym_status_set(struct ym_status *st, enum ym_code code, const char *fmt, ...)
{
    va_list ap;

    YM_ASSERT(code != YM_OK);
    if (!st)
        return code;
    va_start(ap, fmt);
    st->code = code;
    if (vsnprintf(st->message, sizeof(st->message), fmt, ap) < 0)
        st->message[0] = '\0';
    va_end(ap);
    clean(st->message);
    return code;
}

enum ym_code ym_status_wrap(struct ym_status *st, enum ym_code code, const char *fmt, ...)
{
    char inner[YM_STATUS_BYTES];
    va_list ap;
    size_t len;

    YM_ASSERT(code != YM_OK);
    if (!st)
        return code;
    memcpy(inner, st->message, sizeof(inner));
    inner[sizeof(inner) - 1] = '\0';
    va_start(ap, fmt);
    st->code = code;
    if (vsnprintf(st->message, sizeof(st->message), fmt, ap) < 0)
        st->message[0] = '\0';
    va_end(ap);
    len = strlen(st->message);
    if (inner[0])
        snprintf(st->message + len, sizeof(st->message) - len, ": %s", inner);
    clean(st->message);
    return code;
}

const char *ym_code_name(enum ym_code code)
{
    static const char *const name[] = {"ok",          "invalid",  "not_found", "conflict",  "denied",  "exhausted",
                                       "unavailable", "deadline", "corrupt",   "uncertain", "internal"};

    return (unsigned)code < sizeof(name) / sizeof(name[0]) ? name[code] : "unknown";
}

_Noreturn void ym_assert_failed(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, text);
    fflush(stderr);
    abort();
}
