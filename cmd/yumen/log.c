#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/ledger.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/party.h"
#include "proto/message.h"

#define LOG_MS 600000
#define LEAVES_MAX (1u << 22)      /* of one ledger that this program mirrors */
#define LOG_BYTES_MAX (1ull << 30) /* all leaves together */

struct log_mirror {
    struct ym_buf bytes;
    struct ym_bytes *leaf;
    size_t count, cap;
    struct ym_status *st;
    enum ym_code code;
};

static enum ym_code keep_leaf(struct log_mirror *m, const Yumen__V1__LogEntry *e)
{
    if (e->index != m->count)
        return ym_status_set(m->st, YM_CORRUPT, "the hub sent leaf %" PRIu64 " where %zu was due", e->index, m->count);
    if (m->count >= LEAVES_MAX || m->bytes.len + e->leaf.len > LOG_BYTES_MAX)
        return ym_status_set(m->st, YM_EXHAUSTED, "the hub's ledger is larger than this program mirrors");
    if (m->count == m->cap) {
        size_t cap = m->cap == 0 ? 256 : 2 * m->cap;
        struct ym_bytes *grown = reallocarray(m->leaf, cap, sizeof *grown);

        if (grown == NULL)
            return ym_status_set(m->st, YM_EXHAUSTED, "no memory for %zu leaves", cap);
        m->leaf = grown;
        m->cap = cap;
    }
    m->leaf[m->count++] = (struct ym_bytes){.len = e->leaf.len}; /* data is set when bytes stops moving */
    return ym_buf_append(&m->bytes, e->leaf.data, e->leaf.len);
}

static bool on_leaf(void *ctx, struct ym_bytes message)
{
    struct log_mirror *m = ctx;
    Yumen__V1__LogEntry *e = NULL;

    m->code = ym_message_unpack(&yumen__v1__log_entry__descriptor, message, &e, m->st);
    if (m->code == YM_OK)
        m->code = keep_leaf(m, e);
    ym_message_free(e);
    return m->code == YM_OK;
}

static enum ym_code read_leaves(struct ym_party_home *h, uint64_t size, struct log_mirror *m, struct ym_status *st)
{
    Yumen__V1__ReadLogRequest request = YUMEN__V1__READ_LOG_REQUEST__INIT;
    struct ym_buf wire = {0};
    const uint8_t *at;
    enum ym_code code;

    request.limit = size;
    m->st = st;
    code = ym_message_pack(&request, &wire, st);
    if (code == YM_OK)
        code = ym_rpc_read_stream(h->client, "/yumen.v1.Federation/ReadLog", (struct ym_bytes){wire.data, wire.len},
                                  LOG_MS, on_leaf, m, st);
    ym_buf_release(&wire);
    if (m->code != YM_OK)
        return m->code;
    at = m->bytes.data;
    for (size_t i = 0; i < m->count; i++) {
        m->leaf[i].data = at;
        at += m->leaf[i].len;
    }
    return code;
}

/* Line 2 of the note; ym_ledger_mirror checks the note itself. */
static enum ym_code note_size(const Yumen__V1__Checkpoint *c, uint64_t *size, struct ym_status *st)
{
    const char *line = memchr(c->note.data, '\n', c->note.len);
    const char *end = (const char *)c->note.data + c->note.len;
    uint64_t v = 0;

    for (line = line == NULL ? end : line + 1; line < end && *line >= '0' && *line <= '9' && v <= LEAVES_MAX; line++)
        v = 10 * v + (uint64_t)(*line - '0');
    if (line == end || *line != '\n' || v == 0 || v > LEAVES_MAX)
        return ym_status_set(st, YM_CORRUPT, "the hub's checkpoint names no usable size");
    *size = v;
    return YM_OK;
}

static enum ym_code mirror(struct ym_party_home *h, const char *dir, struct log_mirror *m, struct ym_status *st)
{
    Yumen__V1__GetCheckpointRequest request = YUMEN__V1__GET_CHECKPOINT_REQUEST__INIT;
    Yumen__V1__Checkpoint *checkpoint = NULL;
    char origin[256];
    uint8_t pub[YM_PUBKEY_BYTES];
    uint64_t size = 0;
    enum ym_code code = ym_home_log_key(h, origin, pub, st);

    if (code == YM_OK)
        code = ym_home_call(h, "/yumen.v1.Federation/GetCheckpoint", &request, &yumen__v1__checkpoint__descriptor,
                            &checkpoint, st);
    if (code == YM_OK)
        code = note_size(checkpoint, &size, st);
    if (code == YM_OK)
        code = read_leaves(h, size, m, st);
    if (code == YM_OK)
        code = ym_ledger_mirror(dir, origin, pub, m->leaf, m->count, ym_message_view(checkpoint->note), st);
    ym_message_free(checkpoint);
    return code;
}

int ym_cmd_log_fetch(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_party_home home = {0};
    struct log_mirror m = {.code = YM_OK};
    const char *dir = a->positional[0];
    enum ym_code code = ym_home_open(ym_home_dir(a), &home, &st);

    if (code == YM_OK)
        code = mirror(&home, dir, &m, &st);
    if (code == YM_OK)
        printf(T(SPONSOR_LOG_FETCHED), m.count, dir, dir);
    free(m.leaf);
    ym_buf_release(&m.bytes);
    ym_home_close(&home);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}
