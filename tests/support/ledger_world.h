#ifndef YM_TESTS_LEDGER_WORLD_H
#define YM_TESTS_LEDGER_WORLD_H

#include <jansson.h>
#include <stdbool.h>

#include "audit/ledger/leaf.h"
#include "audit/ledger/ledger.h"

/* A small federation's ledgers, made fresh with fresh keys: hub, two hospitals,
 * a sponsor, one study of two rounds; honest until a test changes something.
 * Leaves are shared between logs, signed when written, and a release finds its
 * charge by itself, so that an edit is what its owner would have signed. */

struct world_leaf {
    char type[32], by[64];
    const struct ym_key *key;
    int64_t time; /* 1700000000 unless set */
    json_t *members;
    const struct world_leaf *charge; /* a release's */
    char *raw;                       /* instead of all that, a line as it is */
    struct ym_buf line;              /* once written */
};

enum { WORLD_HUB, WORLD_H1, WORLD_H2, WORLD_LOGS };
#define WORLD_LEAVES 640
#define WORLD_UNASKED "0000000000000000000000000000000000000000000000000000000000000000"
#define WORLD_BUILD "0123456789abcdef0123456789abcdef01234567"

struct world_log {
    char origin[64], dir[192];
    const struct ym_key *key;
    struct world_leaf *leaf[WORLD_LEAVES];
    size_t count;
};

struct world {
    char dir[128], trust[160];
    struct ym_key *hub, *h1, *h2, *sponsor, *mallory;
    struct world_log log[WORLD_LOGS];
    struct world_leaf *pool[2 * WORLD_LEAVES];
    size_t pool_count;
    int64_t cap_micro, delta_e18, order_milli;
    const char *plan, *state[3], *sum[2]; /* hex hashes: plan, state before round 1, 2 and after, sums */
    uint64_t state_bytes;
    json_int_t update_bytes, update_scale, update_width; /* of every release */
    bool metric; /* every charge holds a metric beside training: sigma 2^26 of everybody */
};

/* padding: incident leaves that come second in h1's log (to fill bundles). */
void world_open(struct world *w, const char *dir, size_t padding);
void world_close(struct world *w);

/* A new leaf; takes members. */
struct world_leaf *world_leaf(struct world *w, const char *type, json_t *members, const char *by,
                              const struct ym_key *key);
struct world_leaf *world_raw(struct world *w, const char *line);
void world_add(struct world *w, int log, struct world_leaf *leaf); /* at the end */
void world_insert(struct world *w, int log, size_t at, struct world_leaf *leaf);
void world_remove(struct world *w, int log, size_t at);
/* The nth leaf (from 0) of a type, by anyone, in a log; fails the test when absent. */
size_t world_find(const struct world *w, int log, const char *type, size_t nth);
struct world_leaf *world_at(struct world *w, int log, const char *type, size_t nth);

/* Members of a charge of h1 or h2, honest if `after` counts the charges so far and it. */
json_t *world_charge(const struct world *w, const char *study, int round, int attempt, const char *state,
                     const char *dataset, unsigned after);
/* 64 hex digits that stand for something: SHA-256 of text. Static memory, by a ring. */
const char *world_hash(const char *text);

const char *world_line(struct world_leaf *leaf, size_t *len); /* signs it now */
void world_write(struct world *w);                            /* all logs, and the trust file */
void world_write_log(struct world *w, int log);
/* Sign and lay out lines that the ledger itself would refuse. */
void world_write_lines(const struct world_log *l, const struct ym_key *key, const struct ym_bytes *line, size_t count);

#endif
