#ifndef YM_MODELS_STATE_STEP_H
#define YM_MODELS_STATE_STEP_H

#include "models/state_header.h"

/* What the two forms of the state function share: one run of coordinates through
 * the server optimizer, and the header that comes next. */

#define YM_STATE_BLOCK 4096 /* coordinates handled at once */

struct ym_state_block {
    float theta[YM_STATE_BLOCK];
    double slot[YM_STATE_SLOTS][YM_STATE_BLOCK]; /* as ym_state_slots names them */
};

struct ym_state_step { /* what one round's arithmetic needs besides the block */
    const struct ym_plan *plan;
    double divisor; /* W * 2^s: exact */
    bool scales;    /* the round that learns the scaling: parameters, moments and clip stay */
    bool counts;    /* the round has metrics */
    size_t control; /* of a plan with scaffold: the slot of its control variate, */
    double present; /* the survivors' share of all hospitals' weights, */
    double pace;    /* and local steps times learning rate */
};

size_t ym_state_block_size(size_t dim, size_t at);

/* The first n coordinates of the block; false when a parameter leaves float32. */
bool ym_state_advance(const struct ym_state_step *s, struct ym_state_block *b, const int64_t *sum, size_t n);

/* The extra numbers through the same round: plain averaging, whatever the server
 * optimizer. data [8 * state_extra] bytes as in the file, old in, new out; sum: the
 * extra coordinates. YM_CORRUPT when the old ones are out of range. */
enum ym_code ym_state_advance_extra(const struct ym_state_step *s, const struct ym_model *m, const int64_t *sum,
                                    uint8_t *data, struct ym_status *st);

/* Header of the state that follows round `round`, whose file hashes to previous;
 * fills step. YM_INVALID when the sum does not follow. */
enum ym_code ym_state_next_header(const struct ym_plan *plan, const struct ym_model *m, uint32_t round,
                                  const uint8_t previous[YM_HASH_BYTES], const struct ym_round_sum *sum,
                                  struct ym_state_step *step, struct ym_buf *header, struct ym_status *st);

/* The two failures of both forms, as set statuses. */
enum ym_code ym_state_no_memory(struct ym_status *st);
enum ym_code ym_state_not_finite(struct ym_status *st);

#endif
