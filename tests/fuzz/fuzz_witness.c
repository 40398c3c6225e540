#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/tiles.h"
#include "audit/ledger/tree.h"
#include "audit/witness/witness.h"
#include "tests/fuzz/fuzz.h"

#define LOG "example.com/log"
#define NOW 1700000000

static struct ym_key *log_key;

/* Signed by the log: a tree of so many entries, of which the first is not the same in every history. */
static void sign_tree(uint8_t history, uint64_t size, struct ym_buf *note)
{
    struct ym_tree t = {0};
    uint8_t leaf[2] = {0, history}, hash[YM_HASH_BYTES];

    for (; leaf[0] < size; leaf[0]++) {
        ym_tree_leaf_hash((struct ym_bytes){leaf, leaf[0] ? 1 : 2}, hash);
        ym_tree_push(&t, hash, NULL, NULL);
    }
    ym_tree_root(&t, hash);
    YM_ASSERT(ym_checkpoint_format(LOG, size, hash, log_key, note) == YM_OK);
}

static unsigned offer(struct ym_witness *w, const uint8_t *head, size_t len, uint8_t history, uint64_t size)
{
    struct ym_buf request = {0}, note = {0}, body = {0};
    unsigned status;

    sign_tree(history, size, &note);
    YM_ASSERT(ym_buf_append(&request, head, len) == YM_OK && ym_buf_append(&request, "\n", 1) == YM_OK &&
              ym_buf_append(&request, note.data, note.len) == YM_OK);
    status = ym_witness_take(w, (struct ym_bytes){request.data, request.len}, NOW, &body);
    ym_buf_release(&request);
    ym_buf_release(&note);
    ym_buf_release(&body);
    return status;
}

/* A witness that knows one log and has cosigned five entries of it; made once, its folder is gone at once. */
static struct ym_witness *witness(void)
{
    static struct ym_witness *w;
    static const char *const left[] = {"identity.key", "secret", "lock", "logs", ""};
    char dir[64] = "/tmp/yumen-fuzz-XXXXXX", path[256];
    struct ym_buf vkey = {0}, log = {0};
    uint8_t pub[YM_PUBKEY_BYTES];

    if (w)
        return w;
    YM_ASSERT(mkdtemp(dir) && ym_witness_create(dir, "w.example/w", &vkey, NULL) == YM_OK);
    YM_ASSERT(ym_key_generate(&log_key, NULL) == YM_OK);
    ym_key_public(log_key, pub);
    YM_ASSERT(ym_vkey_format(LOG, YM_NOTE_LOG, pub, &log) == YM_OK);
    YM_ASSERT(ym_witness_add(dir, ym_buf_str(&log), NULL) == YM_OK);
    YM_ASSERT(ym_witness_open(dir, "w.example/w", &w, NULL) == YM_OK && ym_witness_logs(w) == 1);
    YM_ASSERT(offer(w, (const uint8_t *)"old 0\n", 6, 1, 5) == 200);
    ym_buf_release(&vkey);
    ym_buf_release(&log);
    snprintf(path, sizeof path, "rm -r %s/logs", dir);
    YM_ASSERT(system(path) == 0);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, left[i]);
        remove(path);
    }
    return w;
}

/* Whatever size and proof stand before it, the same log's other history is not cosigned. */
static void offer_fork(const uint8_t *data, size_t size)
{
    unsigned status = size ? offer(witness(), data + 1, size - 1, 2, data[0] % 64) : 400;

    YM_ASSERT(status == 400 || status == 403 || status == 404 || status == 409 || status == 422);
}

/* Nothing is cosigned that the log did not sign or that forks, and names of tiles have one spelling. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size), canonical[YM_TILE_PATH];
    struct ym_buf body = {0};
    struct ym_tile_name name;
    unsigned status = ym_witness_take(witness(), (struct ym_bytes){data, size}, NOW, &body);

    YM_ASSERT(status == 400 || status == 403 || status == 404);
    YM_ASSERT(body.len > 0);
    YM_ASSERT(ym_witness_latest(witness(), text, &body) == 404);
    if (ym_tile_name_parse(text, &name)) {
        YM_ASSERT(name.level >= -1 && name.level < YM_TILE_LEVELS && name.width >= 1 && name.width <= YM_TILE_HASHES);
        ym_tile_path(canonical, name.level, name.index, name.width);
        YM_ASSERT(strcmp(canonical, text) == 0 && !strstr(text, ".."));
    }
    offer_fork(data, size);
    ym_buf_release(&body);
    free(text);
    return 0;
}
