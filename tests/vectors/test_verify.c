/* Ledgers that lie, one trick each, made from a fresh honest federation; every
 * one must be refused with its own exit code and reason. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/tree.h"
#include "audit/verify/crypto.h"
#include "audit/verify/folder.h"
#include "audit/verify/verify.h"
#include "base/fs.h"
#include "gate/border/seal.h"
#include "tests/support/ledger_world.h"

#define GOLDEN_FIGURES                                                                                                 \
    {1852453, 3302444}, {1852453, 3625782}, {1852453, 3302444},                                                        \
    {                                                                                                                  \
        1852453, 3625782                                                                                               \
    }
/* entries of h2, one less, one more */
#define H2_SIZE "10"
#define H2_LESS "9"
#define H2_MORE "11"
#define PADDING 262 /* h1's log fills one bundle and begins another */

static int remove_one(const char *path, const struct stat *s, int flag, struct FTW *f)
{
    (void)s;
    (void)flag;
    (void)f;
    return remove(path);
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* In memory where there is such a place: some 80 federations are written and synced. */
static void make_dir(char out[64])
{
    strcpy(out, "/dev/shm/yumen-verify-XXXXXX");
    if (mkdtemp(out))
        return;
    strcpy(out, "/tmp/yumen-verify-XXXXXX");
    assert_non_null(mkdtemp(out));
}

/* ---- what a liar does to files ---- */

static void path_in(const struct world *w, int log, const char *name, char out[320])
{
    snprintf(out, 320, "%s/%s", w->log[log].dir, name);
}

static void load(const struct world *w, int log, const char *name, struct ym_buf *out)
{
    char path[320];

    path_in(w, log, name, path);
    assert_int_equal(ym_fs_read(path, 1 << 24, out, NULL), YM_OK);
}

static void store(const struct world *w, int log, const char *name, const void *data, size_t len)
{
    char path[320];

    path_in(w, log, name, path);
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){data, len}, 0644, NULL), YM_OK);
}

static void drop(const struct world *w, int log, const char *name)
{
    char path[320];

    path_in(w, log, name, path);
    assert_int_equal(unlink(path), 0);
}

static void flip(const struct world *w, int log, const char *name, size_t at)
{
    struct ym_buf b = {0};

    load(w, log, name, &b);
    assert_true(at < b.len);
    b.data[at] ^= 1;
    store(w, log, name, b.data, b.len);
    ym_buf_release(&b);
}

static void cut(const struct world *w, int log, const char *name, size_t by)
{
    struct ym_buf b = {0};

    load(w, log, name, &b);
    store(w, log, name, b.data, b.len - by);
    ym_buf_release(&b);
}

/* Bytes of entry n of a bundle, with its length. */
static size_t entry_at(const struct ym_buf *b, size_t n, size_t *len)
{
    size_t at = 0;

    for (;; n--) {
        *len = 2 + ((size_t)b->data[at] << 8 | b->data[at + 1]);
        if (n == 0)
            return at;
        at += *len;
    }
}

static void entry_flipped(struct world *w)
{
    flip(w, WORLD_H1, "tile/entries/000", 3000);
}

static void entry_removed(struct world *w)
{
    struct ym_buf b = {0};
    size_t len, at;

    load(w, WORLD_H1, "tile/entries/000", &b);
    at = entry_at(&b, 7, &len);
    memmove(b.data + at, b.data + at + len, b.len - at - len);
    store(w, WORLD_H1, "tile/entries/000", b.data, b.len - len);
    ym_buf_release(&b);
}

static void entry_added(struct world *w)
{
    struct ym_buf b = {0};
    size_t len, at;

    load(w, WORLD_H1, "tile/entries/000", &b);
    at = entry_at(&b, 7, &len);
    ym_buf_reserve(&b, len);
    ym_buf_append(&b, b.data + at, len);
    store(w, WORLD_H1, "tile/entries/000", b.data, b.len);
    ym_buf_release(&b);
}

static void entries_swapped(struct world *w)
{
    struct ym_buf b = {0}, c = {0};
    size_t first_len, second_len, first;

    load(w, WORLD_H2, "tile/entries/000.p/" H2_SIZE, &b);
    first = entry_at(&b, 5, &first_len);
    entry_at(&b, 6, &second_len);
    ym_buf_append(&c, b.data, first);
    ym_buf_append(&c, b.data + first + first_len, second_len);
    ym_buf_append(&c, b.data + first, first_len);
    ym_buf_append(&c, b.data + first + first_len + second_len, b.len - c.len);
    store(w, WORLD_H2, "tile/entries/000.p/" H2_SIZE, c.data, c.len);
    ym_buf_release(&b);
    ym_buf_release(&c);
}

static void bundle_lost(struct world *w)
{
    drop(w, WORLD_H2, "tile/entries/000.p/" H2_SIZE);
}

static void bundle_cut(struct world *w)
{
    cut(w, WORLD_H2, "tile/entries/000.p/" H2_SIZE, 1);
}

static void tile_cut(struct world *w)
{
    cut(w, WORLD_H1, "tile/0/000", 1);
}

static void tile_lost(struct world *w)
{
    drop(w, WORLD_H1, "tile/0/000");
}

static void tile_flipped(struct world *w)
{
    flip(w, WORLD_H1, "tile/0/000", 100);
}

static void upper_tile_flipped(struct world *w)
{
    flip(w, WORLD_H1, "tile/1/000.p/1", 0);
}

static void checkpoint_lost(struct world *w)
{
    drop(w, WORLD_H1, "checkpoint");
}

static void checkpoint_garbled(struct world *w)
{
    store(w, WORLD_H1, "checkpoint", "yumen\n", 6);
}

/* The root of the text is changed, the signature kept. */
static void checkpoint_changed(struct world *w)
{
    struct ym_buf b = {0};
    char *root;

    load(w, WORLD_H2, "checkpoint", &b);
    root = strchr(strchr((char *)b.data, '\n') + 1, '\n') + 1;
    *root = *root == 'A' ? 'B' : 'A';
    store(w, WORLD_H2, "checkpoint", b.data, b.len);
    ym_buf_release(&b);
}

/* An old checkpoint over the new entries. */
static void checkpoint_replayed(struct world *w)
{
    struct ym_buf old = {0};
    size_t count = w->log[WORLD_H1].count;

    w->log[WORLD_H1].count = count - 2;
    world_write_log(w, WORLD_H1);
    load(w, WORLD_H1, "checkpoint", &old);
    w->log[WORLD_H1].count = count;
    world_write_log(w, WORLD_H1);
    store(w, WORLD_H1, "checkpoint", old.data, old.len);
    ym_buf_release(&old);
}

/* Everything of h1 made anew and signed by another key under the same name. */
static void root_signed_by_another(struct world *w)
{
    const struct ym_key *own = w->log[WORLD_H1].key;

    w->log[WORLD_H1].key = w->mallory;
    world_write_log(w, WORLD_H1);
    w->log[WORLD_H1].key = own;
}

/* ---- what a liar with the log's own key does to entries ---- */

static void edit(struct world *w, int log, const char *type, size_t nth, const char *member, json_t *value)
{
    assert_int_equal(json_object_set_new(world_at(w, log, type, nth)->members, member, value), 0);
}

/* Replace text in a leaf's finished line, signature and all, and put it back. */
static void respell(struct world *w, int log, const char *type, const char *from, const char *to)
{
    size_t at = world_find(w, log, type, 0), len;
    const char *line = world_line(w->log[log].leaf[at], &len), *hit = strstr(line, from);
    char *other = malloc(len + strlen(to) + 1);

    assert_non_null(hit);
    sprintf(other, "%.*s%s%s", (int)(hit - line), line, to, hit + strlen(from));
    w->log[log].leaf[at] = world_raw(w, other);
    free(other);
}

static void key_twice(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"delta_e18\":", "\"delta_e18\":1,\"delta_e18\":");
}

static void number_with_a_point(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"min_patients\":20", "\"min_patients\":20.0");
}

static void number_with_exponent(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"min_patients\":20", "\"min_patients\":2e1");
}

static void keys_unsorted(struct world *w)
{
    respell(w, WORLD_H2, "policy", "{\"by\":\"h2\",", "{\"unit\":\"patient\",\"by\":\"h2\",");
}

static void space_inside(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"min_patients\":20", "\"min_patients\": 20");
}

static void escape_not_needed(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"unit\":\"patient\"", "\"unit\":\"p\\u0061tient\"");
}

static void raw_chinese(struct world *w)
{
    respell(w, WORLD_H2, "dataset_card", "\\u4E73", "\xe4\xb9\xb3");
}

static void signature_cut(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"sig\":", "\"sag\":");
}

static void member_changed(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"min_patients\":20", "\"min_patients\":21");
}

static void member_unknown(struct world *w)
{
    edit(w, WORLD_H2, "policy", 0, "colour", json_string("red"));
}

static void member_missing(struct world *w)
{
    json_object_del(world_at(w, WORLD_H2, "policy", 0)->members, "min_patients");
}

static void member_out_of_range(struct world *w)
{
    edit(w, WORLD_H2, "policy", 0, "delta_e18", json_integer(0));
}

static void variance_no_square(struct world *w)
{
    edit(w, WORLD_H2, "charge", 0, "noise_variance", json_string("1125899906842625"));
}

static void trainer_unnamed(struct world *w)
{
    json_object_del(world_at(w, WORLD_H2, "charge", 0)->members, "binary");
}

static void build_no_id(struct world *w)
{
    edit(w, WORLD_H2, "charge", 0, "build", json_string("0.1.0"));
}

/* Year n of who was counted. */
static json_t *counted(int from, int64_t people)
{
    return json_pack("{s:i,s:I,s:s}", "year", from, "people", (json_int_t)people, "set", world_hash("people"));
}

static void people_exact(struct world *w)
{
    edit(w, WORLD_H2, "charge", 0, "people", json_pack("[o]", counted(2023, 569)));
}

static void people_years_apart(struct world *w)
{
    edit(w, WORLD_H2, "charge", 0, "people", json_pack("[o,o]", counted(2023, 600), counted(2025, 600)));
}

static json_t *us_persons(int64_t people)
{
    return json_pack("{s:s,s:s,s:I,s:I,s:s}", "recipient", world_hash("recipient"), "categories", "health", "people",
                     (json_int_t)people, "until", (json_int_t)1700000000, "set", world_hash("people"));
}

static void us_exact(struct world *w)
{
    edit(w, WORLD_H2, "charge", 0, "us", us_persons(569));
}

static void us_with_more(struct world *w)
{
    json_t *us = us_persons(600);

    json_object_set_new(us, "who", json_string("x"));
    edit(w, WORLD_H2, "charge", 0, "us", us);
}

static void nobody_counted(struct world *w)
{
    edit(w, WORLD_H2, "charge", 0, "people", json_array());
}

static void exporter_unnamed(struct world *w)
{
    json_object_del(world_at(w, WORLD_H2, "charge", 0)->members, "exporter");
}

static void coordinator_unnamed(struct world *w)
{
    json_object_del(world_at(w, WORLD_HUB, "round_result", 1)->members, "build");
}

static void type_unknown(struct world *w)
{
    world_add(w, WORLD_H2, world_leaf(w, "pardon", json_pack("{s:s}", "reason", "x"), "h2", w->h2));
}

static void type_of_another_log(struct world *w)
{
    world_add(w, WORLD_H2, world_at(w, WORLD_HUB, "round_open", 0));
}

static void second_genesis(struct world *w)
{
    world_add(w, WORLD_H2, world_at(w, WORLD_H2, "genesis", 0));
}

static void genesis_missing(struct world *w)
{
    world_remove(w, WORLD_H2, 0);
}

static void genesis_of_another(struct world *w)
{
    w->log[WORLD_H2].leaf[0] = world_at(w, WORLD_H1, "genesis", 0);
}

static void signer_unknown(struct world *w)
{
    world_at(w, WORLD_H2, "charge", 0)->key = w->mallory;
}

static void signer_takes_a_name(struct world *w)
{
    snprintf(world_at(w, WORLD_H2, "incident", 0)->by, 64, "h1");
}

static void add_incident(struct world *w)
{
    world_add(w, WORLD_H2, world_leaf(w, "incident", json_pack("{s:s}", "reason", "x"), "h2", w->h2));
    signer_takes_a_name(w);
}

static void policy_of_the_sponsor(struct world *w)
{
    struct world_leaf *l = world_at(w, WORLD_H2, "policy", 0);

    l->key = w->sponsor;
    snprintf(l->by, sizeof(l->by), "acme");
}

static void plan_of_nobody(struct world *w)
{
    world_at(w, WORLD_HUB, "plan", 0)->key = w->mallory;
}

static void enrolled_too_late(struct world *w)
{
    size_t at = world_find(w, WORLD_HUB, "enrol", 2);
    struct world_leaf *enrol = w->log[WORLD_HUB].leaf[at];

    world_remove(w, WORLD_HUB, at);
    world_add(w, WORLD_HUB, enrol);
}

static void other_identity(struct world *w)
{
    const struct world_leaf *genesis = world_at(w, WORLD_H1, "genesis", 0);

    edit(w, WORLD_HUB, "enrol", 2, "identity_key", json_copy(json_object_get(genesis->members, "identity_key")));
}

/* ---- budget ---- */

static void more(struct world *w, int log, size_t nth, const char *member, int64_t by)
{
    json_t *value = json_object_get(world_at(w, log, "charge", nth)->members, member);

    json_integer_set(value, json_integer_value(value) + by);
}

static void round_epsilon_lowered(struct world *w)
{
    more(w, WORLD_H1, 0, "epsilon_round_micro", -1);
}

static void spent_lowered(struct world *w)
{
    more(w, WORLD_H1, 1, "epsilon_spent_micro", -1);
}

static void spent_raised(struct world *w)
{
    more(w, WORLD_H1, 1, "epsilon_spent_micro", 1);
}

static void less_noise(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "noise_variance", json_string("281474976710656"));
}

/* A metric of the same patients, said beside a figure that leaves it out. */
static json_t *metric_event(const char *use)
{
    return json_pack("[{s:s,s:s,s:s,s:i}]", "for", use, "noise_variance", "4503599627370496", "sampling_k",
                     "18446744073709551615", "steps", 1);
}

static void metric_not_in_the_figure(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "also", metric_event("metric"));
}

static void event_for_nothing_known(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "also", metric_event("marketing"));
}

static void event_without_steps(struct world *w)
{
    json_t *list = metric_event("metric");

    json_object_del(json_array_get(list, 0), "steps");
    edit(w, WORLD_H1, "charge", 0, "also", list);
}

static void events_without_end(struct world *w)
{
    json_t *list = metric_event("metric");

    while (json_array_size(list) < 5)
        json_array_append(list, json_array_get(list, 0));
    edit(w, WORLD_H1, "charge", 0, "also", list);
}

static void cap_raised_in_the_charge(struct world *w)
{
    more(w, WORLD_H1, 0, "epsilon_cap_micro", 1);
}

static void delta_of_its_own(struct world *w)
{
    more(w, WORLD_H1, 0, "delta_e18", 1);
}

static void over_the_cap(struct world *w)
{
    int64_t spent =
        json_integer_value(json_object_get(world_at(w, WORLD_H1, "charge", 1)->members, "epsilon_spent_micro"));

    edit(w, WORLD_H1, "policy", 0, "epsilon_cap_micro", json_integer(spent - 1));
    edit(w, WORLD_H1, "charge", 0, "epsilon_cap_micro", json_integer(spent - 1));
    edit(w, WORLD_H1, "charge", 1, "epsilon_cap_micro", json_integer(spent - 1));
}

static void add_policy(struct world *w, int64_t order_milli)
{
    json_t *members = json_copy(world_at(w, WORLD_H1, "policy", 0)->members);

    json_object_set_new(members, "order_milli", json_integer(order_milli));
    world_add(w, WORLD_H1, world_leaf(w, "policy", members, "h1", w->h1));
}

static void order_changed_later(struct world *w)
{
    add_policy(w, 7500);
}

static void order_off_the_grid(struct world *w)
{
    edit(w, WORLD_H1, "policy", 0, "order_milli", json_integer(4101));
}

static void order_off_the_grid_later(struct world *w)
{
    add_policy(w, 4101);
}

static void order_missing(struct world *w)
{
    json_object_del(world_at(w, WORLD_H1, "policy", 0)->members, "order_milli");
}

/* What these charges would cost had they been fixed beforehand: not what a cap goes by. */
static void spent_over_all_orders(struct world *w)
{
    json_t *round = json_object_get(world_at(w, WORLD_H1, "charge", 0)->members, "epsilon_round_micro");

    edit(w, WORLD_H1, "charge", 0, "epsilon_spent_micro", json_copy(round));
}

static void edit_all(struct world *w, const char *member, int64_t value)
{
    edit(w, WORLD_H1, "policy", 0, member, json_integer(value));
    for (size_t i = 0; i < 2; i++)
        edit(w, WORLD_H1, "charge", i, member, json_integer(value));
}

static struct world_leaf * override(struct world *w, const char *subject, int64_t epsilon_micro)
{
    return world_leaf(w, "override",
                      json_pack("{s:s,s:I,s:s,s:[]}", "subject", subject, "epsilon_micro", (json_int_t)epsilon_micro,
                                "reason", "a trial on public data", "seals"),
                      "h1", w->h1);
}

/* ---- offices ---- */

enum { SEALED_AT = 1700000000 };

static struct world_leaf *office_key(struct world *w, const char *office, const struct ym_key *key)
{
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_buf text = {0};
    struct world_leaf *leaf;

    ym_key_public(key, pub);
    assert_int_equal(ym_base64_encode(pub, sizeof pub, &text), YM_OK);
    leaf =
        world_leaf(w, "rotate", json_pack("{s:s,s:s,s:[]}", "office", office, "public_key", ym_buf_str(&text), "seals"),
                   "h1", w->h1);
    ym_buf_release(&text);
    return leaf;
}

static void seal_with(struct world *w, struct world_leaf *leaf, enum ym_office office, const struct ym_key *key,
                      int64_t time)
{
    json_t *seal = NULL;

    (void)w;
    assert_int_equal(ym_seal_make(leaf->type, leaf->by, leaf->members, office, time, key, &seal, NULL), YM_OK);
    json_array_append_new(json_object_get(leaf->members, "seals"), seal);
}

/* h1 has keys of IT and the data office before it approves. */
static struct world_leaf *with_offices(struct world *w)
{
    size_t at = world_find(w, WORLD_H1, "approval", 0);

    world_insert(w, WORLD_H1, at, office_key(w, "it", w->mallory));
    world_insert(w, WORLD_H1, at + 1, office_key(w, "data_office", w->sponsor));
    return world_at(w, WORLD_H1, "approval", 0);
}

static void sealed_approval(struct world *w)
{
    struct world_leaf *yes = with_offices(w);

    seal_with(w, yes, YM_OFFICE_IT, w->mallory, SEALED_AT);
    seal_with(w, yes, YM_OFFICE_DATA_OFFICE, w->sponsor, SEALED_AT - 30 * 86400);
}

static void unsealed_approval(struct world *w)
{
    with_offices(w);
}

static void approval_with_one_seal(struct world *w)
{
    seal_with(w, with_offices(w), YM_OFFICE_IT, w->mallory, SEALED_AT);
}

static void approval_sealed_twice_by_one(struct world *w)
{
    struct world_leaf *yes = with_offices(w);

    seal_with(w, yes, YM_OFFICE_IT, w->mallory, SEALED_AT);
    seal_with(w, yes, YM_OFFICE_IT, w->mallory, SEALED_AT - 1);
}

static void seal_of_another_key(struct world *w)
{
    struct world_leaf *yes = with_offices(w);

    seal_with(w, yes, YM_OFFICE_IT, w->mallory, SEALED_AT);
    seal_with(w, yes, YM_OFFICE_DATA_OFFICE, w->h2, SEALED_AT);
}

static void seal_of_other_words(struct world *w)
{
    sealed_approval(w);
    edit(w, WORLD_H1, "approval", 0, "epsilon_micro", json_integer(4000000));
}

static void seal_of_last_year(struct world *w)
{
    struct world_leaf *yes = with_offices(w);

    seal_with(w, yes, YM_OFFICE_IT, w->mallory, SEALED_AT);
    seal_with(w, yes, YM_OFFICE_DATA_OFFICE, w->sponsor, SEALED_AT - 30 * 86400 - 1);
}

static void seal_of_ahead(struct world *w)
{
    struct world_leaf *yes = with_offices(w);

    seal_with(w, yes, YM_OFFICE_IT, w->mallory, SEALED_AT);
    seal_with(w, yes, YM_OFFICE_DATA_OFFICE, w->sponsor, SEALED_AT + 301);
}

static struct world_leaf *second_policy(struct world *w, int64_t month)
{
    json_t *members = json_deep_copy(world_at(w, WORLD_H1, "policy", 0)->members);
    struct world_leaf *leaf;

    json_object_set_new(members, "epsilon_month_micro", json_integer(month));
    leaf = world_leaf(w, "policy", members, "h1", w->h1);
    world_add(w, WORLD_H1, leaf);
    return leaf;
}

static void raised_month_unsealed(struct world *w)
{
    sealed_approval(w);
    second_policy(w, w->cap_micro + 1);
}

static void other_terms_unsealed(struct world *w)
{
    sealed_approval(w);
    json_object_set_new(second_policy(w, w->cap_micro)->members, "terms", json_pack("{s:s}", "sponsors", "any"));
}

static void lowered_month_unsealed(struct world *w)
{
    second_policy(w, w->cap_micro - 1);
}

static void raise(struct world *w)
{
    struct world_leaf *policy = second_policy(w, w->cap_micro + 1);

    seal_with(w, policy, YM_OFFICE_IT, w->mallory, SEALED_AT);
    seal_with(w, policy, YM_OFFICE_DATA_OFFICE, w->sponsor, SEALED_AT);
}

/* What two sealed once, entered again after it was taken back. */
static void seals_used_again(struct world *w)
{
    sealed_approval(w);
    raise(w);
    second_policy(w, w->cap_micro);
    raise(w);
}

static void third_key_unsealed(struct world *w)
{
    sealed_approval(w);
    world_add(w, WORLD_H1, office_key(w, "ethics", w->hub));
}

static void one_key_for_two(struct world *w)
{
    struct world_leaf *third = office_key(w, "ethics", w->sponsor);

    sealed_approval(w);
    seal_with(w, third, YM_OFFICE_IT, w->mallory, SEALED_AT);
    seal_with(w, third, YM_OFFICE_DATA_OFFICE, w->sponsor, SEALED_AT);
    world_add(w, WORLD_H1, third);
}

static void data_office_closed(struct world *w)
{
    json_t *members = json_pack("{s:s,s:s,s:[]}", "office", "data_office", "public_key", "", "seals");

    sealed_approval(w);
    world_add(w, WORLD_H1, world_leaf(w, "rotate", members, "h1", w->h1));
}

static void its_own_replacement(struct world *w)
{
    struct world_leaf *again = office_key(w, "it", w->h2);

    sealed_approval(w);
    seal_with(w, again, YM_OFFICE_IT, w->mallory, SEALED_AT);
    seal_with(w, again, YM_OFFICE_DATA_OFFICE, w->sponsor, SEALED_AT);
    world_add(w, WORLD_H1, again);
}

static void rules_without_the_data_office(struct world *w)
{
    struct world_leaf *set;

    sealed_approval(w);
    set =
        world_leaf(w, "ruleset",
                   json_pack("{s:s,s:i,s:s,s:s,s:b,s:b,s:{},s:[]}", "name", "n", "version", 1, "file", world_hash("f"),
                             "effective_from", "2026-01-01", "draft", 0, "withdrawn", 0, "limits", "seals"),
                   "h1", w->h1);
    seal_with(w, set, YM_OFFICE_IT, w->mallory, SEALED_AT);
    world_add(w, WORLD_H1, set);
}

static void document_of_ethics_by_the_data_office(struct world *w)
{
    struct world_leaf *paper;

    sealed_approval(w);
    paper = world_leaf(w, "dossier",
                       json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:{},s:b,s:s,s:s,s:s,s:s,s:s,s:{},s:s,s:[]}",
                                 "record", "ethics", "document", world_hash("d"), "issuer", "i", "number", "1", "study",
                                 "wdbc", "dataset", "a", "valid_from", "2026-01-01", "valid_until", "2027-01-01",
                                 "material", "withdrawn", 0, "filed", "", "province", "", "recipients", "",
                                 "categories", "", "committee", "9", "topics", "renews", world_hash("none"), "seals"),
                       "h1", w->h1);
    seal_with(w, paper, YM_OFFICE_DATA_OFFICE, w->sponsor, SEALED_AT);
    world_add(w, WORLD_H1, paper);
}

static void cap_above_twenty(struct world *w)
{
    edit_all(w, "epsilon_cap_micro", 20000001);
}

static void cap_above_its_override(struct world *w)
{
    edit_all(w, "epsilon_cap_micro", 30000001);
    world_insert(w, WORLD_H1, 1, override(w, "policy", 30000000));
}

static void override_after_the_policy(struct world *w)
{
    edit_all(w, "epsilon_cap_micro", 30000000);
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "policy", 0) + 1, override(w, "policy", 30000000));
}

static void plan_above_twenty(struct world *w)
{
    edit(w, WORLD_H1, "approval", 0, "epsilon_micro", json_integer(20000001));
}

static void override_of_another_plan(struct world *w)
{
    plan_above_twenty(w);
    world_insert(w, WORLD_H1, 1, override(w, world_hash("another plan"), 40000000));
}

static void override_by_another(struct world *w)
{
    struct world_leaf *l = override(w, "policy", 30000000);

    l->key = w->h2;
    l->by[1] = '2';
    world_insert(w, WORLD_H1, 1, l);
}

static void small_class(struct world *w)
{
    json_object_set_new(json_object_get(world_at(w, WORLD_H1, "dataset_card", 0)->members, "public"), "size_class",
                        json_string("of some size"));
}

static void month_without_room(struct world *w)
{
    edit(w, WORLD_H1, "policy", 0, "epsilon_month_micro", json_integer(100));
}

static void month_moved_by_another(struct world *w)
{
    struct world_leaf *moved =
        world_leaf(w, "plan", json_copy(world_at(w, WORLD_H1, "plan", 0)->members), "acme", w->sponsor);

    json_object_set_new(moved->members, "study", json_string("another"));
    moved->time = 1900000000;
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), moved);
    month_without_room(w);
}

static void identified_otherwise(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "identified", json_string("national_id"));
}

static void identified_by_nothing(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "identified", json_string("name"));
}

static void policy_after_the_charge(struct world *w)
{
    size_t at = world_find(w, WORLD_H1, "policy", 0);
    struct world_leaf *policy = w->log[WORLD_H1].leaf[at];

    world_remove(w, WORLD_H1, at);
    world_add(w, WORLD_H1, policy);
}

static void card_missing(struct world *w)
{
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "dataset_card", 0));
}

static void other_data(struct world *w)
{
    edit(w, WORLD_H1, "dataset_card", 0, "data", json_string(world_hash("other rows")));
}

static void approval_missing(struct world *w)
{
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "approval", 0));
}

static struct world_leaf *veto(struct world *w)
{
    return world_leaf(w, "veto", json_pack("{s:s,s:s}", "study", "wdbc", "plan", w->plan), "h1", w->h1);
}

static void vetoed_before(struct world *w)
{
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), veto(w));
}

static void vetoed_before_at_the_hub(struct world *w)
{
    struct world_leaf *no = veto(w);

    no->time--;
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "charge", 0), no);
}

static void charged_twice(struct world *w)
{
    json_t *again = world_charge(w, "wdbc", 2, 1, w->state[1], "a", 3);

    world_add(w, WORLD_H1, world_leaf(w, "charge", again, "h1", w->h1));
}

static void charge_after_release(struct world *w)
{
    size_t at = world_find(w, WORLD_H1, "charge", 1);
    struct world_leaf *charge = w->log[WORLD_H1].leaf[at];

    world_remove(w, WORLD_H1, at);
    world_add(w, WORLD_H1, charge);
}

static void release_on_nothing(struct world *w)
{
    struct world_leaf *l = world_at(w, WORLD_H1, "release", 1);

    l->charge = NULL;
    json_object_set_new(l->members, "charge", json_string(world_hash("nothing")));
}

static void released_twice(struct world *w)
{
    struct world_leaf *first = world_at(w, WORLD_H1, "release", 1), *again;

    again = world_leaf(w, "release", json_copy(first->members), "h1", w->h1);
    again->charge = first->charge;
    json_object_set_new(again->members, "update", json_string(world_hash("another update")));
    world_add(w, WORLD_H1, again);
}

static void release_of_another_round(struct world *w)
{
    edit(w, WORLD_H1, "release", 1, "round", json_integer(1));
}

static void charge_hidden(struct world *w)
{
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "release", 0));
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 0));
}

static void charge_hidden_but_at_the_hub(struct world *w)
{
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "release", 1));
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1));
}

static void two_stories(struct world *w)
{
    struct world_leaf *own = world_at(w, WORLD_H1, "charge", 1), *told;
    struct world_leaf *release = world_at(w, WORLD_H1, "release", 1), *told_release;

    told = world_leaf(w, "charge", json_copy(own->members), "h1", w->h1);
    json_object_set_new(told->members, "sandbox", json_string("none"));
    told_release = world_leaf(w, "release", json_copy(release->members), "h1", w->h1);
    told_release->charge = told;
    w->log[WORLD_HUB].leaf[world_find(w, WORLD_HUB, "charge", 2)] = told;
    w->log[WORLD_HUB].leaf[world_find(w, WORLD_HUB, "release", 2)] = told_release;
}

/* Two noised sums for the price of one: one written down, another given away. */
static void another_release_at_the_hub(struct world *w)
{
    struct world_leaf *own = world_at(w, WORLD_H1, "release", 1), *told;

    told = world_leaf(w, "release", json_copy(own->members), "h1", w->h1);
    told->charge = own->charge;
    json_object_set_new(told->members, "update", json_string(world_hash("another update")));
    w->log[WORLD_HUB].leaf[world_find(w, WORLD_HUB, "release", 2)] = told;
}

static void release_hidden_but_at_the_hub(struct world *w)
{
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "release", 1));
}

/* ---- model chain ---- */

static void plan_missing(struct world *w)
{
    world_remove(w, WORLD_HUB, world_find(w, WORLD_HUB, "plan", 0));
}

static void round_on_another_plan(struct world *w)
{
    edit(w, WORLD_HUB, "round_open", 1, "plan", json_string(world_hash("other plan")));
}

static void round_left_out(struct world *w)
{
    edit(w, WORLD_HUB, "round_open", 1, "round", json_integer(3));
}

static void attempt_goes_back(struct world *w)
{
    struct world_leaf *open = world_at(w, WORLD_HUB, "round_open", 0);

    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "round_open", 0) + 1, open);
}

static void round_on_another_state(struct world *w)
{
    edit(w, WORLD_HUB, "round_open", 1, "state", json_string(world_hash("other state")));
}

static void result_on_another_state(struct world *w)
{
    edit(w, WORLD_HUB, "round_result", 0, "state_before", json_string(world_hash("other state")));
}

static void result_of_nothing(struct world *w)
{
    world_remove(w, WORLD_HUB, world_find(w, WORLD_HUB, "round_open", 1));
}

static void result_of_another_attempt(struct world *w)
{
    edit(w, WORLD_HUB, "round_result", 1, "attempt", json_integer(2));
}

static void result_after_abort(struct world *w)
{
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "round_result", 1),
                 world_leaf(w, "abort",
                            json_pack("{s:s,s:i,s:i,s:s,s:b}", "study", "wdbc", "round", 2, "attempt", 1, "reason",
                                      "quorum", "final", 0),
                            "hub", w->hub));
}

static void result_twice(struct world *w)
{
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "round_result", 0) + 1,
                 world_at(w, WORLD_HUB, "round_result", 0));
}

static void survivor_not_asked(struct world *w)
{
    json_array_remove(json_object_get(world_at(w, WORLD_HUB, "round_open", 1)->members, "roster"), 1);
}

static void survivor_also_left_out(struct world *w)
{
    edit(w, WORLD_HUB, "round_result", 1, "left_out", json_pack("[s]", "h2"));
}

static void survivor_not_charged(struct world *w)
{
    world_remove(w, WORLD_HUB, world_find(w, WORLD_HUB, "release", 3));
    world_remove(w, WORLD_HUB, world_find(w, WORLD_HUB, "charge", 3));
}

/* A plan that is cheaper, or that nobody has the text of, approved beside the study's own. */
static void charged_for_another_plan(struct world *w)
{
    struct world_leaf *approval = world_at(w, WORLD_H2, "approval", 0), *other;

    other = world_leaf(w, "approval", json_copy(approval->members), "h2", w->h2);
    json_object_set_new(other->members, "plan", json_string(world_hash("cheaper plan")));
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "round_open", 1), other);
    world_insert(w, WORLD_H2, world_find(w, WORLD_H2, "charge", 1), other);
    edit(w, WORLD_HUB, "charge", 3, "plan", json_string(world_hash("cheaper plan")));
    edit(w, WORLD_HUB, "release", 3, "plan", json_string(world_hash("cheaper plan")));
}

static void charged_for_another_state(struct world *w)
{
    edit(w, WORLD_HUB, "charge", 3, "state", json_string(world_hash("other state")));
    edit(w, WORLD_HUB, "release", 3, "state", json_string(world_hash("other state")));
}

static void survivor_not_released(struct world *w)
{
    world_remove(w, WORLD_HUB, world_find(w, WORLD_HUB, "release", 3));
}

static void goes_on_after_the_last(struct world *w)
{
    struct world_leaf *last = world_at(w, WORLD_HUB, "round_open", 1);
    struct world_leaf *more_rounds = world_leaf(w, "round_open", json_copy(last->members), "hub", w->hub);

    json_object_set_new(more_rounds->members, "round", json_integer(3));
    json_object_set_new(more_rounds->members, "state", json_string(w->state[2]));
    world_add(w, WORLD_HUB, more_rounds);
}

/* ---- files, again ---- */

static void put_older(const struct world *w, const struct ym_buf *note)
{
    char path[192];

    snprintf(path, sizeof(path), "%s/older", w->dir);
    assert_int_equal(ym_fs_write(path, ym_buf_bytes(note), 0644, NULL), YM_OK);
}

/* What the auditor kept from an earlier visit is of another history: one log, two views. */
static void split_view(struct world *w)
{
    struct ym_buf other = {0};
    size_t at = world_find(w, WORLD_HUB, "round_result", 0);
    struct world_leaf *result = w->log[WORLD_HUB].leaf[at];

    world_remove(w, WORLD_HUB, at);
    world_write_log(w, WORLD_HUB);
    load(w, WORLD_HUB, "checkpoint", &other);
    world_insert(w, WORLD_HUB, at, result);
    world_write_log(w, WORLD_HUB);
    put_older(w, &other);
    ym_buf_release(&other);
}

/* Set back as a whole and signed anew; the auditor's own checkpoint is larger. */
static void set_back_behind_an_older_checkpoint(struct world *w)
{
    struct ym_buf kept = {0};

    load(w, WORLD_H2, "checkpoint", &kept);
    world_remove(w, WORLD_H2, world_find(w, WORLD_H2, "release", 1));
    drop(w, WORLD_H2, "tile/entries/000.p/" H2_SIZE);
    world_write_log(w, WORLD_H2);
    put_older(w, &kept);
    ym_buf_release(&kept);
}

static void older_checkpoint_changed(struct world *w)
{
    struct ym_buf b = {0};
    char *size;

    load(w, WORLD_H2, "checkpoint", &b);
    size = strchr((char *)b.data, '\n') + 1;
    assert_int_equal(*size, H2_SIZE[0]);
    *size = '9';
    put_older(w, &b);
    ym_buf_release(&b);
}

static void older_checkpoint_of_another_key(struct world *w)
{
    struct ym_buf b = {0};

    root_signed_by_another(w);
    load(w, WORLD_H1, "checkpoint", &b);
    world_write_log(w, WORLD_H1);
    put_older(w, &b);
    ym_buf_release(&b);
}

static void append_bytes(struct world *w, int log, const char *name, const void *data, size_t len)
{
    struct ym_buf b = {0};

    load(w, log, name, &b);
    assert_int_equal(ym_buf_append(&b, data, len), YM_OK);
    store(w, log, name, b.data, b.len);
    ym_buf_release(&b);
}

static void bundle_with_a_byte_more(struct world *w)
{
    append_bytes(w, WORLD_H2, "tile/entries/000.p/" H2_SIZE, "", 1);
}

static void bundle_with_an_empty_entry_more(struct world *w)
{
    append_bytes(w, WORLD_H2, "tile/entries/000.p/" H2_SIZE, "\0", 2);
}

static void tile_overlong(struct world *w)
{
    append_bytes(w, WORLD_H2, "tile/0/000.p/" H2_SIZE, w->plan, 32);
}

static void rename_in(struct world *w, int log, const char *from, const char *to)
{
    struct ym_buf b = {0};

    load(w, log, from, &b);
    drop(w, log, from);
    store(w, log, to, b.data, b.len);
    ym_buf_release(&b);
}

static void bundle_promises_more(struct world *w)
{
    rename_in(w, WORLD_H2, "tile/entries/000.p/" H2_SIZE, "tile/entries/000.p/" H2_MORE);
}

static void bundle_promises_all(struct world *w)
{
    rename_in(w, WORLD_H2, "tile/entries/000.p/" H2_SIZE, "tile/entries/000");
}

static void tile_of_another_width(struct world *w)
{
    rename_in(w, WORLD_H2, "tile/0/000.p/" H2_SIZE, "tile/0/000.p/" H2_LESS);
}

static void partial_tile_flipped(struct world *w)
{
    flip(w, WORLD_H2, "tile/0/000.p/" H2_SIZE, 8 * 32);
}

/* Text in the checkpoint's place, the rest as it is. */
static void respell_checkpoint(struct world *w, const char *from, const char *to, size_t to_len)
{
    struct ym_buf b = {0}, c = {0};
    char *hit;

    load(w, WORLD_H2, "checkpoint", &b);
    hit = strstr((char *)b.data, from);
    assert_non_null(hit);
    ym_buf_append(&c, b.data, (size_t)(hit - (char *)b.data));
    ym_buf_append(&c, to, to_len);
    ym_buf_append(&c, hit + strlen(from), b.len - (size_t)(hit - (char *)b.data) - strlen(from));
    store(w, WORLD_H2, "checkpoint", c.data, c.len);
    ym_buf_release(&b);
    ym_buf_release(&c);
}

static void checkpoint_size_with_a_zero(struct world *w)
{
    respell_checkpoint(w, "\n" H2_SIZE "\n", "\n0" H2_SIZE "\n", strlen("\n0" H2_SIZE "\n"));
}

static void checkpoint_size_beyond_64_bits(struct world *w)
{
    respell_checkpoint(w, "\n" H2_SIZE "\n", "\n99999999999999999999\n", 22);
}

static void checkpoint_size_raised(struct world *w)
{
    respell_checkpoint(w, "\n" H2_SIZE "\n", "\n" H2_MORE "\n", strlen("\n" H2_MORE "\n"));
}

static void checkpoint_root_no_base64(struct world *w)
{
    respell_checkpoint(w, "=\n\n", "\n\n", 2);
}

static void checkpoint_with_nul(struct world *w)
{
    respell_checkpoint(w, "hospital/h2\n", "hospital\0h2\n", 12);
}

static void checkpoint_of_another_origin(struct world *w)
{
    respell_checkpoint(w, "hospital/h2\n", "hospital/h1\n", 12);
}

static void checkpoint_without_signatures(struct world *w)
{
    struct ym_buf b = {0};

    load(w, WORLD_H2, "checkpoint", &b);
    store(w, WORLD_H2, "checkpoint", b.data, (size_t)(strstr((char *)b.data, "\n\n") + 2 - (char *)b.data));
    ym_buf_release(&b);
}

static void checkpoint_by_another_key_id(struct world *w)
{
    struct ym_buf b = {0};
    char *line;

    load(w, WORLD_H2, "checkpoint", &b);
    line = strstr((char *)b.data, "h2 ") + 3; /* of the signature line: base64 of key id and signature */
    *line = *line == 'A' ? 'B' : 'A';
    store(w, WORLD_H2, "checkpoint", b.data, b.len);
    ym_buf_release(&b);
}

/* ---- spelling, again ---- */

static void nul_escaped(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"unit\":\"patient\"", "\"unit\":\"pat\\u0000ient\"");
}

static void escape_in_lower_case(struct world *w)
{
    respell(w, WORLD_H2, "dataset_card", "\\u4E73", "\\u4e73");
}

static void surrogate_alone(struct world *w)
{
    respell(w, WORLD_H2, "dataset_card", "\\u4E73", "\\uD834");
}

static void integer_beyond_64_bits(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"min_patients\":20", "\"min_patients\":9223372036854775808");
}

static void integer_with_a_zero(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"min_patients\":20", "\"min_patients\":020");
}

static void minus_zero(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"min_patients\":20", "\"min_patients\":-0");
}

static void signature_no_base64(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"sig\":\"", "\"sig\":\"-");
}

static void newline_at_the_end(struct world *w)
{
    respell(w, WORLD_H2, "policy", "==\"}", "==\"}\n");
}

static void number_as_text(struct world *w)
{
    edit(w, WORLD_H2, "policy", 0, "min_patients", json_string("20"));
}

static void truth_as_number(struct world *w)
{
    edit(w, WORLD_HUB, "round_result", 1, "last", json_integer(1));
}

static void hash_in_upper_case(struct world *w)
{
    char *upper = strdup(json_string_value(json_object_get(world_at(w, WORLD_H2, "charge", 0)->members, "data")));

    for (char *c = upper; *c; c++)
        *c = *c >= 'a' ? (char)(*c - 32) : *c;
    edit(w, WORLD_H2, "charge", 0, "data", json_string(upper));
    free(upper);
}

static void hash_too_short(struct world *w)
{
    edit(w, WORLD_H2, "charge", 0, "plan", json_string("00"));
}

static void name_in_upper_case(struct world *w)
{
    edit(w, WORLD_H2, "approval", 0, "dataset", json_string("B"));
}

static void survivor_twice(struct world *w)
{
    edit(w, WORLD_HUB, "round_result", 1, "survivors", json_pack("[s,s]", "h1", "h1"));
}

static void survivors_no_list(struct world *w)
{
    edit(w, WORLD_HUB, "round_result", 1, "survivors", json_string("h1 h2"));
}

static void round_zero(struct world *w)
{
    edit(w, WORLD_HUB, "round_open", 0, "round", json_integer(0));
}

static void time_before_all_time(struct world *w)
{
    respell(w, WORLD_H2, "policy", "\"time\":1700000000", "\"time\":-1");
}

static void charge_member(struct world *w, const char *member, const char *text)
{
    edit(w, WORLD_H1, "charge", 0, member, json_string(text));
}

static void another_mechanism(struct world *w)
{
    charge_member(w, "mechanism", "laplace");
}

static void another_unit(struct world *w)
{
    charge_member(w, "unit", "record");
}

static void another_relation(struct world *w)
{
    charge_member(w, "relation", "replace-one");
}

static void another_accountant(struct world *w)
{
    charge_member(w, "accountant", "rdp/0");
}

static void another_route(struct world *w)
{
    charge_member(w, "route", "hoped");
}

static void clip_twice_as_wide(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "clip_units", json_integer(1 << 25));
}

static void no_noise(struct world *w)
{
    charge_member(w, "noise_variance", "0");
}

static void no_sampling(struct world *w)
{
    charge_member(w, "sampling_k", "0");
}

static void sampling_above_one(struct world *w)
{
    charge_member(w, "sampling_k", "18446744073709551616");
}

static void sampling_lowered(struct world *w)
{
    charge_member(w, "sampling_k", "1152921504606846976");
}

static void no_steps(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "steps", json_integer(0));
}

static void fewer_steps(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "steps", json_integer(19));
}

static void delta_of_one(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "delta_e18", json_integer(1000000000000000000));
}

/* ---- who signs, again ---- */

static void charge_by_the_hub(struct world *w)
{
    struct world_leaf *l = world_at(w, WORLD_HUB, "charge", 0);

    l->key = w->hub;
    snprintf(l->by, sizeof(l->by), "hub");
}

static void charge_of_the_neighbour(struct world *w)
{
    world_add(w, WORLD_H1, world_at(w, WORLD_H2, "charge", 0));
}

static void result_by_a_hospital(struct world *w)
{
    struct world_leaf *l = world_at(w, WORLD_HUB, "round_result", 0);

    l->key = w->h1;
    snprintf(l->by, sizeof(l->by), "h1");
}

static void abort_by_a_hospital(struct world *w)
{
    world_add(w, WORLD_HUB,
              world_leaf(w, "abort",
                         json_pack("{s:s,s:i,s:i,s:s,s:b}", "study", "wdbc", "round", 2, "attempt", 1, "reason", "no",
                                   "final", 1),
                         "h1", w->h1));
}

static void enrol_by_mallory(struct world *w)
{
    struct world_leaf *own = world_at(w, WORLD_H1, "enrol", 0);
    struct world_leaf *l = world_leaf(w, "enrol", json_copy(own->members), "hub", w->mallory);

    w->log[WORLD_H1].leaf[world_find(w, WORLD_H1, "enrol", 0)] = l;
}

static void release_on_the_neighbours_charge(struct world *w)
{
    struct world_leaf *l = world_at(w, WORLD_HUB, "release", 0);

    l->charge = world_at(w, WORLD_H2, "charge", 0);
    world_remove(w, WORLD_HUB, world_find(w, WORLD_HUB, "charge", 1));
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "charge", 0), (struct world_leaf *)l->charge);
}

/* ---- consent, again ---- */

/* The hub enters the hospital's old approval once more, behind the veto. */
static void approval_replayed(struct world *w)
{
    size_t at = world_find(w, WORLD_HUB, "round_open", 0);
    struct world_leaf *yes = world_at(w, WORLD_HUB, "approval", 0), *no = veto(w);

    no->time = 0;
    world_insert(w, WORLD_HUB, at, yes);
    world_insert(w, WORLD_HUB, at, no);
}

static void approved_for_other_data(struct world *w)
{
    edit(w, WORLD_H1, "approval", 0, "data", json_string(world_hash("other rows")));
}

static void approved_for_another_data_set(struct world *w)
{
    edit(w, WORLD_H1, "approval", 0, "dataset", json_string("c"));
}

static void approved_another_plan(struct world *w)
{
    edit(w, WORLD_H1, "approval", 0, "plan", json_string(world_hash("other plan")));
}

static void approval_after_the_charge(struct world *w)
{
    size_t at = world_find(w, WORLD_H1, "approval", 0);
    struct world_leaf *yes = w->log[WORLD_H1].leaf[at];

    world_remove(w, WORLD_H1, at);
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 0) + 1, yes);
}

static struct world_leaf *pause_leaf(struct world *w, bool paused)
{
    return world_leaf(w, "pause", json_pack("{s:s,s:b}", "study", "wdbc", "paused", paused), "h1", w->h1);
}

static void charged_while_paused(struct world *w)
{
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), pause_leaf(w, true));
    world_add(w, WORLD_H1, pause_leaf(w, false));
}

static void cohort_below_the_policy(struct world *w)
{
    edit(w, WORLD_H1, "policy", 0, "min_patients", json_integer(2000));
}

static void new_policy(struct world *w, const char *member, int64_t value)
{
    json_t *members = json_copy(world_at(w, WORLD_H1, "policy", 0)->members);

    json_object_set_new(members, member, json_integer(value));
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), world_leaf(w, "policy", members, "h1", w->h1));
}

static void cap_lowered_between(struct world *w)
{
    new_policy(w, "epsilon_cap_micro", 100000);
}

static void cap_lowered_below_what_is_spent(struct world *w)
{
    new_policy(w, "epsilon_cap_micro", 100000);
    edit(w, WORLD_H1, "charge", 1, "epsilon_cap_micro", json_integer(100000));
}

static void delta_changed_between(struct world *w)
{
    new_policy(w, "delta_e18", w->delta_e18 / 2);
}

static int64_t said(struct world *w, size_t nth, const char *member)
{
    return json_integer_value(json_object_get(world_at(w, WORLD_H1, "charge", nth)->members, member));
}

/* Room for one charge a month; the clock goes a month on and back again. */
static void clock_set_back(struct world *w)
{
    int64_t one = said(w, 1, "epsilon_spent_micro") - said(w, 0, "epsilon_spent_micro");

    world_at(w, WORLD_H1, "charge", 0)->time += 31 * 86400;
    edit(w, WORLD_H1, "policy", 0, "epsilon_month_micro", json_integer(one + one / 2));
}

static void attempt_charged_again_under_another_number(struct world *w)
{
    json_t *again = world_charge(w, "wdbc", 2, 2, w->state[1], "a", 2); /* as if the second charge had not been */

    world_add(w, WORLD_H1, world_leaf(w, "charge", again, "h1", w->h1));
}

static void fresh_data_set_for_old_patients(struct world *w)
{
    struct world_leaf *card = world_at(w, WORLD_H1, "dataset_card", 0), *other;
    json_t *members = json_deep_copy(card->members);

    json_object_set_new(members, "group", json_pack("[s,s]", "a", "c"));
    json_object_set_new(members, "dataset", json_string("c"));
    json_object_set_new(members, "data", json_string(world_hash("c")));
    other = world_leaf(w, "dataset_card", members, "h1", w->h1);
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), other);
    members = json_copy(world_at(w, WORLD_H1, "approval", 0)->members);
    json_object_set_new(members, "study", json_string("other"));
    json_object_set_new(members, "dataset", json_string("c"));
    json_object_set_new(members, "data", json_string(world_hash("c")));
    world_add(w, WORLD_H1, world_leaf(w, "approval", members, "h1", w->h1));
    world_add(w, WORLD_H1, world_leaf(w, "charge", world_charge(w, "other", 1, 1, w->state[0], "c", 1), "h1", w->h1));
}

/* ---- the life of a study, again ---- */

static struct world_leaf *revocation(struct world *w, const char *role, const char *name)
{
    return world_leaf(w, "revoke", json_pack("{s:s,s:s,s:s}", "role", role, "name", name, "reason", "operator"), "hub",
                      w->hub);
}

static void revoked_hospital_asked(struct world *w)
{
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "round_open", 1), revocation(w, "hospital", "h2"));
}

static void plan_of_a_revoked_sponsor(struct world *w)
{
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "plan", 0), revocation(w, "sponsor", "acme"));
}

static void survivor_forgotten(struct world *w)
{
    edit(w, WORLD_HUB, "round_result", 1, "survivors", json_pack("[s]", "h1"));
}

static void stranger_left_out(struct world *w)
{
    edit(w, WORLD_HUB, "round_result", 1, "left_out", json_pack("[s]", "h3"));
}

static void survivor_never_enrolled(struct world *w)
{
    edit(w, WORLD_HUB, "round_open", 1, "roster", json_pack("[s,s,s]", "h1", "h2", "h3"));
    edit(w, WORLD_HUB, "round_result", 1, "survivors", json_pack("[s,s,s]", "h1", "h2", "h3"));
}

static void second_plan_for_the_study(struct world *w)
{
    struct world_leaf *plan =
        world_leaf(w, "plan", json_copy(world_at(w, WORLD_HUB, "plan", 0)->members), "acme", w->sponsor);

    json_object_set_new(plan->members, "plan", json_string(world_hash("other plan")));
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "round_open", 1), plan);
}

static void model_swapped(struct world *w)
{
    edit(w, WORLD_HUB, "round_result", 0, "state_after", json_string(world_hash("a model of mine")));
}

static void round_after_the_abort(struct world *w)
{
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "round_open", 1),
                 world_leaf(w, "abort",
                            json_pack("{s:s,s:i,s:i,s:s,s:b}", "study", "wdbc", "round", 1, "attempt", 1, "reason",
                                      "cancelled", "final", 1),
                            "acme", w->sponsor));
}

static void results_swapped(struct world *w)
{
    struct world_log *hub = &w->log[WORLD_HUB];
    size_t one = world_find(w, WORLD_HUB, "round_result", 0), two = world_find(w, WORLD_HUB, "round_result", 1);
    struct world_leaf *l = hub->leaf[one];

    hub->leaf[one] = hub->leaf[two];
    hub->leaf[two] = l;
}

static void last_round_repeated_after_the_end(struct world *w)
{
    world_add(w, WORLD_HUB, world_at(w, WORLD_HUB, "round_result", 1));
}

/* ---- a ledger that was set back ---- */

static void hex_of(const uint8_t hash[32], char out[65])
{
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* h1's ledger was set back before its second charge, and took charge and release back from the hub. */
static struct world_leaf *set_back_from(struct world *w, size_t at, size_t count, size_t size)
{
    const struct world_log *hub = &w->log[WORLD_HUB], *h1 = &w->log[WORLD_H1];
    struct ym_tree *t = calloc(1, sizeof(*t));
    uint8_t hash[3][32], root[32];
    char root_hex[65], digest[65];
    struct world_leaf *l;

    assert_non_null(t);
    assert_true(count <= 3);
    for (size_t i = 0; i < size; i++) {
        struct ym_bytes line;

        line.data = (const uint8_t *)world_line(hub->leaf[i], &line.len);
        ym_tree_leaf_hash(line, root);
        ym_tree_push(t, root, NULL, NULL);
    }
    ym_tree_root(t, root);
    hex_of(root, root_hex);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        const char *line = world_line(h1->leaf[at + i], &len);

        ym_sha256(line, len, hash[i]);
    }
    ym_sha256(hash, count * sizeof(*hash), root);
    hex_of(root, digest);
    l = world_leaf(w, "recover",
                   json_pack("{s:I,s:s,s:i,s:i,s:s,s:s,s:[]}", "hub_size", (json_int_t)size, "hub_root", root_hex,
                             "known_size", 0, "count", (int)count, "digest", digest, "reason", "a disk was restored",
                             "lost"),
                   "h1", w->h1);
    world_insert(w, WORLD_H1, at, l);
    free(t);
    return l;
}

static struct world_leaf *set_back_to(struct world *w, size_t count, size_t size)
{
    return set_back_from(w, world_find(w, WORLD_H1, "charge", 1), count, size);
}

static struct world_leaf *set_back(struct world *w)
{
    return set_back_to(w, 2, world_find(w, WORLD_HUB, "round_result", 1));
}

static void comes_back_other(struct world *w)
{
    json_object_set_new(set_back(w)->members, "digest", json_string(world_hash("others")));
}

static void comes_back_in_part(struct world *w)
{
    json_object_set_new(set_back(w)->members, "count", json_integer(1));
}

static void comes_back_without_end(struct world *w)
{
    json_object_set_new(set_back(w)->members, "count", json_integer(INT64_MAX));
}

static void comes_back_from_another_hub(struct world *w)
{
    json_object_set_new(set_back(w)->members, "hub_root", json_string(world_hash("another hub")));
}

static void comes_back_from_a_longer_hub(struct world *w)
{
    json_object_set_new(set_back(w)->members, "hub_size", json_integer(1000));
}

static void set_back_by_another(struct world *w)
{
    struct world_leaf *l = set_back(w);

    l->key = w->h2;
    l->by[1] = '2';
}

static void set_back_at_the_hub(struct world *w)
{
    world_add(w, WORLD_HUB, set_back(w));
}

/* The budget goes on as if what came back had not been spent. */
static void charge_after_it_forgets_what_came_back(struct world *w)
{
    set_back(w);
    world_add(w, WORLD_H1, world_leaf(w, "charge", world_charge(w, "wdbc", 2, 2, w->state[1], "a", 2), "h1", w->h1));
}

static void lost_charge_of_nothing_known(struct world *w)
{
    json_object_set_new(
        set_back(w)->members, "lost",
        json_pack("[{s:s,s:s,s:s,s:i}]", "for", "a", "noise_variance", "3", "sampling_k", "1", "steps", 1));
}

/* The hub's log, as far as it was compared, ends before the charge that comes back. */
static void comes_back_from_further_than_compared(struct world *w)
{
    const struct world_leaf *charge = world_at(w, WORLD_H1, "charge", 1);
    size_t size = 0;

    while (w->log[WORLD_HUB].leaf[size] != charge)
        size++;
    set_back_to(w, 2, size);
}

/* A charge that nobody asked for and no policy allowed, slipped in among those that come back. */
static void comes_back_though_it_never_left(struct world *w)
{
    json_t *members = world_charge(w, "wdbc", 2, 7, w->state[1], "a", 1);

    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1) + 2, world_leaf(w, "charge", members, "h1", w->h1));
    set_back_to(w, 3, world_find(w, WORLD_HUB, "round_result", 1));
}

/* An approval of another study comes back with the second charge; two offices of h1 have keys by then. */
static struct world_leaf *approval_comes_back(struct world *w)
{
    json_t *members;
    struct world_leaf *yes;

    sealed_approval(w);
    members = json_copy(world_at(w, WORLD_H1, "approval", 0)->members);
    json_object_set_new(members, "study", json_string("other"));
    json_object_set_new(members, "seals", json_array());
    yes = world_leaf(w, "approval", members, "h1", w->h1);
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), yes);
    return yes;
}

static void set_back_before(struct world *w, struct world_leaf *first, size_t count)
{
    size_t at = world_find(w, WORLD_H1, "charge", 1);

    assert_ptr_equal(w->log[WORLD_H1].leaf[at - 1], first);
    set_back_from(w, at - 1, count, world_find(w, WORLD_HUB, "round_result", 1));
}

static void comes_back_unsealed_and_is_charged(struct world *w)
{
    set_back_before(w, approval_comes_back(w), 3);
    world_add(w, WORLD_H1, world_leaf(w, "charge", world_charge(w, "other", 1, 1, w->state[0], "a", 2), "h1", w->h1));
}

/* An approval above epsilon 20 comes back, and its override does not. */
static void dear_approval_comes_back(struct world *w)
{
    struct world_leaf *yes = approval_comes_back(w);

    json_object_set_new(yes->members, "epsilon_micro", json_integer(30000000));
    seal_with(w, yes, YM_OFFICE_IT, w->mallory, SEALED_AT);
    seal_with(w, yes, YM_OFFICE_DATA_OFFICE, w->sponsor, SEALED_AT);
    set_back_before(w, yes, 3);
}

static void comes_back_without_override_and_is_charged(struct world *w)
{
    dear_approval_comes_back(w);
    world_add(w, WORLD_H1, world_leaf(w, "charge", world_charge(w, "other", 1, 1, w->state[0], "a", 3), "h1", w->h1));
}

static void comes_back_twice(struct world *w)
{
    size_t at = world_find(w, WORLD_H1, "charge", 1);

    world_insert(w, WORLD_H1, at + 2, w->log[WORLD_H1].leaf[at]);
    set_back_to(w, 3, world_find(w, WORLD_HUB, "round_result", 1));
}

/* A later recover that settles less than an earlier one. */
static void set_back_before_it_was_set_back(struct world *w)
{
    size_t at = world_find(w, WORLD_H1, "charge", 1);

    set_back_to(w, 0, 3);
    world_insert(w, WORLD_H1, at, set_back(w));
    world_remove(w, WORLD_H1, at + 1);
}

/* The hub saw five entries of h1 before it was set back; it says that nobody had seen any. */
static void set_back_and_knows_of_nothing(struct world *w)
{
    const struct world_log *h1 = &w->log[WORLD_H1];
    struct ym_buf text = {0}, sig = {0};
    uint8_t root[32] = {1}, raw[64];
    char hex[65];

    hex_of(root, hex);
    assert_int_equal(ym_checkpoint_text(h1->origin, 5, root, &text), YM_OK);
    ym_key_sign(h1->key, text.data, text.len, raw);
    assert_int_equal(ym_base64_encode(raw, 64, &sig), YM_OK);
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "round_result", 0),
                 world_leaf(w, "checkpoint_seen",
                            json_pack("{s:s,s:I,s:s,s:s}", "log", h1->origin, "size", (json_int_t)5, "root", hex,
                                      "signature", ym_buf_str(&sig)),
                            "hub", w->hub));
    ym_buf_release(&text);
    ym_buf_release(&sig);
    set_back(w);
}

/* ---- whom the policy serves ---- */

static json_t *terms_of(struct world *w)
{
    return json_object_get(world_at(w, WORLD_H1, "policy", 0)->members, "terms");
}

static void policy_serves_nobody(struct world *w)
{
    json_object_del(world_at(w, WORLD_H1, "policy", 0)->members, "terms");
}

static void policy_with_a_term_of_tomorrow(struct world *w)
{
    json_object_set_new(terms_of(w), "weather", json_string("fine"));
}

static void policy_without_a_term(struct world *w)
{
    json_object_del(terms_of(w), "memory_mib");
}

static void policy_of_more_threads_than_there_can_be(struct world *w)
{
    json_object_set_new(terms_of(w), "cpu_threads", json_integer(65));
}

static void policy_for_another_sponsor(struct world *w)
{
    json_object_set_new(terms_of(w), "sponsors", json_pack("[s,s]", "acm", "acmes"));
}

/* Approved and charged as it was before; then the second charge under a policy of today. */
static void policy_changed_before_the_charge(struct world *w)
{
    json_t *members = json_deep_copy(world_at(w, WORLD_H1, "policy", 0)->members);

    json_object_set_new(json_object_get(members, "terms"), "sponsors", json_pack("[s]", "other"));
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), world_leaf(w, "policy", members, "h1", w->h1));
}

/* The charges are of Wednesday, 15 November 2023, 6:13:20 in China. */
static void hours(struct world *w, const char *day, const char *from, const char *to)
{
    json_object_set_new(terms_of(w), "hours", json_pack("[{s:[s],s:s,s:s}]", "days", day, "from", from, "to", to));
}

static void charged_after_hours(struct world *w)
{
    hours(w, "wed", "00:00", "06:13");
}

static void charged_before_hours(struct world *w)
{
    hours(w, "wed", "06:14", "24:00");
}

static void charged_a_day_late(struct world *w)
{
    hours(w, "mon", "20:00", "06:30");
}

static void study_of_more_than_the_policy_allows(struct world *w)
{
    json_object_set_new(terms_of(w), "epsilon_study_micro",
                        json_integer(json_integer_value(
                            json_object_get(world_at(w, WORLD_H1, "charge", 0)->members, "epsilon_round_micro"))));
}

/* ---- rule sets ---- */

static json_t *tracks(const char *outcome)
{
    static const char *const name[] = {"artefact", "cac", "hgr", "ethics", "consent", "ai", "us"};
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        json_array_append_new(list, json_pack("{s:s,s:s}", "track", name[i], "outcome", i == 1 ? outcome : "proceed"));
    return list;
}

static struct world_leaf *decision(struct world *w, const char *outcome)
{
    return world_leaf(w, "decision",
                      json_pack("{s:s,s:s,s:s,s:{s:{},s:{s:i,s:i},s:{}},s:{s:b,s:s,s:o},s:{}}", "study", "wdbc", "plan",
                                w->plan, "dataset", "a", "facts", "choices", "people", "n_sensitive", 600, "n_pi", 600,
                                "records", "decision", "forecast", 0, "outcome", outcome, "tracks", tracks(outcome),
                                "rules"),
                      "h1", w->h1);
}

/* h1 asks its rule sets, which said this, and both charges name it; then, before the second, something else. */
static void ask_rules(struct world *w, struct world_leaf *d, const char *then)
{
    uint8_t hash[32];
    char hex[65];
    size_t len;
    const char *line;

    edit(w, WORLD_H1, "border", 0, "asked", json_true());
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 0), d);
    line = world_line(d, &len);
    ym_sha256(line, len, hash);
    hex_of(hash, hex);
    for (size_t i = 0; i < 2; i++)
        edit(w, WORLD_H1, "charge", i, "decision", json_string(hex));
    if (then)
        world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), decision(w, then));
}

static void rules_not_asked_without_a_word(struct world *w)
{
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "border", 0));
}

static void rules_said_hold(struct world *w)
{
    ask_rules(w, decision(w, "hold"), NULL);
}

static void rules_said_refuse_since(struct world *w)
{
    ask_rules(w, decision(w, "proceed"), "refuse");
}

static void rules_never_said_so(struct world *w)
{
    edit(w, WORLD_H1, "charge", 0, "decision", json_string(world_hash("surely")));
}

static void rules_said_so_of_another_plan(struct world *w)
{
    struct world_leaf *d = decision(w, "proceed");

    json_object_set_new(d->members, "plan", json_string(world_hash("another plan")));
    ask_rules(w, d, NULL);
}

static struct world_leaf *ruleset(struct world *w, const char *name, int version, bool withdrawn)
{
    return world_leaf(w, "ruleset",
                      json_pack("{s:s,s:i,s:s,s:s,s:b,s:b,s:{},s:[]}", "name", name, "version", version, "file",
                                world_hash("rules"), "effective_from", "2023-11-15", "draft", 0, "withdrawn", withdrawn,
                                "limits", "seals"),
                      "h1", w->h1);
}

static void rule_set_without_a_version(struct world *w)
{
    world_add(w, WORLD_H1, ruleset(w, "hgr", 0, false));
}

/* Two sets in force, one withdrawn; a document for the study; and what was decided by them. */
static struct world_leaf *decided_on_grounds(struct world *w, const char *from, const char *until)
{
    size_t at = world_find(w, WORLD_H1, "charge", 0);
    struct world_leaf *d = decision(w, "proceed");
    json_t *dossier =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:{},s:b,s:s,s:s,s:s,s:s,s:s,s:{},s:s,s:[]}", "record", "ethics",
                  "document", world_hash("minutes"), "issuer", "committee", "number", "", "study", "wdbc", "dataset",
                  "a", "valid_from", from, "valid_until", until, "material", "withdrawn", 0, "filed", "", "province",
                  "", "recipients", "", "categories", "", "committee", "9", "topics", "renews", WORLD_UNASKED, "seals");

    json_object_set_new(dossier, "topics",
                        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "necessity", "1", "consent", "2", "data_handling", "3",
                                  "privacy", "4", "sharing", "5", "risk", "6"));
    json_object_set_new(d->members, "rules",
                        json_pack("{s:s,s:s}", "hgr", world_hash("rules"), "cn-health", world_hash("rules")));
    json_object_set_new(json_object_get(d->members, "facts"), "records",
                        json_pack("{s:s,s:s}", "ethics", "live", "pipia", "expired"));
    world_insert(w, WORLD_H1, at, ruleset(w, "hgr", 1, false));
    world_insert(w, WORLD_H1, at + 1, ruleset(w, "us", 1, false));
    world_insert(w, WORLD_H1, at + 2, ruleset(w, "cn-health", 1, false));
    world_insert(w, WORLD_H1, at + 3, ruleset(w, "us", 1, true));
    world_insert(w, WORLD_H1, at + 4, world_leaf(w, "dossier", dossier, "h1", w->h1));
    return d;
}

/* The charges are of 15 November 2023 in China. */
static void on_good_grounds(struct world *w)
{
    ask_rules(w, decided_on_grounds(w, "2023-11-15", "2023-11-15"), NULL);
}

static void document_of_yesterday(struct world *w)
{
    ask_rules(w, decided_on_grounds(w, "2022-01-01", "2023-11-14"), NULL);
}

static void document_of_tomorrow(struct world *w)
{
    ask_rules(w, decided_on_grounds(w, "2023-11-16", "2024-01-01"), NULL);
}

static void document_taken_back(struct world *w)
{
    struct world_leaf *l;

    on_good_grounds(w);
    l = world_at(w, WORLD_H1, "dossier", 0);
    l = world_leaf(w, "dossier", json_deep_copy(l->members), "h1", w->h1);
    json_object_set_new(l->members, "withdrawn", json_true());
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), l);
}

static void document_of_another_study(struct world *w)
{
    on_good_grounds(w);
    edit(w, WORLD_H1, "dossier", 0, "study", json_string("other"));
}

static void document_of_another_kind(struct world *w)
{
    on_good_grounds(w);
    edit(w, WORLD_H1, "dossier", 0, "record", json_string("hospital"));
}

static void review_without_a_topic(struct world *w)
{
    on_good_grounds(w);
    json_object_del(json_object_get(world_at(w, WORLD_H1, "dossier", 0)->members, "topics"), "sharing");
}

static void review_without_a_committee(struct world *w)
{
    on_good_grounds(w);
    edit(w, WORLD_H1, "dossier", 0, "committee", json_string(""));
}

/* The charges rest on a document of another kind, with these dates. */
static struct world_leaf *on_document(struct world *w, const char *record, const char *from, const char *until)
{
    struct world_leaf *d = decided_on_grounds(w, from, until);

    json_object_set_new(json_object_get(d->members, "facts"), "records", json_pack("{s:s}", record, "live"));
    edit(w, WORLD_H1, "dossier", 0, "record", json_string(record));
    ask_rules(w, d, NULL);
    return world_at(w, WORLD_H1, "dossier", 0);
}

static struct world_leaf *on_contract(struct world *w)
{
    struct world_leaf *l = on_document(w, "standard_contract", "2023-01-01", "2030-01-01");

    json_object_set_new(l->members, "number", json_string("7"));
    json_object_set_new(l->members, "filed", json_string("2023-01-02"));
    json_object_set_new(l->members, "province", json_string("hainan"));
    return l;
}

static void contract_for_no_province(struct world *w)
{
    json_object_set_new(on_contract(w)->members, "province", json_string(""));
}

static void certificate_without_its_scope(struct world *w)
{
    json_object_set_new(on_document(w, "certificate", "2023-01-01", "2024-01-01")->members, "number", json_string("7"));
}

static void application_taken_for_an_answer(struct world *w)
{
    json_object_set_new(on_document(w, "hgr_backup", "2023-01-01", "2024-01-01")->members, "filed",
                        json_string("2023-01-02"));
}

static void assessment_of_four_years(struct world *w)
{
    on_document(w, "security_assessment", "2020-11-14", "2024-11-14");
}

/* Of that day, renewing the first: three years from the first's last day where it is early by at most 120 days. */
static void renewed(struct world *w, const char *from)
{
    struct world_leaf *first = on_document(w, "security_assessment", "2017-06-01", "2020-11-15"), *l;

    json_object_set_new(first->members, "valid_from", json_string("2018-01-01"));
    l = world_leaf(w, "dossier", json_deep_copy(first->members), "h1", w->h1);
    json_object_set_new(l->members, "document", json_string(world_hash("second")));
    json_object_set_new(l->members, "renews", json_string(world_hash("minutes")));
    json_object_set_new(l->members, "valid_from", json_string(from));
    json_object_set_new(l->members, "valid_until", json_string("2030-01-01"));
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "dossier", 0) + 1, l);
}

static void renewed_too_early(struct world *w)
{
    renewed(w, "2020-07-17");
}

static void renewal_of_what_was_taken_back(struct world *w)
{
    struct world_leaf *l;

    renewed(w, "2020-07-18");
    l = world_leaf(w, "dossier", json_deep_copy(world_at(w, WORLD_H1, "dossier", 0)->members), "h1", w->h1);
    json_object_set_new(l->members, "withdrawn", json_true());
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), l);
}

static void renewal_of_nothing(struct world *w)
{
    on_good_grounds(w);
    edit(w, WORLD_H1, "dossier", 0, "renews", json_string(world_hash("nothing")));
}

static void rules_of_another_file(struct world *w)
{
    on_good_grounds(w);
    edit(w, WORLD_H1, "ruleset", 0, "file", json_string(world_hash("softer rules")));
}

/* Nobody was charged on it. */
static void rules_of_another_file_uncharged(struct world *w)
{
    struct world_leaf *d = decided_on_grounds(w, "2023-11-15", "2023-11-15");

    json_object_set_new(json_object_get(d->members, "rules"), "hgr", json_string(world_hash("softer rules")));
    world_add(w, WORLD_H1, d);
}

static void rules_signed_since(struct world *w)
{
    on_good_grounds(w);
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), ruleset(w, "zone", 1, false));
}

static void rules_withdrawn_since(struct world *w)
{
    on_good_grounds(w);
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "charge", 1), ruleset(w, "hgr", 1, true));
}

static void rules_held_on_one_track(struct world *w)
{
    struct world_leaf *d = decision(w, "hold");

    json_object_set_new(json_object_get(d->members, "decision"), "outcome", json_string("proceed"));
    ask_rules(w, d, NULL);
}

static void rules_left_a_track_out(struct world *w)
{
    struct world_leaf *d = decision(w, "proceed");

    json_array_remove(json_object_get(json_object_get(d->members, "decision"), "tracks"), 2);
    ask_rules(w, d, NULL);
}

static void rules_made_a_forecast(struct world *w)
{
    struct world_leaf *d = decision(w, "proceed");

    json_object_set_new(json_object_get(d->members, "decision"), "forecast", json_true());
    ask_rules(w, d, NULL);
}

/* ---- warnings ---- */

/* Decided for 600 people under a set with that limit. */
static struct world_leaf *limited(struct world *w, int from)
{
    struct world_leaf *set;

    on_good_grounds(w);
    set = world_at(w, WORLD_H1, "ruleset", 2);
    json_object_set_new(set->members, "limits", json_pack("{s:[i],s:[i,i]}", "n_pi", 100000, "n_sensitive", 100, from));
    return set;
}

static void warn(struct world *w, int from, int percent, int year)
{
    world_insert(w, WORLD_H1, world_find(w, WORLD_H1, "decision", 0),
                 world_leaf(w, "warning",
                            json_pack("{s:s,s:s,s:i,s:i,s:i,s:i}", "ruleset", "cn-health", "fact", "n_sensitive",
                                      "from", from, "percent", percent, "people", 600, "year", year),
                            "h1", w->h1));
}

static void limit_half_reached_unsaid(struct world *w)
{
    limited(w, 1200);
    warn(w, 100, 95, 2023);
}

static void limit_warned_of_too_little(struct world *w)
{
    limited(w, 630);
    warn(w, 100, 95, 2023);
    warn(w, 630, 80, 2023);
}

static void limit_warned_of_last_year(struct world *w)
{
    limited(w, 1200);
    warn(w, 100, 95, 2023);
    warn(w, 1200, 50, 2022);
}

static void limit_warned_of_too_late(struct world *w)
{
    limited(w, 100);
    warn(w, 100, 95, 2023);
    world_add(w, WORLD_H1, world_at(w, WORLD_H1, "warning", 0));
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "warning", 0));
}

static void limit_of_one_person(struct world *w)
{
    limited(w, 1);
}

/* ---- people ---- */

static void say_people(struct world *w, size_t nth, json_t *years)
{
    edit(w, WORLD_H1, "charge", nth, "people", years);
}

static void rules_asked_with_fewer(struct world *w)
{
    ask_rules(w, decision(w, "proceed"), NULL);
    say_people(w, 1, json_pack("[o]", counted(2023, 700)));
}

static void rules_asked_with_nobody(struct world *w)
{
    struct world_leaf *d = decision(w, "proceed");

    json_object_del(json_object_get(json_object_get(d->members, "facts"), "people"), "n_pi");
    ask_rules(w, d, NULL);
}

/* The second charge under another name on the card: those of the first stand behind it still. */
static void exporter_renamed(struct world *w)
{
    ask_rules(w, decision(w, "proceed"), NULL);
    edit(w, WORLD_H1, "charge", 1, "exporter", json_string(world_hash("another name")));
}

static struct world_leaf *decided_for(struct world *w, int people)
{
    struct world_leaf *d = decision(w, "proceed");
    json_t *n = json_object_get(json_object_get(d->members, "facts"), "people");

    json_object_set_new(n, "n_sensitive", json_integer(people));
    json_object_set_new(n, "n_pi", json_integer(people));
    return d;
}

/* Both hospitals' charges for one exporter: the second round opens on 600 people of each. */
static void one_exporter(struct world *w, int decided)
{
    ask_rules(w, decided_for(w, decided), NULL);
    edit(w, WORLD_H2, "charge", 0, "exporter", json_string(world_hash("a")));
    edit(w, WORLD_H2, "charge", 1, "exporter", json_string(world_hash("a")));
}

static void other_hospital_left_out(struct world *w)
{
    one_exporter(w, 1199);
}

/* Another name on the card: what the other hospital counts for the old one is still beside it. */
static void exporter_renamed_away_from_the_others(struct world *w)
{
    one_exporter(w, 1600);
    edit(w, WORLD_H1, "charge", 1, "exporter", json_string(world_hash("another name")));
}

/* ---- scores ---- */

/* So many rows put to a model, so many seconds after the charges. */
static struct world_leaf *score(struct world *w, const char *basis, int rows, int after)
{
    struct world_leaf *l = world_leaf(w, "inference",
                                      json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:i}", "study", "wdbc", "plan", w->plan,
                                                "model", world_hash("model"), "content_id", "yumen:model", "dataset",
                                                "wards", "basis", basis, "rows", rows, "left_out", 0),
                                      "h1", w->h1);

    l->time += after;
    world_add(w, WORLD_H1, l);
    return l;
}

static void allow_scores(struct world *w, int rows)
{
    json_object_set_new(terms_of(w), "inference", json_pack("{s:s,s:i}", "basis", "consent", "rows_per_hour", rows));
}

static void scored_without_a_policy_of_it(struct world *w)
{
    score(w, "consent", 100, 0);
}

static void scored_on_another_basis(struct world *w)
{
    allow_scores(w, 1000);
    score(w, "treatment", 100, 0);
}

/* The charges are thirteen minutes into an hour. */
static void scored_too_many_in_an_hour(struct world *w)
{
    allow_scores(w, 1000);
    score(w, "consent", 600, 0);
    score(w, "consent", 500, 2799);
}

static void scored_with_the_clock_set_back(struct world *w)
{
    allow_scores(w, 1000);
    score(w, "consent", 600, 7200);
    score(w, "consent", 500, 0);
}

static void scored_an_exact_number(struct world *w)
{
    allow_scores(w, 1000);
    score(w, "consent", 569, 0);
}

static void policy_for_scores_of_a_kind_that_nobody_knows(struct world *w)
{
    json_object_set_new(terms_of(w), "inference", json_pack("{s:s,s:i}", "basis", "any", "rows_per_hour", 1000));
}

static void people_fewer_than_before(struct world *w)
{
    say_people(w, 1, json_pack("[o]", counted(2023, 500)));
}

static void people_fewer_in_one_of_two_years(struct world *w)
{
    say_people(w, 0, json_pack("[o,o]", counted(2023, 600), counted(2024, 600)));
    say_people(w, 1, json_pack("[o,o]", counted(2023, 700), counted(2024, 500)));
}

static void people_of_last_year(struct world *w)
{
    say_people(w, 1, json_pack("[o]", counted(2022, 600)));
}

static void people_of_last_year_unreleased(struct world *w)
{
    people_of_last_year(w);
    world_remove(w, WORLD_H1, world_find(w, WORLD_H1, "release", 1));
}

/* Midnight of 31 December in China. */
static void released_after_new_year(struct world *w)
{
    world_at(w, WORLD_H1, "release", 1)->time = 1704038400;
}

static struct world_leaf *withdrawal(struct world *w, const char *dataset, int people)
{
    return world_leaf(w, "withdrawal",
                      json_pack("{s:s,s:i,s:s}", "dataset", dataset, "people", people, "set", world_hash("gone")), "h1",
                      w->h1);
}

static void withdrawals_undone(struct world *w)
{
    world_add(w, WORLD_H1, withdrawal(w, "a", 200));
    world_add(w, WORLD_H1, withdrawal(w, "b", 100));
    world_add(w, WORLD_H1, withdrawal(w, "a", 100));
}

static void withdrawals_exact(struct world *w)
{
    world_add(w, WORLD_H1, withdrawal(w, "a", 101));
}

static void border_lifted_by_the_hub(struct world *w)
{
    struct world_leaf *l = world_at(w, WORLD_H1, "border", 0);

    l->key = w->hub;
    snprintf(l->by, sizeof l->by, "hub");
}

static void decision_in_the_hubs_log(struct world *w)
{
    world_add(w, WORLD_HUB, decision(w, "proceed"));
}

/* ---- what the hub does with others' names ---- */

static struct world_leaf *second_key(struct world *w)
{
    json_t *members = json_copy(world_at(w, WORLD_HUB, "enrol", 1)->members);
    struct ym_buf key = {0};
    uint8_t pub[32];

    ym_key_public(w->mallory, pub);
    assert_int_equal(ym_base64_encode(pub, 32, &key), YM_OK);
    json_object_set_new(members, "identity_key", json_string(ym_buf_str(&key)));
    ym_buf_release(&key);
    return world_leaf(w, "enrol", members, "hub", w->hub);
}

static void second_key_for_a_hospital(struct world *w)
{
    world_add(w, WORLD_HUB, second_key(w));
}

static struct world_leaf *rival(struct world *w)
{
    struct world_leaf *l = second_key(w);

    json_object_set_new(l->members, "role", json_string("sponsor"));
    json_object_set_new(l->members, "name", json_string("rival"));
    return l;
}

static void study_ended_by_a_rival(struct world *w)
{
    world_add(w, WORLD_HUB, rival(w));
    world_add(w, WORLD_HUB,
              world_leaf(w, "abort",
                         json_pack("{s:s,s:i,s:i,s:s,s:b}", "study", "wdbc", "round", 2, "attempt", 1, "reason", "no",
                                   "final", 1),
                         "rival", w->mallory));
}

static void plan_under_anothers_name(struct world *w)
{
    edit(w, WORLD_HUB, "plan", 0, "sponsor", json_string("rival"));
}

/* More findings than are kept, all lesser ones; then a leaf whose signature does not fit. */
static void tampering_behind_a_hundred_faults(struct world *w)
{
    for (int i = 0; i < YM_FINDINGS_MAX + 5; i++)
        add_policy(w, 4101);
    world_add(w, WORLD_H1,
              world_leaf(w, "policy", json_copy(world_at(w, WORLD_H1, "policy", 0)->members), "h1", w->mallory));
}

/* ---- a log without anything ---- */

static void emptied_and_signed(struct world *w)
{
    const struct world_log *l = &w->log[WORLD_H1];
    struct ym_buf note = {0};
    uint8_t root[32];
    char path[320];

    path_in(w, WORLD_H1, "tile", path);
    remove_tree(path);
    ym_vroot(NULL, 0, root);
    assert_int_equal(ym_checkpoint_format(l->origin, 0, root, l->key, &note), YM_OK);
    store(w, WORLD_H1, "checkpoint", note.data, note.len);
    ym_buf_release(&note);
}

/* Names without end, asked and counted: work that grows with their square at most (here 16 million comparisons). */
static void four_thousand_survivors(struct world *w)
{
    json_t *list = json_array();
    char name[8];

    for (int i = 0; i < 4096; i++) {
        snprintf(name, sizeof name, "h%d", i);
        json_array_append_new(list, json_string(name));
    }
    edit(w, WORLD_HUB, "round_open", 1, "roster", list);
    edit(w, WORLD_HUB, "round_result", 1, "survivors", json_copy(list));
}

static void more_values_than_any_leaf_has(struct world *w)
{
    json_t *list = json_array();

    for (int i = 0; i < 20000; i++)
        json_array_append_new(list, json_integer(1));
    json_object_set_new(json_object_get(world_at(w, WORLD_H1, "dataset_card", 0)->members, "public"), "x", list);
}

static void checkpoint_with_an_escape_sequence(struct world *w)
{
    respell_checkpoint(w, "yumen", "\x1b[2Jn", 5);
}

#define BEFORE(fn) #fn, fn, NULL
#define AFTER(fn) #fn, NULL, fn

static const struct trick {
    const char *name;
    void (*entries)(struct world *w); /* before the logs are written and signed */
    void (*files)(struct world *w);   /* after it */
    int verdict;
    const char *reason;
    int only; /* 1 + the only log given; 0: all three */
} tricks[] = {
    {AFTER(entry_flipped), 10, "root_mismatch"},
    {AFTER(entries_swapped), 10, "root_mismatch"},
    {AFTER(entry_added), 10, "entry_extra"},
    {AFTER(entry_removed), 11, "entries_missing"},
    {AFTER(bundle_lost), 11, "entries_missing"},
    {AFTER(bundle_cut), 11, "bundle_torn"},
    {AFTER(tile_cut), 11, "tile_torn"},
    {AFTER(tile_lost), 11, "tile_missing"},
    {AFTER(tile_flipped), 10, "tile_mismatch"},
    {AFTER(upper_tile_flipped), 10, "tile_mismatch"},
    {AFTER(checkpoint_lost), 11, "checkpoint_missing"},
    {AFTER(checkpoint_garbled), 10, "checkpoint_malformed"},
    {AFTER(checkpoint_changed), 10, "checkpoint_signature"},
    {AFTER(checkpoint_replayed), 11, "checkpoint_behind"},
    {AFTER(root_signed_by_another), 10, "checkpoint_untrusted"},
    {BEFORE(key_twice), 10, "leaf_malformed"},
    {BEFORE(number_with_a_point), 10, "leaf_malformed"},
    {BEFORE(number_with_exponent), 10, "leaf_malformed"},
    {BEFORE(keys_unsorted), 10, "leaf_malformed"},
    {BEFORE(space_inside), 10, "leaf_malformed"},
    {BEFORE(escape_not_needed), 10, "leaf_malformed"},
    {BEFORE(raw_chinese), 10, "leaf_malformed"},
    {BEFORE(signature_cut), 10, "leaf_malformed"},
    {BEFORE(member_changed), 10, "leaf_signature"},
    {BEFORE(member_unknown), 10, "leaf_fields"},
    {BEFORE(member_missing), 10, "leaf_fields"},
    {BEFORE(member_out_of_range), 10, "leaf_fields"},
    {BEFORE(variance_no_square), 10, "leaf_fields"},
    {BEFORE(trainer_unnamed), 10, "leaf_fields"},
    {BEFORE(build_no_id), 10, "leaf_fields"},
    {BEFORE(people_exact), 10, "leaf_fields"},
    {BEFORE(people_years_apart), 10, "leaf_fields"},
    {BEFORE(us_exact), 10, "leaf_fields"},
    {BEFORE(us_with_more), 10, "leaf_fields"},
    {BEFORE(nobody_counted), 10, "leaf_fields"},
    {BEFORE(exporter_unnamed), 10, "leaf_fields"},
    {BEFORE(coordinator_unnamed), 10, "leaf_fields"},
    {BEFORE(type_unknown), 10, "leaf_type"},
    {BEFORE(type_of_another_log), 10, "leaf_type"},
    {BEFORE(second_genesis), 10, "leaf_type"},
    {BEFORE(genesis_missing), 10, "genesis_wrong"},
    {BEFORE(genesis_of_another), 10, "genesis_wrong"},
    {BEFORE(signer_unknown), 10, "leaf_signer"},
    {BEFORE(add_incident), 10, "leaf_signer"},
    {BEFORE(policy_of_the_sponsor), 10, "leaf_signer"},
    {BEFORE(plan_of_nobody), 10, "leaf_signer"},
    {BEFORE(enrolled_too_late), 10, "leaf_signer"},
    {BEFORE(other_identity), 10, "identity_differs"},
    {BEFORE(round_epsilon_lowered), 12, "epsilon_round"},
    {BEFORE(less_noise), 12, "epsilon_round"},
    {BEFORE(metric_not_in_the_figure), 12, "epsilon_round"},
    {BEFORE(event_for_nothing_known), 10, "leaf_fields"},
    {BEFORE(event_without_steps), 10, "leaf_fields"},
    {BEFORE(events_without_end), 10, "leaf_fields"},
    {BEFORE(spent_lowered), 12, "epsilon_spent"},
    {BEFORE(spent_raised), 12, "epsilon_spent"},
    {BEFORE(spent_over_all_orders), 12, "epsilon_spent"},
    {BEFORE(order_changed_later), 12, "policy_order"},
    {BEFORE(order_off_the_grid), 12, "policy_order"},
    {BEFORE(order_off_the_grid_later), 12, "policy_order"},
    {BEFORE(order_missing), 10, "leaf_fields"},
    {BEFORE(cap_raised_in_the_charge), 12, "charge_policy"},
    {BEFORE(delta_of_its_own), 12, "charge_policy"},
    {BEFORE(over_the_cap), 12, "cap_exceeded"},
    {BEFORE(unsealed_approval), 12, "seals_missing", 1 + WORLD_H1},
    {BEFORE(approval_with_one_seal), 12, "seals_missing", 1 + WORLD_H1},
    {BEFORE(approval_sealed_twice_by_one), 10, "seal_wrong", 1 + WORLD_H1},
    {BEFORE(seal_of_another_key), 10, "seal_wrong", 1 + WORLD_H1},
    {BEFORE(seal_of_other_words), 10, "seal_wrong", 1 + WORLD_H1},
    {BEFORE(seal_of_last_year), 10, "seal_wrong", 1 + WORLD_H1},
    {BEFORE(seal_of_ahead), 10, "seal_wrong", 1 + WORLD_H1},
    {BEFORE(seals_used_again), 10, "seal_wrong", 1 + WORLD_H1},
    {BEFORE(raised_month_unsealed), 12, "seals_missing", 1 + WORLD_H1},
    {BEFORE(other_terms_unsealed), 12, "seals_missing", 1 + WORLD_H1},
    {BEFORE(third_key_unsealed), 12, "seals_missing", 1 + WORLD_H1},
    {BEFORE(one_key_for_two), 10, "seal_wrong", 1 + WORLD_H1},
    {BEFORE(data_office_closed), 12, "seals_missing", 1 + WORLD_H1},
    {BEFORE(its_own_replacement), 10, "seal_wrong", 1 + WORLD_H1},
    {BEFORE(rules_without_the_data_office), 12, "seals_missing", 1 + WORLD_H1},
    {BEFORE(document_of_ethics_by_the_data_office), 10, "seal_wrong", 1 + WORLD_H1},
    {BEFORE(cap_above_twenty), 12, "override_missing", 1 + WORLD_H1},
    {BEFORE(cap_above_its_override), 12, "override_missing", 1 + WORLD_H1},
    {BEFORE(override_after_the_policy), 12, "override_missing", 1 + WORLD_H1},
    {BEFORE(plan_above_twenty), 12, "override_missing"},
    {BEFORE(override_of_another_plan), 12, "override_missing"},
    {BEFORE(override_by_another), 10, "leaf_signer"},
    {BEFORE(small_class), 12, "delta_too_large"},
    {BEFORE(month_without_room), 12, "month_exceeded"},
    {BEFORE(month_moved_by_another), 12, "month_exceeded"},
    {BEFORE(identified_otherwise), 12, "identified_differs", 1 + WORLD_H1},
    {BEFORE(identified_by_nothing), 10, "leaf_fields", 1 + WORLD_H1},
    {BEFORE(policy_after_the_charge), 12, "charge_before_policy"},
    {BEFORE(card_missing), 12, "charge_dataset"},
    {BEFORE(other_data), 12, "charge_dataset"},
    {BEFORE(approval_missing), 12, "charge_not_approved"},
    {BEFORE(vetoed_before), 12, "charge_not_approved"},
    {BEFORE(vetoed_before_at_the_hub), 12, "charge_not_approved"},
    {BEFORE(charged_twice), 12, "charge_repeated"},
    {BEFORE(charge_after_release), 12, "release_without_charge"},
    {BEFORE(release_on_nothing), 12, "release_without_charge"},
    {BEFORE(released_twice), 12, "release_repeated"},
    {BEFORE(release_of_another_round), 11, "survivor_without_release"},
    {BEFORE(release_of_another_round), 12, "release_differs", 1 + WORLD_H1},
    {BEFORE(charge_hidden), 12, "epsilon_spent", 1 + WORLD_H1},
    {BEFORE(charge_hidden_but_at_the_hub), 11, "charge_absent"},
    {BEFORE(two_stories), 10, "charge_differs"},
    {BEFORE(another_release_at_the_hub), 12, "release_differs"},
    {BEFORE(release_hidden_but_at_the_hub), 11, "release_absent"},
    {BEFORE(plan_missing), 13, "round_without_plan"},
    {BEFORE(round_on_another_plan), 13, "round_without_plan"},
    {BEFORE(round_left_out), 13, "round_order"},
    {BEFORE(attempt_goes_back), 13, "round_order"},
    {BEFORE(round_on_another_state), 13, "state_chain"},
    {BEFORE(result_on_another_state), 13, "state_chain"},
    {BEFORE(result_of_nothing), 13, "result_without_open"},
    {BEFORE(result_of_another_attempt), 13, "result_without_open"},
    {BEFORE(result_after_abort), 13, "result_without_open"},
    {BEFORE(result_twice), 13, "result_repeated"},
    {BEFORE(survivor_not_asked), 13, "survivor_not_in_roster"},
    {BEFORE(survivor_also_left_out), 13, "survivor_not_in_roster"},
    {BEFORE(survivor_not_charged), 11, "survivor_without_charge"},
    {BEFORE(charged_for_another_plan), 12, "charge_plan"},
    {BEFORE(charged_for_another_state), 12, "charge_plan"},
    {BEFORE(survivor_not_released), 11, "survivor_without_release"},
    {BEFORE(goes_on_after_the_last), 13, "study_ended"},
    {AFTER(split_view), 10, "checkpoint_inconsistent"},
    {AFTER(set_back_behind_an_older_checkpoint), 11, "checkpoint_behind"},
    {AFTER(older_checkpoint_changed), 10, "checkpoint_signature"},
    {AFTER(older_checkpoint_of_another_key), 10, "checkpoint_untrusted"},
    {AFTER(bundle_with_a_byte_more), 11, "bundle_torn"},
    {AFTER(bundle_with_an_empty_entry_more), 10, "entry_extra"},
    {AFTER(tile_overlong), 11, "tile_torn"},
    {AFTER(bundle_promises_more), 11, "entries_missing"},
    {AFTER(bundle_promises_all), 11, "entries_missing"},
    {AFTER(tile_of_another_width), 11, "tile_missing"},
    {AFTER(partial_tile_flipped), 10, "tile_mismatch"},
    {AFTER(checkpoint_size_with_a_zero), 10, "checkpoint_malformed"},
    {AFTER(checkpoint_size_beyond_64_bits), 10, "checkpoint_malformed"},
    {AFTER(checkpoint_size_raised), 10, "checkpoint_signature"},
    {AFTER(checkpoint_root_no_base64), 10, "checkpoint_malformed"},
    {AFTER(checkpoint_with_nul), 10, "checkpoint_malformed"},
    {AFTER(checkpoint_of_another_origin), 10, "checkpoint_untrusted"},
    {AFTER(checkpoint_without_signatures), 10, "checkpoint_untrusted"},
    {AFTER(checkpoint_by_another_key_id), 10, "checkpoint_untrusted"},
    {BEFORE(nul_escaped), 10, "leaf_malformed"},
    {BEFORE(escape_in_lower_case), 10, "leaf_malformed"},
    {BEFORE(surrogate_alone), 10, "leaf_malformed"},
    {BEFORE(integer_beyond_64_bits), 10, "leaf_malformed"},
    {BEFORE(integer_with_a_zero), 10, "leaf_malformed"},
    {BEFORE(minus_zero), 10, "leaf_malformed"},
    {BEFORE(signature_no_base64), 10, "leaf_malformed"},
    {BEFORE(newline_at_the_end), 10, "leaf_malformed"},
    {BEFORE(number_as_text), 10, "leaf_fields"},
    {BEFORE(truth_as_number), 10, "leaf_fields"},
    {BEFORE(hash_in_upper_case), 10, "leaf_fields"},
    {BEFORE(hash_too_short), 10, "leaf_fields"},
    {BEFORE(name_in_upper_case), 10, "leaf_fields"},
    {BEFORE(survivor_twice), 10, "leaf_fields"},
    {BEFORE(survivors_no_list), 10, "leaf_fields"},
    {BEFORE(round_zero), 10, "leaf_fields"},
    {BEFORE(time_before_all_time), 10, "leaf_malformed"},
    {BEFORE(another_mechanism), 10, "leaf_fields"},
    {BEFORE(another_unit), 10, "leaf_fields"},
    {BEFORE(another_relation), 10, "leaf_fields"},
    {BEFORE(another_accountant), 10, "leaf_fields"},
    {BEFORE(another_route), 10, "leaf_fields"},
    {BEFORE(clip_twice_as_wide), 10, "leaf_fields"},
    {BEFORE(no_noise), 10, "leaf_fields"},
    {BEFORE(no_sampling), 10, "leaf_fields"},
    {BEFORE(sampling_above_one), 10, "leaf_fields"},
    {BEFORE(sampling_lowered), 12, "epsilon_round"},
    {BEFORE(no_steps), 10, "leaf_fields"},
    {BEFORE(fewer_steps), 12, "epsilon_round"},
    {BEFORE(delta_of_one), 10, "leaf_fields"},
    {BEFORE(charge_by_the_hub), 10, "leaf_signer"},
    {BEFORE(charge_of_the_neighbour), 10, "leaf_signer"},
    {BEFORE(result_by_a_hospital), 10, "leaf_signer"},
    {BEFORE(abort_by_a_hospital), 10, "leaf_signer"},
    {BEFORE(enrol_by_mallory), 10, "leaf_signer"},
    {BEFORE(release_on_the_neighbours_charge), 12, "release_differs", 1 + WORLD_HUB},
    {BEFORE(approval_replayed), 10, "leaf_repeated"},
    {BEFORE(approved_for_other_data), 12, "charge_not_approved"},
    {BEFORE(approved_for_another_data_set), 12, "charge_not_approved"},
    {BEFORE(approved_another_plan), 12, "charge_not_approved"},
    {BEFORE(approval_after_the_charge), 12, "charge_not_approved"},
    {BEFORE(charged_while_paused), 12, "charge_paused"},
    {BEFORE(cohort_below_the_policy), 12, "cohort_too_small"},
    {BEFORE(cap_lowered_between), 12, "charge_policy"},
    {BEFORE(cap_lowered_below_what_is_spent), 12, "cap_exceeded"},
    {BEFORE(delta_changed_between), 12, "charge_policy"},
    {BEFORE(clock_set_back), 12, "month_exceeded"},
    {BEFORE(attempt_charged_again_under_another_number), 12, "epsilon_spent"},
    {BEFORE(fresh_data_set_for_old_patients), 12, "epsilon_spent"},
    {BEFORE(revoked_hospital_asked), 13, "party_revoked"},
    {BEFORE(plan_of_a_revoked_sponsor), 13, "party_revoked"},
    {BEFORE(survivor_forgotten), 13, "survivors_incomplete"},
    {BEFORE(stranger_left_out), 13, "survivor_not_in_roster"},
    {BEFORE(survivor_never_enrolled), 11, "survivor_without_charge"},
    {BEFORE(second_plan_for_the_study), 13, "round_order"},
    {BEFORE(model_swapped), 13, "state_chain"},
    {BEFORE(round_after_the_abort), 13, "study_ended"},
    {BEFORE(results_swapped), 13, "result_without_open"},
    {BEFORE(last_round_repeated_after_the_end), 13, "result_repeated"},
    {BEFORE(comes_back_other), 12, "recover_differs"},
    {BEFORE(comes_back_in_part), 12, "recover_differs"},
    {BEFORE(comes_back_without_end), 10, "leaf_fields"},
    {BEFORE(comes_back_from_another_hub), 12, "recover_differs"},
    {BEFORE(comes_back_from_a_longer_hub), 12, "recover_differs"},
    {BEFORE(set_back_by_another), 10, "leaf_signer"},
    {BEFORE(set_back_at_the_hub), 10, "leaf_type"},
    {BEFORE(charge_after_it_forgets_what_came_back), 12, "epsilon_spent"},
    {BEFORE(lost_charge_of_nothing_known), 12, "recover_differs"},
    {BEFORE(comes_back_from_further_than_compared), 12, "recover_differs"},
    {BEFORE(comes_back_though_it_never_left), 12, "recover_differs"},
    {BEFORE(comes_back_twice), 12, "recover_differs"},
    {BEFORE(comes_back_unsealed_and_is_charged), 12, "charge_not_approved", 1 + WORLD_H1},
    {BEFORE(comes_back_without_override_and_is_charged), 12, "override_missing", 1 + WORLD_H1},
    {BEFORE(set_back_before_it_was_set_back), 12, "recover_differs"},
    {BEFORE(set_back_and_knows_of_nothing), 12, "recover_differs"},
    {BEFORE(policy_serves_nobody), 12, "policy_terms"},
    {BEFORE(policy_with_a_term_of_tomorrow), 12, "policy_terms"},
    {BEFORE(policy_without_a_term), 12, "policy_terms"},
    {BEFORE(policy_of_more_threads_than_there_can_be), 12, "policy_terms"},
    {BEFORE(policy_for_another_sponsor), 12, "policy_terms"},
    {BEFORE(policy_changed_before_the_charge), 12, "policy_terms", 1 + WORLD_H1},
    {BEFORE(charged_after_hours), 12, "policy_hours"},
    {BEFORE(charged_before_hours), 12, "policy_hours"},
    {BEFORE(charged_a_day_late), 12, "policy_hours"},
    {BEFORE(study_of_more_than_the_policy_allows), 12, "study_exceeded"},
    {BEFORE(rules_not_asked_without_a_word), 12, "decision_missing"},
    {BEFORE(rules_said_hold), 12, "decision_missing", 1 + WORLD_H1},
    {BEFORE(rules_said_refuse_since), 12, "decision_missing", 1 + WORLD_H1},
    {BEFORE(rules_never_said_so), 12, "decision_missing", 1 + WORLD_H1},
    {BEFORE(rules_said_so_of_another_plan), 12, "decision_missing", 1 + WORLD_H1},
    {BEFORE(rules_held_on_one_track), 12, "decision_missing", 1 + WORLD_H1},
    {BEFORE(rules_left_a_track_out), 12, "decision_missing", 1 + WORLD_H1},
    {BEFORE(rules_made_a_forecast), 12, "decision_missing", 1 + WORLD_H1},
    {BEFORE(rules_of_another_file), 12, "decision_rules", 1 + WORLD_H1},
    {BEFORE(rules_of_another_file_uncharged), 12, "decision_rules", 1 + WORLD_H1},
    {BEFORE(rules_signed_since), 12, "decision_rules", 1 + WORLD_H1},
    {BEFORE(rules_withdrawn_since), 12, "decision_rules", 1 + WORLD_H1},
    {BEFORE(document_of_yesterday), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(document_of_tomorrow), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(document_taken_back), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(document_of_another_study), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(document_of_another_kind), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(review_without_a_topic), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(review_without_a_committee), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(contract_for_no_province), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(certificate_without_its_scope), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(application_taken_for_an_answer), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(assessment_of_four_years), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(renewed_too_early), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(renewal_of_what_was_taken_back), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(renewal_of_nothing), 12, "decision_records", 1 + WORLD_H1},
    {BEFORE(rules_asked_with_fewer), 12, "decision_people", 1 + WORLD_H1},
    {BEFORE(rules_asked_with_nobody), 12, "decision_people", 1 + WORLD_H1},
    {BEFORE(exporter_renamed), 12, "decision_people", 1 + WORLD_H1},
    {BEFORE(scored_without_a_policy_of_it), 12, "inference_policy", 1 + WORLD_H1},
    {BEFORE(scored_on_another_basis), 12, "inference_policy", 1 + WORLD_H1},
    {BEFORE(scored_too_many_in_an_hour), 12, "inference_policy", 1 + WORLD_H1},
    {BEFORE(scored_with_the_clock_set_back), 12, "inference_policy", 1 + WORLD_H1},
    {BEFORE(scored_an_exact_number), 12, "inference_policy", 1 + WORLD_H1},
    {BEFORE(policy_for_scores_of_a_kind_that_nobody_knows), 12, "policy_terms", 1 + WORLD_H1},
    {BEFORE(other_hospital_left_out), 12, "decision_people"},
    {BEFORE(exporter_renamed_away_from_the_others), 12, "decision_people"},
    {BEFORE(limit_half_reached_unsaid), 12, "warning_missing", 1 + WORLD_H1},
    {BEFORE(limit_warned_of_too_little), 12, "warning_missing", 1 + WORLD_H1},
    {BEFORE(limit_warned_of_last_year), 12, "warning_missing", 1 + WORLD_H1},
    {BEFORE(limit_warned_of_too_late), 12, "warning_missing", 1 + WORLD_H1},
    {BEFORE(limit_of_one_person), 10, "leaf_fields", 1 + WORLD_H1},
    {BEFORE(people_fewer_than_before), 12, "people_fell"},
    {BEFORE(people_fewer_in_one_of_two_years), 12, "people_fell"},
    {BEFORE(people_of_last_year), 12, "people_year"},
    {BEFORE(people_of_last_year_unreleased), 12, "people_year", 1 + WORLD_H1},
    {BEFORE(released_after_new_year), 12, "people_year"},
    {BEFORE(withdrawals_undone), 12, "withdrawal_fell", 1 + WORLD_H1},
    {BEFORE(withdrawals_exact), 12, "withdrawal_fell", 1 + WORLD_H1},
    {BEFORE(rule_set_without_a_version), 10, "leaf_fields"},
    {BEFORE(border_lifted_by_the_hub), 10, "leaf_signer"},
    {BEFORE(decision_in_the_hubs_log), 10, "leaf_type"},
    {BEFORE(second_key_for_a_hospital), 10, "identity_differs"},
    {BEFORE(second_key_for_a_hospital), 10, "identity_differs", 1 + WORLD_HUB},
    {BEFORE(study_ended_by_a_rival), 10, "leaf_signer"},
    {BEFORE(plan_under_anothers_name), 10, "leaf_signer"},
    {BEFORE(tampering_behind_a_hundred_faults), 10, "leaf_signer"},
    {BEFORE(four_thousand_survivors), 11, "survivor_without_charge"},
    {BEFORE(more_values_than_any_leaf_has), 10, "leaf_malformed"},
    {AFTER(emptied_and_signed), 11, "entries_missing"},
    {AFTER(checkpoint_with_an_escape_sequence), 10, "checkpoint_malformed"},
};

static enum ym_code verify_world(const struct world *w, const char *trust, int only, struct ym_verification **v,
                                 struct ym_status *st)
{
    const char *dir[WORLD_LOGS] = {w->log[0].dir, w->log[1].dir, w->log[2].dir};
    char path[192];
    const char *older = path;
    struct ym_verify_options o = {.trust = trust, .checkpoint = &older};

    snprintf(path, sizeof(path), "%s/older", w->dir);
    o.checkpoint_count = ym_fs_exists(path);
    return only ? ym_verify(&dir[only - 1], 1, &o, v, st) : ym_verify(dir, WORLD_LOGS, &o, v, st);
}

static void print_findings(const struct ym_verification *v)
{
    for (size_t i = 0; i < v->finding_count; i++)
        print_message("  %d %s: log %zu entry %ld: %s\n", (int)ym_reason_verdict(v->finding[i].reason),
                      ym_reason_name(v->finding[i].reason), v->finding[i].log, (long)v->finding[i].entry,
                      v->finding[i].detail);
}

static bool trick_is_seen(const struct trick *t)
{
    char dir[64];
    struct world w = {0};
    struct ym_verification *v = NULL;
    struct ym_status st = YM_STATUS_INIT;
    const struct ym_finding *f;
    bool seen;

    make_dir(dir);
    world_open(&w, dir, t->files ? PADDING : 0);
    if (t->entries)
        t->entries(&w);
    world_write(&w);
    if (t->files)
        t->files(&w);
    if (verify_world(&w, w.trust, t->only, &v, &st) != YM_OK)
        fail_msg("%s: %s", t->name, st.message);
    f = ym_verification_worst(v);
    seen = f && (int)ym_verification_verdict(v) == t->verdict && strcmp(ym_reason_name(f->reason), t->reason) == 0;
    if (!seen) {
        print_error("%s: expected %d %s\n", t->name, t->verdict, t->reason);
        print_findings(v);
    }
    ym_verification_free(v);
    world_close(&w);
    remove_tree(dir);
    return seen;
}

static void every_trick_has_its_code_and_reason(void **state)
{
    size_t missed = 0;

    (void)state;
    assert_true(sizeof(tricks) / sizeof(tricks[0]) >= 60);
    for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++)
        missed += !trick_is_seen(&tricks[i]);
    assert_int_equal(missed, 0);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    char dir[64];

    make_dir(dir);
    world_open(w, dir, PADDING);
    world_write(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    remove_tree(w->dir);
    world_close(w);
    free(w);
    return 0;
}

static void expect_verdict(const struct world *w, const char *trust, int only, int verdict)
{
    struct ym_verification *v = NULL;
    struct ym_status st = YM_STATUS_INIT;

    if (verify_world(w, trust, only, &v, &st) != YM_OK)
        fail_msg("%s", st.message);
    print_findings(v);
    assert_int_equal(ym_verification_verdict(v), verdict);
    ym_verification_free(v);
}

static void honest_ledgers_verify_together_and_alone(void **state)
{
    struct world *w = *state;
    struct ym_verification *v = NULL;

    expect_verdict(w, w->trust, 1 + WORLD_HUB, YM_VERDICT_GOOD);
    expect_verdict(w, w->trust, 1 + WORLD_H1, YM_VERDICT_GOOD);
    expect_verdict(w, w->trust, 1 + WORLD_H2, YM_VERDICT_GOOD);
    assert_int_equal(verify_world(w, w->trust, 0, &v, NULL), YM_OK);
    print_findings(v);
    assert_int_equal(ym_verification_verdict(v), YM_VERDICT_GOOD);
    for (size_t i = 0; i < WORLD_LOGS; i++) {
        assert_true(v->log[i].anchored);
        assert_int_equal(v->log[i].size, w->log[i].count);
        assert_int_equal(v->log[i].signatures, w->log[i].count);
        assert_int_equal(v->log[i].unchecked, 0);
    }
    assert_int_equal(v->log[WORLD_HUB].results, 2);
    assert_int_equal(v->log[WORLD_HUB].charges, 4);
    assert_int_equal(v->charge_count, 4);
    assert_true(v->charge[0].released && v->charge[1].spent_micro > v->charge[0].spent_micro);
    assert_true(v->charge[0].spent_micro > v->charge[0].round_micro); /* one order against the best of all */
    assert_int_equal(v->charge[0].tight_micro, v->charge[0].round_micro);
    assert_true(v->charge[1].tight_micro < v->charge[1].spent_micro);
    assert_int_equal(v->charge[1].order_milli, w->order_milli);
    ym_verification_free(v);
}

static void without_a_trust_file_the_origin_is_not_checked(void **state)
{
    struct world *w = *state;

    expect_verdict(w, NULL, 0, YM_VERDICT_UNANCHORED);
    /* and what another key made from the ground up looks just as good */
    expect_verdict(w, NULL, 1 + WORLD_H1, YM_VERDICT_UNANCHORED);
}

static void a_log_that_the_trust_file_lacks_is_refused(void **state)
{
    struct world *w = *state;

    assert_int_equal(ym_fs_write(w->trust, (struct ym_bytes){(const uint8_t *)"# nobody\n", 9}, 0644, NULL), YM_OK);
    expect_verdict(w, w->trust, 1 + WORLD_H1, YM_VERDICT_TAMPERED);
}

static void a_veto_while_the_hub_adds_up_is_no_crime(void **state)
{
    struct world *w = *state;
    struct world_leaf *no = veto(w);

    no->time++;
    world_insert(w, WORLD_HUB, world_find(w, WORLD_HUB, "charge", 2), no);
    world_add(w, WORLD_H1, no);
    world_write(w);
    expect_verdict(w, w->trust, 0, YM_VERDICT_GOOD);
}

/* A hospital's log alone: the sponsor's plan cannot be checked, and that is said. */
static void what_a_ledger_took_back_is_accounted_for(void **state)
{
    struct world *w = *state;
    struct ym_verification *v = NULL;

    set_back(w);
    world_write(w);
    assert_int_equal(verify_world(w, w->trust, 0, &v, NULL), YM_OK);
    print_findings(v);
    assert_int_equal(ym_verification_verdict(v), YM_VERDICT_GOOD);
    assert_int_equal(v->log[WORLD_H1].recovers, 1);
    assert_int_equal(v->log[WORLD_H1].returned, 2);
    ym_verification_free(v);
}

/* Of h1's log alone. */
static void expect_no_finding(struct world *w, const char *reason)
{
    struct ym_verification *v = NULL;

    assert_int_equal(verify_world(w, w->trust, 1 + WORLD_H1, &v, NULL), YM_OK);
    print_findings(v);
    for (size_t i = 0; i < v->finding_count; i++)
        assert_string_not_equal(ym_reason_name(v->finding[i].reason), reason);
    ym_verification_free(v);
}

/* Its keys may be lost; or it is sealed, and then it counts for what comes after. */
static void an_approval_that_came_back_explains_what_came_back_and_sealed_what_follows(void **state)
{
    for (int sealed = 0; sealed < 2; sealed++) {
        char dir[64];
        struct world w = {0};
        struct world_leaf *yes;

        (void)state;
        make_dir(dir);
        world_open(&w, dir, 0);
        yes = approval_comes_back(&w);
        if (sealed) {
            seal_with(&w, yes, YM_OFFICE_IT, w.mallory, SEALED_AT);
            seal_with(&w, yes, YM_OFFICE_DATA_OFFICE, w.sponsor, SEALED_AT);
        } else {
            json_object_set_new(world_at(&w, WORLD_H1, "charge", 1)->members, "study", json_string("other"));
            json_object_set_new(world_at(&w, WORLD_H1, "release", 1)->members, "study", json_string("other"));
        }
        set_back_before(&w, yes, 3);
        if (sealed)
            world_add(&w, WORLD_H1,
                      world_leaf(&w, "charge", world_charge(&w, "other", 1, 1, w.state[0], "a", 3), "h1", w.h1));
        world_write(&w);
        expect_no_finding(&w, "charge_not_approved");
        world_close(&w);
        remove_tree(dir);
    }
}

static void an_approval_that_came_back_needs_no_override_until_it_is_charged(void **state)
{
    struct world *w = *state;

    dear_approval_comes_back(w);
    world_write(w);
    expect_no_finding(w, "override_missing");
}

/* Nobody else holds policies: by that of an older night the second charge is above the cap, on too few patients. */
static void what_a_lost_policy_allowed_comes_back(void **state)
{
    struct world *w = *state;
    size_t at = world_find(w, WORLD_H1, "charge", 1);
    json_t *members = json_deep_copy(world_at(w, WORLD_H1, "policy", 0)->members);
    json_int_t spent =
        json_integer_value(json_object_get(world_at(w, WORLD_H1, "charge", 0)->members, "epsilon_spent_micro"));

    json_object_set_new(members, "epsilon_cap_micro", json_integer(spent + 1));
    json_object_set_new(members, "epsilon_month_micro", json_integer(spent + 1));
    json_object_set_new(members, "min_patients", json_integer(100000));
    world_insert(w, WORLD_H1, at, world_leaf(w, "policy", members, "h1", w->h1));
    set_back_from(w, at + 1, 2, world_find(w, WORLD_HUB, "round_result", 1));
    world_write(w);
    expect_verdict(w, w->trust, 0, YM_VERDICT_GOOD);
}

static void strangers_in_a_log_alone_are_counted(void **state)
{
    struct world *w = *state;
    struct ym_verification *v = NULL;

    assert_int_equal(verify_world(w, NULL, 1 + WORLD_H1, &v, NULL), YM_OK);
    assert_int_equal(v->log[0].unchecked, 2); /* the hub's enrol leaf and the sponsor's plan */
    assert_int_equal(v->log[0].signatures, w->log[WORLD_H1].count - 2);
    ym_verification_free(v);
}

static void what_the_ledger_writes_is_what_the_verifier_reads(void **state)
{
    struct world *w = *state;
    struct world_log *l = &w->log[WORLD_H1];
    struct ym_ledger *ledger = NULL;

    remove_tree(l->dir);
    assert_int_equal(ym_ledger_open(l->dir, l->origin, w->h1, &ledger, NULL), YM_OK);
    for (size_t i = 0; i < l->count; i++) {
        size_t len;
        const char *line = world_line(l->leaf[i], &len);
        struct ym_bytes leaf = {(const uint8_t *)line, len};

        assert_int_equal(ym_ledger_append(ledger, &leaf, 1, NULL, NULL), YM_OK);
        if (i % 64 == 0)
            expect_verdict(w, NULL, 1 + WORLD_H1, YM_VERDICT_UNANCHORED); /* while it is open */
    }
    expect_verdict(w, w->trust, 0, YM_VERDICT_GOOD);
    ym_ledger_close(&ledger);
}

/* The same ledgers, with their reasons before them. */
static void what_two_offices_sealed_verifies(void **state)
{
    char dir[64];
    struct world w = {0};
    struct ym_verification *v = NULL;
    struct world_leaf *third;

    (void)state;
    make_dir(dir);
    world_open(&w, dir, 0);
    sealed_approval(&w);
    lowered_month_unsealed(&w);
    raise(&w);
    third = office_key(&w, "ethics", w.h2);
    seal_with(&w, third, YM_OFFICE_IT, w.mallory, SEALED_AT);
    seal_with(&w, third, YM_OFFICE_DATA_OFFICE, w.sponsor, SEALED_AT);
    world_add(&w, WORLD_H1, third);
    world_write(&w);
    assert_int_equal(verify_world(&w, w.trust, 1 + WORLD_H1, &v, NULL), YM_OK);
    print_findings(v);
    assert_int_equal(ym_verification_verdict(v), YM_VERDICT_GOOD);
    ym_verification_free(v);
    world_close(&w);
    remove_tree(dir);
}

static void an_override_before_it_explains_a_large_epsilon(void **state)
{
    char dir[64];
    struct world w = {0};
    struct ym_verification *v = NULL;

    (void)state;
    make_dir(dir);
    world_open(&w, dir, 0);
    edit_all(&w, "epsilon_cap_micro", 30000000);
    plan_above_twenty(&w);
    world_insert(&w, WORLD_H1, 1, override(&w, "policy", 30000000));
    world_insert(&w, WORLD_H1, 1, override(&w, w.plan, 20000001));
    world_write(&w);
    assert_int_equal(verify_world(&w, w.trust, 1 + WORLD_H1, &v, NULL), YM_OK);
    print_findings(v);
    assert_int_equal(ym_verification_verdict(v), YM_VERDICT_GOOD);
    assert_int_equal(v->override_count, 2);
    assert_string_equal(v->override[1].subject, "policy");
    assert_string_equal(v->override[1].reason, "a trial on public data");
    assert_string_equal(v->charge[0].identified, "hospital_id");
    ym_verification_free(v);
    world_close(&w);
    remove_tree(dir);
}

/* What two charges add fits two months, not one. */
static void a_charge_in_the_next_month_has_the_next_months_room(void **state)
{
    char dir[64];
    struct world w = {0};
    struct ym_verification *v = NULL;
    int64_t one;

    (void)state;
    for (int later = 0; later < 2; later++) {
        make_dir(dir);
        w = (struct world){0};
        world_open(&w, dir, 0);
        world_write(&w);
        assert_int_equal(verify_world(&w, w.trust, 1 + WORLD_H1, &v, NULL), YM_OK);
        one = v->charge[0].month_micro;
        assert_true(one > 0 && v->charge[1].month_micro >= 2 * one - 1);
        ym_verification_free(v);
        world_close(&w);
        remove_tree(dir);
        make_dir(dir);
        w = (struct world){0};
        world_open(&w, dir, 0);
        edit(&w, WORLD_H1, "policy", 0, "epsilon_month_micro", json_integer(one));
        world_at(&w, WORLD_H1, "charge", 1)->time += later ? 31 * 86400 : 0;
        world_write(&w);
        assert_int_equal(verify_world(&w, w.trust, 1 + WORLD_H1, &v, NULL), YM_OK);
        assert_int_equal(ym_verification_verdict(v), later ? YM_VERDICT_GOOD : YM_VERDICT_BUDGET);
        ym_verification_free(v);
        world_close(&w);
        remove_tree(dir);
    }
}

static void add_card(struct world *w, const char *dataset, json_t *group)
{
    json_t *members = json_copy(world_at(w, WORLD_H1, "dataset_card", 0)->members);

    json_object_set_new(members, "dataset", json_string(dataset));
    json_object_set_new(members, "data", json_string(world_hash(dataset)));
    json_object_set_new(members, "group", group);
    world_add(w, WORLD_H1, world_leaf(w, "dataset_card", members, "h1", w->h1));
}

/* A second data set, charged after two rounds on the first; after: of how many charges it says to be the last. */
static int charged_on_a_second(struct world *w, bool shares, bool leaves, unsigned after)
{
    struct ym_verification *v = NULL;
    json_t *yes = json_copy(world_at(w, WORLD_H1, "approval", 0)->members);
    int verdict;

    json_object_set_new(yes, "study", json_string("other"));
    json_object_set_new(yes, "dataset", json_string("c"));
    json_object_set_new(yes, "data", json_string(world_hash("c")));
    add_card(w, "c", shares ? json_pack("[s,s]", "a", "c") : json_pack("[s]", "c"));
    if (leaves)
        add_card(w, "c", json_pack("[s]", "c"));
    world_add(w, WORLD_H1, world_leaf(w, "approval", yes, "h1", w->h1));
    world_add(w, WORLD_H1,
              world_leaf(w, "charge", world_charge(w, "other", 1, 1, w->state[0], "c", after), "h1", w->h1));
    world_write(w);
    assert_int_equal(verify_world(w, w->trust, 1 + WORLD_H1, &v, NULL), YM_OK);
    verdict = ym_verification_verdict(v);
    if (verdict != YM_VERDICT_GOOD)
        assert_string_equal(ym_reason_name(ym_verification_worst(v)->reason), "epsilon_spent");
    ym_verification_free(v);
    return verdict;
}

static void data_sets_that_share_patients_are_one_budget_to_the_verifier(void **state)
{
    static const struct {
        bool shares, leaves;
        unsigned after;
        int verdict;
    } each[] = {{true, false, 3, YM_VERDICT_GOOD},  {true, false, 1, YM_VERDICT_BUDGET},
                {true, true, 3, YM_VERDICT_GOOD},   {true, true, 1, YM_VERDICT_BUDGET},
                {false, false, 1, YM_VERDICT_GOOD}, {false, false, 3, YM_VERDICT_BUDGET}};

    (void)state;
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        char dir[64];
        struct world w = {0};

        make_dir(dir);
        world_open(&w, dir, 0);
        assert_int_equal(charged_on_a_second(&w, each[i].shares, each[i].leaves, each[i].after), each[i].verdict);
        world_close(&w);
        remove_tree(dir);
    }
}

/* The leaves and roots that Certificate Transparency implementations share, by the verifier's own code. */
static void the_verifiers_roots_match_rfc6962_vectors(void **state)
{
    static const struct {
        const char *leaf;
        size_t len;
        const char *root;
    } step[] = {
        {"", 0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
        {"\x00", 1, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
        {"\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
        {"\x20\x21", 2, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
        {"\x30\x31", 2, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
        {"\x40\x41\x42\x43", 4, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
        {"\x50\x51\x52\x53\x54\x55\x56\x57", 8, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
        {"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
    };
    uint8_t hash[8][32], root[32], expected[32];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        ym_vleaf_hash((struct ym_bytes){(const uint8_t *)step[i].leaf, step[i].len}, hash[i]);
        ym_vroot((const uint8_t(*)[32])hash, i + 1, root);
        assert_true(ym_vhex(step[i].root, 64, expected, 32));
        assert_memory_equal(root, expected, 32);
    }
}

/* Three levels of tiles; RFC 6962's recursion over the leaves is the other way to the same root. */
static void roots_of_earlier_sizes_are_those_of_their_leaves(void **state)
{
    static const size_t size[] = {0, 1, 2, 255, 256, 257, 511, 513, 65535, 65536, 65537, 66048, 131071, 131072, 140000};
    struct ym_folder f = {.dir = strdup("/nonexistent"), .count = 140000};
    uint8_t root[32], expected[32];

    (void)state;
    f.hash = malloc(f.count * 32);
    assert_non_null(f.hash);
    for (size_t i = 0; i < f.count; i++)
        ym_vleaf_hash((struct ym_bytes){(const uint8_t *)&i, sizeof(i)}, f.hash[i]);
    ym_folder_check_tree(&f);
    assert_true(f.faulty && f.fault == YM_REASON_ROOT_MISMATCH);
    for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
        assert_true(ym_folder_root_at(&f, size[i], root));
        ym_vroot((const uint8_t(*)[32])f.hash, size[i], expected);
        assert_memory_equal(root, expected, 32);
    }
    assert_false(ym_folder_root_at(&f, f.count + 1, root));
    ym_folder_release(&f);
}

static void an_entry_that_changed_since_it_was_hashed_is_not_read(void **state)
{
    struct world *w = *state;
    struct ym_folder f;
    struct ym_bytes line;

    assert_int_equal(ym_folder_load(w->log[WORLD_H1].dir, NULL, &f, NULL), YM_OK);
    assert_true(ym_folder_entry(&f, 0, &line));
    assert_true(f.count > 257 && ym_folder_entry(&f, 257, &line));
    ym_folder_release(&f);
    assert_int_equal(ym_folder_load(w->log[WORLD_H1].dir, NULL, &f, NULL), YM_OK);
    entry_flipped(w);
    assert_false(ym_folder_entry(&f, 0, &line));
    assert_true(ym_folder_entry(&f, 257, &line)); /* of the bundle that is not full yet, kept */
    ym_folder_release(&f);
}

static void a_log_that_grows_while_it_is_read_has_no_fault(void **state)
{
    struct world *w = *state;
    struct ym_folder still, moved, full;

    assert_int_equal(ym_folder_load(w->log[WORLD_H1].dir, NULL, &still, NULL), YM_OK);
    assert_int_equal(ym_folder_load(w->log[WORLD_H1].dir, NULL, &moved, NULL), YM_OK);
    assert_int_equal(ym_folder_load(w->log[WORLD_H1].dir, NULL, &full, NULL), YM_OK);
    drop(w, WORLD_H1, "tile/1/000.p/1");
    ym_folder_check_tree(&still);
    assert_true(still.faulty && still.fault == YM_REASON_TILE_MISSING);
    checkpoint_replayed(w);
    ym_folder_check_tree(&moved);
    assert_false(moved.faulty);
    drop(w, WORLD_H1, "tile/0/000");
    ym_folder_check_tree(&full);
    assert_true(full.faulty && full.fault == YM_REASON_TILE_MISSING);
    ym_folder_release(&still);
    ym_folder_release(&moved);
    ym_folder_release(&full);
}

static void a_second_copy_of_a_log_that_tells_another_story_is_noticed(void **state)
{
    struct world *w = *state;
    char copy[192];
    const char *dir[2] = {w->log[WORLD_H2].dir, copy};
    struct ym_verify_options o = {.trust = w->trust};
    struct ym_verification *v = NULL;

    snprintf(copy, sizeof(copy), "%s/copy", w->dir);
    strcpy(w->log[WORLD_H2].dir, copy);
    world_write_log(w, WORLD_H2); /* the same */
    snprintf(w->log[WORLD_H2].dir, sizeof(w->log[WORLD_H2].dir), "%s/h2", w->dir);
    assert_int_equal(ym_verify(dir, 2, &o, &v, NULL), YM_OK);
    assert_int_equal(ym_verification_verdict(v), YM_VERDICT_GOOD);
    ym_verification_free(v);
    world_remove(w, WORLD_H2, w->log[WORLD_H2].count - 1);
    strcpy(w->log[WORLD_H2].dir, copy);
    add_incident(w);
    world_write_log(w, WORLD_H2);
    snprintf(w->log[WORLD_H2].dir, sizeof(w->log[WORLD_H2].dir), "%s/h2", w->dir);
    assert_int_equal(ym_verify(dir, 2, &o, &v, NULL), YM_OK);
    print_findings(v);
    assert_string_equal(ym_reason_name(v->finding[0].reason), "checkpoint_inconsistent");
    ym_verification_free(v);
}

/* Of h1's two charges the hub's log has one: no crime, a hub that was down loses one, but counted. */
static void charges_and_releases_that_the_hub_never_wrote_down_are_counted(void **state)
{
    struct world *w = *state;
    struct ym_verification *v = NULL;

    world_add(w, WORLD_H1, world_leaf(w, "charge", world_charge(w, "wdbc", 2, 2, w->state[1], "a", 3), "h1", w->h1));
    world_write(w);
    assert_int_equal(verify_world(w, w->trust, 0, &v, NULL), YM_OK);
    print_findings(v);
    assert_int_equal(ym_verification_verdict(v), YM_VERDICT_GOOD);
    assert_int_equal(v->log[WORLD_H1].charges, 3);
    assert_int_equal(v->log[WORLD_H1].posted, 2);
    assert_int_equal(v->log[WORLD_H1].received, 2);
    assert_int_equal(v->log[WORLD_H2].posted, v->log[WORLD_H2].charges);
    ym_verification_free(v);
}

/* Hours that hold the charges' time: the night that began the day before, and the last minute. */
static void a_charge_within_the_hours_is_good(void **state)
{
    static const struct {
        const char *day, *from, *to;
    } each[] = {
        {"tue", "20:00", "06:14"}, {"wed", "06:13", "06:14"}, {"wed", "00:00", "24:00"}, {"any", "06:00", "07:00"}};

    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        struct world w = {0};
        char dir[64];

        make_dir(dir);
        world_open(&w, dir, 0);
        hours(&w, each[i].day, each[i].from, each[i].to);
        if (i == 3)
            json_object_set_new(json_array_get(json_object_get(terms_of(&w), "hours"), 0), "days", json_string("any"));
        world_write(&w);
        expect_verdict(&w, w.trust, 1 + WORLD_H1, YM_VERDICT_GOOD);
        world_close(&w);
        remove_tree(dir);
    }
}

static void a_charge_that_the_rule_sets_let_pass_is_good(void **state)
{
    struct world *w = *state;

    ask_rules(w, decision(w, "proceed"), NULL);
    world_write(w);
    expect_verdict(w, w->trust, 1 + WORLD_H1, YM_VERDICT_GOOD);
    expect_verdict(w, w->trust, 0, YM_VERDICT_GOOD);
}

/* On the first and last day of its document, by the sets in force; then more people, in two years, some of whom
 * withdraw. */
static void a_charge_on_good_grounds_is_good(void **state)
{
    struct world w = {0};
    struct ym_verification *v = NULL;
    char dir[64];

    (void)state;
    make_dir(dir);
    world_open(&w, dir, 0);
    on_good_grounds(&w);
    say_people(&w, 0, json_pack("[o,o]", counted(2023, 500), counted(2024, 300)));
    say_people(&w, 1, json_pack("[o,o]", counted(2023, 600), counted(2024, 300)));
    world_at(&w, WORLD_H1, "release", 1)->time = 1704038400;
    world_add(&w, WORLD_H1, withdrawal(&w, "a", 100));
    world_add(&w, WORLD_H1, withdrawal(&w, "a", 100));
    world_write(&w);
    expect_verdict(&w, w.trust, 0, YM_VERDICT_GOOD);
    assert_int_equal(verify_world(&w, w.trust, 1 + WORLD_H1, &v, NULL), YM_OK);
    assert_int_equal(v->people_count, 2);
    assert_int_equal(v->people[0].people, 600);
    assert_int_equal(v->people[1].year, 2024);
    ym_verification_free(v);
    world_close(&w);
    remove_tree(dir);
}

/* The charges are of the last day of an assessment of three years, and of one that began where the old one ended. */
static void a_document_with_its_parts_on_its_last_day_is_good(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world w = {0};
        char dir[64];

        make_dir(dir);
        world_open(&w, dir, 0);
        if (i == 0)
            on_document(&w, "security_assessment", "2020-11-15", "2024-11-14");
        if (i == 1)
            on_contract(&w);
        if (i == 2)
            renewed(&w, "2020-07-18");
        world_write(&w);
        expect_verdict(&w, w.trust, 1 + WORLD_H1, YM_VERDICT_GOOD);
        world_close(&w);
        remove_tree(dir);
    }
}

/* To the last row of an hour, and on in the next. */
static void scores_that_the_policy_allows_are_good(void **state)
{
    struct world w = {0};
    char dir[64];

    (void)state;
    make_dir(dir);
    world_open(&w, dir, 0);
    allow_scores(&w, 1000);
    score(&w, "consent", 600, 0);
    score(&w, "consent", 400, 2799);
    score(&w, "consent", 1000, 2800);
    world_write(&w);
    expect_verdict(&w, w.trust, 1 + WORLD_H1, YM_VERDICT_GOOD);
    world_close(&w);
    remove_tree(dir);
}

/* What another hospital said of the same exporter and year before the round was opened, and nothing else. */
static void a_decision_that_counts_the_other_hospitals_is_good(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world w = {0};
        struct ym_verification *v = NULL;
        struct ym_exporter_sum sum;
        char dir[64];

        make_dir(dir);
        world_open(&w, dir, 0);
        one_exporter(&w, i == 0 ? 1200 : i == 1 ? 1700 : 600);
        if (i == 1)
            edit(&w, WORLD_H1, "charge", 1, "exporter", json_string(world_hash("another name")));
        if (i == 2) { /* in the same round, and first at the hub */
            struct world_leaf *theirs = world_at(&w, WORLD_HUB, "charge", 3);

            edit(&w, WORLD_H2, "charge", 0, "exporter", json_string(world_hash("b")));
            world_remove(&w, WORLD_HUB, world_find(&w, WORLD_HUB, "charge", 3));
            world_insert(&w, WORLD_HUB, world_find(&w, WORLD_HUB, "charge", 2), theirs);
        }
        if (i == 3)
            for (size_t k = 0; k < 2; k++)
                edit(&w, WORLD_H2, "charge", k, "people", json_pack("[o,o]", counted(2023, 0), counted(2024, 600)));
        world_write(&w);
        expect_verdict(&w, w.trust, 0, YM_VERDICT_GOOD);
        assert_int_equal(verify_world(&w, w.trust, 0, &v, NULL), YM_OK);
        assert_true(ym_verification_exporter(v, 0, &sum));
        assert_int_equal(sum.people, i == 3 ? 600 : 1200);
        assert_int_equal(sum.hospitals, 2);
        ym_verification_free(v);
        world_close(&w);
        remove_tree(dir);
    }
}

/* Of 1,201 people 600 are not yet half; of 1,200 they are, and that is said; a draft has no limits yet. */
static void a_mark_that_was_said_or_not_reached_is_good(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world w = {0};
        struct world_leaf *set;
        char dir[64];

        make_dir(dir);
        world_open(&w, dir, 0);
        set = limited(&w, i == 0 ? 1201 : 1200);
        if (i < 2)
            warn(&w, 100, 95, 2023);
        if (i == 1)
            warn(&w, 1200, 80, 2023);
        if (i == 2)
            json_object_set_new(set->members, "draft", json_true());
        if (i == 3)
            json_object_set_new(set->members, "effective_from", json_string("2023-11-16"));
        world_write(&w);
        expect_verdict(&w, w.trust, 1 + WORLD_H1, YM_VERDICT_GOOD);
        world_close(&w);
        remove_tree(dir);
    }
}

/* What a leaf says reaches the auditor's terminal in findings. */
static void a_finding_holds_nothing_that_moves_a_terminal(void **state)
{
    struct world *w = *state;
    struct ym_verification *v = NULL;
    char line[256];

    snprintf(line, sizeof line,
             "{\"by\":\"h1\",\"key\":\"0123456789abcdef\",\"time\":1,\"type\":\"\\u001B[2Jverified\\u202E\","
             "\"v\":1,\"sig\":\"%.86s==\"}",
             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    world_add(w, WORLD_H1, world_raw(w, line));
    world_write(w);
    assert_int_equal(verify_world(w, w->trust, 0, &v, NULL), YM_OK);
    assert_int_equal(v->finding_count, 1);
    assert_non_null(strstr(v->finding[0].detail, "?[2Jverified?"));
    ym_verification_free(v);
}

static void folders_that_cannot_be_read_are_not_verdicts(void **state)
{
    struct world *w = *state;
    struct ym_verification *v = NULL;
    struct ym_verify_options o = {NULL, NULL};
    const char *nowhere = "/nonexistent/ledger", *empty = w->dir, *good = w->log[0].dir;

    assert_int_equal(ym_verify(&nowhere, 1, &o, &v, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_verify(&empty, 1, &o, &v, NULL), YM_NOT_FOUND);
    o.trust = "/nonexistent/trust";
    assert_int_equal(ym_verify(&good, 1, &o, &v, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_fs_write(w->trust, (struct ym_bytes){(const uint8_t *)"witness a b\n", 12}, 0644, NULL), YM_OK);
    o.trust = w->trust;
    assert_int_equal(ym_verify(&good, 1, &o, &v, NULL), YM_INVALID);
    assert_null(v);
}

/* Ledgers written once, with keys that are gone: what was published stays readable, and costs what it cost. */
/* No crime, but counted: by the hospital's second charge and the hub's second result. */
static void a_change_of_program_is_counted(void **state)
{
    struct world w = {0};
    struct ym_verification *v = NULL;
    char dir[64];

    (void)state;
    make_dir(dir);
    world_open(&w, dir, 0);
    json_object_set_new(world_at(&w, WORLD_H1, "charge", 1)->members, "binary", json_string(world_hash("newer")));
    json_object_set_new(world_at(&w, WORLD_HUB, "round_result", 1)->members, "binary",
                        json_string(world_hash("newer")));
    world_write(&w);
    assert_int_equal(verify_world(&w, w.trust, 0, &v, NULL), YM_OK);
    assert_int_equal(ym_verification_verdict(v), YM_VERDICT_GOOD);
    assert_int_equal(v->log[WORLD_HUB].programs, 2);
    assert_int_equal(v->log[WORLD_H1].programs, 2);
    assert_int_equal(v->log[WORLD_H2].programs, 1);
    assert_string_equal(v->log[WORLD_H1].binary, world_hash("newer"));
    ym_verification_free(v);
    world_close(&w);
    remove_tree(dir);
}

static void golden_ledgers_still_verify(void **state)
{
    static const char golden[] = YM_TEST_SOURCE_ROOT "/tests/vectors/ledger/golden";
    static const struct {
        int64_t round, spent;
    } figure[] = {GOLDEN_FIGURES};
    const char *dir[] = {YM_TEST_SOURCE_ROOT "/tests/vectors/ledger/golden/hub",
                         YM_TEST_SOURCE_ROOT "/tests/vectors/ledger/golden/h1",
                         YM_TEST_SOURCE_ROOT "/tests/vectors/ledger/golden/h2"};
    struct ym_verify_options o = {YM_TEST_SOURCE_ROOT "/tests/vectors/ledger/golden/trust", NULL};
    struct ym_verification *v = NULL;
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    if (ym_verify(dir, 3, &o, &v, &st) != YM_OK)
        fail_msg("%s: %s", golden, st.message);
    print_findings(v);
    assert_int_equal(ym_verification_verdict(v), YM_VERDICT_GOOD);
    assert_int_equal(v->charge_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(v->charge[i].round_micro, figure[i].round);
        assert_int_equal(v->charge[i].spent_micro, figure[i].spent);
    }
    ym_verification_free(v);
}

/* test_verify --write DIR makes such ledgers; DIR must exist. */
static int write_golden(const char *dir)
{
    struct world w = {.metric = true};

    world_open(&w, dir, 0);
    world_write(&w);
    world_close(&w);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(honest_ledgers_verify_together_and_alone),
        CASE(without_a_trust_file_the_origin_is_not_checked),
        CASE(a_log_that_the_trust_file_lacks_is_refused),
        CASE(a_veto_while_the_hub_adds_up_is_no_crime),
        CASE(what_a_ledger_took_back_is_accounted_for),
        CASE(an_approval_that_came_back_needs_no_override_until_it_is_charged),
        CASE(what_a_lost_policy_allowed_comes_back),
        CASE(strangers_in_a_log_alone_are_counted),
        cmocka_unit_test(an_approval_that_came_back_explains_what_came_back_and_sealed_what_follows),
        CASE(what_the_ledger_writes_is_what_the_verifier_reads),
        cmocka_unit_test(the_verifiers_roots_match_rfc6962_vectors),
        cmocka_unit_test(roots_of_earlier_sizes_are_those_of_their_leaves),
        CASE(an_entry_that_changed_since_it_was_hashed_is_not_read),
        CASE(a_log_that_grows_while_it_is_read_has_no_fault),
        CASE(a_second_copy_of_a_log_that_tells_another_story_is_noticed),
        CASE(charges_and_releases_that_the_hub_never_wrote_down_are_counted),
        CASE(a_charge_that_the_rule_sets_let_pass_is_good),
        cmocka_unit_test(scores_that_the_policy_allows_are_good),
        cmocka_unit_test(a_charge_within_the_hours_is_good),
        cmocka_unit_test(a_charge_on_good_grounds_is_good),
        cmocka_unit_test(a_document_with_its_parts_on_its_last_day_is_good),
        cmocka_unit_test(a_decision_that_counts_the_other_hospitals_is_good),
        cmocka_unit_test(a_mark_that_was_said_or_not_reached_is_good),
        CASE(a_finding_holds_nothing_that_moves_a_terminal),
        CASE(folders_that_cannot_be_read_are_not_verdicts),
        cmocka_unit_test(every_trick_has_its_code_and_reason),
        cmocka_unit_test(what_two_offices_sealed_verifies),
        cmocka_unit_test(an_override_before_it_explains_a_large_epsilon),
        cmocka_unit_test(data_sets_that_share_patients_are_one_budget_to_the_verifier),
        cmocka_unit_test(a_charge_in_the_next_month_has_the_next_months_room),
        cmocka_unit_test(a_change_of_program_is_counted),
        cmocka_unit_test(golden_ledgers_still_verify),
    };

    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_golden(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
