/* Policies, cosigned checkpoints, what one log says of another, and receipts: the verifier's side. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/cosign.h"
#include "audit/ledger/proof.h"
#include "audit/ledger/seal.h"
#include "audit/verify/crypto.h"
#include "audit/verify/proof.h"
#include "audit/verify/verify.h"
#include "base/fs.h"
#include "tests/support/ledger_world.h"

#define WITNESSES 6

static struct ym_key *key[WITNESSES];
static char vkey[WITNESSES][128], self[128]; /* self: witness 0's key as that of a log */

static int remove_one(const char *path, const struct stat *s, int flag, struct FTW *f)
{
    (void)s;
    (void)flag;
    (void)f;
    return remove(path);
}

static int make_keys(void **state)
{
    (void)state;
    for (int i = 0; i < WITNESSES; i++) {
        struct ym_buf text = {0};
        uint8_t pub[32];
        char name[32];

        assert_int_equal(ym_key_generate(&key[i], NULL), YM_OK);
        ym_key_public(key[i], pub);
        snprintf(name, sizeof(name), "witness/%d", i);
        assert_int_equal(ym_vkey_format(name, YM_NOTE_COSIGNER, pub, &text), YM_OK);
        snprintf(vkey[i], sizeof(vkey[i]), "%s", ym_buf_str(&text));
        ym_buf_clear(&text);
        assert_int_equal(ym_vkey_format(name, YM_NOTE_LOG, pub, &text), YM_OK);
        if (i == 0)
            snprintf(self, sizeof(self), "%s", ym_buf_str(&text));
        ym_buf_release(&text);
    }
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    for (int i = 0; i < WITNESSES; i++)
        ym_key_free(key[i]);
    return 0;
}

/* ---- policies; "@N" stands for the verifier key of witness N, "@L" for its key 0 as a log's ---- */

static void expand(const char *pattern, struct ym_buf *out)
{
    for (; *pattern; pattern++) {
        if (*pattern == '@') {
            pattern++;
            assert_int_equal(ym_buf_puts(out, *pattern == 'L' ? self : vkey[*pattern - '0']), YM_OK);
            continue;
        }
        assert_int_equal(ym_buf_append(out, pattern, 1), YM_OK);
    }
}

static enum ym_code parse(const char *pattern, struct ym_trust *t)
{
    struct ym_buf text = {0};
    enum ym_code code;

    expand(pattern, &text);
    code = ym_trust_parse(ym_buf_bytes(&text), t, NULL);
    ym_buf_release(&text);
    return code;
}

/* The example of C2SP tlog-policy: 2 of X1 X2 X3, and any of Y1 Y2 Y3. */
static void quorum_counts_as_the_specification_says(void **state)
{
    struct ym_trust t = {0};

    (void)state;
    assert_int_equal(parse("# example\n\nwitness X1 @0\nwitness X2 @1 https://x2.example/\n\twitness  X3\t@2 \n"
                           "group X-witnesses 2 X1 X2 X3\nwitness Y1 @3\nwitness Y2 @4\nwitness Y3 @5\n"
                           "group Y-witnesses any Y1 Y2 Y3\ngroup X-and-Y all X-witnesses Y-witnesses\n"
                           "quorum X-and-Y\n",
                           &t),
                     YM_OK);
    assert_true(ym_trust_asks(&t));
    for (unsigned set = 0; set < 1u << WITNESSES; set++) {
        bool cosigned[WITNESSES];
        unsigned x = 0, y = 0;

        for (unsigned i = 0; i < WITNESSES; i++) {
            cosigned[i] = set >> i & 1;
            *(i < 3 ? &x : &y) += cosigned[i];
        }
        assert_int_equal(ym_trust_quorum(&t, cosigned), x >= 2 && y >= 1);
    }
    ym_trust_release(&t);
}

static void policy_that_is_not_exactly_one_is_refused(void **state)
{
    static const char *const bad[] = {
        "witness a @0\n",                                         /* no quorum */
        "quorum none\nquorum none\n",                             /* two */
        "quorum a\nwitness a @0\n",                               /* not above it */
        "quorum b\n",                                             /* of nobody */
        "witness a @0\nwitness b @0\nquorum a\n",                 /* one key twice */
        "witness a @0\nwitness a @1\nquorum a\n",                 /* one name twice */
        "witness none @0\nquorum none\n",                         /* reserved */
        "witness a @0\ngroup a any a\nquorum a\n",                /* a group and a witness of one name */
        "witness a @0\ngroup g 2 a\nquorum g\n",                  /* more than there are */
        "witness a @0\ngroup g 0 a\nquorum g\n",                  /* none of them */
        "witness a @0\ngroup g 01 a\nquorum g\n",                 /* no plain number */
        "witness a @0\ngroup g some a\nquorum g\n",               /* no number */
        "witness a @0\ngroup g any\nquorum g\n",                  /* nobody in it */
        "witness a @0\ngroup g any a a\nquorum g\n",              /* twice in one group */
        "witness a @0\ngroup g any a\ngroup h any a\nquorum g\n", /* in two groups */
        "witness a @0\ngroup g any g\nquorum g\n",                /* in itself */
        "group g any none\nquorum g\n",                           /* nobody */
        "log @0\nquorum none\n",                                  /* a witness's key for a log */
        "witness a hello\nquorum a\n",                            /* no key */
        "witness a @0 http://w one-more\nquorum a\n",             /* too many words */
        "quorum none more\n",
        "witness a @0\r\nquorum a\n",
        "sign a\n",
        "log @L\nwitness a @0\nquorum a\n", /* a log that cosigns itself */
    };
    struct ym_trust t;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse(bad[i], &t) != YM_INVALID)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(parse("", &t), YM_OK); /* names nobody: every log is untrusted then */
    assert_false(ym_trust_asks(&t));
    ym_trust_release(&t);
}

/* ---- ledgers ---- */

struct case_ {
    struct world w;
    char dir[64];
};

static void open_case(struct case_ *c, size_t padding)
{
    memset(c, 0, sizeof(*c));
    strcpy(c->dir, "/dev/shm/yumen-cosigned-XXXXXX");
    if (!mkdtemp(c->dir)) {
        strcpy(c->dir, "/tmp/yumen-cosigned-XXXXXX");
        assert_non_null(mkdtemp(c->dir));
    }
    world_open(&c->w, c->dir, padding);
    world_write(&c->w);
}

static void close_case(struct case_ *c)
{
    world_close(&c->w);
    nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void add_trust(struct case_ *c, const char *pattern)
{
    struct ym_buf text = {0};

    assert_int_equal(ym_fs_read(c->w.trust, 65536, &text, NULL), YM_OK);
    expand(pattern, &text);
    assert_int_equal(ym_fs_write(c->w.trust, ym_buf_bytes(&text), 0644, NULL), YM_OK);
    ym_buf_release(&text);
}

/* cosigned/<size> of the hub's log, its root wrong when asked, with witness 0..count-1. */
static void seal(struct case_ *c, uint64_t size, uint8_t wrong, int count)
{
    const struct world_log *l = &c->w.log[WORLD_HUB];
    struct ym_buf note = {0};
    struct ym_bytes text;
    uint8_t root[32] = {0};

    if (size <= l->count)
        assert_int_equal(ym_proof_root(l->dir, size, root, NULL), YM_OK);
    root[0] ^= wrong;
    assert_int_equal(ym_checkpoint_format(l->origin, size, root, l->key, &note), YM_OK);
    assert_true(ym_cosign_text(ym_buf_bytes(&note), &text));
    assert_int_equal(ym_seal_write(l->dir, size, ym_buf_bytes(&note), NULL), YM_OK);
    for (int i = 0; i < count; i++) {
        struct ym_buf line = {0};
        char name[32];

        snprintf(name, sizeof(name), "witness/%d", i);
        assert_int_equal(ym_cosign_append(text, name, key[i], 1700000000, &line), YM_OK);
        assert_int_equal(ym_seal_add(l->dir, size, ym_buf_bytes(&line), NULL), YM_OK);
        ym_buf_release(&line);
    }
    ym_buf_release(&note);
}

static struct ym_verification *verify(const struct case_ *c)
{
    const char *dir[WORLD_LOGS] = {c->w.log[0].dir, c->w.log[1].dir, c->w.log[2].dir};
    struct ym_verify_options o = {.trust = c->w.trust};
    struct ym_verification *v = NULL;
    struct ym_status st = YM_STATUS_INIT;

    if (ym_verify(dir, WORLD_LOGS, &o, &v, &st) != YM_OK)
        fail_msg("%s", st.message);
    return v;
}

static void expect(const struct case_ *c, const char *reason)
{
    struct ym_verification *v = verify(c);
    const struct ym_finding *f = ym_verification_worst(v);

    if (!reason && f)
        fail_msg("%s: %s", ym_reason_name(f->reason), f->detail);
    if (reason && (!f || strcmp(ym_reason_name(f->reason), reason) != 0))
        fail_msg("wanted %s, got %s %s", reason, f ? ym_reason_name(f->reason) : "nothing", f ? f->detail : "");
    ym_verification_free(v);
}

/* Size up to and with the nth round_result of the hub. */
static uint64_t round_end(const struct case_ *c, size_t nth)
{
    return world_find(&c->w, WORLD_HUB, "round_result", nth) + 1;
}

#define TWO_OF_THREE "witness a @0\nwitness b @1\nwitness c @2\ngroup g 2 a b c\nquorum g\n"

static void quorum_under_the_last_but_one_round_is_enough(void **state)
{
    struct case_ c;
    struct ym_verification *v;

    (void)state;
    open_case(&c, 0);
    add_trust(&c, TWO_OF_THREE);
    expect(&c, "cosignature_missing");
    seal(&c, round_end(&c, 0) - 1, 0, 3);
    expect(&c, "cosignature_behind");
    seal(&c, round_end(&c, 0), 0, 1);
    expect(&c, "cosignature_behind");
    seal(&c, round_end(&c, 1), 0, 1); /* one of three is no quorum */
    expect(&c, "cosignature_behind");
    close_case(&c);

    open_case(&c, 0);
    add_trust(&c, TWO_OF_THREE);
    seal(&c, round_end(&c, 0), 0, 2);
    expect(&c, NULL);
    v = verify(&c);
    assert_int_equal(v->log[WORLD_HUB].cosigned, round_end(&c, 0));
    assert_int_equal(v->log[WORLD_HUB].cosigners, 2);
    ym_verification_free(v);
    close_case(&c);
}

static void lines_in_the_checkpoint_itself_count(void **state)
{
    struct case_ c;
    struct ym_buf note = {0};
    struct ym_bytes text;
    char path[320];

    (void)state;
    open_case(&c, 0);
    add_trust(&c, "witness a @0\nquorum a\n");
    snprintf(path, sizeof(path), "%s/checkpoint", c.w.log[WORLD_HUB].dir);
    assert_int_equal(ym_fs_read(path, 65536, &note, NULL), YM_OK);
    expect(&c, "cosignature_missing");
    assert_true(ym_cosign_text(ym_buf_bytes(&note), &text));
    assert_int_equal(ym_cosign_append(text, "witness/0", key[0], 1700000000, &note), YM_OK);
    assert_int_equal(ym_fs_write(path, ym_buf_bytes(&note), 0644, NULL), YM_OK);
    expect(&c, NULL);
    ym_buf_release(&note);
    close_case(&c);
}

/* A log that was rewritten after it was cosigned, and signed anew. */
static void cosigned_checkpoint_of_another_log_is_tampering(void **state)
{
    struct case_ c;

    (void)state;
    open_case(&c, 0);
    seal(&c, 5, 1, 0);
    expect(&c, "cosigned_differs");
    close_case(&c);
    open_case(&c, 0);
    seal(&c, c.w.log[WORLD_HUB].count + 1, 0, 0);
    expect(&c, "entries_missing");
    close_case(&c);
}

static void line_that_does_not_fit_is_tampering(void **state)
{
    struct case_ c;
    struct ym_buf note = {0};
    char path[320];

    (void)state;
    open_case(&c, 0);
    add_trust(&c, TWO_OF_THREE);
    seal(&c, round_end(&c, 1), 0, 3);
    expect(&c, NULL);
    snprintf(path, sizeof(path), "%s/cosigned/%020llu", c.w.log[WORLD_HUB].dir, (unsigned long long)round_end(&c, 1));
    assert_int_equal(ym_fs_read(path, 65536, &note, NULL), YM_OK);
    note.data[note.len - 20] = note.data[note.len - 20] == 'A' ? 'B' : 'A';
    assert_int_equal(ym_fs_write(path, ym_buf_bytes(&note), 0644, NULL), YM_OK);
    expect(&c, "cosignature_wrong");
    ym_buf_release(&note);
    close_case(&c);
}

/* ---- cross anchors ---- */

static json_t *seen(const struct case_ *c, int log, uint64_t size, uint8_t wrong, const struct ym_key *signer)
{
    const struct world_log *l = &c->w.log[log];
    struct ym_buf text = {0}, sig = {0};
    uint8_t root[32] = {0}, raw[64];
    char hex[65];
    json_t *o;

    if (size <= l->count)
        assert_int_equal(ym_proof_root(l->dir, size, root, NULL), YM_OK);
    root[0] ^= wrong;
    assert_int_equal(ym_checkpoint_text(l->origin, size, root, &text), YM_OK);
    ym_key_sign(signer ? signer : l->key, text.data, text.len, raw);
    assert_int_equal(ym_base64_encode(raw, 64, &sig), YM_OK);
    ym_vhex_text(root, 32, hex);
    o = json_pack("{s:s,s:I,s:s,s:s}", "log", l->origin, "size", (json_int_t)size, "root", hex, "signature",
                  ym_buf_str(&sig));
    ym_buf_release(&text);
    ym_buf_release(&sig);
    return o;
}

static void add_seen(struct case_ *c, json_t *members)
{
    world_add(&c->w, WORLD_HUB, world_leaf(&c->w, "checkpoint_seen", members, "hub", c->w.hub));
}

static void logs_that_hold_each_other_verify(void **state)
{
    struct case_ c;
    struct ym_verification *v;

    (void)state;
    open_case(&c, 0);
    add_seen(&c, seen(&c, WORLD_H1, 5, 0, NULL));
    add_seen(&c, seen(&c, WORLD_H1, c.w.log[WORLD_H1].count, 0, NULL));
    world_add(&c.w, WORLD_H2, world_leaf(&c.w, "checkpoint_seen", seen(&c, WORLD_HUB, 10, 0, NULL), "h2", c.w.h2));
    world_write(&c.w);
    expect(&c, NULL);
    v = verify(&c);
    assert_int_equal(v->log[WORLD_HUB].seen, 2);
    assert_int_equal(v->log[WORLD_H2].seen, 1);
    ym_verification_free(v);
    close_case(&c);
}

static void log_that_another_saw_otherwise_is_found(void **state)
{
    static const struct {
        uint64_t size;
        uint8_t wrong;
        const char *reason;
    } t[] = {{5, 1, "seen_differs"}, {600, 0, "seen_ahead"}};
    struct case_ c;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_case(&c, 0);
        add_seen(&c, seen(&c, WORLD_H1, t[i].size, t[i].wrong, NULL));
        world_write(&c.w);
        expect(&c, t[i].reason);
        close_case(&c);
    }
    open_case(&c, 0);
    add_seen(&c, seen(&c, WORLD_H1, 5, 0, c.w.mallory));
    world_write(&c.w);
    expect(&c, "seen_signature");
    close_case(&c);
}

/* The hospital's ledger need not be there: two signed trees of one size are enough. */
static void two_trees_of_one_size_are_the_proof(void **state)
{
    struct case_ c;
    const char *dir;
    struct ym_verify_options o = {0};
    struct ym_verification *v = NULL;

    (void)state;
    open_case(&c, 0);
    add_seen(&c, seen(&c, WORLD_H1, 5, 0, NULL));
    add_seen(&c, seen(&c, WORLD_H1, 5, 4, NULL));
    world_write(&c.w);
    dir = c.w.log[WORLD_HUB].dir;
    o.trust = c.w.trust;
    assert_int_equal(ym_verify(&dir, 1, &o, &v, NULL), YM_OK);
    assert_string_equal(ym_reason_name(ym_verification_worst(v)->reason), "seen_differs");
    ym_verification_free(v);
    close_case(&c);
}

/* ---- receipts ---- */

static bool receipt_good(struct ym_bytes text, uint64_t index)
{
    struct ym_vproof p;
    uint8_t leaf[32];
    bool good = ym_vproof_parse(text, &p);

    if (good) {
        ym_vleaf_hash(ym_buf_bytes(&p.entry), leaf);
        good = p.index == index &&
               ym_vproof_included(leaf, p.index, p.note.size, (const uint8_t(*)[32])p.hash, p.count, p.note.root);
    }
    ym_vproof_release(&p);
    return good;
}

static void every_entry_has_a_receipt(void **state)
{
    struct case_ c;
    const struct world_log *l;
    struct ym_buf note = {0}, text = {0};
    char path[320];

    (void)state;
    open_case(&c, 262);
    l = &c.w.log[WORLD_H1];
    snprintf(path, sizeof(path), "%s/checkpoint", l->dir);
    assert_int_equal(ym_fs_read(path, 65536, &note, NULL), YM_OK);
    for (uint64_t i = 0; i < l->count; i++) {
        ym_buf_clear(&text);
        assert_int_equal(ym_proof_receipt(l->dir, i, ym_buf_bytes(&note), &text, NULL), YM_OK);
        assert_true(receipt_good(ym_buf_bytes(&text), i));
        assert_false(receipt_good(ym_buf_bytes(&text), i + 1));
    }
    assert_int_equal(ym_proof_receipt(l->dir, l->count, ym_buf_bytes(&note), &text, NULL), YM_INVALID);
    ym_buf_release(&note);
    ym_buf_release(&text);
    close_case(&c);
}

/* The checkpoint's own signature is another test's: here what stands before it. */
static void any_changed_bit_of_a_receipt_is_refused(void **state)
{
    struct case_ c;
    const struct world_log *l;
    struct ym_buf note = {0}, text = {0};
    char path[320];
    size_t end;

    (void)state;
    open_case(&c, 262);
    l = &c.w.log[WORLD_H1];
    snprintf(path, sizeof(path), "%s/checkpoint", l->dir);
    assert_int_equal(ym_fs_read(path, 65536, &note, NULL), YM_OK);
    assert_int_equal(ym_proof_receipt(l->dir, 3, ym_buf_bytes(&note), &text, NULL), YM_OK);
    end = text.len - note.len;
    for (size_t i = 0; i < 8 * end; i++) {
        text.data[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_false(receipt_good(ym_buf_bytes(&text), 3));
        text.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_true(receipt_good(ym_buf_bytes(&text), 3));
    ym_buf_release(&note);
    ym_buf_release(&text);
    close_case(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quorum_counts_as_the_specification_says),
        cmocka_unit_test(policy_that_is_not_exactly_one_is_refused),
        cmocka_unit_test(quorum_under_the_last_but_one_round_is_enough),
        cmocka_unit_test(lines_in_the_checkpoint_itself_count),
        cmocka_unit_test(cosigned_checkpoint_of_another_log_is_tampering),
        cmocka_unit_test(line_that_does_not_fit_is_tampering),
        cmocka_unit_test(logs_that_hold_each_other_verify),
        cmocka_unit_test(log_that_another_saw_otherwise_is_found),
        cmocka_unit_test(two_trees_of_one_size_are_the_proof),
        cmocka_unit_test(every_entry_has_a_receipt),
        cmocka_unit_test(any_changed_bit_of_a_receipt_is_refused),
    };

    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
