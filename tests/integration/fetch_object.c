#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cert.h"
#include "base/fs.h"
#include "proto/message.h"
#include "rpc/rpc.h"

/* fetch_object DIR HOST:PORT HASH PART ENTRY OUT: what the hub gives whoever has the keys in that folder, a gateway's
 * or a party's, checked by nobody. Exit code 1 and the hub's words where it refuses. */

#define PEM_MAX 65536
#define PATIENCE_MS 20000

static enum ym_code read_file(const char *dir, const char *name, struct ym_buf *out, struct ym_status *st)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return ym_fs_read(path, PEM_MAX, out, st);
}

static enum ym_code dial(const char *dir, const char *hub, struct ym_rpc_client **out, struct ym_status *st)
{
    struct ym_buf ca = {0}, cert = {0}, key = {0}, secret = {0};
    char path[4096];
    enum ym_code code = read_file(dir, "ca.pem", &ca, st);

    snprintf(path, sizeof path, "%s/tls.key", dir);
    if (code == YM_OK)
        code = read_file(dir, "tls.pem", &cert, st);
    if (code == YM_OK)
        code = ym_secret_load(dir, false, &secret, st);
    if (code == YM_OK)
        code = ym_pem_load(path, ym_buf_bytes(&secret), &key, st);
    if (code == YM_OK) {
        struct ym_rpc_client_options o = {
            .target = hub,
            .tls = {.ca = ym_buf_bytes(&ca), .cert = ym_buf_bytes(&cert), .key = ym_buf_bytes(&key)},
            .connect_ms = 5000};

        ym_rpc_init();
        code = ym_rpc_client_open(&o, out, st);
    }
    ym_buf_release(&ca);
    ym_buf_release(&cert);
    ym_buf_wipe(&key);
    ym_buf_wipe(&secret);
    return code;
}

static bool on_chunk(void *ctx, struct ym_bytes message)
{
    Yumen__V1__Chunk *c = NULL;
    bool good = ym_message_unpack(&yumen__v1__chunk__descriptor, message, &c, NULL) == YM_OK &&
                ym_buf_append(ctx, c->data.data, c->data.len) == YM_OK;

    ym_message_free(c);
    return good;
}

static enum ym_code fetch(struct ym_rpc_client *client, char **argv, struct ym_buf *out, struct ym_status *st)
{
    Yumen__V1__FetchRequest m = YUMEN__V1__FETCH_REQUEST__INIT;
    uint8_t hash[YM_HASH_BYTES];
    struct ym_buf wire = {0};
    enum ym_code code = ym_hex_decode(argv[3], strlen(argv[3]), hash, sizeof hash);

    m.sha256 = ym_message_bytes(hash, sizeof hash);
    m.part = (Yumen__V1__ObjectPart)atoi(argv[4]);
    m.entry = strtoull(argv[5], NULL, 10);
    if (code == YM_OK)
        code = ym_message_pack(&m, &wire, st);
    if (code == YM_OK)
        code = ym_rpc_client_wait(client, PATIENCE_MS, st);
    if (code == YM_OK)
        code = ym_rpc_read_stream(client, "/yumen.v1.Federation/FetchObject", ym_buf_bytes(&wire), PATIENCE_MS,
                                  on_chunk, out, st);
    ym_buf_release(&wire);
    return code;
}

int main(int argc, char **argv)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_rpc_client *client = NULL;
    struct ym_buf out = {0};
    enum ym_code code;

    if (argc != 7)
        return 2;
    code = dial(argv[1], argv[2], &client, &st);
    if (code == YM_OK)
        code = fetch(client, argv, &out, &st);
    if (code == YM_OK)
        code = ym_fs_write(argv[6], ym_buf_bytes(&out), 0600, &st);
    if (code != YM_OK)
        fprintf(stderr, "%s\n", st.message);
    _exit(code == YM_OK ? 0 : 1); /* threads of the gRPC core go on for a moment */
}
