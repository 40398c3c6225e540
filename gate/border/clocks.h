#ifndef YM_GATE_BORDER_CLOCKS_H
#define YM_GATE_BORDER_CLOCKS_H

#include "gate/border/facts.h"

/* By when an authority may be expected to answer: steps of so many days after an
 * application was filed, over a calendar of working days. Data of a rule set
 * (section "clocks", docs/border.md), for information alone: no decision reads it.
 * Rules: PW-11, FZ-07 of the requirements. Pure. */

enum { YM_CLOCKS_MOST_STEPS = 32, YM_CLOCKS_MOST_DATES = 1024, YM_CLOCKS_MOST_YEARS = 20, YM_CLOCKS_MOST_DAYS = 400 };

struct ym_clock_step {
    char id[64];
    enum ym_record record;
    int after; /* an earlier step; -1: the day of filing, which does not count itself */
    int64_t days;
    bool calendar;     /* every day counts, else Monday to Friday as the calendar says */
    char text[2][256]; /* English, Chinese */
    char source[128];
};

struct ym_clocks {
    int64_t year[YM_CLOCKS_MOST_YEARS]; /* those that the dates below are complete for */
    size_t year_count;
    char (*holiday)[16], (*workday)[16]; /* weekdays off, weekend days at work; YYYY-MM-DD */
    size_t holiday_count, workday_count;
    struct ym_clock_step step[YM_CLOCKS_MOST_STEPS];
    size_t step_count;
};
void ym_clocks_free(struct ym_clocks *c);

struct ym_schema;
struct ym_at;
/* Section "clocks" of a rule set. NULL: memory is out, which s knows. */
struct ym_clocks *ym_clocks_read(struct ym_schema *s, const struct ym_at *root);

/* The last day of a step for what was filed on that day. False: it reaches into a
 * year that the calendar does not hold. */
bool ym_clock_due(const struct ym_clocks *c, size_t step, const char *filed, char out[16]);

#endif
