#include "audit/verify/map.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/crypto.h"

static void key_of(const char *fmt, va_list args, uint8_t key[32])
{
    char text[1024];
    int n = vsnprintf(text, sizeof(text), fmt, args);

    YM_ASSERT(n >= 0 && (size_t)n < sizeof(text)); /* names and hashes are bounded */
    ym_vhash(text, (size_t)n, key);
}

/* The slot of key, or the free one where it belongs. */
static struct ym_vslot *place(struct ym_vslot *slot, size_t cap, const uint8_t key[32])
{
    uint64_t at;

    memcpy(&at, key, sizeof(at));
    for (at &= cap - 1; slot[at].used && memcmp(slot[at].key, key, 32) != 0; at = (at + 1) & (cap - 1))
        ;
    return &slot[at];
}

static bool grow(struct ym_vmap *m)
{
    size_t cap = m->cap ? 2 * m->cap : 64;
    struct ym_vslot *slot;

    if (2 * (m->count + 1) <= m->cap)
        return true;
    slot = calloc(cap, sizeof(*slot));
    if (!slot)
        return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slot[i].used)
            *place(slot, cap, m->slot[i].key) = m->slot[i];
    free(m->slot);
    m->slot = slot;
    m->cap = cap;
    return true;
}

bool ym_vmap_put(struct ym_vmap *m, size_t value, const char *fmt, ...)
{
    struct ym_vslot *s;
    uint8_t key[32];
    va_list args;

    if (!grow(m))
        return false;
    va_start(args, fmt);
    key_of(fmt, args, key);
    va_end(args);
    s = place(m->slot, m->cap, key);
    m->count += !s->used;
    memcpy(s->key, key, 32);
    s->value = value;
    s->used = true;
    return true;
}

bool ym_vmap_get(const struct ym_vmap *m, size_t *value, const char *fmt, ...)
{
    const struct ym_vslot *s;
    uint8_t key[32];
    va_list args;

    if (m->cap == 0)
        return false;
    va_start(args, fmt);
    key_of(fmt, args, key);
    va_end(args);
    s = place(m->slot, m->cap, key);
    if (s->used && value)
        *value = s->value;
    return s->used;
}

void ym_vmap_release(struct ym_vmap *m)
{
    free(m->slot);
    *m = (struct ym_vmap){0};
}
