#ifndef YM_SIM_LOAD_H
#define YM_SIM_LOAD_H

#include "gate/card.h"
#include "worker/data/frozen.h"

/* CSV or NPZ to training table through the hospital's own reader, all in memory. The
 * salt that orders patients is fixed: a simulation repeats. folder: of images,
 * NULL: the one of path. */
enum ym_code ym_sim_table(const struct ym_plan *plan, const struct ym_card *card, const char *path, const char *folder,
                          struct ym_table **out, struct ym_buf *report, struct ym_status *st);

#endif
