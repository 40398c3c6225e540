#ifndef YM_BASE_BUF_H
#define YM_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A growing run of bytes. Zero-initialised is empty and valid. data is always
 * followed by a NUL that len does not count, once anything was appended. */
struct ym_buf {
    uint8_t *data;
    size_t len, cap;
};

/* Borrowed bytes. */
struct ym_bytes {
    const uint8_t *data;
    size_t len;
};

void ym_buf_release(struct ym_buf *b); /* frees; b is empty and valid after */
void ym_buf_wipe(struct ym_buf *b);    /* zeroes the memory, then frees */
void ym_buf_clear(struct ym_buf *b);   /* len = 0, keeps memory */

/* All return YM_OK or YM_EXHAUSTED (nothing appended). */
enum ym_code ym_buf_append(struct ym_buf *b, const void *data, size_t len);
enum ym_code ym_buf_puts(struct ym_buf *b, const char *text);
enum ym_code ym_buf_printf(struct ym_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum ym_code ym_buf_reserve(struct ym_buf *b, size_t more);

/* A quoted cell of a CSV. A text with which a spreadsheet would begin a formula (= + - @, their full-width forms, tab
 * or line end) gets a ' in front. */
enum ym_code ym_buf_csv(struct ym_buf *b, const char *text);

/* The content as a string, "" when empty; borrowed. */
const char *ym_buf_str(const struct ym_buf *b);
/* The content as bytes; borrowed, until the next append. */
struct ym_bytes ym_buf_bytes(const struct ym_buf *b);

/* Text forms. Encoders append; decoders refuse anything but the one canonical
 * spelling (base64 with padding, lower-case hex): YM_INVALID, out untouched. */
enum ym_code ym_hex_encode(const void *data, size_t len, struct ym_buf *out);
enum ym_code ym_hex_decode(const char *text, size_t len, void *out, size_t out_len); /* len must be 2*out_len */
enum ym_code ym_base64_encode(const void *data, size_t len, struct ym_buf *out);
enum ym_code ym_base64_decode(const char *text, size_t len, struct ym_buf *out);

/* True when [text, text+len) is well-formed UTF-8 without NUL. */
bool ym_utf8_valid(const char *text, size_t len);

/* Names of studies, sites, data sets, variables: [a-z0-9][a-z0-9_-]{0,62}. */
bool ym_name_valid(const char *name);

#endif
