#include "ledger_help.h"

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/tree.h"
#include "base/json.h"
#include "worker/trainer/watch.h"

/* A hospital's ledger held against a hub's log, with real keys and trees. */

struct kit {
    char dir[64];
    struct ym_key *site_key, *hub_key;
    struct ym_site site;
    struct ym_trust trust;
    struct ym_ledger *ledger;
    struct ym_watch *watch;
    /* the hub's log, as it stands, and as many leaves of it as were given */
    struct ym_buf leaf[300];
    size_t count;
    struct ym_tree tree; /* of leaves that are not kept */
};

static void open_ledger(struct kit *k, const char *name)
{
    char path[96];

    snprintf(path, sizeof path, "%s/%s", k->dir, name);
    assert_int_equal(ym_ledger_open(path, ORIGIN, k->site_key, &k->ledger, NULL), YM_OK);
}

static void watch(struct kit *k)
{
    k->watch = ym_watch_new(&k->site, k->site_key, k->ledger);
    assert_non_null(k->watch);
    ym_watch_trust(k->watch, &k->trust);
}

static void watch_again(struct kit *k)
{
    ym_watch_free(k->watch);
    watch(k);
}

static int open_kit(void **state)
{
    struct kit *k = calloc(1, sizeof *k);

    help_temp(k->dir);
    k->site_key = help_key();
    k->hub_key = help_key();
    snprintf(k->site.dir, sizeof k->site.dir, "%s", k->dir);
    snprintf(k->site.name, sizeof k->site.name, "h1");
    snprintf(k->trust.federation, sizeof k->trust.federation, "fed");
    ym_key_public(k->hub_key, k->trust.hub_key);
    open_ledger(k, "ledger");
    watch(k);
    *state = k;
    return 0;
}

static int close_kit(void **state)
{
    struct kit *k = *state;

    ym_watch_free(k->watch);
    ym_ledger_close(&k->ledger);
    for (size_t i = 0; i < k->count; i++)
        ym_buf_release(&k->leaf[i]);
    ym_key_free(k->site_key);
    ym_key_free(k->hub_key);
    help_remove(k->dir);
    free(k);
    return 0;
}

/* ---- the two logs ---- */

static struct ym_bytes bytes_of(const struct ym_buf *b)
{
    return (struct ym_bytes){b->data, b->len};
}

static void own(struct kit *k, uint64_t i, struct ym_buf *line)
{
    help_leaf(k->site_key, i, line);
}

static void append(struct kit *k, const struct ym_buf *line)
{
    struct ym_bytes b = bytes_of(line);

    assert_int_equal(ym_ledger_append(k->ledger, &b, 1, NULL, NULL), YM_OK);
}

/* An own line, in the ledger, in the hub's log, or in both. */
static void say(struct kit *k, uint64_t i, bool in_ledger, bool in_hub)
{
    struct ym_buf line = {0};

    own(k, i, &line);
    if (in_ledger)
        append(k, &line);
    if (in_hub)
        k->leaf[k->count++] = line;
    else
        ym_buf_release(&line);
}

static void hub_says(struct kit *k, const char *type, json_t *members)
{
    assert_non_null(members);
    assert_int_equal(ym_leaf_sign(type, members, "hub", 1000, k->hub_key, &k->leaf[k->count++], NULL), YM_OK);
    json_decref(members);
}

static void hub_opens(struct kit *k, const char *study, int round, int attempt, const char *site)
{
    hub_says(k, "round_open",
             json_pack("{s:s, s:i, s:i, s:[s]}", "study", study, "round", round, "attempt", attempt, "roster", site));
}

static void other_leaf(const struct kit *k, struct ym_buf *line)
{
    json_t *members = json_object();

    assert_int_equal(ym_leaf_sign("incident", members, "hub", 1, k->hub_key, line, NULL), YM_OK);
    json_decref(members);
}

/* ---- the relay ---- */

static void tree_of(const struct kit *k, size_t size, struct ym_tree *t)
{
    uint8_t hash[YM_HASH_BYTES];

    memset(t, 0, sizeof *t);
    for (size_t i = 0; i < size; i++) {
        ym_tree_leaf_hash(bytes_of(&k->leaf[i]), hash);
        ym_tree_push(t, hash, NULL, NULL);
    }
}

static enum ym_code give(struct kit *k, size_t first, size_t end)
{
    struct ym_buf bundle = {0};
    enum ym_code code;

    for (size_t i = first; i < end; i++) {
        uint8_t head[2] = {(uint8_t)(k->leaf[i].len >> 8), (uint8_t)k->leaf[i].len};

        ym_buf_append(&bundle, head, 2);
        ym_buf_append(&bundle, k->leaf[i].data, k->leaf[i].len);
    }
    code = ym_watch_entries(k->watch, first, end - first, bytes_of(&bundle), NULL);
    ym_buf_release(&bundle);
    return code;
}

static enum ym_code note_of(struct kit *k, const struct ym_tree *t, const struct ym_key *key)
{
    uint8_t root[YM_HASH_BYTES];
    struct ym_buf note = {0};
    enum ym_code code;

    ym_tree_root(t, root);
    assert_int_equal(ym_checkpoint_format("yumen/fed/hub", t->size, root, key, &note), YM_OK);
    code = ym_watch_checkpoint(k->watch, bytes_of(&note), NULL);
    ym_buf_release(&note);
    return code;
}

static enum ym_code sealed(struct kit *k, size_t size)
{
    struct ym_tree t;

    tree_of(k, size, &t);
    return note_of(k, &t, k->hub_key);
}

static enum ym_code relay(struct kit *k)
{
    size_t next = (size_t)ym_watch_next(k->watch);

    if (next < k->count)
        assert_int_equal(give(k, next, k->count), YM_OK);
    return sealed(k, k->count);
}

static enum ym_watch_state state_of(const struct kit *k)
{
    return ym_watch_state(k->watch);
}

/* ---- cases ---- */

static void an_attempt_is_open_when_its_round_open_is_under_a_checkpoint(void **state)
{
    struct kit *k = *state;

    assert_int_equal(state_of(k), YM_WATCH_BLIND);
    hub_opens(k, "trial", 2, 3, "h1");
    hub_opens(k, "other", 1, 1, "h2");
    assert_int_equal(give(k, 0, 2), YM_OK);
    assert_false(ym_watch_opened(k->watch, "trial", 2, 3)); /* said, not yet signed */
    assert_int_equal(sealed(k, 2), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_GOOD);
    assert_true(ym_watch_opened(k->watch, "trial", 2, 3));
    assert_true(ym_watch_opened(k->watch, "trial", 2, 2));
    assert_false(ym_watch_opened(k->watch, "trial", 2, 4));
    assert_false(ym_watch_opened(k->watch, "trial", 3, 1));
    assert_false(ym_watch_opened(k->watch, "other", 1, 1)); /* asks somebody else */
}

static void what_the_ledger_holds_beyond_the_hub_is_normal(void **state)
{
    struct kit *k = *state;

    say(k, 1, true, true);
    say(k, 2, true, false); /* a crash between fsync and sending */
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_GOOD);
}

static void an_own_line_that_the_ledger_lacks_halts_and_is_kept(void **state)
{
    struct kit *k = *state;

    say(k, 1, true, true);
    say(k, 2, false, true);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_LEDGER_BEHIND);
    assert_true(ym_watch_halted(k->watch));
    assert_int_equal(ym_watch_missing(k->watch), 1);
    assert_memory_equal(ym_watch_missing_at(k->watch, 0).data, k->leaf[1].data, k->leaf[1].len);
    watch_again(k); /* no cache was written: it finds it again */
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_LEDGER_BEHIND);
}

/* The hub wrote "key" of ours under a line that we never signed. */
static void a_line_forged_in_our_name_is_no_charge_of_ours(void **state)
{
    struct kit *k = *state;
    struct ym_buf *line = &k->leaf[k->count++];
    uint8_t *digit;

    own(k, 7, line);
    digit = memmem(line->data, line->len, "entry 7", 7);
    digit[6] = '8';
    assert_int_equal(relay(k), YM_CORRUPT);
    assert_int_equal(state_of(k), YM_WATCH_HUB_DIFFERS);
    assert_int_equal(ym_watch_missing(k->watch), 0);
}

static void a_hub_that_leaves_out_an_entry_gives_another_root(void **state)
{
    struct kit *k = *state;
    struct ym_buf hidden;

    say(k, 1, true, true);
    say(k, 2, false, true); /* the charge that the ledger forgot */
    say(k, 3, true, true);
    hidden = k->leaf[1];
    assert_int_equal(give(k, 0, 1), YM_OK);
    k->leaf[1] = k->leaf[2];
    assert_int_equal(give(k, 1, 2), YM_OK);
    k->leaf[2] = k->leaf[1];
    k->leaf[1] = hidden;
    assert_int_equal(sealed(k, 3), YM_CORRUPT); /* the tree that the others see */
    assert_int_equal(state_of(k), YM_WATCH_HUB_DIFFERS);
    assert_int_equal(ym_watch_next(k->watch), 0);
    assert_int_equal(relay(k), YM_OK); /* told whole, it is compared */
    assert_int_equal(state_of(k), YM_WATCH_LEDGER_BEHIND);
}

static void a_log_that_shrank_or_changed_halts_until_it_is_back(void **state)
{
    struct kit *k = *state;
    struct ym_buf other = {0}, kept;

    say(k, 1, true, true);
    hub_opens(k, "trial", 1, 1, "h1");
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(sealed(k, 1), YM_CONFLICT);
    assert_int_equal(state_of(k), YM_WATCH_HUB_BEHIND);
    hub_opens(k, "trial", 1, 2, "h1"); /* grown again, from an older copy */
    kept = k->leaf[1];
    other_leaf(k, &other);
    k->leaf[1] = other;
    assert_int_equal(relay(k), YM_CORRUPT);
    assert_int_equal(state_of(k), YM_WATCH_HUB_DIFFERS);
    assert_true(ym_watch_halted(k->watch));
    k->leaf[1] = kept;
    ym_buf_release(&other);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_GOOD);
}

/* What was cosigned stands in the own ledger; the cache is only a cache. */
static void remember(struct kit *k, size_t size)
{
    struct ym_buf line = {0};
    struct ym_tree t;
    uint8_t root[YM_HASH_BYTES];
    json_t *o = json_pack("{s:s, s:I, s:s}", "log", "yumen/fed/hub", "size", (json_int_t)size, "signature", "AA==");

    tree_of(k, size, &t);
    ym_tree_root(&t, root);
    ym_json_set_hash(o, "root", root);
    assert_int_equal(ym_leaf_sign("checkpoint_seen", o, "h1", 1000, k->site_key, &line, NULL), YM_OK);
    append(k, &line);
    ym_watch_remember(k->watch, bytes_of(&line));
    ym_buf_release(&line);
    json_decref(o);
}

static void forget_the_cache(struct kit *k)
{
    char path[96];

    ym_watch_free(k->watch);
    snprintf(path, sizeof path, "%s/hub.seen", k->dir);
    unlink(path);
    watch(k);
}

static void a_log_must_hold_what_was_cosigned_even_without_the_cache(void **state)
{
    struct kit *k = *state;
    struct ym_buf kept, other = {0};

    hub_opens(k, "trial", 1, 1, "h1");
    hub_opens(k, "trial", 1, 2, "h1");
    hub_opens(k, "trial", 1, 3, "h1");
    assert_int_equal(relay(k), YM_OK);
    remember(k, 2);
    forget_the_cache(k);
    assert_int_equal(ym_watch_memory(k->watch)->size, 2);
    assert_int_equal(ym_watch_memory(k->watch)->time, 1000);
    assert_int_equal(give(k, 0, 1), YM_OK);
    assert_int_equal(sealed(k, 1), YM_CONFLICT); /* smaller than what was signed */
    assert_int_equal(state_of(k), YM_WATCH_HUB_BEHIND);
    kept = k->leaf[1];
    other_leaf(k, &other);
    k->leaf[1] = other;
    assert_int_equal(relay(k), YM_CORRUPT); /* larger, and not its continuation */
    assert_int_equal(state_of(k), YM_WATCH_HUB_DIFFERS);
    k->leaf[1] = kept;
    ym_buf_release(&other);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_GOOD);
}

static void the_memory_is_of_this_hub_alone(void **state)
{
    struct kit *k = *state;

    hub_opens(k, "trial", 1, 1, "h1");
    assert_int_equal(relay(k), YM_OK);
    remember(k, 1);
    snprintf(k->trust.federation, sizeof k->trust.federation, "other");
    watch_again(k);
    assert_int_equal(ym_watch_memory(k->watch)->size, 0);
}

static void a_rounds_end_is_the_last_entry_under_the_checkpoint(void **state)
{
    struct kit *k = *state;

    hub_opens(k, "trial", 1, 1, "h1");
    assert_int_equal(relay(k), YM_OK);
    assert_false(ym_watch_ends_round(k->watch));
    hub_says(k, "round_result", json_pack("{s:s, s:b}", "study", "trial", "last", 0));
    assert_int_equal(relay(k), YM_OK);
    assert_true(ym_watch_ends_round(k->watch));
    hub_opens(k, "trial", 2, 1, "h1");
    assert_true(ym_watch_ends_round(k->watch)); /* nothing new is compared yet */
    assert_int_equal(relay(k), YM_OK);
    assert_false(ym_watch_ends_round(k->watch));
}

/* Who is killed before it cosigns must be shown that end again. */
static void the_cache_does_not_pass_a_rounds_end_that_is_not_cosigned(void **state)
{
    struct kit *k = *state;
    char path[96];

    snprintf(path, sizeof path, "%s/hub.seen", k->dir);
    while (k->count < 256)
        hub_opens(k, "trial", (int)k->count + 1, 1, "h2");
    hub_says(k, "round_result", json_pack("{s:s, s:b}", "study", "trial", "last", 1));
    assert_int_equal(relay(k), YM_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    hub_opens(k, "next", 1, 1, "h2");
    assert_int_equal(relay(k), YM_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    remember(k, 257);
    hub_opens(k, "next", 2, 1, "h2");
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_checkpoint_of_another_key_or_size_says_nothing(void **state)
{
    struct kit *k = *state;
    struct ym_tree t;

    hub_opens(k, "trial", 1, 1, "h1");
    assert_int_equal(give(k, 0, 1), YM_OK);
    tree_of(k, 1, &t);
    assert_int_equal(note_of(k, &t, k->site_key), YM_CORRUPT);
    assert_false(ym_watch_opened(k->watch, "trial", 1, 1));
    assert_int_equal(state_of(k), YM_WATCH_BLIND);
    assert_int_equal(give(k, 0, 1), YM_OK); /* told twice: once in the tree */
    assert_int_equal(ym_watch_entries(k->watch, 2, 0, (struct ym_bytes){0}, NULL), YM_INVALID);
    assert_int_equal(sealed(k, 1), YM_OK);
    assert_true(ym_watch_opened(k->watch, "trial", 1, 1));
}

/* The hub says how long it has seen our ledger: policy and incident entries are
 * nowhere else. */
static void seen(struct kit *k, uint64_t size, const uint8_t root[YM_HASH_BYTES])
{
    json_t *o = json_pack("{s:s, s:I}", "log", ORIGIN, "size", (json_int_t)size);

    ym_json_set_hash(o, "root", root);
    hub_says(k, "checkpoint_seen", o);
}

static void the_length_and_root_that_the_hub_saw_are_compared(void **state)
{
    struct kit *k = *state;
    struct ym_watch_claim claim;
    uint8_t root[YM_HASH_BYTES], wrong[YM_HASH_BYTES] = {1};

    say(k, 1, true, false);
    ym_ledger_root(k->ledger, root);
    seen(k, 1, root);
    say(k, 2, true, false);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_GOOD);
    seen(k, 5, wrong);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_LEDGER_BEHIND);
    ym_watch_claim(k->watch, &claim);
    assert_int_equal(claim.known, 5);
    seen(k, 2, wrong);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_LEDGER_FORKED);
}

static void the_cache_goes_on_where_it_was_and_tells_of_a_shorter_ledger(void **state)
{
    struct kit *k = *state;

    say(k, 1, true, true);
    say(k, 2, true, false);
    hub_opens(k, "trial", 1, 1, "h1");
    assert_int_equal(relay(k), YM_OK);
    watch_again(k);
    assert_int_equal(ym_watch_next(k->watch), 2);
    assert_int_equal(state_of(k), YM_WATCH_BLIND); /* nothing was compared in this run */
    assert_true(ym_watch_opened(k->watch, "trial", 1, 1));
    assert_int_equal(sealed(k, 1), YM_CONFLICT); /* and a hub that was set back meanwhile is noticed */
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_GOOD);
    ym_watch_free(k->watch);
    ym_ledger_close(&k->ledger);
    open_ledger(k, "older"); /* the ledger alone was set back, to one entry, which the hub knows */
    say(k, 1, true, false);
    watch(k);
    assert_int_equal(state_of(k), YM_WATCH_LEDGER_BEHIND);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(state_of(k), YM_WATCH_LEDGER_BEHIND);
}

static void a_cache_with_a_changed_byte_is_as_none(void **state)
{
    struct kit *k = *state;
    char path[96];

    say(k, 1, true, true);
    assert_int_equal(relay(k), YM_OK);
    ym_watch_free(k->watch);
    snprintf(path, sizeof path, "%s/hub.seen", k->dir);
    for (long at = 0; at < 200; at += 7) {
        FILE *f = fopen(path, "r+b");
        int c;

        assert_non_null(f);
        fseek(f, at, SEEK_SET);
        c = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(c ^ 1, f);
        fclose(f);
        k->watch = ym_watch_new(&k->site, k->site_key, k->ledger);
        ym_watch_trust(k->watch, &k->trust);
        assert_int_equal(ym_watch_next(k->watch), 0);
        assert_int_equal(state_of(k), YM_WATCH_BLIND);
        f = fopen(path, "r+b");
        fseek(f, at, SEEK_SET);
        fputc(c, f);
        fclose(f);
        ym_watch_free(k->watch);
    }
    watch(k);
    assert_int_equal(ym_watch_next(k->watch), 1);
}

/* ---- people whom other hospitals counted ---- */

static const uint8_t agency[YM_HASH_BYTES] = {0xaa}, other_agency[YM_HASH_BYTES] = {0xbb};

static void other_charges(struct kit *k, const char *by, const uint8_t exporter[YM_HASH_BYTES], int year, int people)
{
    struct ym_key *key = help_key();
    json_t *o = json_pack("{s:s, s:[{s:i, s:i}]}", "study", "trial", "people", "year", year, "people", people);

    ym_json_set_hash(o, "exporter", exporter);
    assert_int_equal(ym_leaf_sign("charge", o, by, 1000, key, &k->leaf[k->count++], NULL), YM_OK);
    json_decref(o);
    ym_key_free(key);
}

struct sum {
    int64_t agency, other, next_year;
};

static void add(void *ctx, const struct ym_exported *e)
{
    struct sum *s = ctx;

    if (e->year == 2027)
        s->next_year += e->people;
    else if (memcmp(e->exporter, agency, sizeof agency) == 0)
        s->agency += e->people;
    else
        s->other += e->people;
}

static struct sum others(const struct kit *k, bool known)
{
    struct sum s = {0};

    assert_int_equal(ym_watch_others(k->watch, add, &s), known);
    return s;
}

static void the_most_that_each_other_hospital_said_counts_once(void **state)
{
    struct kit *k = *state;

    other_charges(k, "h2", agency, 2026, 6000);
    other_charges(k, "h2", agency, 2026, 6100);
    other_charges(k, "h2", agency, 2026, 300); /* a meter never goes down; a line made up by the hub may */
    other_charges(k, "h3", agency, 2026, 6100);
    other_charges(k, "h3", other_agency, 2026, 200);
    other_charges(k, "h3", agency, 2027, 100);
    assert_int_equal(give(k, 0, 6), YM_OK);
    assert_int_equal(others(k, true).agency, 0); /* said, not yet signed */
    assert_int_equal(sealed(k, 6), YM_OK);
    for (int i = 0; i < 2; i++) {
        struct sum s = others(k, true);

        assert_int_equal(s.agency, 12200);
        assert_int_equal(s.other, 200);
        assert_int_equal(s.next_year, 100);
        watch_again(k); /* the cache knows them too */
    }
}

static void a_charge_of_our_own_is_not_another_hospitals(void **state)
{
    struct kit *k = *state;
    struct ym_bytes line;

    other_charges(k, "h1", agency, 2026, 500); /* under a key that was replaced */
    line = bytes_of(&k->leaf[0]);
    assert_int_equal(ym_ledger_append(k->ledger, &line, 1, NULL, NULL), YM_OK);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(others(k, true).agency, 0);
    other_charges(k, "h1", agency, 2026, 700); /* our name, and our ledger has never seen it */
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(others(k, true).agency, 700);
}

static void a_charge_that_cannot_be_read_leaves_the_number_unknown(void **state)
{
    struct kit *k = *state;

    other_charges(k, "h2", agency, 2026, 100);
    other_charges(k, "h3", agency, 2026, -100);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(others(k, false).agency, 100);
    watch_again(k);
    assert_int_equal(others(k, false).agency, 100);
}

static void a_log_that_was_set_back_says_nothing_of_people(void **state)
{
    struct kit *k = *state;

    other_charges(k, "h2", agency, 2026, 100);
    other_charges(k, "h2", agency, 2026, 200);
    assert_int_equal(relay(k), YM_OK);
    assert_int_equal(sealed(k, 1), YM_CONFLICT);
    assert_int_equal(others(k, false).agency, 200);
}

static void more_exporters_than_can_be_kept_leave_the_number_unknown(void **state)
{
    struct kit *k = *state;
    struct ym_buf one = {0};
    char text[16];

    for (int i = 0; i <= YM_WATCH_EXPORTED; i++) {
        uint8_t head[2], exporter[YM_HASH_BYTES] = {0};

        snprintf(text, sizeof text, "%d", i);
        ym_sha256(text, strlen(text), exporter);
        ym_buf_release(&k->leaf[0]);
        k->count = 0;
        other_charges(k, "h2", exporter, 2026, 100);
        head[0] = (uint8_t)(k->leaf[0].len >> 8);
        head[1] = (uint8_t)k->leaf[0].len;
        ym_buf_clear(&one);
        ym_buf_append(&one, head, 2);
        ym_buf_append(&one, k->leaf[0].data, k->leaf[0].len);
        assert_int_equal(ym_watch_entries(k->watch, (uint64_t)i, 1, bytes_of(&one), NULL), YM_OK);
        ym_tree_leaf_hash(bytes_of(&k->leaf[0]), exporter);
        ym_tree_push(&k->tree, exporter, NULL, NULL);
        if (i == YM_WATCH_EXPORTED - 1) {
            assert_int_equal(note_of(k, &k->tree, k->hub_key), YM_OK);
            others(k, true);
        }
    }
    assert_int_equal(note_of(k, &k->tree, k->hub_key), YM_OK);
    assert_int_equal(others(k, false).other, 100 * YM_WATCH_EXPORTED);
    ym_buf_release(&one);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, open_kit, close_kit)
    const struct CMUnitTest tests[] = {
        CASE(an_attempt_is_open_when_its_round_open_is_under_a_checkpoint),
        CASE(what_the_ledger_holds_beyond_the_hub_is_normal),
        CASE(an_own_line_that_the_ledger_lacks_halts_and_is_kept),
        CASE(a_line_forged_in_our_name_is_no_charge_of_ours),
        CASE(a_hub_that_leaves_out_an_entry_gives_another_root),
        CASE(a_log_that_shrank_or_changed_halts_until_it_is_back),
        CASE(the_cache_does_not_pass_a_rounds_end_that_is_not_cosigned),
        CASE(a_checkpoint_of_another_key_or_size_says_nothing),
        CASE(a_log_must_hold_what_was_cosigned_even_without_the_cache),
        CASE(the_memory_is_of_this_hub_alone),
        CASE(a_rounds_end_is_the_last_entry_under_the_checkpoint),
        CASE(the_length_and_root_that_the_hub_saw_are_compared),
        CASE(the_cache_goes_on_where_it_was_and_tells_of_a_shorter_ledger),
        CASE(a_cache_with_a_changed_byte_is_as_none),
        CASE(the_most_that_each_other_hospital_said_counts_once),
        CASE(a_charge_of_our_own_is_not_another_hospitals),
        CASE(a_charge_that_cannot_be_read_leaves_the_number_unknown),
        CASE(a_log_that_was_set_back_says_nothing_of_people),
        CASE(more_exporters_than_can_be_kept_leave_the_number_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
