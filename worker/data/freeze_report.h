#ifndef YM_WORKER_DATA_FREEZE_REPORT_H
#define YM_WORKER_DATA_FREEZE_REPORT_H

#include "worker/data/cell.h"
#include "worker/data/csv.h"

/* What the site's own screen shows of a CSV that does not freeze: at most
 * YM_REPORT_LINES lines, of the same words in the same column the first
 * YM_REPORT_ALIKE; the rest is counted. Quotes cells: never leaves. */
#define YM_REPORT_LINES 100
#define YM_REPORT_ALIKE 3

struct ym_report {
    struct ym_buf *out; /* borrowed */
    size_t count, shown;
    struct {
        uint64_t hash; /* of column and words */
        unsigned seen;
    } kind[YM_REPORT_LINES];
    size_t kind_count;
};

void ym_report_cell(struct ym_report *r, uint64_t line, const char *column, const struct ym_card *card,
                    enum ym_cell_fault fault, const char *text, size_t len);
void ym_report_line(struct ym_report *r, uint64_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ym_report_end(struct ym_report *r); /* "and N more" */

#endif
