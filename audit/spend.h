#ifndef YM_AUDIT_SPEND_H
#define YM_AUDIT_SPEND_H

#include <stdbool.h>
#include <stdint.h>

#include "privacy/accountant.h"

/* What a group of patients has been charged, as exact counts: steps for every
 * distinct (noise, sampling) pair, ordered. Composition is then one fixed sum,
 * the same bits in whatever order the charges came, at the hospital and at the
 * auditor, who share this file and the accountant (docs/audit.md, "Figures").
 * Zero-initialised is empty. */
struct ym_spend {
    struct ym_event *item; /* ascending (sigma_units, sampling_k) */
    size_t count, cap;
};

/* Renyi divergence of one step by (noise, sampling): the costly part, kept. */
struct ym_spend_cache;
struct ym_spend_cache *ym_spend_cache_new(void); /* NULL: out of memory */
void ym_spend_cache_free(struct ym_spend_cache *c);

void ym_spend_release(struct ym_spend *s);
/* YM_INVALID: no noise, no sampling, no steps, or more than 2^62 steps in all. */
enum ym_code ym_spend_add(struct ym_spend *s, const struct ym_event *e, struct ym_status *st);
enum ym_code ym_spend_add_all(struct ym_spend *s, const struct ym_events *e, struct ym_status *st);
enum ym_code ym_spend_merge(struct ym_spend *into, const struct ym_spend *from, struct ym_status *st);
/* Epsilon at delta_e18 / 10^18 in millionths, rounded up; 0 when nothing was
 * charged; INT64_MAX when there is no finite figure. plus: one more charge, may
 * be NULL. This is the figure of a fixed mechanism: the smallest over all orders. */
enum ym_code ym_spend_micro(const struct ym_spend *s, const struct ym_events *plus, int64_t delta_e18,
                            struct ym_spend_cache *c, int64_t *micro, struct ym_status *st);
/* The same at the policy's order alone: what is held against a cap when later
 * charges may be chosen by earlier releases (docs/privacy.md, "filter").
 * YM_INVALID for an order that is not on the accountant's grid. */
enum ym_code ym_spend_micro_at(const struct ym_spend *s, const struct ym_events *plus, int64_t delta_e18,
                               int64_t order_milli, struct ym_spend_cache *c, int64_t *micro, struct ym_status *st);
/* The tightest upper bound that we have for a fixed mechanism, for display: the certified privacy-loss distribution's,
 * when three accountants agree on it (privacy/accountant.h), else the one of ym_spend_micro. Tens of milliseconds. */
struct ym_tight {
    int64_t micro;
    bool certified; /* "pld", else "rdp" */
};
enum ym_code ym_spend_tight(const struct ym_spend *s, const struct ym_events *plus, int64_t delta_e18,
                            struct ym_spend_cache *c, struct ym_tight *out, struct ym_status *st);
const char *ym_tight_name(const struct ym_tight *t);
const char *ym_tight_words(const char *name); /* that name, for people */
/* What the charges add to the figure at that order, the conversion's constant left
 * out: the sum of their Renyi divergences, millionths, rounded up. A month's
 * limit goes by it. */
enum ym_code ym_spend_added_micro(const struct ym_spend *s, const struct ym_events *plus, int64_t order_milli,
                                  struct ym_spend_cache *c, int64_t *micro, struct ym_status *st);
/* order_milli of a policy leaf, order * 1000, is on the accountant's grid. */
bool ym_spend_order_valid(int64_t order_milli);

/* Noise of a charge leaf: variance = sigma_units^2, in decimal digits; and the
 * k of a sampling probability. False when not canonical, zero, or no square. */
bool ym_spend_event(const char *noise_variance, const char *sampling_k, int64_t steps, struct ym_event *out);

/* One more event of a charge, "metric" or "scaling": member `for` of `also`. False: another word, or no room. */
bool ym_spend_also(struct ym_events *e, const char *use, const struct ym_event *one);
const char *ym_spend_use_name(enum ym_use use);

#endif
