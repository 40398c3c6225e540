#include "base/fs.h"
#include "ledger_help.h"

#include "audit/ledger/cosign.h"
#include "audit/ledger/proof.h"
#include "audit/ledger/tree.h"

#define TEXT "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
#define WITNESS "witness.example.com/w1"
#define TIME 1679315147
/* The text and time of the example in C2SP tlog-cosignature, signed by the first key of RFC 8032, 7.1, with
 * `openssl pkeyutl -sign -rawin`; key id and base64 by Python's hashlib and base64. */
#define LINE                                                                                                           \
    "\xe2\x80\x94 " WITNESS " fm9KqgAAAABkGFDL+TPmh4BYuAjsYRoqMJCWb/gWJaeRF/kmm5tlCr9sJ57DLErur7K0yDXc2ArN+"           \
    "TIuotuB/HbuL3AJsp3bv/aNCQ==\n"
#define VKEY WITNESS "+7e6f4aaa+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
#define SECRET "the secret of RFC 8032"
/* The same key, by `openssl pkcs8 -topk8 -scrypt`. */
static const char pem[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                          "MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAhk/twxQ8HkugICQAAC\n"
                          "AQgCAQEwHQYJYIZIAWUDBAEqBBBYU1DRtSNnrQ658BUuVA+dBEC/8Qs9FGlCgTdx\n"
                          "p8yOgCOlTFa9QiSiVF/pHINr41FOoNwimFetjPQZ10HsyKmoU/zO/VJkdnplig4f\n"
                          "Ru6pWifw\n"
                          "-----END ENCRYPTED PRIVATE KEY-----\n";

static struct ym_bytes view(const char *text)
{
    return (struct ym_bytes){(const uint8_t *)text, strlen(text)};
}

static struct ym_key *rfc_key(void)
{
    struct ym_key *key = NULL;
    char dir[64], path[96];

    help_temp(dir);
    snprintf(path, sizeof(path), "%s/key", dir);
    assert_int_equal(ym_fs_write(path, view(pem), 0600, NULL), YM_OK);
    assert_int_equal(ym_key_load(path, view(SECRET), &key, NULL), YM_OK);
    help_remove(dir);
    return key;
}

static void cosignature_is_the_one_that_openssl_makes(void **state)
{
    struct ym_key *key = rfc_key();
    struct ym_buf line = {0}, note = {0}, vkey = {0};
    uint8_t pub[32];
    char name[256];
    uint64_t time = 0;

    (void)state;
    assert_int_equal(ym_cosign_append(view(TEXT), WITNESS, key, TIME, &line), YM_OK);
    assert_string_equal(ym_buf_str(&line), LINE);
    assert_int_equal(ym_vkey_parse(VKEY, YM_NOTE_COSIGNER, name, pub, NULL), YM_OK);
    assert_int_equal(ym_vkey_parse(VKEY, YM_NOTE_LOG, name, pub, NULL), YM_INVALID);
    assert_int_equal(ym_vkey_format(name, YM_NOTE_COSIGNER, pub, &vkey), YM_OK);
    assert_string_equal(ym_buf_str(&vkey), VKEY);
    assert_int_equal(ym_buf_printf(&note, TEXT "\n\xe2\x80\x94 somebody AAAA\n" LINE), YM_OK);
    assert_int_equal(ym_cosign_open(ym_buf_bytes(&note), WITNESS, pub, &time, NULL), YM_OK);
    assert_int_equal(time, TIME);
    ym_buf_release(&line);
    ym_buf_release(&note);
    ym_buf_release(&vkey);
    ym_key_free(key);
}

static void any_changed_bit_of_note_or_line_is_refused(void **state)
{
    static const char good[] = TEXT "\n" LINE;
    char note[sizeof(good)], name[256];
    uint8_t pub[32];
    uint64_t time = 0;

    (void)state;
    assert_int_equal(ym_vkey_parse(VKEY, YM_NOTE_COSIGNER, name, pub, NULL), YM_OK);
    for (size_t i = 0; i < 8 * (sizeof(good) - 2); i++) {
        enum ym_code code;

        memcpy(note, good, sizeof(good));
        note[i / 8] ^= (char)(1 << i % 8);
        code = ym_cosign_open((struct ym_bytes){(uint8_t *)note, sizeof(good) - 1}, name, pub, &time, NULL);
        assert_true(code == YM_CORRUPT || code == YM_NOT_FOUND);
        assert_int_equal(time, 0);
    }
    assert_int_equal(ym_cosign_open(view(good), WITNESS "x", pub, &time, NULL), YM_NOT_FOUND);
}

static void derived_key_is_another_and_always_the_same(void **state)
{
    struct ym_key *key = rfc_key(), *one = NULL, *two = NULL;
    uint8_t a[32], b[32], want[32];

    (void)state;
    assert_int_equal(ym_key_derive(key, YM_COSIGN_LABEL, &one, NULL), YM_OK);
    assert_int_equal(ym_key_derive(key, "another", &two, NULL), YM_OK);
    ym_key_public(one, a);
    ym_key_public(two, b);
    /* Python's hmac, then openssl pkey. */
    assert_int_equal(ym_hex_decode("5b1abb4f40ba2c699530cb86249ca40a8ca9a5539faeb94acbfc65658befebb5", 64, want, 32),
                     YM_OK);
    assert_memory_equal(a, want, 32);
    assert_memory_not_equal(a, b, 32);
    ym_key_free(key);
    ym_key_free(one);
    ym_key_free(two);
}

/* Trees on disk: leaf i is i spelt in bytes, or the leaves that CT implementations share. */
struct disk {
    char dir[64];
    struct ym_tree *tree;
};

static void write_tile(const char *dir, unsigned level, uint64_t index, const uint8_t (*hash)[32], size_t width)
{
    char name[YM_TILE_PATH], path[200];

    ym_tile_path(name, (int)level, index, width);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    *strrchr(path, '/') = '\0';
    assert_int_equal(ym_fs_mkdirs(path, 0755, NULL), YM_OK);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){(const uint8_t *)hash, width * 32}, 0644, NULL), YM_OK);
}

static void full_tile(void *ctx, unsigned level, uint64_t index, const uint8_t (*hash)[32])
{
    write_tile(ctx, level, index, hash, YM_TILE_HASHES);
}

static void disk_open(struct disk *d)
{
    help_temp(d->dir);
    d->tree = calloc(1, sizeof(*d->tree));
}

static void disk_push(struct disk *d, const void *leaf, size_t len)
{
    uint8_t hash[32];

    ym_tree_leaf_hash((struct ym_bytes){leaf, len}, hash);
    ym_tree_push(d->tree, hash, full_tile, d->dir);
}

static void disk_seal(struct disk *d)
{
    for (unsigned level = 0; level < YM_TILE_LEVELS; level++) {
        size_t width = ym_tree_width(d->tree, level);

        if (width > 0)
            write_tile(d->dir, level, ym_tree_tile(d->tree, level), (const uint8_t(*)[32])d->tree->edge[level], width);
    }
}

static void disk_close(struct disk *d)
{
    help_remove(d->dir);
    free(d->tree);
}

static void eight_leaves(struct disk *d)
{
    static const struct {
        const char *bytes;
        size_t len;
    } leaf[] = {
        {"", 0},
        {"\x00", 1},
        {"\x10", 1},
        {"\x20\x21", 2},
        {"\x30\x31", 2},
        {"\x40\x41\x42\x43", 4},
        {"\x50\x51\x52\x53\x54\x55\x56\x57", 8},
        {"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16},
    };

    disk_open(d);
    for (size_t i = 0; i < 8; i++)
        disk_push(d, leaf[i].bytes, leaf[i].len);
    disk_seal(d);
}

static void expect_proof(const struct ym_proof *p, const char *const *hex)
{
    uint8_t want[32];

    for (size_t i = 0; i < p->count; i++) {
        assert_non_null(hex[i]);
        assert_int_equal(ym_hex_decode(hex[i], 64, want, 32), YM_OK);
        assert_memory_equal(p->hash[i], want, 32);
    }
    assert_null(hex[p->count]);
}

#define H_96 "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
#define H_5F "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
#define H_6B "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
#define H_BC "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
#define H_CA "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
#define H_D3 "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
#define H_FA "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
#define H_0E "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
#define H_6E "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"

/* The proofs that Certificate Transparency implementations share, for the eight leaves of test_tree. */
static void proofs_match_rfc6962_vectors(void **state)
{
    static const struct {
        uint64_t index, size;
        const char *hash[4];
    } inclusion[] = {{0, 1, {NULL}},
                     {0, 8, {H_96, H_5F, H_6B, NULL}},
                     {5, 8, {H_BC, H_CA, H_D3, NULL}},
                     {2, 3, {H_FA, NULL}},
                     {1, 5, {H_6E, H_5F, H_BC, NULL}}};
    static const struct {
        uint64_t old, size;
        const char *hash[4];
    } consistency[] = {
        {1, 1, {NULL}}, {1, 8, {H_96, H_5F, H_6B, NULL}}, {6, 8, {H_0E, H_CA, H_D3, NULL}}, {2, 5, {H_5F, H_BC, NULL}}};
    struct ym_proof p;
    struct disk d;

    (void)state;
    eight_leaves(&d);
    for (size_t i = 0; i < sizeof(inclusion) / sizeof(inclusion[0]); i++) {
        assert_int_equal(ym_proof_inclusion(d.dir, inclusion[i].index, inclusion[i].size, &p, NULL), YM_OK);
        expect_proof(&p, inclusion[i].hash);
    }
    for (size_t i = 0; i < sizeof(consistency) / sizeof(consistency[0]); i++) {
        assert_int_equal(ym_proof_consistency(d.dir, consistency[i].old, consistency[i].size, &p, NULL), YM_OK);
        expect_proof(&p, consistency[i].hash);
    }
    assert_int_equal(ym_proof_inclusion(d.dir, 8, 8, &p, NULL), YM_INVALID);
    assert_int_equal(ym_proof_consistency(d.dir, 9, 8, &p, NULL), YM_INVALID);
    disk_close(&d);
}

static bool check(const struct disk *d, uint64_t old, uint64_t size, const struct ym_proof *p)
{
    uint8_t before[32], after[32];

    assert_int_equal(ym_proof_root(d->dir, old, before, NULL), YM_OK);
    assert_int_equal(ym_proof_root(d->dir, size, after, NULL), YM_OK);
    return ym_proof_check_consistency(old, before, size, after, p->hash, p->count, NULL) == YM_OK;
}

static void every_consistency_is_proved_and_no_changed_bit_passes(void **state)
{
    struct ym_proof p;
    struct disk d;

    (void)state;
    disk_open(&d);
    for (uint64_t i = 0; i < 40; i++)
        disk_push(&d, &i, sizeof(i));
    disk_seal(&d);
    for (uint64_t size = 1; size <= 40; size++)
        for (uint64_t old = 0; old <= size; old++) {
            assert_int_equal(ym_proof_consistency(d.dir, old, size, &p, NULL), YM_OK);
            assert_true(check(&d, old, size, &p));
            for (size_t h = 0; h < p.count; h++) {
                p.hash[h][(old + size) % 32] ^= 0x10;
                assert_false(check(&d, old, size, &p));
                p.hash[h][(old + size) % 32] ^= 0x10;
            }
            if (old > 0 && old < size && p.count > 0) {
                p.count--;
                assert_false(check(&d, old, size, &p));
                p.count++;
            }
            p.count++;
            assert_false(check(&d, old, size, &p));
        }
    disk_close(&d);
}

static void tree_that_shrank_or_differs_is_a_conflict(void **state)
{
    uint8_t a[32] = {1}, b[32] = {2};

    (void)state;
    assert_int_equal(ym_proof_check_consistency(3, a, 3, a, NULL, 0, NULL), YM_OK);
    assert_int_equal(ym_proof_check_consistency(0, a, 3, b, NULL, 0, NULL), YM_OK);
    assert_int_equal(ym_proof_check_consistency(3, a, 3, b, NULL, 0, NULL), YM_CONFLICT);
    assert_int_equal(ym_proof_check_consistency(3, a, 2, a, NULL, 0, NULL), YM_CONFLICT);
    assert_int_equal(ym_proof_check_consistency(3, a, 4, b, NULL, 0, NULL), YM_CONFLICT);
}

/* The sizes around a tile's and a row of tiles' end; the root is that of the tree that grew. */
static void proofs_cross_tiles(void **state)
{
    static const uint64_t size[] = {255, 256, 257, 65535, 65536, 65537, 70000};
    struct ym_proof p;
    uint8_t root[32], want[32];
    struct disk d;
    size_t s = 0;

    (void)state;
    disk_open(&d);
    for (uint64_t i = 0; i < 70000; i++) {
        disk_push(&d, &i, sizeof(i));
        if (i + 1 != size[s])
            continue;
        disk_seal(&d);
        ym_tree_root(d.tree, want);
        assert_int_equal(ym_proof_root(d.dir, size[s], root, NULL), YM_OK);
        assert_memory_equal(root, want, 32);
        s++;
    }
    for (size_t a = 0; a < 7; a++)
        for (size_t b = a; b < 7; b++) {
            assert_int_equal(ym_proof_consistency(d.dir, size[a], size[b], &p, NULL), YM_OK);
            assert_true(check(&d, size[a], size[b], &p));
        }
    disk_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosignature_is_the_one_that_openssl_makes),
        cmocka_unit_test(any_changed_bit_of_note_or_line_is_refused),
        cmocka_unit_test(derived_key_is_another_and_always_the_same),
        cmocka_unit_test(proofs_match_rfc6962_vectors),
        cmocka_unit_test(every_consistency_is_proved_and_no_changed_bit_passes),
        cmocka_unit_test(tree_that_shrank_or_differs_is_a_conflict),
        cmocka_unit_test(proofs_cross_tiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
