#ifndef YM_AUDIT_WITNESS_H
#define YM_AUDIT_WITNESS_H

#include "base/crypto.h"

/* A witness (C2SP tlog-witness): cosigns checkpoints of the logs it knows, and only
 * such as continue what it has cosigned. The new state is durable before a
 * cosignature leaves; between look and write nothing else happens (one lock).
 *   <dir>/identity.key, secret          the cosigning key
 *   <dir>/logs/<hash>.vkey              a log: its verifier key; hash: hex SHA-256 of the origin
 *   <dir>/logs/<hash>.checkpoint        what was cosigned last: the log's signature
 *                                       and ours; empty: nothing yet
 * A known log whose checkpoint is missing or does not carry our cosignature is
 * a full stop: starting over could cosign a second history. */
struct ym_witness;

#define YM_WITNESS_LOGS_MAX 4096
#define YM_WITNESS_BODY_MAX (16 * 1024)

/* Make key and folder; name: the key name, for example "auditor.example/witness".
 * YM_CONFLICT: there is a witness already. vkey: of type cosigner, for trust files. */
enum ym_code ym_witness_create(const char *dir, const char *name, struct ym_buf *vkey, struct ym_status *st);
/* From now on cosign this log ("origin+id+key"). Not while a witness serves the folder. */
enum ym_code ym_witness_add(const char *dir, const char *log_vkey, struct ym_status *st);

enum ym_code ym_witness_open(const char *dir, const char *name, struct ym_witness **out, struct ym_status *st);
void ym_witness_close(struct ym_witness **w);
size_t ym_witness_logs(const struct ym_witness *w);
enum ym_code ym_witness_vkey(const struct ym_witness *w, struct ym_buf *out);

/* POST add-checkpoint. Returns the HTTP status of the specification: 200 with our
 * signature line, 400, 403, 404, 409 with the size, 422; 500 when the state cannot
 * be kept (nothing is signed then). now: unix seconds. body is replaced. */
unsigned ym_witness_take(struct ym_witness *w, struct ym_bytes request, int64_t now, struct ym_buf *body);
/* GET <hash>/checkpoint: 200 or 404. */
unsigned ym_witness_latest(struct ym_witness *w, const char *hash, struct ym_buf *body);

#endif
