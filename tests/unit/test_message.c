#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/health.pb-c.h"
#include "proto/message.h"

static const ProtobufCMessageDescriptor *const schema[] = {
    &yumen__v1__enrol_request__descriptor,          &yumen__v1__enrol_reply__descriptor,
    &yumen__v1__renew_request__descriptor,          &yumen__v1__renew_reply__descriptor,
    &yumen__v1__get_checkpoint_request__descriptor, &yumen__v1__checkpoint__descriptor,
    &yumen__v1__read_log_request__descriptor,       &yumen__v1__log_entry__descriptor,
    &yumen__v1__fetch_request__descriptor,          &yumen__v1__chunk__descriptor,
    &yumen__v1__submit_study_request__descriptor,   &yumen__v1__submit_study_reply__descriptor,
    &yumen__v1__list_studies_request__descriptor,   &yumen__v1__list_studies_reply__descriptor,
    &yumen__v1__watch_study_request__descriptor,    &yumen__v1__study_event__descriptor,
    &yumen__v1__cancel_study_request__descriptor,   &yumen__v1__cancel_study_reply__descriptor,
    &yumen__v1__list_data_request__descriptor,      &yumen__v1__list_data_reply__descriptor,
    &yumen__v1__subscribe_request__descriptor,      &yumen__v1__task__descriptor,
    &yumen__v1__post_request__descriptor,           &yumen__v1__post_reply__descriptor,
    &yumen__v1__put_start_request__descriptor,      &yumen__v1__put_start_reply__descriptor,
    &yumen__v1__upload_status_request__descriptor,  &yumen__v1__upload_status_reply__descriptor,
    &yumen__v1__upload_chunk__descriptor,           &yumen__v1__upload_reply__descriptor,
};
#define SCHEMA_COUNT (sizeof schema / sizeof schema[0])

static void append(struct ym_buf *b, const void *data, size_t len)
{
    assert_int_equal(ym_buf_append(b, data, len), YM_OK);
}

/* ---- there and back ---- */

static void study_comes_back_as_it_went(void **state)
{
    uint8_t hash[32] = {1, 2, 3};
    Yumen__V1__SiteStatus site = YUMEN__V1__SITE_STATUS__INIT, *sites[] = {&site};
    Yumen__V1__Study study = YUMEN__V1__STUDY__INIT, *studies[] = {&study};
    Yumen__V1__ListStudiesReply reply = YUMEN__V1__LIST_STUDIES_REPLY__INIT, *back = NULL;
    struct ym_buf wire = {0};
    (void)state;

    site.hospital = (char *)"h1";
    site.phase = YUMEN__V1__SITE_PHASE__SITE_PHASE_LEFT_OUT;
    site.since = 1800000000;
    site.reason = (char *)"crashed";
    study.study = (char *)"wdbc";
    study.plan_sha256 = ym_message_bytes(hash, sizeof hash);
    study.phase = YUMEN__V1__STUDY_PHASE__STUDY_PHASE_COLLECT;
    study.n_site = 1;
    study.site = sites;
    reply.n_study = 1;
    reply.study = studies;
    assert_int_equal(ym_message_pack(&reply, &wire, NULL), YM_OK);
    assert_int_equal(ym_message_unpack(&yumen__v1__list_studies_reply__descriptor, ym_buf_bytes(&wire), &back, NULL),
                     YM_OK);
    assert_int_equal(back->n_study, 1);
    assert_string_equal(back->study[0]->study, "wdbc");
    assert_int_equal(back->study[0]->phase, YUMEN__V1__STUDY_PHASE__STUDY_PHASE_COLLECT);
    assert_int_equal(back->study[0]->plan_sha256.len, 32);
    assert_memory_equal(ym_message_view(back->study[0]->plan_sha256).data, hash, 32);
    assert_string_equal(back->study[0]->site[0]->reason, "crashed");
    assert_string_equal(back->study[0]->reason, "");
    ym_message_free(back);
    ym_message_free(NULL);
    ym_buf_release(&wire);
}

static void empty_wire_is_the_empty_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < SCHEMA_COUNT; i++) {
        ProtobufCMessage *m = NULL;
        assert_int_equal(ym_message_unpack(schema[i], (struct ym_bytes){NULL, 0}, &m, NULL), YM_OK);
        assert_ptr_equal(m->descriptor, schema[i]);
        ym_message_free(m);
    }
}

static void packing_appends_and_refuses_what_a_peer_would(void **state)
{
    Yumen__V1__WatchStudyRequest watch = YUMEN__V1__WATCH_STUDY_REQUEST__INIT;
    Yumen__V1__Chunk chunk = YUMEN__V1__CHUNK__INIT;
    struct ym_buf wire = {0};
    uint8_t *data = calloc(1, YM_MESSAGE_BYTES);
    (void)state;

    append(&wire, "x", 1);
    watch.study = (char *)"a";
    assert_int_equal(ym_message_pack(&watch, &wire, NULL), YM_OK);
    assert_int_equal(wire.len, 4);
    assert_memory_equal(wire.data,
                        "x\x0a\x01"
                        "a",
                        4);
    watch.study = (char *)"\xff\xfe";
    assert_int_equal(ym_message_pack(&watch, &wire, NULL), YM_INVALID);
    chunk.data = ym_message_bytes(data, YM_MESSAGE_CHUNK);
    assert_int_equal(wire.len, 4);
    assert_int_equal(ym_message_pack(&chunk, &wire, NULL), YM_OK);
    chunk.data.len = YM_MESSAGE_CHUNK + 1;
    assert_int_equal(ym_message_pack(&chunk, &wire, NULL), YM_INVALID);
    chunk.data.len = YM_MESSAGE_BYTES;
    assert_int_equal(ym_message_pack(&chunk, &wire, NULL), YM_EXHAUSTED);
    ym_buf_release(&wire);
    free(data);
}

/* ---- what strangers send ---- */

static enum ym_code try_wire(const ProtobufCMessageDescriptor *type, const void *wire, size_t len, const char *expected)
{
    ProtobufCMessage *m = NULL;
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = ym_message_unpack(type, (struct ym_bytes){wire, len}, &m, &st);

    if (code == YM_OK)
        ym_message_free(m);
    else
        assert_null(m);
    if (expected && !strstr(st.message, expected))
        fail_msg("\"%s\" does not say \"%s\"", st.message, expected);
    return code;
}

#define TRY(type, wire, expected) try_wire(&yumen__v1__##type##__descriptor, wire, sizeof wire - 1, expected)

static void strings_are_utf8_without_nul(void **state)
{
    (void)state;
    assert_int_equal(TRY(watch_study_request,
                         "\x0a\x03"
                         "abc",
                         NULL),
                     YM_OK);
    assert_int_equal(TRY(watch_study_request,
                         "\x0a\x03"
                         "a\0c",
                         "\"study\" is not UTF-8"),
                     YM_INVALID);
    assert_int_equal(TRY(watch_study_request, "\x0a\x02\xc3\x28", "\"study\" is not UTF-8"), YM_INVALID);
    /* Inside a sub-message too. */
    assert_int_equal(TRY(list_studies_reply, "\x0a\x04\x12\x02\xff\xff", "\"sponsor\" is not UTF-8"), YM_INVALID);
}

static void lengths_are_bounded_by_field(void **state)
{
    char wire[2 + 64] = "\x0a\x40";
    (void)state;
    memset(wire + 2, 'a', 64);
    assert_int_equal(try_wire(&yumen__v1__watch_study_request__descriptor, wire, sizeof wire, "64 bytes"), YM_INVALID);
    wire[1] = 63;
    assert_int_equal(try_wire(&yumen__v1__watch_study_request__descriptor, wire, 65, NULL), YM_OK);
    /* A hash is absent or whole. */
    assert_int_equal(TRY(fetch_request, "\x0a\x00", NULL), YM_OK);
    assert_int_equal(TRY(fetch_request, "\x0a\x02zz", "\"sha256\" has 2 bytes"), YM_INVALID);
}

static void enums_stay_among_their_values(void **state)
{
    (void)state;
    assert_int_equal(TRY(post_reply, "\x08\x0a", NULL), YM_OK);
    assert_int_equal(TRY(post_reply, "\x08\x0b", "\"answer\" has an unknown value"), YM_INVALID);
    assert_int_equal(TRY(post_reply, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\"answer\""), YM_INVALID);
    /* 2^32: its low half is a known value. */
    assert_int_equal(TRY(post_reply, "\x08\x80\x80\x80\x80\x10", "\"answer\""), YM_INVALID);
}

static void few_unknown_fields_pass_and_many_do_not(void **state)
{
    struct ym_buf wire = {0};
    (void)state;
    for (int i = 0; i < YM_MESSAGE_UNKNOWN; i++)
        append(&wire, "\xf8\x06\x01", 3); /* field 111 */
    assert_int_equal(try_wire(&yumen__v1__post_request__descriptor, wire.data, wire.len, NULL), YM_OK);
    append(&wire, "\xf8\x06\x01", 3);
    assert_int_equal(try_wire(&yumen__v1__post_request__descriptor, wire.data, wire.len, "unknown fields"), YM_INVALID);
    ym_buf_release(&wire);
}

static void broken_wire_is_invalid(void **state)
{
    (void)state;
    assert_int_equal(TRY(post_request, "\x0a\x05zz", "does not parse at byte"), YM_INVALID);
    assert_int_equal(TRY(post_request, "\x0a", "does not parse"), YM_INVALID);
    assert_int_equal(TRY(post_request, "\x0b", "does not parse"), YM_INVALID);     /* group */
    assert_int_equal(TRY(post_request, "\x02\x00", "does not parse"), YM_INVALID); /* field 0 */
    assert_int_equal(TRY(post_request, "\x08\x01", "wrong wire type"), YM_INVALID);
    assert_int_equal(TRY(fetch_request, "\x12\x01z", "wrong wire type"), YM_INVALID);
    assert_int_equal(TRY(fetch_request, "\x15zzzz", NULL), YM_INVALID); /* fixed32 for a varint */
    assert_int_equal(TRY(fetch_request, "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", NULL), YM_INVALID);
    assert_int_equal(TRY(post_request, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", NULL), YM_INVALID);
}

/* 1 MiB of empty sub-messages would be 60 MB of structs. */
static void amplification_ends_at_the_budget(void **state)
{
    uint8_t *wire = malloc(YM_MESSAGE_BYTES + 1);
    (void)state;
    for (size_t i = 0; i < YM_MESSAGE_BYTES; i += 2)
        memcpy(wire + i, "\x0a\x00", 2);
    assert_int_equal(try_wire(&yumen__v1__list_studies_reply__descriptor, wire, YM_MESSAGE_BYTES, "memory"),
                     YM_EXHAUSTED);
    assert_int_equal(try_wire(&yumen__v1__list_studies_reply__descriptor, wire, YM_MESSAGE_BYTES + 1, "at most"),
                     YM_EXHAUSTED);
    free(wire);
}

/* What an honest hub sends fits, at its leanest, in a federation of 64 hospitals. */
static void honest_lists_fit_the_budget(void **state)
{
    enum { SITES = 64, STUDIES = 100 };
    static Yumen__V1__SiteStatus site[SITES];
    static Yumen__V1__Study study[STUDIES];
    Yumen__V1__SiteStatus *sites[SITES];
    Yumen__V1__Study *studies[STUDIES];
    Yumen__V1__ListStudiesReply reply = YUMEN__V1__LIST_STUDIES_REPLY__INIT, *back = NULL;
    struct ym_buf wire = {0};
    uint8_t hash[32] = {1};
    (void)state;

    for (int i = 0; i < SITES; i++) {
        yumen__v1__site_status__init(&site[i]);
        site[i].hospital = (char *)"h1";
        site[i].phase = YUMEN__V1__SITE_PHASE__SITE_PHASE_AWAITED;
        site[i].since = 1800000000;
        sites[i] = &site[i];
    }
    for (int i = 0; i < STUDIES; i++) {
        yumen__v1__study__init(&study[i]);
        study[i].study = (char *)"s";
        study[i].phase = YUMEN__V1__STUDY_PHASE__STUDY_PHASE_OPEN;
        study[i].plan_sha256 = ym_message_bytes(hash, sizeof hash);
        study[i].n_site = SITES;
        study[i].site = sites;
        studies[i] = &study[i];
    }
    reply.n_study = STUDIES;
    reply.study = studies;
    assert_int_equal(ym_message_pack(&reply, &wire, NULL), YM_OK);
    assert_int_equal(ym_message_unpack(&yumen__v1__list_studies_reply__descriptor, ym_buf_bytes(&wire), &back, NULL),
                     YM_OK);
    assert_int_equal(back->study[STUDIES - 1]->n_site, SITES);
    ym_message_free(back);
    ym_buf_release(&wire);
}

/* ---- the schema itself ---- */

static const ProtobufCMessageDescriptor *listed(const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < SCHEMA_COUNT; i++) {
        if (schema[i] == type)
            return type;
    }
    return NULL;
}

static void every_method_speaks_listed_messages(void **state)
{
    const ProtobufCServiceDescriptor *services[] = {
        &yumen__v1__enrolment__descriptor,
        &yumen__v1__federation__descriptor,
        &yumen__v1__sponsor__descriptor,
        &yumen__v1__worker__descriptor,
    };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (unsigned k = 0; k < services[i]->n_methods; k++) {
            assert_non_null(listed(services[i]->methods[k].input));
            assert_non_null(listed(services[i]->methods[k].output));
        }
    }
}

static void no_message_contains_itself(void **state)
{
    /* A descriptor that does, to see that it is noticed. */
    static ProtobufCFieldDescriptor field = {.name = "self", .id = 1, .type = PROTOBUF_C_TYPE_MESSAGE};
    static ProtobufCMessageDescriptor loop = {.short_name = "Loop", .n_fields = 1, .fields = &field};
    (void)state;
    field.descriptor = &loop;
    assert_false(ym_message_flat(&loop));
    for (size_t i = 0; i < SCHEMA_COUNT; i++)
        assert_true(ym_message_flat(schema[i]));
}

static void check_fields(const ProtobufCMessageDescriptor *type)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &type->fields[i];
        size_t least = 0, most = 0;
        if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
            check_fields(f->descriptor);
        } else if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES) {
            ym_message_bound(f, &least, &most);
            if (most == 0)
                fail_msg("%s.%s has no bound in proto/message.c", type->name, f->name);
        } else {
            /* message.c reads scalars one by one, not packed. */
            assert_int_not_equal(f->label, PROTOBUF_C_LABEL_REPEATED);
        }
    }
}

static void every_string_and_bytes_field_has_a_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < SCHEMA_COUNT; i++)
        check_fields(schema[i]);
}

/* rpc/health.c writes these two messages by hand. */
static void health_messages_are_the_bytes_that_rpc_writes(void **state)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    uint8_t wire[64];
    (void)state;
    request.service = (char *)"t.T";
    assert_int_equal(grpc__health__v1__health_check_request__pack(&request, wire), 5);
    assert_memory_equal(wire, "\x0a\x03t.T", 5);
    response.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    assert_int_equal(grpc__health__v1__health_check_response__pack(&response, wire), 2);
    assert_memory_equal(wire, "\x08\x02", 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(study_comes_back_as_it_went),
        cmocka_unit_test(empty_wire_is_the_empty_message),
        cmocka_unit_test(packing_appends_and_refuses_what_a_peer_would),
        cmocka_unit_test(strings_are_utf8_without_nul),
        cmocka_unit_test(lengths_are_bounded_by_field),
        cmocka_unit_test(enums_stay_among_their_values),
        cmocka_unit_test(few_unknown_fields_pass_and_many_do_not),
        cmocka_unit_test(broken_wire_is_invalid),
        cmocka_unit_test(amplification_ends_at_the_budget),
        cmocka_unit_test(honest_lists_fit_the_budget),
        cmocka_unit_test(every_method_speaks_listed_messages),
        cmocka_unit_test(no_message_contains_itself),
        cmocka_unit_test(every_string_and_bytes_field_has_a_bound),
        cmocka_unit_test(health_messages_are_the_bytes_that_rpc_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
