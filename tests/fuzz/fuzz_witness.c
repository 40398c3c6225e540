#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/ledger/tiles.h"
#include "audit/ledger/tree.h"
#include "audit/witness/witness.h"
#include "tests/fuzz/fuzz.h"

#define LOG "example.com/log"

/* A witness that knows one log, whose key nobody here has; made once, its folder is gone at once. */
static struct ym_witness *witness(void)
{
    static struct ym_witness *w;
    static const char *const left[] = {"identity.key", "secret", "lock", "logs", ""};
    char dir[64] = "/tmp/yumen-fuzz-XXXXXX", path[256];
    struct ym_buf vkey = {0}, log = {0};
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_key *key = NULL;

    if (w)
        return w;
    YM_ASSERT(mkdtemp(dir) && ym_witness_create(dir, "w.example/w", &vkey, NULL) == YM_OK);
    YM_ASSERT(ym_key_generate(&key, NULL) == YM_OK);
    ym_key_public(key, pub);
    ym_key_free(key);
    YM_ASSERT(ym_vkey_format(LOG, YM_NOTE_LOG, pub, &log) == YM_OK);
    YM_ASSERT(ym_witness_add(dir, ym_buf_str(&log), NULL) == YM_OK);
    YM_ASSERT(ym_witness_open(dir, "w.example/w", &w, NULL) == YM_OK && ym_witness_logs(w) == 1);
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

/* Nothing is cosigned that the log did not sign, and names of tiles have one spelling. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size), canonical[YM_TILE_PATH];
    struct ym_buf body = {0};
    struct ym_tile_name name;
    unsigned status = ym_witness_take(witness(), (struct ym_bytes){data, size}, 1700000000, &body);

    YM_ASSERT(status == 400 || status == 403 || status == 404);
    YM_ASSERT(body.len > 0);
    YM_ASSERT(ym_witness_latest(witness(), text, &body) == 404);
    if (ym_tile_name_parse(text, &name)) {
        YM_ASSERT(name.level >= -1 && name.level < YM_TILE_LEVELS && name.width >= 1 && name.width <= YM_TILE_HASHES);
        ym_tile_path(canonical, name.level, name.index, name.width);
        YM_ASSERT(strcmp(canonical, text) == 0 && !strstr(text, ".."));
    }
    ym_buf_release(&body);
    free(text);
    return 0;
}
