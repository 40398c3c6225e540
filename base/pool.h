#ifndef YM_BASE_POOL_H
#define YM_BASE_POOL_H

#include <stddef.h>

/* A few threads that wait for work, so that a step need not start any. They take no
 * signals. Who shares work among them must see to it that the answer does not hang on
 * which thread did what, nor on how many there are. */
#define YM_POOL_MOST 64

struct ym_pool;

/* What the machine grants this process, 1 .. YM_POOL_MOST, or the environment's
 * YUMEN_THREADS, a number in that range; but never more than the limit. */
size_t ym_pool_cores(void);
/* Of the whole process: no pool begun from now on is wider. 1 .. YM_POOL_MOST; at first YM_POOL_MOST. */
void ym_pool_limit(size_t width);

/* width 1 .. YM_POOL_MOST, the caller counted among them; the limit cuts it. NULL: they could not be had. */
struct ym_pool *ym_pool_new(size_t width);
size_t ym_pool_width(const struct ym_pool *p);

/* Calls fn(ctx, i) for every i below the width, each in a thread of its own, 0 in the
 * caller's, and returns when all are done. One caller at a time. */
void ym_pool_run(struct ym_pool *p, void (*fn)(void *ctx, size_t i), void *ctx);

void ym_pool_free(struct ym_pool *p); /* NULL is fine; joins */

#endif
