#include "base/cert.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/fs.h"
#include "support.h"

#define NOW 1800000000
#define DAY 86400

static const struct ym_party HOSPITAL = {"demo", "north", YM_ROLE_HOSPITAL};

/* One CA and one party's key and certificate. */
struct world {
    struct ym_buf ca_key, ca, key, self, cert;
};

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    *state = w;
    assert_int_equal(ym_tls_key_generate(&w->ca_key, NULL), YM_OK);
    assert_int_equal(ym_ca_create("demo", bytes_in(&w->ca_key), NOW, 3650, &w->ca, NULL), YM_OK);
    assert_int_equal(ym_tls_key_generate(&w->key, NULL), YM_OK);
    assert_int_equal(ym_cert_self(bytes_in(&w->key), NOW, &w->self, NULL), YM_OK);
    assert_int_equal(ym_cert_issue(bytes_in(&w->ca_key), bytes_in(&w->ca), bytes_in(&w->self), &HOSPITAL, NULL, NOW,
                                   NOW + 90 * DAY, &w->cert, NULL),
                     YM_OK);
    return 0;
}

static int world_teardown(void **state)
{
    struct world *w = *state;

    ym_buf_wipe(&w->ca_key);
    ym_buf_release(&w->ca);
    ym_buf_wipe(&w->key);
    ym_buf_release(&w->self);
    ym_buf_release(&w->cert);
    free(w);
    return 0;
}

static void issued_certificate_belongs_and_names_its_holder(void **state)
{
    struct world *w = *state;
    struct ym_party who;
    int64_t from, until;
    uint8_t a[32], b[32];

    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_in(&w->cert), bytes_in(&w->ca), NOW, NULL), YM_OK);
    assert_int_equal(ym_cert_party(bytes_in(&w->cert), &who, NULL), YM_OK);
    assert_string_equal(who.federation, "demo");
    assert_string_equal(who.name, "north");
    assert_int_equal(who.role, YM_ROLE_HOSPITAL);
    assert_int_equal(ym_cert_validity(bytes_in(&w->cert), &from, &until, NULL), YM_OK);
    assert_int_equal(until, NOW + 90 * DAY);
    assert_true(from <= NOW && from >= NOW - 3600);
    assert_int_equal(ym_cert_spki_hash(bytes_in(&w->cert), a, NULL), YM_OK);
    assert_int_equal(ym_cert_spki_hash(bytes_in(&w->self), b, NULL), YM_OK);
    assert_memory_equal(a, b, 32);
    assert_int_equal(ym_cert_fingerprint(bytes_in(&w->cert), a, NULL), YM_OK);
    assert_int_equal(ym_cert_fingerprint(bytes_in(&w->self), b, NULL), YM_OK);
    assert_memory_not_equal(a, b, 32);
}

static void certificate_out_of_date_is_refused_with_the_date(void **state)
{
    struct world *w = *state;
    struct ym_status st = YM_STATUS_INIT;

    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_in(&w->cert), bytes_in(&w->ca), NOW + 90 * DAY - 1, &st),
                     YM_OK);
    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_in(&w->cert), bytes_in(&w->ca), NOW + 90 * DAY + 1, &st),
                     YM_DENIED);
    assert_non_null(strstr(st.message, "expired (2027-04-15 08:00 UTC)"));
    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_in(&w->cert), bytes_in(&w->ca), NOW - 3601, &st),
                     YM_DENIED);
    assert_non_null(strstr(st.message, "not valid before"));
}

static void another_ca_of_the_same_name_is_refused(void **state)
{
    struct world *w = *state;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf key = {0}, ca = {0}, forged = {0};

    assert_int_equal(ym_tls_key_generate(&key, NULL), YM_OK);
    assert_int_equal(ym_ca_create("demo", bytes_in(&key), NOW, 3650, &ca, NULL), YM_OK);
    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_in(&w->cert), bytes_in(&ca), NOW, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "does not come from this federation's CA"));
    assert_int_equal(ym_cert_issue(bytes_in(&key), bytes_in(&w->ca), bytes_in(&w->self), &HOSPITAL, NULL, NOW,
                                   NOW + DAY, &forged, &st),
                     YM_CONFLICT);
    assert_int_equal(forged.len, 0);
    ym_buf_wipe(&key);
    ym_buf_release(&ca);
}

/* A hospital's certificate signs for another: the chain must end. */
static void leaf_cannot_issue(void **state)
{
    struct world *w = *state;
    struct ym_buf forged = {0};

    assert_int_equal(ym_cert_issue(bytes_in(&w->key), bytes_in(&w->cert), bytes_in(&w->self), &HOSPITAL, NULL, NOW,
                                   NOW + DAY, &forged, NULL),
                     YM_OK);
    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_in(&forged), bytes_in(&w->cert), NOW, NULL), YM_DENIED);
    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_in(&forged), bytes_in(&w->ca), NOW, NULL), YM_DENIED);
    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_in(&w->self), bytes_in(&w->ca), NOW, NULL), YM_DENIED);
    ym_buf_release(&forged);
}

static void key_of_another_is_refused(void **state)
{
    struct world *w = *state;
    struct ym_status st = YM_STATUS_INIT;

    assert_int_equal(ym_cert_check(bytes_in(&w->ca_key), bytes_in(&w->cert), bytes_in(&w->ca), NOW, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "do not belong together"));
    assert_int_equal(ym_cert_check(bytes_of("nonsense"), bytes_in(&w->cert), bytes_in(&w->ca), NOW, &st), YM_CORRUPT);
    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_of("nonsense"), bytes_in(&w->ca), NOW, &st), YM_CORRUPT);
    assert_int_equal(ym_cert_check(bytes_in(&w->key), bytes_in(&w->cert), (struct ym_bytes){NULL, 0}, NOW, &st),
                     YM_CORRUPT);
}

static void identity_certificate_carries_the_key(void **state)
{
    static const struct ym_party hub = {"demo", "hub", YM_ROLE_HUB};
    struct world *w = *state;
    struct ym_key *key = NULL;
    struct ym_party who;
    struct ym_buf cert = {0};
    uint8_t pub[32], back[32];

    assert_int_equal(ym_key_generate(&key, NULL), YM_OK);
    ym_key_public(key, pub);
    assert_int_equal(ym_cert_identity(bytes_in(&w->ca_key), bytes_in(&w->ca), pub, &hub, NOW, NOW + DAY, &cert, NULL),
                     YM_OK);
    assert_int_equal(ym_cert_identity_verify(bytes_in(&w->ca), bytes_in(&cert), NOW, &who, back, NULL), YM_OK);
    assert_memory_equal(pub, back, 32);
    assert_int_equal(who.role, YM_ROLE_HUB);
    assert_string_equal(who.name, "hub");
    assert_int_equal(ym_cert_identity_verify(bytes_in(&w->ca), bytes_in(&cert), NOW + DAY + 1, &who, back, NULL),
                     YM_DENIED);
    /* a TLS certificate is no identity, though its chain is good */
    assert_int_equal(ym_cert_identity_verify(bytes_in(&w->ca), bytes_in(&w->cert), NOW, &who, back, NULL), YM_DENIED);
    assert_memory_equal(pub, back, 32);
    ym_buf_release(&cert);
    ym_key_free(key);
}

/* Certificates of other shapes, made with libcrypto itself and signed by the right CA. */
static struct ym_buf foreign(struct world *w, const char *const *uri)
{
    BIO *in = BIO_new_mem_buf(w->ca_key.data, (int)w->ca_key.len), *out = BIO_new(BIO_s_mem());
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    X509 *cert = X509_new();
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    struct ym_buf pem = {0};
    char *data;
    long len;

    ASN1_TIME_set(X509_getm_notBefore(cert), NOW);
    ASN1_TIME_set(X509_getm_notAfter(cert), NOW + DAY);
    X509_set_pubkey(cert, key);
    for (; *uri; uri++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();

        /* "|" stands for NUL */
        ASN1_STRING_set(text, *uri, -1);
        for (unsigned char *p = text->data; *p; p++)
            if (*p == '|')
                *p = '\0';
        GENERAL_NAME_set0_value(name, GEN_URI, text);
        sk_GENERAL_NAME_push(names, name);
    }
    if (sk_GENERAL_NAME_num(names))
        X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT);
    X509_sign(cert, key, EVP_sha256());
    PEM_write_bio_X509(out, cert);
    len = BIO_get_mem_data(out, &data);
    ym_buf_append(&pem, data, (size_t)len);
    GENERAL_NAMES_free(names);
    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(in);
    BIO_free(out);
    return pem;
}

static void certificate_must_name_exactly_one_party(void **state)
{
    static const char *const bad[][3] = {
        {NULL},
        {"yumen://demo/hospital/north", "yumen://demo/hub/hub", NULL},
        {"yumen://demo/hospital/north", "https://example.org", NULL},
        {"yumen://demo/admin/north", NULL},
        {"yumen://demo/hospital/", NULL},
        {"yumen://demo/hospital", NULL},
        {"yumen:///hospital/north", NULL},
        {"yumen://demo/hospital/north/x", NULL},
        {"yumen://demo/hospital/North", NULL},
        {"yumen://demo/hospital/north|.evil", NULL},
        {"yumen://demo/hospital/no rth", NULL},
        {"YUMEN://demo/hospital/north", NULL},
        {"https://demo/hospital/north", NULL},
        {"yumen://demo/hub/hub|", NULL},
    };
    static const char *const good[] = {"yumen://demo/sponsor/north", NULL};
    struct ym_party who = {"x", "y", YM_ROLE_HUB};
    struct ym_buf pem;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pem = foreign(*state, bad[i]);
        if (ym_cert_party(bytes_in(&pem), &who, NULL) != YM_DENIED)
            fail_msg("case %zu taken", i);
        assert_string_equal(who.federation, "x");
        ym_buf_release(&pem);
    }
    pem = foreign(*state, good);
    assert_int_equal(ym_cert_party(bytes_in(&pem), &who, NULL), YM_OK);
    assert_int_equal(who.role, YM_ROLE_SPONSOR);
    ym_buf_release(&pem);
}

static void host_names_and_addresses_go_into_the_certificate(void **state)
{
    static const char *const hosts[] = {"hub.example.org", "127.0.0.1", "::1", NULL};
    static const char *const bad[][2] = {{"a,DNS:evil", NULL}, {"", NULL}, {"-x", NULL}, {"a b", NULL}, {"*", NULL}};
    struct world *w = *state;
    struct ym_buf cert = {0};
    BIO *bio;
    X509 *x;

    assert_int_equal(ym_cert_issue(bytes_in(&w->ca_key), bytes_in(&w->ca), bytes_in(&w->self), &HOSPITAL, hosts, NOW,
                                   NOW + DAY, &cert, NULL),
                     YM_OK);
    bio = BIO_new_mem_buf(cert.data, (int)cert.len);
    x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_int_equal(X509_check_host(x, "hub.example.org", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "other.example.org", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.2", 0), 0);
    assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0), 1);
    assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0), 1);
    assert_int_equal(X509_check_ca(x), 0);
    X509_free(x);
    BIO_free(bio);
    ym_buf_clear(&cert);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(ym_cert_issue(bytes_in(&w->ca_key), bytes_in(&w->ca), bytes_in(&w->self), &HOSPITAL, bad[i],
                                       NOW, NOW + DAY, &cert, NULL),
                         YM_INVALID);
    assert_int_equal(cert.len, 0);
    ym_buf_release(&cert);
}

static void malformed_orders_are_refused(void **state)
{
    static const struct ym_party bad[] = {
        {"", "north", YM_ROLE_HOSPITAL},    {"demo", "", YM_ROLE_HUB},          {"demo", "a/b", YM_ROLE_HUB},
        {"demo", "north", (enum ym_role)0}, {"demo", "north", (enum ym_role)9}, {"De mo", "north", YM_ROLE_HUB},
    };
    struct world *w = *state;
    struct ym_buf cert = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(ym_cert_issue(bytes_in(&w->ca_key), bytes_in(&w->ca), bytes_in(&w->self), &bad[i], NULL, NOW,
                                       NOW + DAY, &cert, NULL),
                         YM_INVALID);
    assert_int_equal(ym_cert_issue(bytes_in(&w->ca_key), bytes_in(&w->ca), bytes_in(&w->self), &HOSPITAL, NULL, NOW,
                                   NOW, &cert, NULL),
                     YM_INVALID);
    assert_int_equal(ym_ca_create("Not A Name", bytes_in(&w->ca_key), NOW, 10, &cert, NULL), YM_INVALID);
    assert_int_equal(ym_ca_create("demo", bytes_in(&w->ca_key), NOW, 0, &cert, NULL), YM_INVALID);
    assert_int_equal(cert.len, 0);
    ym_buf_release(&cert);
}

static void private_pem_rests_encrypted(void **state)
{
    struct world *w = *state;
    struct ym_bytes secret = bytes_of("a secret of some length");
    struct ym_buf back = {0}, file = {0};
    void *dir;
    char path[256];

    assert_int_equal(dir_setup(&dir), 0);
    snprintf(path, sizeof(path), "%s/tls.key", (char *)dir);
    assert_int_equal(ym_pem_save(path, bytes_in(&w->key), secret, NULL), YM_OK);
    assert_int_equal(ym_fs_read(path, 10000, &file, NULL), YM_OK);
    assert_non_null(strstr(ym_buf_str(&file), "BEGIN ENCRYPTED PRIVATE KEY"));
    assert_int_equal(ym_pem_load(path, bytes_of("b secret of some length"), &back, NULL), YM_DENIED);
    assert_int_equal(back.len, 0);
    assert_int_equal(ym_pem_load(path, secret, &back, NULL), YM_OK);
    assert_int_equal(back.len, w->key.len);
    assert_memory_equal(back.data, w->key.data, back.len);
    ym_buf_wipe(&back);
    ym_buf_release(&file);
    assert_int_equal(dir_teardown(&dir), 0);
}

static void roles_have_one_word_each(void **state)
{
    static const char *const word[] = {"hub", "hospital", "sponsor", "auditor"};
    enum ym_role role = YM_ROLE_SPONSOR;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ym_role_parse(word[i], &role), YM_OK);
        assert_int_equal(role, YM_ROLE_HUB + i);
        assert_string_equal(ym_role_name(role), word[i]);
    }
    assert_int_equal(ym_role_parse("Hub", &role), YM_INVALID);
    assert_int_equal(ym_role_parse("", &role), YM_INVALID);
    assert_int_equal(role, YM_ROLE_AUDITOR);
    assert_string_equal(ym_role_name((enum ym_role)0), "unknown");
}

/* RFC 4648 base32 of "foobarfoobarfoobarfo" spelled small; hex of counting bytes. */
static void token_round_trips(void **state)
{
    struct ym_token t = {.id = {0, 1, 2, 3, 4, 5, 6, 0xFF}}, back;
    struct ym_buf text = {0};

    (void)state;
    memcpy(t.pin, "foobarfoobarfoobarfo", 20);
    for (int i = 0; i < 16; i++)
        t.secret[i] = (uint8_t)(16 * i + i);
    assert_int_equal(ym_token_format(&t, &text), YM_OK);
    assert_string_equal(ym_buf_str(&text),
                        "YJ1.mzxw6ytbojtg633cmfzgm33pmjqxeztp.00010203040506ff.00112233445566778899aabbccddeeff");
    assert_int_equal(ym_token_parse(ym_buf_str(&text), &back, NULL), YM_OK);
    assert_memory_equal(&t, &back, sizeof(t));
    ym_buf_release(&text);
}

static void malformed_tokens_are_refused_and_not_quoted(void **state)
{
    static const char *const bad[] = {
        "",
        "YJ1.",
        "YJ2.mzxw6ytbojtg633cmfzgm33pmjqxeztp.00010203040506ff.00112233445566778899aabbccddeeff",
        "YJ1.MZXW6YTBOJTG633CMFZGM33PMJQXEZTP.00010203040506ff.00112233445566778899aabbccddeeff",
        "YJ1.mzxw6ytbojtg633cmfzgm33pmjqxezt0.00010203040506ff.00112233445566778899aabbccddeeff",
        "YJ1.mzxw6ytbojtg633cmfzgm33pmjqxeztp.00010203040506FF.00112233445566778899aabbccddeeff",
        "YJ1.mzxw6ytbojtg633cmfzgm33pmjqxeztp.00010203040506ff.00112233445566778899aabbccddeeff0",
        "YJ1.mzxw6ytbojtg633cmfzgm33pmjqxeztp.00010203040506ff.00112233445566778899aabbccddeef",
        "YJ1.mzxw6ytbojtg633cmfzgm33pmjqxeztp,00010203040506ff.00112233445566778899aabbccddeeff",
        "YJ1.mzxw6ytbojtg633cmfzgm33pmjqxeztp.00010203040506ff.00112233445566778899aabbccddeef ",
        " YJ1.mzxw6ytbojtg633cmfzgm33pmjqxeztp.00010203040506ff.00112233445566778899aabbccddeef",
    };
    struct ym_token t = {.id = {7}};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ym_status st = YM_STATUS_INIT;

        assert_int_equal(ym_token_parse(bad[i], &t, &st), YM_INVALID);
        assert_null(strstr(st.message, "00112233"));
    }
    assert_int_equal(t.id[0], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(issued_certificate_belongs_and_names_its_holder, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(certificate_out_of_date_is_refused_with_the_date, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(another_ca_of_the_same_name_is_refused, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(leaf_cannot_issue, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(key_of_another_is_refused, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(identity_certificate_carries_the_key, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(certificate_must_name_exactly_one_party, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(host_names_and_addresses_go_into_the_certificate, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(malformed_orders_are_refused, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(private_pem_rests_encrypted, world_setup, world_teardown),
        cmocka_unit_test(roles_have_one_word_each),
        cmocka_unit_test(token_round_trips),
        cmocka_unit_test(malformed_tokens_are_refused_and_not_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
