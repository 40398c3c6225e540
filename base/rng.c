#include "base/rng.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/rng_internal.h"

_Static_assert(sizeof(struct ym_rng) == 8192, "whole pages, so that locking covers the generator and nothing else");
_Static_assert(YM_RNG_STREAM_BYTES % 16 == 0, "whole AES blocks");

#define SPARES 8
#define DIRECT_BYTES 1024             /* fills at least as long go past the stream */
#define DIRECT_MOST ((size_t)1 << 20) /* whole AES blocks */
#define FIRST_BYTES 256 /* of keystream, for many generators are asked for little; each refill doubles it */

static EVP_CIPHER *cipher;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t spares_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ym_rng *spare[SPARES]; /* closed: wiped, and still locked and kept out of forks and dumps */
static size_t spares;

/* A child has none of the pages. */
static void forget_spares(void)
{
    pthread_mutex_init(&spares_lock, NULL);
    spares = 0;
}

static void begin(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    if (pthread_atfork(NULL, NULL, forget_spares) != 0)
        cipher = NULL;
}

static struct ym_rng *take_spare(void)
{
    struct ym_rng *rng;

    pthread_mutex_lock(&spares_lock);
    rng = spares > 0 ? spare[--spares] : NULL;
    pthread_mutex_unlock(&spares_lock);
    return rng;
}

static bool keep_spare(struct ym_rng *rng)
{
    bool room;

    pthread_mutex_lock(&spares_lock);
    room = spares < SPARES;
    if (room)
        spare[spares++] = rng;
    pthread_mutex_unlock(&spares_lock);
    return room;
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

    pthread_once(&once, begin);
    if (!cipher)
        return ym_status_set(st, YM_INTERNAL, "libcrypto has no AES-256-CTR");
    rng = take_spare();
    if (rng) {
        *out = rng;
        return YM_OK;
    }
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
    if (!keep_spare(*rng))
        munmap(*rng, sizeof(**rng));
    *rng = NULL;
}

/* libcrypto keeps its key schedule on the ordinary heap, so its context lives only inside this function and is wiped
 * when freed; between calls the key exists in the locked page alone. len: whole AES blocks. */
static void make(struct ym_rng *rng, uint8_t *out, size_t len)
{
    static const uint8_t zeros[8192];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t counter[16] = {0};
    int made = 0;

    YM_ASSERT(rng->started && ctx);
    for (int i = 0; i < 8; i++)
        counter[15 - i] = (uint8_t)(rng->block >> 8 * i);
    YM_ASSERT(EVP_EncryptInit_ex2(ctx, cipher, rng->key, counter, NULL) == 1);
    for (size_t at = 0; at < len; at += (size_t)made) {
        size_t n = len - at < sizeof zeros ? len - at : sizeof zeros;

        YM_ASSERT(EVP_EncryptUpdate(ctx, out + at, &made, zeros, (int)n) == 1);
        YM_ASSERT(made == (int)n);
    }
    EVP_CIPHER_CTX_free(ctx);
    rng->block += len / 16;
}

/* What is made stands at the stream's end. */
static void refill(struct ym_rng *rng)
{
    size_t n = rng->last_bytes ? 2 * rng->last_bytes : FIRST_BYTES;

    n = n < YM_RNG_STREAM_BYTES ? n : YM_RNG_STREAM_BYTES;
    rng->used = (uint32_t)(YM_RNG_STREAM_BYTES - n);
    make(rng, rng->stream + rng->used, n);
    rng->last_bytes = (uint32_t)n;
}

static size_t take(struct ym_rng *rng, uint8_t *out, size_t len)
{
    size_t n = YM_RNG_STREAM_BYTES - rng->used;

    n = n < len ? n : len;
    memcpy(out, rng->stream + rng->used, n);
    memset(rng->stream + rng->used, 0, n); /* what was given out cannot be read back */
    rng->used += (uint32_t)n;
    return n;
}

static size_t take_direct(struct ym_rng *rng, uint8_t *out, size_t len)
{
    size_t n = len < DIRECT_MOST ? len / 16 * 16 : DIRECT_MOST;

    make(rng, out, n);
    return n;
}

void ym_rng_fill(struct ym_rng *rng, void *out, size_t len)
{
    uint8_t *p = out;

    while (len) {
        size_t n = take(rng, p, len);

        if (len - n >= DIRECT_BYTES)
            n += take_direct(rng, p + n, len - n);
        else if (n < len)
            refill(rng);
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
