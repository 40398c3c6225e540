#include "base/crypto.h"

#include <sys/stat.h>

#include "base/fs.h"
#include "support.h"

static void from_hex(const char *text, uint8_t *out)
{
    assert_int_equal(ym_hex_decode(text, strlen(text), out, strlen(text) / 2), YM_OK);
}

/* FIPS 180-4 examples as published by NIST. */
static void sha256_agrees_with_nist(void **state)
{
    static const char *const vector[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    uint8_t want[32], got[32], block[1000];
    struct ym_sha256 *h;

    (void)state;
    for (size_t i = 0; i < sizeof(vector) / sizeof(vector[0]); i++) {
        from_hex(vector[i][1], want);
        ym_sha256(vector[i][0], strlen(vector[i][0]), got);
        assert_memory_equal(got, want, 32);
    }
    from_hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", want);
    memset(block, 'a', sizeof(block));
    h = ym_sha256_new();
    for (int i = 0; i < 1000; i++)
        ym_sha256_update(h, block, sizeof(block));
    ym_sha256_update(h, NULL, 0);
    ym_sha256_final(&h, got);
    assert_null(h);
    assert_memory_equal(got, want, 32);
    ym_sha256_free(ym_sha256_new());
    ym_sha256_free(NULL);
}

/* RFC 4231, cases 1, 2 and 6. */
static void hmac_agrees_with_rfc_4231(void **state)
{
    uint8_t key[131], want[32], got[32];

    (void)state;
    memset(key, 0x0b, 20);
    from_hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", want);
    ym_hmac_sha256(key, 20, "Hi There", 8, got);
    assert_memory_equal(got, want, 32);
    from_hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", want);
    ym_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, got);
    assert_memory_equal(got, want, 32);
    memset(key, 0xaa, 131);
    from_hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", want);
    ym_hmac_sha256(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54, got);
    assert_memory_equal(got, want, 32);
}

/* RFC 8032, section 7.1, tests 1 to 3. */
static void ed25519_agrees_with_rfc_8032(void **state)
{
    static const struct {
        const char *pub, *message, *sig;
    } v[] = {
        {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bb"
         "e2465"
         "5141438e7a100b"},
        {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302"
         "aeeb0"
         "0d291612bb0c00"},
        {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed"
         "28dc0"
         "27beceea1ec40a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        uint8_t pub[32], sig[64], message[8];
        size_t len = strlen(v[i].message) / 2;

        from_hex(v[i].pub, pub);
        from_hex(v[i].sig, sig);
        from_hex(v[i].message, message);
        assert_true(ym_sig_verify(pub, message, len, sig));
        sig[63] ^= 0x10;
        assert_false(ym_sig_verify(pub, message, len, sig));
        sig[63] ^= 0x10;
        message[0] ^= 1;
        assert_false(ym_sig_verify(pub, message, len ? len : 1, sig));
        message[0] ^= 1;
        pub[0] ^= 1;
        assert_false(ym_sig_verify(pub, message, len, sig));
    }
}

/* S and S + L both solve the equation; only the reduced one may pass (RFC 8032, 5.1.7). */
static void unreduced_signature_is_refused(void **state)
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                      0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    struct ym_key *key = NULL;
    uint8_t pub[32], sig[64];
    unsigned carry = 0;

    (void)state;
    assert_int_equal(ym_key_generate(&key, NULL), YM_OK);
    ym_key_public(key, pub);
    ym_key_sign(key, "m", 1, sig);
    assert_true(ym_sig_verify(pub, "m", 1, sig));
    for (int i = 0; i < 32; i++) {
        carry += (unsigned)sig[32 + i] + order[i];
        sig[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_false(ym_sig_verify(pub, "m", 1, sig));
    ym_key_free(key);
}

static void saved_key_signs_as_before(void **state)
{
    struct ym_bytes secret = bytes_of("a secret of some length");
    struct ym_key *key = NULL, *back = NULL;
    uint8_t pub[32], again[32], sig[64], twice[64];
    struct stat info;
    char path[256];

    snprintf(path, sizeof(path), "%s/identity.key", (char *)*state);
    assert_int_equal(ym_key_generate(&key, NULL), YM_OK);
    assert_int_equal(ym_key_save(key, path, secret, NULL), YM_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(ym_key_load(path, secret, &back, NULL), YM_OK);
    ym_key_public(key, pub);
    ym_key_public(back, again);
    assert_memory_equal(pub, again, 32);
    ym_key_sign(key, "leaf", 4, sig);
    ym_key_sign(back, "leaf", 4, twice);
    assert_memory_equal(sig, twice, 64);
    ym_key_free(key);
    ym_key_free(back);
    ym_key_free(NULL);
}

static void key_does_not_open_with_another_secret(void **state)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_key *key = NULL, *back = NULL;
    char path[256];

    snprintf(path, sizeof(path), "%s/identity.key", (char *)*state);
    assert_int_equal(ym_key_generate(&key, NULL), YM_OK);
    assert_int_equal(ym_key_save(key, path, bytes_of("too short"), &st), YM_INVALID);
    assert_false(ym_fs_exists(path));
    assert_int_equal(ym_key_save(key, path, bytes_of("a secret of some length"), &st), YM_OK);
    assert_int_equal(ym_key_load(path, bytes_of("b secret of some length"), &back, &st), YM_DENIED);
    assert_non_null(strstr(st.message, path));
    assert_int_equal(ym_key_load(path, (struct ym_bytes){NULL, 0}, &back, &st), YM_DENIED);
    assert_null(back);
    ym_key_free(key);
}

static void damaged_key_file_is_refused(void **state)
{
    struct ym_bytes secret = bytes_of("a secret of some length");
    struct ym_key *key = NULL, *back = NULL;
    struct ym_buf pem = {0};
    char path[256];

    snprintf(path, sizeof(path), "%s/identity.key", (char *)*state);
    assert_int_equal(ym_key_load(path, secret, &back, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_fs_write(path, bytes_of("not a key\n"), 0600, NULL), YM_OK);
    assert_int_equal(ym_key_load(path, secret, &back, NULL), YM_CORRUPT);
    assert_int_equal(ym_key_generate(&key, NULL), YM_OK);
    assert_int_equal(ym_key_save(key, path, secret, NULL), YM_OK);
    assert_int_equal(ym_fs_read(path, 10000, &pem, NULL), YM_OK);
    assert_null(strstr(ym_buf_str(&pem), "BEGIN PRIVATE KEY"));
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){pem.data, pem.len / 2}, 0600, NULL), YM_OK);
    assert_int_equal(ym_key_load(path, secret, &back, NULL), YM_CORRUPT);
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){NULL, 0}, 0600, NULL), YM_OK);
    assert_int_equal(ym_key_load(path, secret, &back, NULL), YM_CORRUPT);
    assert_null(back);
    ym_buf_release(&pem);
    ym_key_free(key);
}

static void secret_is_made_once_and_the_host_comes_first(void **state)
{
    struct ym_buf one = {0}, two = {0}, host = {0};
    char path[256], credentials[256];
    struct stat info;

    unsetenv("CREDENTIALS_DIRECTORY");
    snprintf(path, sizeof(path), "%s/secret", (char *)*state);
    snprintf(credentials, sizeof(credentials), "%s/yumen.secret", (char *)*state);
    assert_int_equal(ym_secret_load(*state, false, &one, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_secret_load(*state, true, &one, NULL), YM_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(one.len, 64);
    assert_int_equal(ym_secret_load(*state, true, &two, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&one), ym_buf_str(&two));
    setenv("CREDENTIALS_DIRECTORY", *state, 1);
    ym_buf_clear(&two);
    assert_int_equal(ym_secret_load(*state, false, &two, NULL), YM_OK); /* none there: the folder's */
    assert_string_equal(ym_buf_str(&one), ym_buf_str(&two));
    assert_int_equal(ym_fs_write(credentials, bytes_of("from the host, sealed\r\n"), 0600, NULL), YM_OK);
    assert_int_equal(ym_secret_load(*state, false, &host, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&host), "from the host, sealed");
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(ym_fs_write(path, bytes_of("short\n"), 0600, NULL), YM_OK);
    assert_int_equal(ym_secret_load(*state, true, &host, NULL), YM_CORRUPT);
    ym_buf_wipe(&one);
    ym_buf_wipe(&two);
    ym_buf_wipe(&host);
}

/* The verifier key that the C2SP signed-note specification and Go's sumdb/note use as their example. */
static void note_key_agrees_with_sumdb(void **state)
{
    static const char vkey[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    struct ym_buf text = {0};
    char name[256];
    uint8_t pub[32];

    (void)state;
    assert_int_equal(ym_vkey_parse(vkey, YM_NOTE_LOG, name, pub, NULL), YM_OK);
    assert_string_equal(name, "PeterNeumann");
    assert_int_equal(ym_vkey_format(name, YM_NOTE_LOG, pub, &text), YM_OK);
    assert_string_equal(ym_buf_str(&text), vkey);
    ym_buf_release(&text);
}

static void malformed_vkeys_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWAA==",
        "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "qeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    };
    char name[256] = "same";
    uint8_t pub[32] = {1};
    struct ym_buf out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(ym_vkey_parse(bad[i], YM_NOTE_LOG, name, pub, NULL), YM_INVALID);
    assert_string_equal(name, "same");
    assert_int_equal(ym_vkey_format("with space", YM_NOTE_LOG, pub, &out), YM_INVALID);
    assert_int_equal(ym_vkey_format("with+plus", YM_NOTE_LOG, pub, &out), YM_INVALID);
    assert_int_equal(ym_vkey_format("", YM_NOTE_LOG, pub, &out), YM_INVALID);
    assert_int_equal(out.len, 0);
    ym_buf_release(&out);
}

static void constant_time_compare_sees_every_byte(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};

    (void)state;
    assert_true(ym_equal_const(a, b, 32));
    for (size_t i = 0; i < 32; i++) {
        b[i] = 1;
        assert_false(ym_equal_const(a, b, 32));
        b[i] = 0;
    }
    assert_true(ym_equal_const(NULL, NULL, 0));
    a[3] = 9;
    ym_wipe(a, sizeof(a));
    assert_memory_equal(a, b, 32);
    ym_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_agrees_with_nist),
        cmocka_unit_test(hmac_agrees_with_rfc_4231),
        cmocka_unit_test(ed25519_agrees_with_rfc_8032),
        cmocka_unit_test(unreduced_signature_is_refused),
        cmocka_unit_test_setup_teardown(saved_key_signs_as_before, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(key_does_not_open_with_another_secret, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(damaged_key_file_is_refused, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(secret_is_made_once_and_the_host_comes_first, dir_setup, dir_teardown),
        cmocka_unit_test(note_key_agrees_with_sumdb),
        cmocka_unit_test(malformed_vkeys_are_refused),
        cmocka_unit_test(constant_time_compare_sees_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
