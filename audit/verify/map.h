#ifndef YM_VERIFY_MAP_H
#define YM_VERIFY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Texts to numbers. Keys are made by printf and kept as the first half of their salted
 * SHA-256, so that nobody can choose texts that collide. Zero-initialised is empty. */
struct ym_vmap {
    struct ym_vslot {
        uint8_t key[16]; /* all zero: free */
        uint64_t value;
    } * slot;
    size_t count, cap;
    uint8_t salt[16];
};

/* False: out of memory. An existing key gets the new value. */
bool ym_vmap_put(struct ym_vmap *m, uint64_t value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool ym_vmap_get(const struct ym_vmap *m, uint64_t *value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ym_vmap_release(struct ym_vmap *m);

#endif
