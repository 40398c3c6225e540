#ifndef YM_MODELS_RESULTS_NOTICE_H
#define YM_MODELS_RESULTS_NOTICE_H

#include <jansson.h>

#include "base/crypto.h"
#include "gate/plan.h"
#include "models/model.h"

/* What every file of a released model says of itself: where it came from, and
 * that its scores are made by a model. The one place where that is made and read
 * again: safetensors hold it in "__metadata__", ONNX in metadata_props, the card and
 * tables of scores as members and lines of these names (docs/results.md, "Notices").
 *   format      YM_RESULT_FORMAT
 *   study round plan state producer      plan and state SHA-256 in hex; producer: the sponsor
 *   content_id  ORIGIN#INDEX:HASH of an entry in the hub's log, HASH its leaf hash;
 *               "simulated:STATE" where no ledger holds it
 *   notice notice_zh     in English and in Chinese, whatever the language of the command */

#define YM_RESULT_FORMAT "yumen-model/1"
#define YM_RESULT_CARD "yumen-model-card/1" /* of the card, which says "sponsor" for producer */
#define YM_NOTICE_KEYS 9
#define YM_NOTICE_ID_BYTES 384

extern const char *const ym_notice_key[YM_NOTICE_KEYS];

/* A new object of strings in that order; NULL: no memory. content_id NULL: simulated. */
json_t *ym_notice_new(const struct ym_plan *plan, uint32_t round, const uint8_t state[YM_HASH_BYTES],
                      const char *content_id);
/* Of a safetensors or ONNX file or a card; foreign bytes. A new object, perhaps without members of ours;
 * NULL: the file is none of these. */
json_t *ym_notice_read(struct ym_bytes file);
/* "__metadata__" of a safetensors file; new reference, NULL: it has none. */
json_t *ym_notice_tensors(struct ym_bytes file);
/* Which keys are absent, empty or malformed; how many. */
size_t ym_notice_lacks(const json_t *notice, const char *lacks[YM_NOTICE_KEYS]);

/* Where a content id leads. False: it is malformed, or of a simulation. */
struct ym_content_id {
    char origin[256];
    uint64_t index;
    char hash[65];
};
bool ym_content_id_parse(const char *text, struct ym_content_id *out);

/* A released model's file and the plan that it must have been trained by. */
struct ym_released {
    json_t *notice;
    struct ym_model model;
    float *params; /* [model.dim], for rows as they are */
    uint8_t hash[YM_HASH_BYTES];
};
/* Zero-initialised is empty. YM_INVALID: no model file, or of another plan (the message says which). */
enum ym_code ym_released_load(const char *path, const struct ym_plan *plan, struct ym_released *out,
                              struct ym_status *st);
void ym_released_release(struct ym_released *r);

#endif
