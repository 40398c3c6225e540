#ifndef YM_BASE_STATUS_H
#define YM_BASE_STATUS_H

#include <stdarg.h>
#include <stddef.h>

/* Codes exist to branch on; the message is for people. Published on the wire
 * (proto/yumen.proto, enum Answer): never renumber. */
enum ym_code {
    YM_OK = 0,
    YM_INVALID = 1, /* misuse or bad input; nothing changed */
    YM_NOT_FOUND = 2,
    YM_CONFLICT = 3,    /* stale, repeated with other bytes, or held by another */
    YM_DENIED = 4,      /* not this caller, or somebody who decides said no */
    YM_EXHAUSTED = 5,   /* budget, memory, disk, or a bound of ours */
    YM_UNAVAILABLE = 6, /* cannot reach; try again */
    YM_DEADLINE = 7,
    YM_CORRUPT = 8,   /* stored or received bytes are not what they must be */
    YM_UNCERTAIN = 9, /* a commit of unknown outcome */
    YM_INTERNAL = 10, /* our own bug */
};

#define YM_STATUS_BYTES 1024

struct ym_status {
    enum ym_code code;
    char message[YM_STATUS_BYTES]; /* lower case, what failed first; cut at the bound, always UTF-8 */
};

/* clang-format off */
#define YM_STATUS_INIT {YM_OK, {0}}
/* clang-format on */

/* Set code and message; returns code. st may be NULL. Never call with YM_OK. */
enum ym_code ym_status_set(struct ym_status *st, enum ym_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "<text>: " before the message that st holds; returns code. st may be NULL. */
enum ym_code ym_status_wrap(struct ym_status *st, enum ym_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Stable lower-case word, "ok", "invalid", "not_found" ...; "unknown" for others. */
const char *ym_code_name(enum ym_code code);

/* Our own bugs only; stays on in release. Prints file, line and text, aborts. */
#define YM_ASSERT(x) ((x) ? (void)0 : ym_assert_failed(__FILE__, __LINE__, #x))
_Noreturn void ym_assert_failed(const char *file, int line, const char *text);

#endif
