#ifndef YM_SIM_SITE_H
#define YM_SIM_SITE_H

#include "base/buf.h"
#include "gate/plan.h"
#include "worker/data/frozen.h"

/* Data for the simulator. Problems that a person can mend are appended to
 * report, one a line, in the user's language. */

/* A simulated hospital: path is a card, or a folder with card.yaml. YM_DENIED
 * when the folder, the CSV's folder or any folder above them holds a site's
 * keys (identity.key): a real hospital's data is not for simulation. */
enum ym_code ym_sim_load_site(const struct ym_plan *plan, const char *path, struct ym_table **out,
                              struct ym_buf *report, struct ym_status *st);

/* A sponsor's own test file: CSV with the study's variables by name as columns,
 * in study units, categories by level name; other columns are not read. Each
 * row is an example; the plan's smallest cohort does not apply. */
enum ym_code ym_sim_load_test(const struct ym_plan *plan, const char *path, struct ym_table **out,
                              struct ym_buf *report, struct ym_status *st);

#endif
