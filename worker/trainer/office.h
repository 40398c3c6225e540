#ifndef YM_TRAINER_OFFICE_H
#define YM_TRAINER_OFFICE_H

#include "base/crypto.h"
#include "gate/border/seal.h"

/* An office's own key: <dir>/<office>/office.key under <dir>/<office>/secret,
 * 0600 in a folder 0700. init makes the four under SITE/offices; each then moves
 * to the account of its person (docs/site.md, "Offices"). */

/* Make it, or load it when it is there already. */
enum ym_code ym_office_key_make(const char *dir, enum ym_office office, struct ym_key **key, struct ym_status *st);
/* YM_NOT_FOUND: this account has none, or may not read it. */
enum ym_code ym_office_key_load(const char *dir, enum ym_office office, struct ym_key **key, struct ym_status *st);
/* Members of the leaf that says whose key this is; pub NULL: none any more. NULL: out of memory. */
json_t *ym_office_members(enum ym_office office, const uint8_t *pub);

#endif
