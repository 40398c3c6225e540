#include "../unit/gate_help.h"

#include "base/text.h"

/* Random edits of a canonical plan never crash the reader, and whatever it
 * accepts is its own canonical form. SplitMix64, fixed seed: a failure repeats. */
static uint64_t next(uint64_t *s)
{
    uint64_t z = (*s += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Half the edits change a digit or letter for another, so that many plans stay plans. */
static size_t mutate(uint64_t *s, char *text, size_t len, size_t cap)
{
    static const char likely[] = "0123456789.-e\"{}[],:abz";
    size_t at = next(s) % len, run = 1 + next(s) % 8;
    switch (next(s) % 6) {
    case 0:
        text[at] = (char)next(s);
        return len;
    case 1: /* cut */
        run = run < len - at ? run : len - at;
        memmove(text + at, text + at + run, len - at - run);
        return len - run;
    case 2: /* repeat */
        run = run < len - at ? run : len - at;
        if (len + run > cap)
            return len;
        memmove(text + at + run, text + at, len - at);
        return len + run;
    default:
        if (text[at] >= '0' && text[at] <= '9')
            text[at] = (char)('0' + next(s) % 10);
        else if (text[at] >= 'a' && text[at] <= 'z' && next(s) % 2)
            text[at] = (char)('a' + next(s) % 26);
        else
            text[at] = likely[next(s) % (sizeof likely - 1)];
        return len;
    }
}

static void whatever_is_accepted_is_canonical(void **state)
{
    struct ym_plan *good = plan_must(good_plan);
    size_t cap = good->canonical.len + 256, accepted = 0;
    char *text = malloc(cap);
    uint64_t seed = 20240607;
    (void)state;
    for (int i = 0; i < 6000; i++) {
        size_t len = good->canonical.len;
        struct ym_plan *plan = NULL;
        memcpy(text, good->canonical.data, len);
        for (uint64_t edits = 1 + next(&seed) % 3; edits && len; edits--)
            len = mutate(&seed, text, len, cap);
        enum ym_code code = ym_plan_decode(text, len, &plan, NULL);
        if (code != YM_OK) {
            assert_int_equal(code, YM_INVALID);
            assert_null(plan);
            continue;
        }
        accepted++;
        assert_int_equal(plan->canonical.len, len);
        assert_memory_equal(plan->canonical.data, text, len);
        ym_plan_free(plan);
    }
    assert_true(accepted > 200); /* else the edits are too wild to test the second half */
    free(text);
    ym_plan_free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_is_accepted_is_canonical)};
    ym_text_init("en");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
