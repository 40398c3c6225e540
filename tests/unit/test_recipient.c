#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/recipient.h"

#define NOW 1700000000

struct hospital {
    struct ym_key *identity;
    struct ym_buf key, der;
    struct ym_party who;
};

struct world {
    struct hospital h[3];
    char dir[64], path[96];
};

static void hospital_make(struct hospital *h, const char *name)
{
    h->who = (struct ym_party){.federation = "test", .role = YM_ROLE_HOSPITAL};
    strcpy(h->who.name, name);
    assert_int_equal(ym_key_generate(&h->identity, NULL), YM_OK);
    assert_int_equal(ym_tls_key_generate(&h->key, NULL), YM_OK);
    assert_int_equal(ym_recipient_make(h->identity, ym_buf_bytes(&h->key), &h->who, NOW, &h->der, NULL), YM_OK);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    hospital_make(&w->h[0], "h1");
    hospital_make(&w->h[1], "h2");
    hospital_make(&w->h[2], "h3");
    strcpy(w->dir, "/tmp/yumen-recipient-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/sealed", w->dir);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < 3; i++) {
        ym_key_free(w->h[i].identity);
        ym_buf_wipe(&w->h[i].key);
        ym_buf_release(&w->h[i].der);
    }
    unlink(w->path);
    rmdir(w->dir);
    free(w);
    return 0;
}

/* Sealed to the first `count` hospitals. */
static struct ym_buf seal(struct world *w, struct ym_bytes content, size_t count)
{
    struct ym_bytes der[3];
    struct ym_buf file = {0};

    for (size_t i = 0; i < count; i++)
        der[i] = ym_buf_bytes(&w->h[i].der);
    assert_int_equal(ym_envelope_seal(content, der, count, w->path, NULL), YM_OK);
    assert_int_equal(ym_fs_read(w->path, 16 << 20, &file, NULL), YM_OK);
    return file;
}

static enum ym_code open_as(const struct hospital *h, const struct ym_buf *file, struct ym_buf *content)
{
    return ym_envelope_open(ym_buf_bytes(file), ym_buf_bytes(&h->key), ym_buf_bytes(&h->der), content, NULL);
}

static void each_recipient_opens_it_and_nobody_else(void **state)
{
    struct world *w = *state;
    size_t len = 3 << 20; /* more than libcrypto's buffers */
    uint8_t *bytes = malloc(len);
    struct ym_buf file, content = {0};

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    file = seal(w, (struct ym_bytes){bytes, len}, 2);
    assert_int_equal(ym_envelope_recipients(ym_buf_bytes(&file)), 2);
    assert_null(memmem(file.data, file.len, bytes + 1000, 64));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(open_as(&w->h[i], &file, &content), YM_OK);
        assert_int_equal(content.len, len);
        assert_memory_equal(content.data, bytes, len);
        ym_buf_wipe(&content);
    }
    assert_int_equal(open_as(&w->h[2], &file, &content), YM_DENIED);
    assert_int_equal(content.len, 0);
    ym_buf_release(&file);
    free(bytes);
}

/* What a file says about itself (versions, a name) is not authenticated, what it holds is: no other content comes out,
 * and neither the ciphertext nor its tag may change at all. */
static void a_changed_byte_never_changes_what_comes_out(void **state)
{
    static const char text[] = "a model of hospitals";
    struct world *w = *state;
    struct ym_buf file = seal(w, (struct ym_bytes){(const uint8_t *)text, sizeof text}, 1), content = {0};
    size_t taken = 0;

    for (size_t i = 0; i < file.len; i++) {
        file.data[i] ^= 0x40;
        if (open_as(&w->h[0], &file, &content) == YM_OK) {
            assert_int_equal(content.len, sizeof text);
            assert_memory_equal(content.data, text, sizeof text);

            assert_true(i + sizeof text + 28 < file.len); /* before the ciphertext */
            taken++;
        }
        ym_buf_wipe(&content);
        file.data[i] ^= 0x40;
    }
    assert_true(taken < 16);
    assert_int_equal(open_as(&w->h[0], &file, &content), YM_OK);
    ym_buf_wipe(&content);
    file.len--;
    assert_int_not_equal(open_as(&w->h[0], &file, &content), YM_OK);
    assert_int_equal(content.len, 0);
    ym_buf_release(&file);
}

static void other_bytes_are_no_sealed_file(void **state)
{
    struct world *w = *state;
    struct ym_buf content = {0}, model = {0}, file = seal(w, (struct ym_bytes){(const uint8_t *)"x", 1}, 1);

    ym_buf_append(&model, "\x10\0\0\0\0\0\0\0{\"__metadata__\"", 22);
    assert_int_equal(ym_envelope_recipients(ym_buf_bytes(&model)), 0);
    assert_int_equal(open_as(&w->h[0], &model, &content), YM_CORRUPT);
    assert_int_equal(ym_envelope_recipients((struct ym_bytes){NULL, 0}), 0);
    ym_buf_append(&file, "more", 4);
    assert_int_equal(ym_envelope_recipients(ym_buf_bytes(&file)), 0);
    ym_buf_release(&model);
    ym_buf_release(&file);
}

static void a_certificate_names_its_hospital_and_is_signed_by_it(void **state)
{
    struct world *w = *state;
    struct ym_party who = {0};
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_buf der = {0};

    assert_int_equal(ym_recipient_read(ym_buf_bytes(&w->h[0].der), &who, NULL), YM_OK);
    assert_string_equal(who.name, "h1");
    assert_string_equal(who.federation, "test");
    ym_key_public(w->h[0].identity, pub);
    assert_int_equal(ym_recipient_vouched(ym_buf_bytes(&w->h[0].der), pub, NULL), YM_OK);
    ym_key_public(w->h[1].identity, pub);
    assert_int_equal(ym_recipient_vouched(ym_buf_bytes(&w->h[0].der), pub, NULL), YM_DENIED);
    /* somebody else's certificate in its name */
    assert_int_equal(ym_recipient_make(w->h[2].identity, ym_buf_bytes(&w->h[2].key), &w->h[1].who, NOW, &der, NULL),
                     YM_OK);
    assert_int_equal(ym_recipient_read(ym_buf_bytes(&der), &who, NULL), YM_OK);
    assert_string_equal(who.name, "h2");
    assert_int_equal(ym_recipient_vouched(ym_buf_bytes(&der), pub, NULL), YM_DENIED);
    ym_buf_append(&der, "", 1);
    assert_int_equal(ym_recipient_read(ym_buf_bytes(&der), &who, NULL), YM_INVALID);
    ym_buf_release(&der);
}

static void a_certificate_of_another_kind_receives_nothing(void **state)
{
    struct world *w = *state;
    struct ym_party sponsor = {.federation = "test", .name = "acme", .role = YM_ROLE_SPONSOR}, who;
    struct ym_buf der = {0};
    struct ym_status st = YM_STATUS_INIT;

    assert_int_equal(ym_recipient_make(w->h[0].identity, ym_buf_bytes(&w->h[0].key), &sponsor, NOW, &der, &st),
                     YM_INVALID);
    assert_int_equal(ym_recipient_read((struct ym_bytes){NULL, 0}, &who, &st), YM_INVALID);
    assert_int_equal(ym_recipient_read((struct ym_bytes){(const uint8_t *)"0\x03\x02\x01\x05", 5}, &who, &st),
                     YM_INVALID);
    ym_buf_release(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_recipient_opens_it_and_nobody_else),
        cmocka_unit_test(a_changed_byte_never_changes_what_comes_out),
        cmocka_unit_test(other_bytes_are_no_sealed_file),
        cmocka_unit_test(a_certificate_names_its_hospital_and_is_signed_by_it),
        cmocka_unit_test(a_certificate_of_another_kind_receives_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
