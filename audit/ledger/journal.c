#include "audit/ledger/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/bundle.h"
#include "audit/ledger/stage.h"

#define ROOM_STEP (64 << 10) /* so that few appends make the file longer, which costs more than data alone */
#define HEAD_BYTES (4 + 8 + 4 + 4 + 4 + YM_HASH_BYTES)
#define HASH_AT (HEAD_BYTES - YM_HASH_BYTES)

static const uint8_t magic[4] = {'y', 'm', 'j', 1}; /* no leaf holds a control character */

static void put_number(uint8_t *at, size_t bytes, uint64_t n)
{
    for (size_t i = bytes; i-- > 0; n >>= 8)
        at[i] = (uint8_t)n;
}

static uint64_t get_number(const uint8_t *at, size_t bytes)
{
    uint64_t n = 0;

    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | at[i];
    return n;
}

/* Over all of a record but the hash itself. */
static enum ym_code record_hash(const uint8_t *record, size_t len, uint8_t hash[YM_HASH_BYTES])
{
    struct ym_buf b = {0};
    enum ym_code code = ym_buf_append(&b, record, HASH_AT);

    if (code == YM_OK)
        code = ym_buf_append(&b, record + HEAD_BYTES, len - HEAD_BYTES);
    if (code == YM_OK)
        ym_sha256(b.data, b.len, hash);
    ym_buf_release(&b);
    return code;
}

static enum ym_code encode(const struct ym_journal_record *r, struct ym_buf *out)
{
    uint8_t head[HEAD_BYTES] = {0};
    enum ym_code code;

    memcpy(head, magic, sizeof(magic));
    put_number(head + 4, 8, r->first);
    put_number(head + 12, 4, r->count);
    put_number(head + 16, 4, r->note.len);
    put_number(head + 20, 4, r->entries.len);
    code = ym_buf_append(out, head, sizeof(head));
    if (code == YM_OK)
        code = ym_buf_append(out, r->note.data, r->note.len);
    if (code == YM_OK)
        code = ym_buf_append(out, r->entries.data, r->entries.len);
    return code == YM_OK ? record_hash(out->data, out->len, out->data + HASH_AT) : code;
}

/* ---- writing ---- */

static enum ym_code write_at(int fd, struct ym_bytes data, uint64_t at)
{
    while (data.len > 0) {
        ssize_t n = pwrite(fd, data.data, data.len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ym_disk_code(n < 0 ? errno : ENOSPC, false);
        data.data += n;
        data.len -= (size_t)n;
        at += (uint64_t)n;
    }
    return YM_OK;
}

enum ym_code ym_journal_begin(struct ym_journal *j, struct ym_status *st)
{
    static const uint8_t zeros[ROOM_STEP];
    struct ym_stage stage = {.root = j->root};
    enum ym_code code;

    if (j->fd >= 0)
        return YM_OK;
    code = ym_stage_put(&stage, YM_JOURNAL_NAME, (struct ym_bytes){zeros, sizeof(zeros)}, st);
    if (code == YM_OK)
        code = ym_stage_commit(&stage, 0, st);
    ym_stage_release(&stage);
    if (code != YM_OK)
        return code;
    j->fd = openat(j->root, YM_JOURNAL_NAME, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (j->fd < 0)
        return ym_status_set(st, ym_disk_code(errno, false), "ledger: cannot open 'journal': %s", strerror(errno));
    j->at = 0;
    j->room = sizeof(zeros);
    return YM_OK;
}

/* A record that could not be written whole must not be found at the next open. */
static enum ym_code take_back(const struct ym_journal *j, enum ym_code why, struct ym_status *st)
{
    static const uint8_t blank[sizeof(magic)];
    int error = errno;

    if (write_at(j->fd, (struct ym_bytes){blank, sizeof(blank)}, j->at) != YM_OK || fdatasync(j->fd) != 0)
        why = YM_UNCERTAIN;
    return ym_status_set(st, why, "ledger: cannot write 'journal': %s", strerror(error));
}

static enum ym_code put_record(struct ym_journal *j, struct ym_buf *b, struct ym_status *st)
{
    size_t len = b->len, room = (size_t)j->room;
    enum ym_code code;

    while (j->at + len > room)
        room += ROOM_STEP;
    if (room > j->room) {
        size_t pad = room - (size_t)j->at - len;

        if (ym_buf_reserve(b, pad + 1) != YM_OK)
            return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
        memset(b->data + len, 0, pad);
        b->len += pad;
    }
    code = write_at(j->fd, (struct ym_bytes){b->data, b->len}, j->at);
    if (code != YM_OK)
        return take_back(j, code, st);
    if (fdatasync(j->fd) != 0)
        return ym_status_set(st, YM_UNCERTAIN, "ledger: cannot sync 'journal': %s", strerror(errno));
    j->at += len;
    j->room = room;
    return YM_OK;
}

enum ym_code ym_journal_append(struct ym_journal *j, const struct ym_journal_record *r, struct ym_status *st)
{
    struct ym_buf b = {0};
    enum ym_code code = encode(r, &b);

    if (code != YM_OK)
        ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
    if (code == YM_OK)
        code = put_record(j, &b, st);
    ym_buf_release(&b);
    return code;
}

void ym_journal_restart(struct ym_journal *j)
{
    j->at = 0;
}

void ym_journal_remove(struct ym_journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
    j->at = j->room = 0;
    unlinkat(j->root, YM_JOURNAL_NAME, 0);
}

/* ---- reading ---- */

/* Bytes of the record that file begins with; 0: none, or not whole. */
static size_t decode(struct ym_bytes file, struct ym_journal_record *r)
{
    uint8_t hash[YM_HASH_BYTES];
    size_t len;

    if (file.len < HEAD_BYTES || memcmp(file.data, magic, sizeof(magic)) != 0)
        return 0;
    r->first = get_number(file.data + 4, 8);
    r->count = (uint32_t)get_number(file.data + 12, 4);
    r->note = (struct ym_bytes){file.data + HEAD_BYTES, (size_t)get_number(file.data + 16, 4)};
    r->entries.len = (size_t)get_number(file.data + 20, 4);
    len = HEAD_BYTES + r->note.len + r->entries.len;
    if (len > file.len || r->count == 0 || r->count >= YM_BUNDLE_LEAVES)
        return 0;
    r->entries.data = r->note.data + r->note.len;
    if (record_hash(file.data, len, hash) != YM_OK || memcmp(hash, file.data + HASH_AT, sizeof(hash)) != 0)
        return 0;
    return len;
}

enum ym_code ym_journal_read(struct ym_bytes file, struct ym_journal_record *out, struct ym_buf *entries,
                             struct ym_status *st)
{
    struct ym_journal_record all = {0}, r;
    size_t len;

    while ((len = decode(file, &r)) > 0) {
        if (all.count == 0)
            all.first = r.first;
        if (r.first != all.first + all.count || all.first % YM_BUNDLE_LEAVES != 0 ||
            all.count + r.count >= YM_BUNDLE_LEAVES)
            break;
        if (ym_buf_append(entries, r.entries.data, r.entries.len) != YM_OK)
            return ym_status_set(st, YM_EXHAUSTED, "ledger: out of memory");
        all.count += r.count;
        all.note = r.note;
        file.data += len;
        file.len -= len;
    }
    all.entries = ym_buf_bytes(entries);
    *out = all;
    return YM_OK;
}
