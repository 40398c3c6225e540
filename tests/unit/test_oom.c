/* Parsers while memory runs out: each input is parsed again and again, with the first allocation failing, then the
 * second, and so on until it goes through. The answer must be EXHAUSTED or right, and nothing left behind. YAML is not
 * here: libfyaml itself does not survive a failed allocation, and reads only files of this machine. Not under a
 * sanitizer, which has an allocator of its own. */
#include "base/cert.h"
#include "base/decimal.h"
#include "base/json.h"
#include "support.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *p);

static long countdown = -1; /* allocations until one fails, -1: never */
static long held;           /* allocations not yet freed while armed */
static bool armed, failed;

static bool refuse(void)
{
    if (!armed || countdown < 0 || countdown-- > 0)
        return false;
    failed = true;
    return true;
}

void *malloc(size_t size)
{
    void *p = refuse() ? NULL : __libc_malloc(size);

    held += armed && p;
    return p;
}

void *calloc(size_t count, size_t size)
{
    void *p = refuse() ? NULL : __libc_calloc(count, size);

    held += armed && p;
    return p;
}

void *realloc(void *old, size_t size)
{
    void *p = refuse() ? NULL : __libc_realloc(old, size);

    held += armed && p && !old;
    return p;
}

void free(void *p)
{
    held -= armed && p;
    __libc_free(p);
}

/* Calls the parser until no allocation is left to fail. The first call, unarmed, fills caches that live on. OK after a
 * failure is good where a library did without: the parsers compare the value. */
static void starve(enum ym_code (*parse)(void))
{
    long n = 0;

    assert_int_equal(parse(), YM_OK);
    do {
        enum ym_code code;

        held = 0;
        failed = false;
        countdown = n++;
        armed = true;
        code = parse();
        armed = false;
        if (code != YM_EXHAUSTED && code != YM_OK)
            fail_msg("allocation %ld failed and the answer was %s", n, ym_code_name(code));
        if (held != 0)
            fail_msg("allocation %ld failed and %ld were left behind", n, held);
    } while (failed && n < 100000);
    assert_true(n > 1 && n < 100000);
}

/* YM_INTERNAL, which no parser says, for a value that is not the one expected. */
static enum ym_code demand_value(const json_t *value, const char *want)
{
    struct ym_buf out = {0};
    enum ym_code code = ym_json_canonical(value, &out, NULL);

    if (code == YM_OK && strcmp(ym_buf_str(&out), want) != 0)
        code = YM_INTERNAL;
    ym_buf_release(&out);
    return code;
}

static enum ym_code parse_json(void)
{
    static const char text[] =
        "{\"a\":[1,2,{\"b\":\"\\u7389\"}],\"c\":{\"d\":true},\"e\":\"a longer string than fits\"}";
    json_t *value = NULL;
    enum ym_code code = ym_json_parse(text, strlen(text), 1000, &value, NULL);

    if (code == YM_OK)
        code = demand_value(value, text);
    json_decref(value);
    return code;
}

static void json_tells_when_memory_is_out(void **state)
{
    (void)state;
    starve(parse_json);
}

static enum ym_code parse_words(void)
{
    struct ym_buf b = {0};
    struct ym_decimal d;
    enum ym_code code = ym_decimal_parse("12.5", &d, NULL);

    if (code == YM_OK)
        code = ym_decimal_format(d, &b);
    if (code == YM_OK)
        code = ym_base64_decode("Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy", 80,
                                &b);
    if (code == YM_OK)
        code = ym_hex_encode("12345678901234567890123456789012345678901234567890", 50, &b);
    if (code == YM_OK)
        code = ym_buf_printf(&b, "%0200d", 1);
    ym_buf_release(&b);
    return code;
}

static void words_tell_when_memory_is_out(void **state)
{
    (void)state;
    starve(parse_words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_tells_when_memory_is_out),
        cmocka_unit_test(words_tell_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
