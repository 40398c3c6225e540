#ifndef YM_TRAINER_CORE_INTERNAL_H
#define YM_TRAINER_CORE_INTERNAL_H

#include "worker/trainer/core.h"

struct ym_core {
    char name[64];
    struct ym_core_world world;
    bool trusted;
    char federation[64];
    uint8_t hub_key[YM_PUBKEY_BYTES];
    int64_t min_patients;
    struct ym_core_study **study;
    size_t study_count, study_cap;
    struct ym_core_dataset *dataset;
    size_t dataset_count, dataset_cap;
    uint64_t returning; /* ledger lines to come that are taken back after a loss: their order may not be ours */
};

struct ym_attempt {
    char study[64];
    uint32_t round, attempt;
};

/* core.c */
void *ym_core_grow(void *array, size_t count, size_t *cap, size_t size);
struct ym_action *ym_action_push(struct ym_actions *a, enum ym_action_kind kind, struct ym_core_study *s);
struct ym_core_study *ym_core_by_hash(struct ym_core *c, const uint8_t hash[YM_HASH_BYTES]);
struct ym_core_study *ym_core_open_named(struct ym_core *c, const char *name);
struct ym_core_study *ym_core_study_add(struct ym_core *c, const char *name, const uint8_t hash[YM_HASH_BYTES]);
enum ym_code ym_core_get_u32(const json_t *o, const char *key, uint32_t *out, struct ym_status *st);
enum ym_code ym_core_get_name(const json_t *o, const char *key, char out[64], struct ym_status *st);
enum ym_code ym_core_keep_line(struct ym_buf *to, struct ym_bytes line, struct ym_status *st);

/* What is said. Takes members; NULL makes a->failed. */
void ym_core_say(struct ym_actions *a, enum ym_action_kind kind, struct ym_core_study *s, const char *type,
                 json_t *members);
json_t *ym_core_with_hash(json_t *o, const char *key, const uint8_t hash[YM_HASH_BYTES]);
void ym_core_decline(struct ym_actions *a, struct ym_core_study *s, const struct ym_attempt *at, const char *reason);
void ym_core_decline_current(struct ym_actions *a, struct ym_core_study *s, uint32_t round, uint32_t attempt,
                             const char *reason);
void ym_core_say_ready(struct ym_actions *a, struct ym_core_study *s);
void ym_core_say_checked(struct ym_actions *a, struct ym_core_study *s);

/* core_round.c */
void ym_core_drop_release(struct ym_actions *a, struct ym_core_study *s);
void ym_core_resend(struct ym_actions *a, struct ym_core_study *s);

#endif
