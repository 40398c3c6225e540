#include "tests/support/ledger_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/tree.h"
#include "audit/spend.h"
#include "base/fs.h"
#include "privacy/clip.h"

#define STUDY "wdbc"
#define SIGMA (2 * (uint64_t)YM_CLIP_UNITS)
#define SAMPLING ((uint64_t)1 << 61)
#define STEPS 20

const char *world_hash(const char *text)
{
    static char ring[16][65];
    static unsigned next;
    char *out = ring[next++ % 16];
    uint8_t hash[32];

    ym_sha256(text, strlen(text), hash);
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    return out;
}

static struct world_leaf *new_leaf(struct world *w)
{
    struct world_leaf *l = calloc(1, sizeof(*l));

    assert_true(l && w->pool_count < 2 * WORLD_LEAVES);
    return w->pool[w->pool_count++] = l;
}

struct world_leaf *world_leaf(struct world *w, const char *type, json_t *members, const char *by,
                              const struct ym_key *key)
{
    struct world_leaf *l = new_leaf(w);

    assert_non_null(members);
    snprintf(l->type, sizeof(l->type), "%s", type);
    snprintf(l->by, sizeof(l->by), "%s", by);
    l->key = key;
    l->time = 1700000000;
    l->members = members;
    return l;
}

struct world_leaf *world_raw(struct world *w, const char *line)
{
    struct world_leaf *l = new_leaf(w);

    l->raw = strdup(line);
    assert_non_null(l->raw);
    return l;
}

void world_insert(struct world *w, int log, size_t at, struct world_leaf *leaf)
{
    struct world_log *l = &w->log[log];

    assert_true(l->count < WORLD_LEAVES && at <= l->count);
    memmove(&l->leaf[at + 1], &l->leaf[at], (l->count - at) * sizeof(l->leaf[0]));
    l->leaf[at] = leaf;
    l->count++;
}

void world_add(struct world *w, int log, struct world_leaf *leaf)
{
    world_insert(w, log, w->log[log].count, leaf);
}

void world_remove(struct world *w, int log, size_t at)
{
    struct world_log *l = &w->log[log];

    assert_true(at < l->count);
    memmove(&l->leaf[at], &l->leaf[at + 1], (l->count - at - 1) * sizeof(l->leaf[0]));
    l->count--;
}

size_t world_find(const struct world *w, int log, const char *type, size_t nth)
{
    const struct world_log *l = &w->log[log];

    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->leaf[i]->type, type) == 0 && nth-- == 0)
            return i;
    fail_msg("no such leaf: %s", type);
    return 0;
}

struct world_leaf *world_at(struct world *w, int log, const char *type, size_t nth)
{
    return w->log[log].leaf[world_find(w, log, type, nth)];
}

static json_t *genesis(const char *role, const char *name, const struct ym_key *key)
{
    struct ym_buf text = {0};
    uint8_t pub[32];
    json_t *o;

    ym_key_public(key, pub);
    assert_int_equal(ym_base64_encode(pub, 32, &text), YM_OK);
    o = json_pack("{s:s,s:s,s:s,s:s}", "role", role, "name", name, "identity_key", ym_buf_str(&text), "program",
                  "yumen test");
    ym_buf_release(&text);
    return o;
}

static struct world_leaf *enrol(struct world *w, const char *role, const char *name, const struct ym_key *key)
{
    json_t *o = genesis(role, name, key);

    json_object_del(o, "program");
    json_object_set_new(o, "spki", json_string(world_hash(name)));
    json_object_set_new(o, "not_after", json_integer(1900000000));
    json_object_set_new(o, "federation", json_string("demo"));
    return world_leaf(w, "enrol", o, "hub", w->hub);
}

/* order_milli 0: one charge alone. */
static int64_t epsilon(const struct world *w, unsigned charges, int64_t order_milli)
{
    struct ym_events e = {w->metric ? 2 : 1,
                          {{SIGMA, SAMPLING, (uint64_t)STEPS * charges}, {2 * SIGMA, UINT64_MAX, charges}},
                          {YM_USE_TRAINING, YM_USE_METRIC}};
    struct ym_spend_cache *cache = ym_spend_cache_new();
    struct ym_spend s = {0};
    int64_t micro = 0;

    assert_int_equal(order_milli ? ym_spend_micro_at(&s, &e, w->delta_e18, order_milli, cache, &micro, NULL)
                                 : ym_spend_micro(&s, &e, w->delta_e18, cache, &micro, NULL),
                     YM_OK);
    ym_spend_cache_free(cache);
    return micro;
}

static json_t *also(const struct world *w)
{
    char variance[64], k[32];

    if (!w->metric)
        return json_array();
    snprintf(variance, sizeof(variance), "%llu", (unsigned long long)(4 * SIGMA * SIGMA));
    snprintf(k, sizeof(k), "%llu", (unsigned long long)UINT64_MAX);
    return json_pack("[{s:s,s:s,s:s,s:i}]", "for", "metric", "noise_variance", variance, "sampling_k", k, "steps", 1);
}

json_t *world_charge(const struct world *w, const char *study, int round, int attempt, const char *state,
                     const char *dataset, unsigned after)
{
    char variance[64], k[32];

    snprintf(variance, sizeof(variance), "%llu", (unsigned long long)(SIGMA * SIGMA));
    snprintf(k, sizeof(k), "%llu", (unsigned long long)SAMPLING);
    return json_pack(
        "{s:s,s:i,s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:i,s:o,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:s,"
        "s:[{s:i,s:i,s:s}],s:s}",
        "study", study, "round", round, "attempt", attempt, "plan", w->plan, "state", state, "dataset", dataset, "data",
        world_hash(dataset), "mechanism", "poisson-sampled rounded gaussian", "route", "integer", "clip_units",
        YM_CLIP_UNITS, "noise_variance", variance, "sampling_k", k, "steps", STEPS, "also", also(w), "unit", "patient",
        "relation", "add-or-remove-one", "accountant", "rdp/1", "epsilon_round_micro", (json_int_t)epsilon(w, 1, 0),
        "epsilon_spent_micro", (json_int_t)epsilon(w, after, w->order_milli), "epsilon_cap_micro",
        (json_int_t)w->cap_micro, "delta_e18", (json_int_t)w->delta_e18, "identified", "hospital_id", "sandbox",
        "seccomp", "build", WORLD_BUILD, "binary", world_hash("trainer"), "exporter", world_hash(dataset), "people",
        "year", 2023, "people", 600, "set", world_hash("people"), "decision", WORLD_UNASKED);
}

static json_t *release(const struct world *w, const char *study, int round, int attempt, const char *state,
                       const char *update)
{
    return json_pack("{s:s,s:i,s:i,s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "study", study, "round", round, "attempt", attempt,
                     "plan", w->plan, "state", state, "charge", "", "update", world_hash(update), "bytes",
                     w->update_bytes, "scale_bits", w->update_scale, "width_bits", w->update_width);
}

static json_t *terms(const struct world *w)
{
    return json_pack("{s:I,s:[s],s:s,s:s,s:{s:s,s:s},s:s,s:s,s:i,s:s}", "epsilon_study_micro", (json_int_t)w->cap_micro,
                     "sponsors", "acme", "purposes", "any", "models", "any", "columns", "inputs", "any", "outcomes",
                     "any", "recipients", "any", "hours", "any", "cpu_threads", 4, "memory_mib", "any");
}

static void site_head(struct world *w, int log, const char *name, const char *dataset, const struct ym_key *key)
{
    struct world_leaf *own_enrol = enrol(w, "hospital", name, key), *card, *approval;

    world_add(w, log, world_leaf(w, "genesis", genesis("hospital", name, key), name, key));
    world_add(
        w, log,
        world_leaf(w, "policy",
                   json_pack("{s:I,s:I,s:I,s:i,s:I,s:s,s:s,s:o,s:[]}", "epsilon_cap_micro", (json_int_t)w->cap_micro,
                             "delta_e18", (json_int_t)w->delta_e18, "order_milli", (json_int_t)w->order_milli,
                             "min_patients", 20, "epsilon_month_micro", (json_int_t)w->cap_micro, "unit", "patient",
                             "relation", "add-or-remove-one", "terms", terms(w), "seals"),
                   name, key));
    world_add(
        w, log,
        world_leaf(w, "border", json_pack("{s:b,s:s,s:[]}", "asked", 0, "reason", "public data", "seals"), name, key));
    world_add(w, log, own_enrol);
    world_add(w, WORLD_HUB, own_enrol);
    card = world_leaf(w, "dataset_card",
                      json_pack("{s:s,s:s,s:s,s:{s:s,s:s,s:s},s:[s]}", "dataset", dataset, "card", world_hash("card"),
                                "data", world_hash(dataset), "public", "title", "breast \xe4\xb9\xb3", "size_class",
                                "500-1999", "patient_identifier", "hospital_id", "group", dataset),
                      name, key);
    approval = world_leaf(w, "approval",
                          json_pack("{s:s,s:s,s:s,s:s,s:i,s:[]}", "study", STUDY, "plan", w->plan, "dataset", dataset,
                                    "data", world_hash(dataset), "epsilon_micro", 5000000, "seals"),
                          name, key);
    world_add(w, log, card);
    world_add(w, log, approval);
}

static void site_round(struct world *w, int log, const char *name, const char *dataset, const struct ym_key *key,
                       int round)
{
    const char *state = w->state[round - 1];
    struct world_leaf *charge, *out;
    char update[64];

    snprintf(update, sizeof(update), "update %s %d", name, round);
    charge = world_leaf(w, "charge", world_charge(w, STUDY, round, 1, state, dataset, (unsigned)round), name, key);
    out = world_leaf(w, "release", release(w, STUDY, round, 1, state, update), name, key);
    out->charge = charge;
    world_add(w, log, charge);
    world_add(w, log, out);
    world_add(w, WORLD_HUB, charge);
    world_add(w, WORLD_HUB, out);
}

static void hub_round(struct world *w, int round)
{
    world_add(
        w, WORLD_HUB,
        world_leaf(w, "round_open",
                   json_pack("{s:s,s:i,s:i,s:s,s:s,s:I,s:[s,s],s:i,s:i}", "study", STUDY, "round", round, "attempt", 1,
                             "plan", w->plan, "state", w->state[round - 1], "state_bytes", (json_int_t)w->state_bytes,
                             "roster", "h1", "h2", "ready_by", 1700000100, "collect_by", 1700000200),
                   "hub", w->hub));
    site_round(w, WORLD_H1, "h1", "a", w->h1, round);
    site_round(w, WORLD_H2, "h2", "b", w->h2, round);
    world_add(w, WORLD_HUB,
              world_leaf(w, "round_result",
                         json_pack("{s:s,s:i,s:i,s:s,s:s,s:s,s:[s,s],s:[],s:b,s:s,s:s}", "study", STUDY, "round", round,
                                   "attempt", 1, "state_before", w->state[round - 1], "state_after", w->state[round],
                                   "sum", w->sum[round - 1], "survivors", "h1", "h2", "left_out", "last", round == 2,
                                   "build", WORLD_BUILD, "binary", world_hash("coordinator")),
                         "hub", w->hub));
}

static void fill(struct world *w, size_t padding)
{
    struct world_leaf *plan;

    world_add(w, WORLD_HUB, world_leaf(w, "genesis", genesis("hub", "hub", w->hub), "hub", w->hub));
    world_add(w, WORLD_HUB, enrol(w, "sponsor", "acme", w->sponsor));
    site_head(w, WORLD_H1, "h1", "a", w->h1);
    site_head(w, WORLD_H2, "h2", "b", w->h2);
    plan = world_leaf(w, "plan", json_pack("{s:s,s:s,s:s}", "study", STUDY, "plan", w->plan, "sponsor", "acme"), "acme",
                      w->sponsor);
    world_insert(w, WORLD_H1, 4, plan);
    world_add(w, WORLD_HUB, plan);
    for (int log = WORLD_H1; log <= WORLD_H2; log++) {
        world_add(w, WORLD_HUB, world_at(w, log, "dataset_card", 0));
        world_add(w, WORLD_HUB, world_at(w, log, "approval", 0));
    }
    for (size_t i = 0; i < padding; i++)
        world_insert(w, WORLD_H1, 1, world_leaf(w, "incident", json_pack("{s:s}", "reason", "start"), "h1", w->h1));
    hub_round(w, 1);
    hub_round(w, 2);
}

static struct ym_key *key_new(void)
{
    struct ym_key *key = NULL;

    assert_int_equal(ym_key_generate(&key, NULL), YM_OK);
    return key;
}

static void name_log(struct world *w, int log, const char *origin, const char *folder, const struct ym_key *key)
{
    snprintf(w->log[log].origin, sizeof(w->log[log].origin), "%s", origin);
    assert_int_equal(ym_fs_join(w->log[log].dir, sizeof(w->log[log].dir), w->dir, folder), YM_OK);
    w->log[log].key = key;
}

/* Hashes that stand for plan and states are set before, by tests that have real ones. */
void world_open(struct world *w, const char *dir, size_t padding)
{
    static char fixed[6][65];
    const char **slot[] = {&w->plan, &w->state[0], &w->state[1], &w->state[2], &w->sum[0], &w->sum[1]};
    static const char *const text[] = {"plan", "state 0", "state 1", "state 2", "sum 1", "sum 2"};

    for (size_t i = 0; i < 6; i++)
        if (!*slot[i])
            *slot[i] = memcpy(fixed[i], world_hash(text[i]), 65);
    snprintf(w->dir, sizeof(w->dir), "%s", dir);
    snprintf(w->trust, sizeof(w->trust), "%s/trust", dir);
    w->hub = key_new();
    w->h1 = key_new();
    w->h2 = key_new();
    w->sponsor = key_new();
    w->mallory = key_new();
    w->cap_micro = 20000000;
    w->delta_e18 = 10000000000000;
    w->order_milli = 4100;
    w->state_bytes = w->state_bytes ? w->state_bytes : 1024;
    w->update_bytes = w->update_bytes ? w->update_bytes : 248;
    w->update_scale = w->update_scale ? w->update_scale : 30;
    w->update_width = w->update_width ? w->update_width : 40;
    name_log(w, WORLD_HUB, "yumen/demo/hub", "hub", w->hub);
    name_log(w, WORLD_H1, "yumen/hospital/h1", "h1", w->h1);
    name_log(w, WORLD_H2, "yumen/demo/hospital/h2", "h2", w->h2);
    fill(w, padding);
}

void world_close(struct world *w)
{
    for (size_t i = 0; i < w->pool_count; i++) {
        json_decref(w->pool[i]->members);
        ym_buf_release(&w->pool[i]->line);
        free(w->pool[i]->raw);
        free(w->pool[i]);
    }
    ym_key_free(w->hub);
    ym_key_free(w->h1);
    ym_key_free(w->h2);
    ym_key_free(w->sponsor);
    ym_key_free(w->mallory);
}

static void set_charge(struct world_leaf *l)
{
    uint8_t hash[32];
    size_t len;
    const char *line = world_line((struct world_leaf *)l->charge, &len);
    char text[65];

    ym_sha256(line, len, hash);
    for (size_t i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    json_object_set_new(l->members, "charge", json_string(text));
}

const char *world_line(struct world_leaf *l, size_t *len)
{
    struct ym_status st = YM_STATUS_INIT;

    if (l->line.len == 0 && l->raw)
        ym_buf_puts(&l->line, l->raw);
    if (l->line.len == 0 && l->charge)
        set_charge(l);
    if (l->line.len == 0 && ym_leaf_sign(l->type, l->members, l->by, l->time, l->key, &l->line, &st) != YM_OK)
        fail_msg("%s", st.message);
    *len = l->line.len;
    return ym_buf_str(&l->line);
}

static void put_file(const struct world_log *l, const char *name, const void *data, size_t len)
{
    char path[320], *slash;

    snprintf(path, sizeof(path), "%s/%s", l->dir, name);
    slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(ym_fs_mkdirs(path, 0755, NULL), YM_OK);
    *slash = '/';
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){data, len}, 0644, NULL), YM_OK);
}

static void put_tile(void *ctx, unsigned level, uint64_t index, const uint8_t (*hash)[32])
{
    char name[YM_TILE_PATH];

    ym_tile_path(name, (int)level, index, 256);
    put_file(ctx, name, hash, 256 * 32);
}

static void put_bundle(const struct world_log *l, uint64_t index, size_t width, struct ym_buf *bundle)
{
    char name[YM_TILE_PATH];

    if (width > 0) {
        ym_tile_path(name, -1, index, width);
        put_file(l, name, bundle->data, bundle->len);
    }
    ym_buf_clear(bundle);
}

void world_write_lines(const struct world_log *l, const struct ym_key *key, const struct ym_bytes *line, size_t count)
{
    struct ym_tree *t = calloc(1, sizeof(*t));
    struct ym_buf bundle = {0}, note = {0};
    uint8_t hash[32];
    char name[YM_TILE_PATH];

    for (size_t i = 0; i < count; i++) {
        uint8_t head[2] = {(uint8_t)(line[i].len >> 8), (uint8_t)line[i].len};

        ym_buf_append(&bundle, head, 2);
        ym_buf_append(&bundle, line[i].data, line[i].len);
        ym_tree_leaf_hash(line[i], hash);
        ym_tree_push(t, hash, put_tile, (void *)l);
        if ((i + 1) % 256 == 0)
            put_bundle(l, i / 256, 256, &bundle);
    }
    put_bundle(l, count / 256, count % 256, &bundle);
    for (unsigned level = 0; level < YM_TILE_LEVELS; level++) {
        size_t width = ym_tree_width(t, level);

        ym_tile_path(name, (int)level, ym_tree_tile(t, level), width);
        if (width)
            put_file(l, name, t->edge[level], width * 32);
    }
    ym_tree_root(t, hash);
    assert_int_equal(ym_checkpoint_format(l->origin, count, hash, key, &note), YM_OK);
    put_file(l, "checkpoint", note.data, note.len);
    ym_buf_release(&bundle);
    ym_buf_release(&note);
    free(t);
}

void world_write_log(struct world *w, int log)
{
    struct world_log *l = &w->log[log];
    struct ym_bytes line[WORLD_LEAVES];

    for (size_t i = 0; i < l->count; i++) {
        size_t len;
        const char *text = world_line(l->leaf[i], &len);

        line[i] = (struct ym_bytes){(const uint8_t *)text, len};
    }
    world_write_lines(l, l->key, line, l->count);
}

void world_write(struct world *w)
{
    struct ym_buf trust = {0};

    ym_buf_puts(&trust, "# got by another way\n\n");
    for (int log = 0; log < WORLD_LOGS; log++) {
        uint8_t pub[32];

        world_write_log(w, log);
        ym_key_public(w->log[log].key, pub);
        ym_buf_puts(&trust, "log ");
        assert_int_equal(ym_vkey_format(w->log[log].origin, YM_NOTE_LOG, pub, &trust), YM_OK);
        ym_buf_puts(&trust, "\n");
    }
    assert_int_equal(ym_fs_write(w->trust, (struct ym_bytes){trust.data, trust.len}, 0644, NULL), YM_OK);
    ym_buf_release(&trust);
}
