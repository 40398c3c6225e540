#ifndef YM_TRAINER_DOOR_INTERNAL_H
#define YM_TRAINER_DOOR_INTERNAL_H

#include "worker/trainer/door.h"

/* The door's insides: door.c (control, socket), door_charge.c (charge, store,
 * seal), door_outbox.c (recover, queue, drop). No other file includes this. */

struct ym_charged {
    struct ym_door *door;
    struct ym_door_request r; /* plan is borrowed for life; hashes are copied below */
    char dataset[64];
    uint8_t data[YM_HASH_BYTES], state[YM_HASH_BYTES];
    uint8_t charge[YM_HASH_BYTES];
    struct ym_buf charge_line;
    char path[YM_SITE_PATH];
    bool stored;
    uint8_t update_hash[YM_HASH_BYTES];
    int64_t *update;
};

struct ym_release {
    struct ym_buf charge_line, release_line;
    uint8_t charge[YM_HASH_BYTES];
    char path[YM_SITE_PATH];
    int last_year; /* that its charge counts for */
    uint64_t bytes;
};

struct ym_door {
    struct ym_door_options o;
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_link *link;
    struct ym_buf control[YM_DOOR_QUEUE];
    bool is_card[YM_DOOR_QUEUE];
    size_t control_first, control_count;
    struct ym_release *release[YM_DOOR_RELEASES];
    size_t release_count;
    int fd;          /* of release[0] once its head was sent, else -1 */
    uint64_t offset; /* sent of it */
};

void ym_door_close_file(struct ym_door *d);
/* Of a charge: outbox/<hash>.update */
enum ym_code ym_outbox_path(const struct ym_door *d, const uint8_t charge[YM_HASH_BYTES], char out[YM_SITE_PATH]);
void ym_door_remove_at(struct ym_door *d, size_t i); /* from the queue of releases */

#endif
