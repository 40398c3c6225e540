#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit/ledger/tree.h"

static void expect_root(const struct ym_tree *t, const char *hex)
{
    uint8_t root[32], expected[32];

    assert_int_equal(ym_hex_decode(hex, 64, expected, 32), YM_OK);
    ym_tree_root(t, root);
    assert_memory_equal(root, expected, 32);
}

/* The leaves and roots that Certificate Transparency implementations share. */
static void roots_match_rfc6962_vectors(void **state)
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
    struct ym_tree *t = calloc(1, sizeof(*t));
    uint8_t hash[32];

    (void)state;
    expect_root(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
        ym_tree_leaf_hash((struct ym_bytes){(const uint8_t *)step[i].leaf, step[i].len}, hash);
        ym_tree_push(t, hash, NULL, NULL);
        expect_root(t, step[i].root);
    }
    free(t);
}

/* RFC 6962 2.1 as it is written: split at the largest power of two below n. */
static void plain_root(const uint8_t (*hash)[32], size_t n, uint8_t out[32])
{
    uint8_t text[65] = {1};
    size_t k = 1;

    if (n == 0) {
        ym_sha256("", 0, out);
        return;
    }
    if (n == 1) {
        memcpy(out, hash[0], 32);
        return;
    }
    while (2 * k < n)
        k *= 2;
    plain_root(hash, k, text + 1);
    plain_root(hash + k, n - k, text + 33);
    ym_sha256(text, sizeof(text), out);
}

struct seen {
    size_t tiles[YM_TILE_LEVELS];
    uint64_t next[YM_TILE_LEVELS];
};

static void count_tile(void *ctx, unsigned level, uint64_t index, const uint8_t (*hash)[32])
{
    struct seen *s = ctx;

    (void)hash;
    assert_int_equal(index, s->next[level]++);
    s->tiles[level]++;
}

static bool interesting(size_t n)
{
    static const size_t size[] = {1, 2, 3, 255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 70000};

    for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++)
        if (size[i] == n)
            return true;
    return false;
}

static void roots_match_the_plain_definition_at_tile_edges(void **state)
{
    const size_t n = 70000;
    uint8_t(*hash)[32] = calloc(n, 32), root[32], plain[32];
    struct ym_tree *t = calloc(1, sizeof(*t));
    struct seen seen = {0};

    (void)state;
    for (size_t i = 0; i < n; i++) {
        ym_sha256(&i, sizeof(i), hash[i]);
        ym_tree_push(t, hash[i], count_tile, &seen);
        if (!interesting(i + 1))
            continue;
        ym_tree_root(t, root);
        plain_root((const uint8_t(*)[32])hash, i + 1, plain);
        assert_memory_equal(root, plain, 32);
    }
    /* The example of the tlog-tiles page: 273 full tiles and one of 112. */
    assert_int_equal(seen.tiles[0], 273);
    assert_int_equal(ym_tree_width(t, 0), 112);
    assert_int_equal(seen.tiles[1], 1);
    assert_int_equal(ym_tree_width(t, 1), 17);
    assert_int_equal(ym_tree_width(t, 2), 1);
    free(hash);
    free(t);
}

static void tile_paths_follow_tlog_tiles(void **state)
{
    char path[YM_TILE_PATH];

    (void)state;
    ym_tile_path(path, 0, 0, 256);
    assert_string_equal(path, "tile/0/000");
    ym_tile_path(path, -1, 1234067, 256);
    assert_string_equal(path, "tile/entries/x001/x234/067");
    ym_tile_path(path, 1, 273, 112);
    assert_string_equal(path, "tile/1/273.p/112");
    ym_tile_path(path, 0, 1234, 0);
    assert_string_equal(path, "tile/0/x001/234.p");
    ym_tile_path(path, -1, UINT64_MAX >> 8, 255);
    assert_true(strlen(path) < YM_TILE_PATH - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_match_rfc6962_vectors),
        cmocka_unit_test(roots_match_the_plain_definition_at_tile_edges),
        cmocka_unit_test(tile_paths_follow_tlog_tiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
