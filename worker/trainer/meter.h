#ifndef YM_TRAINER_METER_H
#define YM_TRAINER_METER_H

#include <jansson.h>

#include "worker/data/people.h"
#include "worker/trainer/site.h"

/* The people meter: how many different people stand behind what left this
 * hospital, for each exporter and calendar year in China. The whole eligible
 * cohort of a charge counts, whoever was drawn; nobody is ever taken off.
 *
 * A fold over the own ledger's charges. The ledger holds how many, rounded up to
 * 100, and a keyed hash of the set; who they are, as pseudonyms of
 * worker/data/people.h, lies in people/<hash>.set, on disk before the charge. A
 * crash between the two leaves a file that no charge names: nothing left, nobody
 * counts. A charge whose file is gone or was changed counts as so many people
 * whom nobody can name: whoever comes later counts on top of them. One thread. */

struct ym_meter;
/* site is borrowed. */
enum ym_code ym_meter_fold(const struct ym_site *site, const uint8_t salt[YM_SITE_SALT], struct ym_ledger *l,
                           struct ym_meter **out, struct ym_status *st);
void ym_meter_free(struct ym_meter *p);
/* A line of the own ledger: charge and recover count, others change nothing. YM_CORRUPT. */
enum ym_code ym_meter_take(struct ym_meter *p, struct ym_bytes line, struct ym_status *st);

/* Different people so far, and with a cohort on top; -1: out of memory. */
int64_t ym_meter_counted(struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year);
int64_t ym_meter_with(struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year,
                      const struct ym_cohort *cohort);
bool ym_meter_knows(const struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year); /* a charge says so */
/* Those counted for every other exporter's name, added up: whoever writes another name on the card begins at this, not
 * at nothing. People counted under two names count twice. -1: out of memory. */
int64_t ym_meter_others(struct ym_meter *p, const uint8_t exporter[YM_HASH_BYTES], int year);
int ym_meter_mark(int64_t people,
                  int64_t limit);       /* percent of it that are reached: 50 80 95 100; 0: none, or unknown */
int64_t ym_meter_class(int64_t people); /* as a ledger says a count: rounded up to 100; below 0, unknown, it stays */

struct ym_meter_charge {
    const uint8_t *exporter; /* [YM_HASH_BYTES] */
    const char *study;
    uint32_t round, attempt;
    int first_year, last_year; /* last is first or the next */
    const struct ym_cohort *cohort;
};
/* Write the sets of all years, fsynced, before the charge is signed; *out: its
 * member "people", one {year, people, set} a year. Nothing counts until that
 * charge is taken. */
enum ym_code ym_meter_keep(struct ym_meter *p, const struct ym_meter_charge *c, json_t **out, struct ym_status *st);
/* Remove sets that no newest charge names. */
void ym_meter_sweep(struct ym_meter *p);

/* [{exporter, year, people, lost}], by exporter and year; lost: of them, those whom nobody can name. */
json_t *ym_meter_json(struct ym_meter *p);
/* {set: people} of charges, exactly, as far as people/exact tells. */
json_t *ym_meter_exact(const struct ym_site *site);
/* The last year that a charge line counts for; 0: none. */
int ym_meter_last_year(struct ym_bytes charge_line);

#endif
