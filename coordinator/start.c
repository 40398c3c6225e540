#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "coordinator/hub_internal.h"
#include "models/start.h"

/* PutStart: the file that a plan starts from, piece by piece, before the plan. One
 * waits for each sponsor, objects/<sponsor>.start; what is in it is what has arrived. */

static enum ym_code waiting_path(struct ym_hub *h, const char *sponsor, char path[YM_OBJECT_PATH])
{
    char name[80];

    snprintf(name, sizeof name, "%s.start", sponsor);
    return ym_fs_join(path, YM_OBJECT_PATH, h->object_dir, name);
}

enum ym_code hub_start_read(struct ym_hub *h, const char *sponsor, struct ym_buf *out, struct ym_status *st)
{
    char path[YM_OBJECT_PATH];

    if (waiting_path(h, sponsor, path) != YM_OK || !ym_fs_exists(path))
        return ym_status_set(st, YM_NOT_FOUND, "no_start: the plan starts from a file, and none was sent");
    return ym_fs_read(path, YM_START_MAX_BYTES, out, st);
}

void hub_start_drop(struct ym_hub *h, const char *sponsor)
{
    char path[YM_OBJECT_PATH];

    if (waiting_path(h, sponsor, path) == YM_OK)
        unlink(path);
}

static bool write_at(int fd, struct ym_bytes data, uint64_t at)
{
    for (size_t done = 0; done < data.len;) {
        ssize_t n = pwrite(fd, data.data + done, data.len - done, (off_t)(at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* *offset: where the piece belongs; out: where the next one does. A piece that does not follow is left. */
static enum ym_code take_piece(struct ym_hub *h, const char *path, struct ym_bytes data, uint64_t *offset,
                               struct ym_status *st)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (*offset == 0 ? O_TRUNC : 0), 0600);
    struct stat info;
    enum ym_code code = YM_OK;

    if (fd < 0 || fstat(fd, &info) != 0)
        code = ym_status_set(st, YM_UNAVAILABLE, "store: the file cannot be kept");
    else if ((uint64_t)info.st_size != *offset)
        *offset = (uint64_t)info.st_size;
    else if (data.len > YM_START_MAX_BYTES - *offset)
        code =
            ym_status_set(st, YM_INVALID, "too_large: a file to start from has at most %zu bytes", YM_START_MAX_BYTES);
    else if (hub_disk_low(h, data.len))
        code = ym_status_set(st, YM_EXHAUSTED, "disk: the hub's disk is nearly full; its operator must make room");
    else if (!write_at(fd, data, *offset))
        code = ym_status_set(st, YM_UNAVAILABLE, "store: the file cannot be kept");
    else
        *offset += data.len;
    if (fd >= 0)
        close(fd);
    return code;
}

static void handle_put_start(struct ym_hub *h, struct hub_request *q)
{
    const Yumen__V1__PutStartRequest *m = q->message;
    Yumen__V1__PutStartReply reply = YUMEN__V1__PUT_START_REPLY__INIT;
    struct ym_status st = YM_STATUS_INIT;
    uint64_t offset = m->offset;
    char path[YM_OBJECT_PATH];
    enum ym_code code = waiting_path(h, ym_rpc_call_who(q->call)->name, path);

    if (code == YM_OK && offset > YM_START_MAX_BYTES)
        code = ym_status_set(&st, YM_INVALID, "wrong_offset: past the end of any file to start from");
    if (code == YM_OK)
        code = take_piece(h, path, ym_message_view(m->data), &offset, &st);
    reply.offset = offset;
    if (code == YM_OK)
        hub_reply(q->call, &reply);
    else
        ym_rpc_call_fail(q->call, code, st.message);
}

void hub_on_put_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__put_start_request__descriptor, handle_put_start);
}
