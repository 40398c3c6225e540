#include "tests/integration/rpc_hub.h"

/* Who may come in, and as whom. */

static void only_tls_1_3_is_spoken(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, NULL));
    assert_false(tls_served(h.port, &site, TLS1_2_VERSION, NULL));
    hub_stop(&h);
}

static void caller_without_certificate_is_refused(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    assert_false(tls_served(h.port, NULL, TLS1_3_VERSION, NULL));
    hub_stop(&h);
}

static void certificate_of_another_ca_is_refused(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    assert_int_equal(echo_as(&h, &ca, &foreign_site), YM_UNAVAILABLE);
    assert_int_equal(echo_as(&h, &foreign_ca, &site), YM_UNAVAILABLE);
    assert_int_equal(counted(&h, STARTED), 0);
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);
    hub_stop(&h);
}

static void expired_certificate_is_refused(void **state)
{
    struct hub h;
    struct kit_id old;
    (void)state;
    hub_start(&h);
    kit_id_dated(&old, &ca, YM_ROLE_HOSPITAL, "h1", ym_clock_unix() - 60, ym_clock_unix() - 1);
    assert_int_equal(echo_as(&h, &ca, &old), YM_UNAVAILABLE);
    assert_int_equal(counted(&h, STARTED), 0);
    kit_id_release(&old);
    hub_stop(&h);
}

/* A hospital with a certificate for the hub's very address. */
static void only_the_hub_may_pose_as_the_hub(void **state)
{
    struct hub h;
    struct kit_id impostor;
    (void)state;
    kit_id_init(&impostor, &ca, YM_ROLE_HOSPITAL, "impostor");
    hub_init(&h, &impostor);
    KIT_OK(hub_listen(&h, "127.0.0.1:0", false, 1, 0, NULL));
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, NULL));
    assert_int_equal(echo_as(&h, &ca, &site), YM_UNAVAILABLE);
    assert_int_equal(counted(&h, STARTED), 0);
    hub_stop(&h);
    kit_id_release(&impostor);
}

static void wrong_server_name_is_refused(void **state)
{
    struct hub h;
    (void)state;
    hub_start(&h);
    char target[64];
    snprintf(target, sizeof target, "127.0.0.1:%d", h.port);
    for (int i = 0; i < 2; i++) {
        struct ym_rpc_client *c = NULL;
        struct ym_rpc_client_options o = {
            .target = target, .server_name = i ? "hub.example.org" : "localhost", .tls = kit_tls(&ca, &site)};
        KIT_OK(ym_rpc_client_open(&o, &c, NULL));
        assert_int_equal(echo(c, false, NULL), i ? YM_UNAVAILABLE : YM_OK);
        ym_rpc_client_close(&c);
    }
    hub_stop(&h);
}

static void revoked_caller_is_denied_on_the_same_connection(void **state)
{
    struct hub h;
    struct ym_status st = YM_STATUS_INIT;
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);

    assert_int_equal(echo(c, false, NULL), YM_OK);
    KIT_OK(ym_cert_fingerprint(kit_bytes(&site.cert), h.revoked, NULL));
    assert_int_equal(echo(c, false, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "revoked"));
    assert_int_equal(counted(&h, STARTED), 1);
    assert_int_equal(counted(&h, DENIED), 1);
    memset(h.revoked, 0, 32);
    assert_int_equal(echo(c, false, NULL), YM_OK);
    ym_rpc_client_close(&c);
    hub_stop(&h);
    assert_int_equal(h.count[STARTED], 2); /* the handler never saw the denied call */
}

static void enrolment_sees_the_self_signed_certificate(void **state)
{
    struct hub h;
    struct kit_id self = {0};
    struct ym_buf reply = {0};
    uint8_t want[32], got[32];
    (void)state;
    hub_init(&h, &hub_id);
    KIT_OK(hub_listen(&h, "127.0.0.1:0", true, 1, 0, NULL));
    KIT_OK(ym_tls_key_generate(&self.key, NULL));
    KIT_OK(ym_cert_self(kit_bytes(&self.key), ym_clock_unix(), &self.cert, NULL));
    struct ym_rpc_tls tls = kit_tls(&ca, &self);
    struct ym_rpc_client *c = kit_client(h.port, &tls);

    assert_int_equal(ym_rpc_unary(c, "/t.T/Peer", text(""), PATIENCE_MS, false, &reply, NULL), YM_OK);
    KIT_OK(ym_cert_fingerprint(kit_bytes(&self.cert), want, NULL));
    KIT_OK(ym_cert_fingerprint(kit_bytes(&reply), got, NULL));
    assert_memory_equal(want, got, 32);
    assert_int_equal(ym_rpc_unary(c, "/grpc.health.v1.Health/Check", text(""), PATIENCE_MS, false, &reply, NULL),
                     YM_INVALID);
    assert_false(tls_served(h.port, NULL, TLS1_3_VERSION, NULL));
    ym_rpc_client_close(&c);
    hub_stop(&h);
    ym_buf_release(&reply);
    kit_id_release(&self);
}

static void new_connections_see_the_rotated_certificate(void **state)
{
    struct hub h;
    struct kit_id second, old;
    char before[128], after[128];
    (void)state;
    hub_start(&h);
    struct ym_rpc_client *c = client_to(&h);
    kit_id_init(&second, &ca, YM_ROLE_HUB, "hub");

    assert_int_equal(echo(c, false, NULL), YM_OK);
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, before));
    pthread_mutex_lock(&h.lock);
    h.next = second;
    h.generation++;
    pthread_mutex_unlock(&h.lock);
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, after));
    assert_string_not_equal(before, after);
    assert_int_equal(echo(c, false, NULL), YM_OK); /* the old connection goes on */
    assert_int_equal(echo_as(&h, &ca, &site), YM_OK);

    /* A pair that does not fit: the good one stays. */
    pthread_mutex_lock(&h.lock);
    h.next.key = site.key;
    h.generation++;
    pthread_mutex_unlock(&h.lock);
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, before));
    assert_string_equal(before, after);

    /* Nor is one shown that is out of date. */
    kit_id_dated(&old, &ca, YM_ROLE_HUB, "hub", ym_clock_unix() - 60, ym_clock_unix() - 1);
    pthread_mutex_lock(&h.lock);
    h.next = old;
    h.generation++;
    pthread_mutex_unlock(&h.lock);
    assert_true(tls_served(h.port, &site, TLS1_3_VERSION, before));
    assert_string_equal(before, after);
    ym_rpc_client_close(&c);
    hub_stop(&h);
    kit_id_release(&second);
    kit_id_release(&old);
}

/* ---- enrolment's first contact ---- */

static void ca_is_fetched_by_its_pin(void **state)
{
    struct hub h;
    uint8_t hash[32], want[32], got[32];
    struct ym_buf pem = {0};
    char target[64];
    (void)state;
    hub_start(&h);
    snprintf(target, sizeof target, "localhost:%d", h.port);
    KIT_OK(ym_cert_spki_hash(kit_bytes(&ca.cert), hash, NULL));
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_OK);
    KIT_OK(ym_cert_fingerprint(kit_bytes(&ca.cert), want, NULL));
    KIT_OK(ym_cert_fingerprint(kit_bytes(&pem), got, NULL));
    assert_memory_equal(want, got, 32);

    ym_buf_clear(&pem);
    hash[19] ^= 1;
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_DENIED);
    /* The leaf's own key is no CA. */
    KIT_OK(ym_cert_spki_hash(kit_bytes(&hub_id.cert), hash, NULL));
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_DENIED);
    assert_int_equal(pem.len, 0);
    hub_stop(&h);
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_UNAVAILABLE);
    assert_int_equal(ym_rpc_fetch_ca("nonsense", hash, &pem, NULL), YM_INVALID);
    ym_buf_release(&pem);
}

static void ca_is_not_fetched_from_one_who_is_not_the_hub(void **state)
{
    struct hub h;
    struct kit_id impostor;
    uint8_t hash[32];
    struct ym_buf pem = {0};
    char target[64];
    (void)state;
    kit_id_init(&impostor, &ca, YM_ROLE_HOSPITAL, "impostor");
    hub_init(&h, &impostor);
    KIT_OK(hub_listen(&h, "127.0.0.1:0", false, 1, 0, NULL));
    snprintf(target, sizeof target, "127.0.0.1:%d", h.port);
    KIT_OK(ym_cert_spki_hash(kit_bytes(&ca.cert), hash, NULL));
    assert_int_equal(ym_rpc_fetch_ca(target, hash, &pem, NULL), YM_DENIED);
    assert_int_equal(pem.len, 0);
    hub_stop(&h);
    kit_id_release(&impostor);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_tls_1_3_is_spoken),
        cmocka_unit_test(caller_without_certificate_is_refused),
        cmocka_unit_test(certificate_of_another_ca_is_refused),
        cmocka_unit_test(expired_certificate_is_refused),
        cmocka_unit_test(only_the_hub_may_pose_as_the_hub),
        cmocka_unit_test(wrong_server_name_is_refused),
        cmocka_unit_test(revoked_caller_is_denied_on_the_same_connection),
        cmocka_unit_test(enrolment_sees_the_self_signed_certificate),
        cmocka_unit_test(new_connections_see_the_rotated_certificate),
        cmocka_unit_test(ca_is_fetched_by_its_pin),
        cmocka_unit_test(ca_is_not_fetched_from_one_who_is_not_the_hub),
    };
    return cmocka_run_group_tests(tests, identities, identities_release);
}
