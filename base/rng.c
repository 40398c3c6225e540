#include "base/rng.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/rng_internal.h"

_Static_assert(sizeof(struct ym_rng) == 8192, "whole pages, so that locking covers the generator and nothing else");
_Static_assert(YM_RNG_STREAM_BYTES % 16 == 0, "whole AES blocks");

static EVP_CIPHER *cipher;
static pthread_once_t cipher_once = PTHREAD_ONCE_INIT;

static void fetch_cipher(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
}

void ym_random(void *out, size_t len)
{
    uint8_t *p = out;

    while (len) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        YM_ASSERT(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

enum ym_code ym_rng_alloc(struct ym_rng **out, struct ym_status *st)
{
    struct ym_rng *rng;

    pthread_once(&cipher_once, fetch_cipher);
    if (!cipher)
        return ym_status_set(st, YM_INTERNAL, "libcrypto has no AES-256-CTR");
    rng = mmap(NULL, sizeof(*rng), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (rng == MAP_FAILED)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a random generator");
    /* A child that shared the stream would repeat the noise: give it no page at all. */
    if (madvise(rng, sizeof(*rng), MADV_DONTFORK) || madvise(rng, sizeof(*rng), MADV_DONTDUMP)) {
        munmap(rng, sizeof(*rng));
        return ym_status_set(st, YM_INTERNAL, "the kernel cannot keep a generator out of forks and core dumps");
    }
    (void)mlock(rng,
                sizeof(*rng)); /* refused without privilege in small containers: then swap must be off or encrypted */
    *out = rng;
    return YM_OK;
}

enum ym_code ym_rng_open(struct ym_rng **out, struct ym_status *st)
{
    struct ym_rng *rng;
    enum ym_code code = ym_rng_alloc(&rng, st);

    if (code != YM_OK)
        return code;
    ym_random(rng->key, sizeof(rng->key));
    rng->used = YM_RNG_STREAM_BYTES;
    rng->started = 1;
    *out = rng;
    return YM_OK;
}

void ym_rng_close(struct ym_rng **rng)
{
    if (!rng || !*rng)
        return;
    explicit_bzero(*rng, sizeof(**rng));
    munmap(*rng, sizeof(**rng));
    *rng = NULL;
}

/* libcrypto keeps its key schedule on the ordinary heap, so its context lives only inside this function and is wiped
 * when freed; between refills the key exists in the locked page alone. */
static void refill(struct ym_rng *rng)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t counter[16] = {0};
    int len = 0;

    YM_ASSERT(rng->started && ctx);
    for (int i = 0; i < 8; i++)
        counter[15 - i] = (uint8_t)(rng->block >> 8 * i);
    memset(rng->stream, 0, sizeof(rng->stream));
    YM_ASSERT(EVP_EncryptInit_ex2(ctx, cipher, rng->key, counter, NULL) == 1);
    YM_ASSERT(EVP_EncryptUpdate(ctx, rng->stream, &len, rng->stream, sizeof(rng->stream)) == 1);
    YM_ASSERT(len == sizeof(rng->stream));
    EVP_CIPHER_CTX_free(ctx);
    rng->block += sizeof(rng->stream) / 16;
    rng->used = 0;
}

void ym_rng_fill(struct ym_rng *rng, void *out, size_t len)
{
    uint8_t *p = out;

    while (len) {
        size_t n = YM_RNG_STREAM_BYTES - rng->used;

        if (n == 0) {
            refill(rng);
            n = YM_RNG_STREAM_BYTES;
        }
        if (n > len)
            n = len;
        memcpy(p, rng->stream + rng->used, n);
        memset(rng->stream + rng->used, 0, n); /* what was given out cannot be read back */
        rng->used += (uint32_t)n;
        p += n;
        len -= n;
    }
}

uint64_t ym_rng_u64(struct ym_rng *rng)
{
    uint64_t v;

    if (__builtin_expect(rng->used > YM_RNG_STREAM_BYTES - sizeof(v), 0)) {
        ym_rng_fill(rng, &v, sizeof(v));
        return v;
    }
    memcpy(&v, rng->stream + rng->used, sizeof(v));
    memset(rng->stream + rng->used, 0, sizeof(v));
    rng->used += sizeof(v);
    return v;
}
