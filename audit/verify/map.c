#include "audit/verify/map.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/crypto.h"

#define KEY sizeof(((struct ym_vslot *)NULL)->key)

static const uint8_t no_key[KEY];

static void key_of(const struct ym_vmap *m, const char *fmt, va_list args, uint8_t key[KEY])
{
    char text[1024];
    uint8_t hash[YM_VHASH];
    int n;

    memcpy(text, m->salt, sizeof(m->salt));
    n = vsnprintf(text + sizeof(m->salt), sizeof(text) - sizeof(m->salt), fmt, args);
    YM_ASSERT(n >= 0 && (size_t)n < sizeof(text) - sizeof(m->salt)); /* names and hashes are bounded */
    ym_vhash(text, sizeof(m->salt) + (size_t)n, hash);
    hash[0] |= 1;
    memcpy(key, hash, KEY);
}

static bool is_used(const struct ym_vslot *s)
{
    return memcmp(s->key, no_key, KEY) != 0;
}

/* The slot of key, or the free one where it belongs. */
static struct ym_vslot *place(struct ym_vslot *slot, size_t cap, const uint8_t key[KEY])
{
    uint64_t at;

    memcpy(&at, key + KEY - sizeof(at), sizeof(at));
    for (at &= cap - 1; is_used(&slot[at]) && memcmp(slot[at].key, key, KEY) != 0; at = (at + 1) & (cap - 1))
        ;
    return &slot[at];
}

/* At most three quarters full. */
static bool grow(struct ym_vmap *m)
{
    size_t cap = m->cap ? 2 * m->cap : 64;
    struct ym_vslot *slot;

    if (4 * (m->count + 1) <= 3 * m->cap)
        return true;
    slot = calloc(cap, sizeof(*slot));
    if (!slot || (m->cap == 0 && !ym_vrandom(m->salt, sizeof(m->salt)))) {
        free(slot);
        return false;
    }
    for (size_t i = 0; i < m->cap; i++)
        if (is_used(&m->slot[i]))
            *place(slot, cap, m->slot[i].key) = m->slot[i];
    free(m->slot);
    m->slot = slot;
    m->cap = cap;
    return true;
}

bool ym_vmap_put(struct ym_vmap *m, uint64_t value, const char *fmt, ...)
{
    struct ym_vslot *s;
    uint8_t key[KEY];
    va_list args;

    if (!grow(m))
        return false;
    va_start(args, fmt);
    key_of(m, fmt, args, key);
    va_end(args);
    s = place(m->slot, m->cap, key);
    m->count += !is_used(s);
    memcpy(s->key, key, KEY);
    s->value = value;
    return true;
}

bool ym_vmap_get(const struct ym_vmap *m, uint64_t *value, const char *fmt, ...)
{
    const struct ym_vslot *s;
    uint8_t key[KEY];
    va_list args;

    if (m->cap == 0)
        return false;
    va_start(args, fmt);
    key_of(m, fmt, args, key);
    va_end(args);
    s = place(m->slot, m->cap, key);
    if (!is_used(s))
        return false;
    if (value)
        *value = s->value;
    return true;
}

void ym_vmap_release(struct ym_vmap *m)
{
    free(m->slot);
    *m = (struct ym_vmap){0};
}
