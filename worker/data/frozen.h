#ifndef YM_WORKER_DATA_FROZEN_H
#define YM_WORKER_DATA_FROZEN_H

#include "base/buf.h"
#include "base/crypto.h"
#include "gate/card.h"
#include "gate/plan.h"

/* A frozen data set: the values of the card's variables, rows grouped by
 * patient, written once by `yumen-site data add`, read by the trainer, named by
 * its SHA-256. Holds no patient identifiers: patients are 0..P-1 in the order
 * of SHA-256(site salt, identifier). Layout: docs/formats.md, "Frozen data". */
struct ym_frozen_column { /* what the card declared of one variable */
    bool category;
    char unit[32];     /* number */
    double low, high;  /* number: declared range; values may lie outside */
    char (*level)[64]; /* category */
    size_t level_count;
    uint32_t channels, height, width; /* image; 0 0 0: none */
    size_t pixel_at;                  /* image: where its bytes begin within those of a row */
};

struct ym_frozen {
    uint8_t hash[YM_HASH_BYTES];
    char dataset[64];
    uint8_t card_hash[YM_HASH_BYTES];
    size_t var_count, row_count, patient_count;
    char (*var)[64];                 /* names */
    struct ym_frozen_column *column; /* [var_count] */
    uint64_t *first_row;             /* [patient_count + 1] */
    uint64_t *draw;                  /* [patient_count] below YM_HOLDOUT_ONE; see ym_freeze_draw */
    uint64_t *consent;               /* [patient_count] what the patient agreed to (gate/border/consent.h) */
    double *value;                   /* [row_count][var_count]; category = level index; image = 0; missing = NaN */
    size_t pixel_stride;             /* bytes of all images of a row */
    const uint8_t *pixel;            /* [row_count][pixel_stride]; a missing image is zeros */
    struct ym_buf bytes;             /* the whole file; first_row, draw, consent, value and pixel point into it */
};

#define YM_FROZEN_MAX_BYTES (UINT64_C(8) << 30)
#define YM_FROZEN_MAX_PATIENTS (UINT32_C(1) << 31) /* docs/plan.md, "No sum wraps" */

/* Read the CSV or NPZ a card names and freeze it. A cell of an image names a PNG in folder (NULL: the one of path).
 * Failing lines are appended to report (line, column, what; for the site's own screen only: it quotes cells) and make
 * the answer YM_INVALID unless skip_bad, which drops the whole patient. Report
 * may hold notes on YM_OK. people (NULL: not wanted): the side file of people.h. A line over 1 MiB is an error, never
 * an allocation. */
enum ym_code ym_freeze_file(const struct ym_card *card, const char *path, const char *folder, const uint8_t salt[32],
                            bool skip_bad, struct ym_buf *frozen_bytes, struct ym_buf *people, struct ym_buf *report,
                            struct ym_status *st);

/* Rows that a hospital scores (worker/infer), with whose they are. Names and people go nowhere but into the hospital's
 * own results and to its trainer. Zero-initialised is empty. */
struct ym_named_rows {
    struct ym_buf frozen;
    struct ym_buf names;  /* each patient's identifier, in the set's order, each ended by a zero byte */
    struct ym_buf order;  /* of each row which of the file's it was: size_t, the first is 0 */
    struct ym_buf people; /* people.h */
};
void ym_named_rows_release(struct ym_named_rows *r); /* wiped */
enum ym_code ym_freeze_named(const struct ym_card *card, const char *path, const uint8_t salt[32], bool skip_bad,
                             struct ym_named_rows *out, struct ym_buf *report, struct ym_status *st);

/* Bytes of another process: sizes are checked against the length before
 * anything is allocated, values against their columns. YM_CORRUPT. */
enum ym_code ym_frozen_parse(struct ym_bytes bytes, struct ym_frozen **out, struct ym_status *st);
enum ym_code ym_frozen_load(const char *path, struct ym_frozen **out, struct ym_status *st);
/* What a file says of its patients without their values, unchecked: each one's
 * word of consent into consent (8 bytes each, host order), and how many rows there are. */
enum ym_code ym_frozen_consents(const char *path, struct ym_buf *consent, int64_t *rows, struct ym_status *st);
void ym_frozen_free(struct ym_frozen *f);

/* The training view of a plan on a frozen set: scaled design matrix and target,
 * patients with all their rows. A row whose variable is missing under DROP, or
 * whose outcome is missing, goes; a patient without rows is not eligible; rows
 * past max_records_per_patient (in file order) are left out. */
struct ym_table {
    size_t columns, rows, patients;
    float *x;            /* [rows][columns], scaled to [-1, 1], dummies 0/1; NULL where the input is an image */
    uint8_t *pixel;      /* [rows][columns] bytes of the image, else NULL */
    float shade[256];    /* what a byte of it counts: (byte / 255 - mean) / scale */
    float *y;            /* [rows][targets], targets 1: number in scaled units, or level index; 2: {count, offset} */
    uint64_t *first_row; /* [patients + 1] */
    uint32_t *who;       /* [patients] which patient of the frozen set each is */
    /* Survival: a patient's rows are its time bins, as far as it was watched, each with whether the event came in it
     * (discrete_hazard) or {event, log of the time spent in it, in units of the time's high} (piecewise_exponential).
     * A time above the range ends there, without event. Who was not watched to the end of a first bin has no rows. */
    float *time;    /* [patients], as declared; NULL: no survival family */
    uint8_t *event; /* [patients] */
    /* Plans read for maximum likelihood: the same rows in double and study units; NULL else. For Cox y is the time. */
    struct ym_table_exact {
        double *x, *y, *offset; /* [rows][columns], [rows], [rows] */
        uint8_t *event;         /* [rows] */
        uint32_t *stratum;      /* [rows] */
    } * exact;
    /* The patients whom the plan holds out of training (ym_plan_holds), as a table of their own, perhaps without
     * patients; NULL: it holds out nobody. Owned. */
    struct ym_table *held;
};
/* Patients who are held out are in (*out)->held alone; min_patients counts the others. out_of [patients] marks those
 * who are in neither (worker/data/admit.h); NULL: nobody. The table is the one of the set without their rows, to the
 * bit. report gets column-level problems (for the site's screen); YM_NOT_FOUND when a variable is absent, YM_DENIED
 * when fewer than plan->min_patients remain. */
enum ym_code ym_table_build(const struct ym_plan *plan, const struct ym_frozen *f, const uint8_t *out_of,
                            struct ym_table **out, struct ym_buf *report, struct ym_status *st);
void ym_table_free(struct ym_table *t);
/* Bytes that the table will take, at most: those in it and those held out. */
uint64_t ym_table_bytes(const struct ym_plan *plan, const struct ym_frozen *f);

/* Floats that ym_table_rows needs for n rows; 0: none. */
static inline size_t ym_table_scratch(const struct ym_table *t, size_t n)
{
    return t->pixel ? n * t->columns : 0;
}

/* Rows first .. first + n as floats [n][columns]: the table's own, or made of
 * bytes in scratch, so that a set of images is never in memory as floats. */
static inline const float *ym_table_rows(const struct ym_table *t, size_t first, size_t n, float *scratch)
{
    if (!t->pixel)
        return t->x + first * t->columns;
    const uint8_t *pixel = t->pixel + first * t->columns;
    for (size_t i = 0; i < n * t->columns; i++)
        scratch[i] = t->shade[pixel[i]];
    return scratch;
}

/* The most rows of a patient, at least 1. */
static inline size_t ym_table_most_rows(const struct ym_table *t)
{
    uint64_t most = 1;
    for (size_t i = 0; i < t->patients; i++)
        if (t->first_row[i + 1] - t->first_row[i] > most)
            most = t->first_row[i + 1] - t->first_row[i];
    return (size_t)most;
}

#endif
