#ifndef YM_GATE_SCHEMA_H
#define YM_GATE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/decimal.h"
#include "base/doc.h"

/* One reader for plans and cards. It walks a document, checks types and ranges,
 * collects every problem with file, line, key and what to do, and builds the
 * canonical value beside it: each getter writes the normalised member, default
 * included. A getter on a place that is absent or of a wrong type says nothing
 * more, so that one mistake gives one problem. At most YM_SCHEMA_MAX_PROBLEMS
 * are kept, the rest is counted. */
#define YM_SCHEMA_MAX_PROBLEMS 200
#define YM_SCHEMA_PATH_BYTES 192

struct ym_schema {
    const struct ym_doc *doc;     /* borrowed */
    struct ym_problems *problems; /* borrowed */
    size_t first;                 /* problems that were there before */
    size_t reported;
    bool exhausted; /* an allocation failed: the answer cannot be trusted */
    json_t *canon;  /* owned */
};

/* A place in the document. By value; valid while the document and schema are. */
struct ym_at {
    const json_t *value; /* NULL: absent or of a wrong type, already reported */
    json_t *canon;       /* the normalised twin; NULL with value */
    char path[YM_SCHEMA_PATH_BYTES];
    int line;
};

/* A decimal's range: text so that messages show what people write. */
struct ym_decimal_range {
    const char *low, *high;
    bool above_low; /* low itself is not allowed */
};

void ym_schema_begin(struct ym_schema *s, const struct ym_doc *doc, struct ym_problems *p);
/* Canonical bytes when nothing was reported, else YM_INVALID with a count in
 * st. limit bounds the canonical form. */
enum ym_code ym_schema_end(struct ym_schema *s, size_t limit, struct ym_buf *canonical, struct ym_status *st);
void ym_schema_release(struct ym_schema *s);

/* The whole document, which must be a mapping. */
struct ym_at ym_schema_root(struct ym_schema *s);

/* Report a problem at a place, or at its member key (NULL: the place itself). */
void ym_schema_say(struct ym_schema *s, const struct ym_at *at, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same at member key of item i of a list. */
void ym_schema_say_item(struct ym_schema *s, const struct ym_at *list, size_t i, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Report members that are not among known (ends with NULL), with the nearest. */
void ym_schema_keys(struct ym_schema *s, const struct ym_at *at, const char *const *known);
bool ym_schema_has(const struct ym_at *at, const char *key);
/* A member without any check or report, for problems found later. */
struct ym_at ym_schema_peek(const struct ym_schema *s, const struct ym_at *at, const char *key);

/* A mapping. Absent and not required: an empty one, so that defaults apply. */
struct ym_at ym_schema_object(struct ym_schema *s, const struct ym_at *at, const char *key, bool required);
/* A list of low..high items; absent is fine when low is 0. */
struct ym_at ym_schema_list(struct ym_schema *s, const struct ym_at *at, const char *key, size_t low, size_t high);
size_t ym_schema_count(const struct ym_at *list);
struct ym_at ym_schema_item(struct ym_schema *s, struct ym_at *list, size_t i); /* item i as a mapping */

/* Scalars. fallback NULL means required. All return true when out was set. */
bool ym_schema_text(struct ym_schema *s, const struct ym_at *at, const char *key, const char *fallback, char *out,
                    size_t cap);
/* Another spelling of a member that a getter has written. */
void ym_schema_rewrite(struct ym_schema *s, const struct ym_at *at, const char *key, const char *text);
/* The file's kind, key "yumen". False, and message said, when it is another: of that file nothing more need be said. */
bool ym_schema_version(struct ym_schema *s, const struct ym_at *at, const char *version, const char *message);
bool ym_schema_name(struct ym_schema *s, const struct ym_at *at, const char *key, char out[64]);
bool ym_schema_item_text(struct ym_schema *s, struct ym_at *list, size_t i, char *out, size_t cap);
bool ym_schema_item_decimal(struct ym_schema *s, struct ym_at *list, size_t i, const struct ym_decimal_range *range,
                            struct ym_decimal *out);
bool ym_schema_item_int(struct ym_schema *s, struct ym_at *list, size_t i, int64_t low, int64_t high, int64_t *out);
bool ym_schema_int(struct ym_schema *s, const struct ym_at *at, const char *key, const int64_t *fallback, int64_t low,
                   int64_t high, int64_t *out);
bool ym_schema_decimal(struct ym_schema *s, const struct ym_at *at, const char *key, const char *fallback,
                       const struct ym_decimal_range *range, struct ym_decimal *out);
/* One of words (ends with NULL); *out is its index. */
bool ym_schema_choice(struct ym_schema *s, const struct ym_at *at, const char *key, const char *fallback,
                      const char *const *words, size_t *out);
/* A member of a mapping whose keys are the writer's own, such as a code map. */
bool ym_schema_pair_text(struct ym_schema *s, struct ym_at *map, const char *key, char *out, size_t cap);

/* Well-formed UTF-8 without control characters or marks that turn the writing
 * direction: what people approve must be what they see. */
bool ym_text_printable(const char *text, size_t len);

/* The nearest of words (ends with NULL) within a third of its length, or NULL. */
const char *ym_word_nearest(const char *word, const char *const *words);

#endif
