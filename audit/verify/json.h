#ifndef YM_VERIFY_JSON_H
#define YM_VERIFY_JSON_H

#include <stdbool.h>

#include "base/buf.h"

/* The verifier's own reader of restricted JSON (docs/formats.md). It accepts
 * exactly the canonical spelling: sorted distinct keys, no space, no fraction or
 * exponent, \uXXXX for all that is not ASCII. Strings come decoded, as UTF-8. */
enum ym_vkind { YM_V_NULL, YM_V_FALSE, YM_V_TRUE, YM_V_INT, YM_V_TEXT, YM_V_ARRAY, YM_V_OBJECT };

#define YM_VJSON_DEPTH 16
#define YM_VJSON_NODES 16384 /* values in one leaf: 1 MiB of nodes at most */

struct ym_vnode {
    enum ym_vkind kind;
    int64_t integer;
    const char *key;  /* member of an object; else NULL */
    const char *text; /* NUL-terminated; text_len bytes without NUL inside */
    size_t text_len;
    size_t child, next; /* index of the first child and of the next sibling, 0: none */
    size_t count;       /* children */
};

struct ym_vjson {
    struct ym_vnode *node; /* node[0] is the value */
    size_t count, cap;
    char *pool;
};

/* *why: a static sentence on failure. Release in either case. */
bool ym_vjson_parse(struct ym_bytes bytes, struct ym_vjson *out, const char **why);
void ym_vjson_release(struct ym_vjson *j);

const struct ym_vnode *ym_vjson_root(const struct ym_vjson *j);
/* Member of an object, NULL when absent. */
const struct ym_vnode *ym_vjson_get(const struct ym_vjson *j, const struct ym_vnode *object, const char *key);
/* First child and next sibling; NULL at the end. */
const struct ym_vnode *ym_vjson_first(const struct ym_vjson *j, const struct ym_vnode *parent);
const struct ym_vnode *ym_vjson_next(const struct ym_vjson *j, const struct ym_vnode *node);

#endif
