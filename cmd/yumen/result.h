#ifndef YM_CMD_YUMEN_RESULT_H
#define YM_CMD_YUMEN_RESULT_H

#include <jansson.h>

#include "gate/plan.h"
#include "models/model.h"

/* What is taken away at the end of a study or a simulation, as files that others
 * read (docs/results.md). Zero-initialised is empty. */
struct ym_result {
    const struct ym_plan *plan; /* borrowed */
    struct ym_model model;
    uint32_t round;               /* the state is that after this round */
    uint8_t state[YM_HASH_BYTES]; /* SHA-256 of it */
    float *params;                /* [model.dim], for rows as they are */
};

/* state: a state of the plan; its hash is computed. */
enum ym_code ym_result_open(const struct ym_plan *plan, struct ym_bytes state, struct ym_result *out,
                            struct ym_status *st);
void ym_result_release(struct ym_result *r);

/* Writes path (safetensors) and beside it, named alike, the card (.json, .md), ONNX (.onnx) and, of a model without
 * hidden layers, its coefficients (.csv), all with the notices of models/results/notice.h. facts: members for the card
 * beyond what plan and parameters tell, "content_id" (none: a simulation) among them; taken.
 * *card: the card, new reference. */
enum ym_code ym_result_write(const struct ym_result *r, const char *path, json_t *facts, json_t **card,
                             struct ym_status *st);

/* The same of a model that is sealed to its recipients: writes path, and beside it the card alone, which tells of
 * everything but the parameters. r: without parameters. */
enum ym_code ym_result_write_sealed(const struct ym_result *r, struct ym_bytes sealed, const char *path, json_t *facts,
                                    json_t **card, struct ym_status *st);

#endif
