#ifndef YM_MODELS_STATE_HEADER_H
#define YM_MODELS_STATE_HEADER_H

#include "models/state.h"

/* The header of a state file: one spelling for one content (docs/formats.md,
 * "State"). Decoding reads the metadata, encodes it again and compares bytes. */

#define YM_STATE_HEADER_MAX (64 * 1024)

struct ym_state_meta {
    uint32_t round;
    char previous[65], sum[65]; /* hex; "" at round 0 */
    struct ym_buf survivors;    /* "a,b" */
    struct ym_buf weights;      /* "1,2" */
    uint64_t total_weight;
};

void ym_state_meta_release(struct ym_state_meta *meta);

/* Survivors must be names of the plan in the plan's order, at least one. */
enum ym_code ym_state_meta_survivors(const struct ym_plan *plan, const char *const *name, size_t count,
                                     struct ym_state_meta *meta, struct ym_status *st);

/* Appends length and padded JSON: everything before the data. */
enum ym_code ym_state_header_encode(const struct ym_plan *plan, const struct ym_model *m,
                                    const struct ym_state_meta *meta, struct ym_buf *out, struct ym_status *st);

/* head: at least the header, up to the whole file; file_bytes: size of the whole.
 * data_at: where the data begins. YM_CORRUPT when it is not a state of this plan. */
enum ym_code ym_state_header_decode(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes head,
                                    uint64_t file_bytes, uint32_t *round, size_t *data_at, struct ym_status *st);

/* What a plan's server keeps for each parameter, F64 [dim] each, in the file's order
 * behind the parameters: how many, and their names ("server.m", "server.v", "server.c"). */
#define YM_STATE_SLOTS 3
size_t ym_state_slots(const struct ym_plan *plan, const char *name[YM_STATE_SLOTS]);

/* Bytes of data: parameters, then the server's slots, then
 * the extra numbers; and where the latter begin. */
uint64_t ym_state_data_bytes(const struct ym_plan *plan, const struct ym_model *m);
uint64_t ym_state_extra_at(const struct ym_plan *plan, const struct ym_model *m);

#endif
