#ifndef YM_WORKER_DATA_FREEZE_INTERNAL_H
#define YM_WORKER_DATA_FREEZE_INTERNAL_H

#include "worker/data/freeze.h"
#include "worker/data/npz.h"

/* All rows of the arrays that the card's columns name: row i of each array is
 * record i + 1. The patient's array may be absent where every row is a patient.
 * What does not fit is reported, YM_INVALID. Nothing but the rows so far and a
 * row under way is held. Every array is read to its end, checksum included. */
enum ym_code ym_freeze_npz(struct ym_freeze *f, const struct ym_card *card, struct ym_npz *z, struct ym_status *st);

#endif
