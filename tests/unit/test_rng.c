#include "base/rng.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/rng_internal.h"
#include "support.h"

/* AES-256 of the counters 0, 1 and 508 (after a refill) under the key 00 01 .. 1f, made with the openssl command:
 * the counter as 16 bytes big-endian | openssl enc -aes-256-ecb -nopad -K 0001..1f */
static void keystream_is_aes_256_ctr_across_refills(void **state)
{
    static const char *const block[] = {"f29000b62a499fd0a9f39a6add2e7780", "f05d76ae4ab99fe5a6f69b3148c2363d",
                                        "e63a905c2e0eb320922af1b3d26b0a94"};
    static const size_t offset[] = {0, 16, 508 * 16};
    struct ym_rng *rng = NULL;
    uint8_t key[32], out[509 * 16], want[16];

    (void)state;
    for (int i = 0; i < 32; i++)
        key[i] = (uint8_t)i;
    assert_int_equal(ym_rng_open_keyed(key, &rng, NULL), YM_OK);
    ym_rng_fill(rng, out, sizeof(out));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ym_hex_decode(block[i], 32, want, 16), YM_OK);
        assert_memory_equal(out + offset[i], want, 16);
    }
    ym_rng_close(&rng);
    assert_null(rng);
}

/* However the bytes are asked for, the stream is one. */
static void pieces_make_the_same_stream(void **state)
{
    struct ym_rng *whole = NULL, *pieces = NULL;
    uint8_t key[32] = {1}, *a = malloc(100000), *b = malloc(100000);
    size_t at = 0, step = 1;

    (void)state;
    assert_int_equal(ym_rng_open_keyed(key, &whole, NULL), YM_OK);
    assert_int_equal(ym_rng_open_keyed(key, &pieces, NULL), YM_OK);
    ym_rng_fill(whole, a, 100000);
    while (at < 100000) {
        size_t n = step < 100000 - at ? step : 100000 - at;

        if (n == 8) {
            uint64_t v = ym_rng_u64(pieces);

            memcpy(b + at, &v, 8);
        } else {
            ym_rng_fill(pieces, b + at, n);
        }
        at += n;
        step = step == 61 ? 3000 : step % 61 + 7;
    }
    assert_memory_equal(a, b, 100000);
    ym_rng_close(&whole);
    ym_rng_close(&pieces);
    free(a);
    free(b);
}

static void two_generators_never_agree(void **state)
{
    struct ym_rng *one = NULL, *two = NULL;

    (void)state;
    assert_int_equal(ym_rng_open(&one, NULL), YM_OK);
    assert_int_equal(ym_rng_open(&two, NULL), YM_OK);
    for (int i = 0; i < 1000; i++)
        assert_true(ym_rng_u64(one) != ym_rng_u64(two));
    ym_rng_close(&one);
    ym_rng_close(&two);
    ym_rng_close(&two);
    ym_rng_close(NULL);
}

static void given_bytes_cannot_be_read_back(void **state)
{
    static const uint8_t zero[YM_RNG_STREAM_BYTES];
    struct ym_rng *rng = NULL;
    uint8_t out[200];

    (void)state;
    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    ym_rng_fill(rng, out, sizeof(out));
    assert_memory_equal(rng->stream, zero, rng->used);
    assert_memory_not_equal(rng->stream + rng->used, zero, 8);
    (void)ym_rng_u64(rng);
    assert_memory_equal(rng->stream, zero, rng->used);
    ym_rng_close(&rng);
}

/* Its page is the one that was closed; nothing of the stream is in it, nor of the key. */
static void closed_page_is_blank_when_it_comes_again(void **state)
{
    static const uint8_t zero[sizeof(struct ym_rng)];
    struct ym_rng *rng = NULL, *again = NULL, *was;
    uint8_t out[100];

    (void)state;
    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    ym_rng_fill(rng, out, sizeof(out));
    was = rng;
    ym_rng_close(&rng);
    assert_int_equal(ym_rng_alloc(&again, NULL), YM_OK);
    assert_ptr_equal(again, was);
    assert_memory_equal(again, zero, sizeof(zero));
    ym_rng_close(&again);
}

/* The parent's closed pages are not in a child: it makes its own. */
static void child_of_a_fork_opens_generators(void **state)
{
    struct ym_rng *rng = NULL;
    int status = 0;
    pid_t pid;

    (void)state;
    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    ym_rng_close(&rng);
    pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(ym_rng_open(&rng, NULL) == YM_OK && ym_rng_u64(rng) != ym_rng_u64(rng) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Bits of 1.6 million words: each of 64 positions within 6 sigma of half; one test in 10^7 fails by chance. */
static void bits_are_balanced(void **state)
{
    struct ym_rng *rng = NULL;
    int ones[64] = {0};
    const int n = 1600000;

    (void)state;
    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    for (int i = 0; i < n; i++) {
        uint64_t v = ym_rng_u64(rng);

        for (int b = 0; b < 64; b++)
            ones[b] += (int)(v >> b & 1);
    }
    for (int b = 0; b < 64; b++)
        assert_in_range(ones[b], n / 2 - 3795, n / 2 + 3795); /* 6 sqrt(n)/2 = 3795 */
    ym_rng_close(&rng);
}

/* A child that kept the stream would repeat its parent's noise: it must die instead. */
static void child_of_a_fork_gets_no_stream(void **state)
{
    struct ym_rng *rng = NULL;
    int status = 0;
    pid_t pid;

    (void)state;
    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    (void)ym_rng_u64(rng);
    pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL); /* cmocka's handler would go on with the next test */
        freopen("/dev/null", "w", stderr);
        (void)ym_rng_u64(rng);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ym_rng_close(&rng);
}

static void works_without_the_right_to_lock_memory(void **state)
{
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct rlimit none = {0, 0};
        struct ym_rng *rng = NULL;
        bool good;

        good = setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (geteuid() != 0 || setuid(65534) == 0) &&
               ym_rng_open(&rng, NULL) == YM_OK && ym_rng_u64(rng) != ym_rng_u64(rng);
        ym_rng_close(&rng);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void kernel_bytes_differ(void **state)
{
    uint8_t a[1000], b[1000];

    (void)state;
    ym_random(a, sizeof(a));
    ym_random(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    ym_random(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keystream_is_aes_256_ctr_across_refills),
        cmocka_unit_test(pieces_make_the_same_stream),
        cmocka_unit_test(two_generators_never_agree),
        cmocka_unit_test(given_bytes_cannot_be_read_back),
        cmocka_unit_test(closed_page_is_blank_when_it_comes_again),
        cmocka_unit_test(child_of_a_fork_opens_generators),
        cmocka_unit_test(bits_are_balanced),
        cmocka_unit_test(child_of_a_fork_gets_no_stream),
        cmocka_unit_test(works_without_the_right_to_lock_memory),
        cmocka_unit_test(kernel_bytes_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
