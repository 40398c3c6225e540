#ifndef YM_BASE_CALENDAR_H
#define YM_BASE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

/* Dates as China keeps them: Asia/Shanghai, UTC+8 without daylight saving since
 * 1991. Text form YYYY-MM-DD, years 1970 to 9999; as texts they compare in
 * order of time. */
enum { YM_DATE_BYTES = 11 };

void ym_date_of(int64_t unix_s, char out[YM_DATE_BYTES]); /* unix_s cut to 1970-01-01 ... 9999-12-31 there */
int ym_year_of(int64_t unix_s);
int64_t ym_month_of(int64_t unix_s); /* months since January 1970 there */
bool ym_date_valid(const char *text);
/* Last valid day of something that lasts so many years from date: the same day
 * so many years later; of 29 February in a year without one, the 28th. */
bool ym_date_add_years(const char *date, int years, char out[YM_DATE_BYTES]);
/* Days from a to b; both valid. */
int64_t ym_date_days(const char *a, const char *b);

#endif
