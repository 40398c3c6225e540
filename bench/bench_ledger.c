#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/cosign.h"
#include "audit/ledger/leaf.h"
#include "audit/ledger/ledger.h"
#include "audit/ledger/proof.h"
#include "audit/ledger/seal.h"
#include "audit/ledger/tree.h"
#include "audit/spend.h"
#include "base/fs.h"
#include "base/pool.h"
#include "bench/cpu_time.h"
#include "privacy/clip.h"

/* Makes the ledgers of a large federation quickly: a hub and two hospitals, studies of
 * ROUNDS_A_STUDY rounds, every leaf signed, every epsilon right. bench/ledger.py measures the
 * auditor on them.
 *   bench_ledger make DIR ROUNDS   about 10 leaves a round in all
 *   bench_ledger proof DIR COUNT   microseconds of an inclusion proof in a ledger, median and largest */

#define MUST(x)                                                                                                        \
    do                                                                                                                 \
        if (!(x)) {                                                                                                    \
            fprintf(stderr, "bench_ledger: %s failed\n", #x);                                                          \
            exit(1);                                                                                                   \
        }                                                                                                              \
    while (0)

#define SITES 2
#define ROUNDS_A_STUDY 250
#define BATCH 256 /* rounds signed together */
#define CAP 15000000
#define DELTA 10000000000 /* 1e-8 */
#define ORDER 4000
#define STEPS 20
#define SAMPLING ((uint64_t)1 << 58)

struct party {
    struct ym_key *key;
    char name[8], origin[64];
    struct ym_buf card;
};

struct log {
    char dir[512], origin[64];
    const struct ym_key *key;
    struct ym_tree tree;
    struct ym_buf bundle;
    uint64_t count;
};

struct leaf { /* to be signed */
    const char *type;
    json_t *members;
    const struct party *by;
    struct ym_buf line;
};

struct round {
    struct leaf open, charge[SITES], release[SITES], result;
};

struct world {
    char dir[256];
    struct party hub, sponsor, site[SITES];
    struct log log[1 + SITES]; /* hub's, hospitals' */
    struct ym_spend spend;     /* of each hospital: the same */
    struct ym_spend_cache *cache;
    struct ym_pool *pool;
    struct round *round;
    size_t rounds; /* of this batch */
    bool releases; /* what sign_share signs */
};

static const char *hash_of(const char *fmt, uint64_t a, uint64_t b)
{
    static char ring[32][65];
    static unsigned next;
    char text[96], *out = ring[next++ % 32];
    uint8_t hash[32];

    snprintf(text, sizeof text, fmt, a, b);
    ym_sha256(text, strlen(text), hash);
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    return out;
}

/* ---- a log on disk ---- */

static void put_file(const struct log *l, const char *name, const void *data, size_t len)
{
    char path[1024], *slash;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", l->dir, name);
    slash = strrchr(path, '/');
    *slash = '\0';
    MUST(ym_fs_mkdirs(path, 0755, NULL) == YM_OK);
    *slash = '/';
    f = fopen(path, "wb");
    MUST(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
}

static void put_tile(void *ctx, unsigned level, uint64_t index, const uint8_t (*hash)[32])
{
    char name[YM_TILE_PATH];

    ym_tile_path(name, (int)level, index, 256);
    put_file(ctx, name, hash, 256 * 32);
}

static void put_bundle(struct log *l, uint64_t index, size_t width)
{
    char name[YM_TILE_PATH];

    ym_tile_path(name, -1, index, width);
    if (width)
        put_file(l, name, l->bundle.data, l->bundle.len);
    ym_buf_clear(&l->bundle);
}

static void append(struct log *l, const struct ym_buf *line)
{
    uint8_t head[2] = {(uint8_t)(line->len >> 8), (uint8_t)line->len}, hash[32];

    MUST(line->len > 0 && ym_buf_append(&l->bundle, head, 2) == YM_OK &&
         ym_buf_append(&l->bundle, line->data, line->len) == YM_OK);
    ym_tree_leaf_hash(ym_buf_bytes(line), hash);
    ym_tree_push(&l->tree, hash, put_tile, l);
    if (++l->count % 256 == 0)
        put_bundle(l, l->count / 256 - 1, 256);
}

static void finish(struct log *l)
{
    struct ym_buf note = {0};
    uint8_t root[32];

    put_bundle(l, l->count / 256, l->count % 256);
    for (unsigned level = 0; level < YM_TILE_LEVELS; level++) {
        char name[YM_TILE_PATH];
        size_t width = ym_tree_width(&l->tree, level);

        ym_tile_path(name, (int)level, ym_tree_tile(&l->tree, level), width);
        if (width)
            put_file(l, name, l->tree.edge[level], width * 32);
    }
    ym_tree_root(&l->tree, root);
    MUST(ym_checkpoint_format(l->origin, l->count, root, l->key, &note) == YM_OK);
    put_file(l, "checkpoint", note.data, note.len);
    ym_buf_release(&note);
    ym_buf_release(&l->bundle);
}

/* ---- leaves ---- */

static void sign(struct leaf *l)
{
    MUST(ym_leaf_sign(l->type, l->members, l->by->name, 1700000000, l->by->key, &l->line, NULL) == YM_OK);
}

/* Sign at once, append to logs (a mask), forget. */
static void say(struct world *w, const char *type, json_t *members, const struct party *by, unsigned logs)
{
    struct leaf l = {type, members, by, {0}};

    sign(&l);
    for (size_t k = 0; k <= SITES; k++)
        if (logs & 1u << k)
            append(&w->log[k], &l.line);
    json_decref(members);
    ym_buf_release(&l.line);
}

static void text_key(const struct party *p, struct ym_buf *out)
{
    uint8_t pub[32];

    ym_key_public(p->key, pub);
    ym_buf_clear(out);
    MUST(ym_base64_encode(pub, 32, out) == YM_OK);
}

static void begin(struct world *w, const struct party *p, const char *role, unsigned own, unsigned enrolled)
{
    struct ym_buf key = {0};

    text_key(p, &key);
    if (own)
        say(w, "genesis",
            json_pack("{s:s,s:s,s:s,s:s}", "role", role, "name", p->name, "identity_key", ym_buf_str(&key), "program",
                      "bench"),
            p, own);
    if (enrolled)
        say(w, "enrol",
            json_pack("{s:s,s:s,s:s,s:s,s:i,s:s}", "role", role, "name", p->name, "identity_key", ym_buf_str(&key),
                      "spki", hash_of("spki %" PRIu64 "%" PRIu64, 0, 0), "not_after", 2000000000, "federation",
                      "bench"),
            &w->hub, enrolled);
    ym_buf_release(&key);
}

static json_t *card(const char *name)
{
    return json_pack("{s:s,s:s,s:s,s:{s:s,s:s},s:[s]}", "dataset", name, "card",
                     hash_of("card %" PRIu64 "%" PRIu64, 0, 0), "data", hash_of("data %" PRIu64 "%" PRIu64, 0, 0),
                     "public", "size_class", "500-1999", "patient_identifier", "hospital_id", "group", name);
}

static json_t *policy(void)
{
    json_t *terms = json_pack("{s:i,s:s,s:s,s:s,s:{s:s,s:s},s:s,s:s,s:s,s:s}", "epsilon_study_micro", CAP, "sponsors",
                              "any", "purposes", "any", "models", "any", "columns", "inputs", "any", "outcomes", "any",
                              "recipients", "any", "hours", "any", "cpu_threads", "any", "memory_mib", "any");

    return json_pack("{s:i,s:I,s:i,s:i,s:i,s:s,s:s,s:o,s:[]}", "epsilon_cap_micro", CAP, "delta_e18", (json_int_t)DELTA,
                     "order_milli", ORDER, "min_patients", 20, "epsilon_month_micro", CAP, "unit", "patient",
                     "relation", "add-or-remove-one", "terms", terms, "seals");
}

static void head(struct world *w)
{
    begin(w, &w->hub, "hub", 1, 0);
    begin(w, &w->sponsor, "sponsor", 0, 1);
    for (size_t s = 0; s < SITES; s++) {
        begin(w, &w->site[s], "hospital", 2u << s, 1u | 2u << s);
        say(w, "policy", policy(), &w->site[s], 2u << s);
        say(w, "border", json_pack("{s:b,s:s,s:[]}", "asked", 0, "reason", "bench", "seals"), &w->site[s], 2u << s);
        say(w, "dataset_card", card("a"), &w->site[s], 1u | 2u << s);
    }
}

static void begin_study(struct world *w, uint64_t study)
{
    char name[32];
    const char *plan = hash_of("plan %" PRIu64 "%" PRIu64, study, 0);

    snprintf(name, sizeof name, "study-%" PRIu64, study);
    say(w, "plan", json_pack("{s:s,s:s,s:s}", "study", name, "plan", plan, "sponsor", w->sponsor.name), &w->sponsor, 7);
    for (size_t s = 0; s < SITES; s++)
        say(w, "approval",
            json_pack("{s:s,s:s,s:s,s:s,s:i,s:[]}", "study", name, "plan", plan, "dataset", "a", "data",
                      hash_of("data %" PRIu64 "%" PRIu64, 0, 0), "epsilon_micro", 5000000, "seals"),
            &w->site[s], 1u | 2u << s);
}

static json_t *charge(struct world *w, const char *study, uint64_t n, unsigned round, const char *state)
{
    static const struct ym_spend none;
    struct ym_events e = {1, {{(uint64_t)YM_CLIP_UNITS * (200 + n % 5), SAMPLING, STEPS}}, {YM_USE_TRAINING}};
    unsigned __int128 square = (unsigned __int128)e.event[0].sigma_units * e.event[0].sigma_units;
    char variance[40], k[24];
    int64_t alone, spent;

    snprintf(variance, sizeof variance, "%" PRIu64, (uint64_t)square);
    snprintf(k, sizeof k, "%" PRIu64, SAMPLING);
    MUST(square <= UINT64_MAX && ym_spend_micro(&none, &e, DELTA, w->cache, &alone, NULL) == YM_OK);
    MUST(ym_spend_micro_at(&w->spend, &e, DELTA, ORDER, w->cache, &spent, NULL) == YM_OK && spent <= CAP);
    return json_pack("{s:s,s:i,s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:i,s:[],s:s,s:s,s:s,s:I,s:I,s:i,s:I,s:s,s:s,"
                     "s:s,s:s,s:s,s:[{s:i,s:i,s:s}],s:s}",
                     "study", study, "round", round, "attempt", 1, "plan", hash_of("plan %" PRIu64 "%" PRIu64, n, 0),
                     "state", state, "dataset", "a", "data", hash_of("data %" PRIu64 "%" PRIu64, 0, 0), "mechanism",
                     "poisson-sampled rounded gaussian", "route", "integer", "clip_units", YM_CLIP_UNITS,
                     "noise_variance", variance, "sampling_k", k, "steps", STEPS, "also", "unit", "patient", "relation",
                     "add-or-remove-one", "accountant", "rdp/1", "epsilon_round_micro", (json_int_t)alone,
                     "epsilon_spent_micro", (json_int_t)spent, "epsilon_cap_micro", CAP, "delta_e18", (json_int_t)DELTA,
                     "identified", "hospital_id", "sandbox", "seccomp landlock", "build",
                     "0123456789abcdef0123456789abcdef01234567", "binary", hash_of("b%" PRIu64 "%" PRIu64, 0, 0),
                     "exporter", hash_of("exporter %" PRIu64 "%" PRIu64, 0, 0), "people", "year", 2023, "people", 600,
                     "set", hash_of("set %" PRIu64 "%" PRIu64, n, round), "decision",
                     "0000000000000000000000000000000000000000000000000000000000000000");
}

static void fill_round(struct world *w, struct round *r, uint64_t n, unsigned round)
{
    const char *plan = hash_of("plan %" PRIu64 "%" PRIu64, n, 0),
               *state = hash_of("state %" PRIu64 " %" PRIu64, n, round),
               *after = hash_of("state %" PRIu64 " %" PRIu64, n, round + 1),
               *sum = hash_of("sum %" PRIu64 " %" PRIu64, n, round);
    struct ym_event e = {(uint64_t)YM_CLIP_UNITS * (200 + n % 5), SAMPLING, STEPS};
    char study[32];

    snprintf(study, sizeof study, "study-%" PRIu64, n);
    r->open = (struct leaf){"round_open",
                            json_pack("{s:s,s:i,s:i,s:s,s:s,s:i,s:[s,s],s:i,s:i}", "study", study, "round", round,
                                      "attempt", 1, "plan", plan, "state", state, "state_bytes", 248, "roster", "h1",
                                      "h2", "ready_by", 1700000100, "collect_by", 1700000200),
                            &w->hub,
                            {0}};
    for (size_t s = 0; s < SITES; s++) {
        r->charge[s] = (struct leaf){"charge", charge(w, study, n, round, state), &w->site[s], {0}};
        r->release[s] = (struct leaf){"release",
                                      json_pack("{s:s,s:i,s:i,s:s,s:s,s:s,s:i,s:i,s:i}", "study", study, "round", round,
                                                "attempt", 1, "plan", plan, "state", state, "update", sum, "bytes", 248,
                                                "scale_bits", 30, "width_bits", 40),
                                      &w->site[s],
                                      {0}};
    }
    r->result = (struct leaf){"round_result",
                              json_pack("{s:s,s:i,s:i,s:s,s:s,s:s,s:[s,s],s:[],s:b,s:s,s:s}", "study", study, "round",
                                        round, "attempt", 1, "state_before", state, "state_after", after, "sum", sum,
                                        "survivors", "h1", "h2", "left_out", "last", round == ROUNDS_A_STUDY, "build",
                                        "0123456789abcdef0123456789abcdef01234567", "binary",
                                        hash_of("b%" PRIu64 "%" PRIu64, 0, 0)),
                              &w->hub,
                              {0}};
    MUST(r->open.members && r->charge[0].members && r->release[0].members && r->result.members);
    MUST(ym_spend_add(&w->spend, &e, NULL) == YM_OK);
}

static void sign_release(struct round *r, size_t s)
{
    uint8_t hash[32];
    struct ym_buf hex = {0};

    ym_sha256(r->charge[s].line.data, r->charge[s].line.len, hash);
    MUST(ym_hex_encode(hash, sizeof hash, &hex) == YM_OK);
    json_object_set_new(r->release[s].members, "charge", json_string(ym_buf_str(&hex)));
    ym_buf_release(&hex);
    sign(&r->release[s]);
}

static void sign_share(void *ctx, size_t thread)
{
    struct world *w = ctx;

    for (size_t i = thread; i < w->rounds; i += ym_pool_width(w->pool)) {
        struct round *r = &w->round[i];

        sign(&r->open);
        sign(&r->result);
        for (size_t s = 0; s < SITES; s++) {
            sign(&r->charge[s]);
            sign_release(r, s);
        }
    }
}

static void drop(struct leaf *l)
{
    json_decref(l->members);
    ym_buf_release(&l->line);
}

static void append_round(struct world *w, struct round *r)
{
    append(&w->log[0], &r->open.line);
    for (size_t s = 0; s < SITES; s++)
        for (size_t k = 0; k < 2; k++) {
            struct leaf *l = k ? &r->release[s] : &r->charge[s];

            append(&w->log[1 + s], &l->line);
            append(&w->log[0], &l->line);
            drop(l);
        }
    append(&w->log[0], &r->result.line);
    drop(&r->open);
    drop(&r->result);
}

static void make_rounds(struct world *w, uint64_t total)
{
    for (uint64_t done = 0; done < total;) {
        uint64_t study = done / ROUNDS_A_STUDY, first = done % ROUNDS_A_STUDY;

        if (first == 0)
            begin_study(w, study);
        w->rounds = 0;
        while (done < total && w->rounds < BATCH && done / ROUNDS_A_STUDY == study) {
            fill_round(w, &w->round[w->rounds], study, (unsigned)(done % ROUNDS_A_STUDY) + 1);
            w->rounds++;
            done++;
        }
        ym_pool_run(w->pool, sign_share, w);
        for (size_t i = 0; i < w->rounds; i++)
            append_round(w, &w->round[i]);
    }
}

static void open_party(struct party *p, const char *name, const char *origin)
{
    MUST(ym_key_generate(&p->key, NULL) == YM_OK);
    snprintf(p->name, sizeof p->name, "%s", name);
    snprintf(p->origin, sizeof p->origin, "%s", origin);
}

static void open_log(struct world *w, size_t k, const struct party *p)
{
    struct log *l = &w->log[k];

    snprintf(l->dir, sizeof l->dir, "%s/%s", w->dir, p->name);
    memcpy(l->origin, p->origin, sizeof l->origin);
    l->key = p->key;
}

static void write_trust(const struct world *w)
{
    struct ym_buf text = {0};
    char path[512];

    for (size_t k = 0; k <= SITES; k++) {
        uint8_t pub[32];

        ym_key_public(w->log[k].key, pub);
        MUST(ym_buf_puts(&text, "log ") == YM_OK &&
             ym_vkey_format(w->log[k].origin, YM_NOTE_LOG, pub, &text) == YM_OK && ym_buf_puts(&text, "\n") == YM_OK);
    }
    snprintf(path, sizeof path, "%s/trust", w->dir);
    MUST(ym_fs_write(path, ym_buf_bytes(&text), 0644, NULL) == YM_OK);
    ym_buf_release(&text);
}

static int make(const char *dir, uint64_t rounds)
{
    struct world *w = calloc(1, sizeof *w);
    uint64_t leaves = 0;

    MUST(w && (w->round = calloc(BATCH, sizeof *w->round)) && (w->cache = ym_spend_cache_new()) &&
         (w->pool = ym_pool_new(ym_pool_cores())));
    snprintf(w->dir, sizeof w->dir, "%s", dir);
    open_party(&w->hub, "hub", "yumen/bench/hub");
    open_party(&w->sponsor, "acme", "");
    open_party(&w->site[0], "h1", "yumen/hospital/h1");
    open_party(&w->site[1], "h2", "yumen/hospital/h2");
    open_log(w, 0, &w->hub);
    for (size_t s = 0; s < SITES; s++)
        open_log(w, 1 + s, &w->site[s]);
    head(w);
    make_rounds(w, rounds);
    for (size_t k = 0; k <= SITES; k++) {
        finish(&w->log[k]);
        leaves += w->log[k].count;
    }
    write_trust(w);
    printf("%" PRIu64 "\n", leaves);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static int proofs(const char *dir, size_t count)
{
    double *us = calloc(count, sizeof *us);
    struct ym_buf note = {0};
    char path[512];
    uint64_t size, index = 88172645463325252u;

    snprintf(path, sizeof path, "%s/checkpoint", dir);
    MUST(us && count && ym_fs_read(path, 4096, &note, NULL) == YM_OK);
    size = strtoull(strchr(ym_buf_str(&note), '\n'), NULL, 10);
    for (size_t i = 0; i < count; i++) {
        struct ym_proof proof;
        double at = ym_clock_us(CLOCK_MONOTONIC);

        index ^= index << 13, index ^= index >> 7, index ^= index << 17;
        MUST(ym_proof_inclusion(dir, index % size, size, &proof, NULL) == YM_OK);
        us[i] = ym_clock_us(CLOCK_MONOTONIC) - at;
    }
    qsort(us, count, sizeof *us, compare);
    printf("%.1f %.1f\n", us[count / 2], us[count - 1]);
    free(us);
    ym_buf_release(&note);
    return 0;
}

static double median(double *us, size_t count)
{
    qsort(us, count, sizeof *us, compare);
    return us[count / 2];
}

/* What a round's end costs beside its own append, in the order in which it happens: the hub seals; a
 * hospital writes checkpoint_seen and cosigns; the hub checks the line and adds it. */
static int seals(const char *dir, size_t count)
{
    enum { SEAL, COSIGN, TAKE, PARTS };
    double *us[PARTS];
    struct ym_key *hub = NULL, *site = NULL;
    struct ym_ledger *ledger = NULL;
    char own[512];

    snprintf(own, sizeof own, "%s/own", dir);
    MUST(ym_key_generate(&hub, NULL) == YM_OK && ym_key_generate(&site, NULL) == YM_OK);
    MUST(ym_ledger_open(own, "yumen/hospital/h1", site, &ledger, NULL) == YM_OK);
    for (int k = 0; k < PARTS; k++)
        MUST((us[k] = calloc(count + 1, sizeof **us)) != NULL);
    for (uint64_t i = 0; i < count; i++) {
        struct ym_buf note = {0}, seen = {0}, line = {0};
        struct ym_bytes text, leaf;
        struct ym_key *cosigner = NULL;
        uint8_t root[YM_HASH_BYTES] = {1}, pub[YM_PUBKEY_BYTES];
        uint64_t time;
        double at[PARTS + 1];

        MUST(ym_checkpoint_format("yumen/fed/hub", i + 1, root, hub, &note) == YM_OK);
        at[SEAL] = ym_clock_us(CLOCK_MONOTONIC);
        MUST(ym_seal_write(dir, i + 1, ym_buf_bytes(&note), NULL) == YM_OK);
        at[COSIGN] = ym_clock_us(CLOCK_MONOTONIC);
        MUST(ym_leaf_sign("checkpoint_seen", json_object(), "h1", (int64_t)i, site, &seen, NULL) == YM_OK);
        leaf = ym_buf_bytes(&seen);
        MUST(ym_ledger_append(ledger, &leaf, 1, NULL, NULL) == YM_OK && ym_cosign_text(ym_buf_bytes(&note), &text));
        MUST(ym_key_derive(site, YM_COSIGN_LABEL, &cosigner, NULL) == YM_OK);
        ym_key_public(cosigner, pub);
        MUST(ym_cosign_append(text, "yumen/hospital/h1", cosigner, i + 1, &line) == YM_OK);
        at[TAKE] = ym_clock_us(CLOCK_MONOTONIC);
        MUST(ym_seal_add(dir, i + 1, ym_buf_bytes(&line), NULL) == YM_OK);
        ym_buf_clear(&line);
        MUST(ym_seal_read(dir, i + 1, &line, NULL) == YM_OK &&
             ym_cosign_open(ym_buf_bytes(&line), "yumen/hospital/h1", pub, &time, NULL) == YM_OK);
        at[PARTS] = ym_clock_us(CLOCK_MONOTONIC);
        for (int k = 0; k < PARTS; k++)
            us[k][i] = at[k + 1] - at[k];
        ym_key_free(cosigner);
        ym_buf_release(&note);
        ym_buf_release(&seen);
        ym_buf_release(&line);
    }
    printf("%.1f %.1f %.1f\n", median(us[SEAL], count), median(us[COSIGN], count), median(us[TAKE], count));
    ym_ledger_close(&ledger);
    ym_key_free(hub);
    ym_key_free(site);
    for (int k = 0; k < PARTS; k++)
        free(us[k]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "make") == 0)
        return make(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "proof") == 0)
        return proofs(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "seal") == 0)
        return seals(argv[2], strtoull(argv[3], NULL, 10));
    fprintf(stderr, "bench_ledger make DIR ROUNDS | proof DIR COUNT | seal DIR COUNT\n");
    return 2;
}
