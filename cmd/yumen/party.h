#ifndef YM_CMD_YUMEN_PARTY_H
#define YM_CMD_YUMEN_PARTY_H

#include <protobuf-c/protobuf-c.h>

#include "base/cert.h"
#include "base/cli.h"
#include "gate/plan.h"
#include "proto/message.h"
#include "rpc/rpc.h"

/* The folder of a sponsor or auditor (docs/formats.md, "Folders") and its
 * connection to the hub. Zero-initialised is closed. */
struct ym_party_home {
    char dir[1024];
    char hub[256]; /* host:port */
    struct ym_party who;
    struct ym_key *identity;
    struct ym_buf ca, cert, key; /* PEM; key is wiped by close */
    struct ym_rpc_client *client;
};

/* --dir, else $YUMEN_DIR, else ".". */
const char *ym_home_dir(const struct ym_cli_args *a);
/* Read the folder, check that keys and certificate belong together and are in
 * date, set up the connection (made at the first call). YM_NOT_FOUND when
 * the folder was never enrolled. */
enum ym_code ym_home_open(const char *dir, struct ym_party_home *out, struct ym_status *st);
void ym_home_close(struct ym_party_home *h);

/* The hub's ledger, as the hub named it at enrolment: its origin and verifier key. */
enum ym_code ym_home_log_key(const struct ym_party_home *h, char name[256], uint8_t pub[YM_PUBKEY_BYTES],
                             struct ym_status *st);

/* One unary call: pack request, send, unpack the reply of that type. */
enum ym_code ym_home_call(struct ym_party_home *h, const char *path, const void *request,
                          const ProtobufCMessageDescriptor *type, void *reply, struct ym_status *st);

/* The hub's log from leaf `from` to its end, as it stands: neither signatures nor the tree are checked. fn's code ends
 * it. */
typedef enum ym_code (*ym_log_leaf)(void *ctx, uint64_t index, struct ym_bytes line, struct ym_status *st);
enum ym_code ym_home_read_log(struct ym_party_home *h, uint64_t from, ym_log_leaf fn, void *ctx, struct ym_status *st);

/* Part of the object of that hash, at most limit bytes: the hub's word, for the hash is of the whole. entry: of a
 * sealed model, where the log has the round_result that it came from. */
struct ym_object_ask {
    const uint8_t *sha256;
    Yumen__V1__ObjectPart part;
    uint64_t entry;
    size_t limit;
};
enum ym_code ym_home_fetch_part(struct ym_party_home *h, const struct ym_object_ask *ask, struct ym_buf *out,
                                struct ym_status *st);
/* An object of the hub by hash, at most limit bytes; bytes are checked. */
enum ym_code ym_home_fetch(struct ym_party_home *h, const uint8_t sha256[32], size_t limit, struct ym_buf *out,
                           struct ym_status *st);
enum ym_code ym_home_fetch_plan(struct ym_party_home *h, const uint8_t sha256[32], struct ym_plan **out,
                                struct ym_status *st);
/* A state of the plan, fit for ym_state_params. */
enum ym_code ym_home_fetch_state(struct ym_party_home *h, const struct ym_plan *plan, const uint8_t sha256[32],
                                 struct ym_buf *out, struct ym_status *st);

#endif
