#ifndef YM_MODELS_RESULTS_TENSORS_H
#define YM_MODELS_RESULTS_TENSORS_H

#include <jansson.h>

#include "base/crypto.h"
#include "models/model.h"

/* A released model's parameters as safetensors: float32 in the order of the model,
 * "__metadata__" first (models/results/notice.h). A file that the hub made itself is
 * signed by the key of its log: member "signature" of the metadata, base64 of
 * Ed25519 over "yumen/model/v1" 00, SHA-256 of the header's canonical JSON without
 * that member, SHA-256 of what stands behind the header. */

/* params [m->dim]. signer NULL: unsigned. Appends to out. */
enum ym_code ym_tensors_write(const struct ym_model *m, const float *params, const json_t *metadata,
                              const struct ym_key *signer, struct ym_buf *out, struct ym_status *st);
/* Foreign bytes. YM_DENIED unless that key signed just this file. */
enum ym_code ym_tensors_signed(struct ym_bytes file, const uint8_t pub[YM_PUBKEY_BYTES], struct ym_status *st);

#endif
