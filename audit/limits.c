#include "audit/limits.h"

#include <stddef.h>
#include <string.h>

#define DELTA_ONE 1000000000000000000
#define UTC8_S 28800
#define DAY_S 86400

int64_t ym_size_class_patients(const char *size_class)
{
    static const struct {
        const char *name;
        int64_t patients;
    } known[] = {{"<100", 99}, {"100-499", 499}, {"500-1999", 1999}, {"2000-9999", 9999}, {">=10000", 10000}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, size_class) == 0)
            return known[i].patients;
    return 0;
}

int64_t ym_size_class_delta_e18(const char *size_class)
{
    int64_t patients = ym_size_class_patients(size_class);

    return patients > 0 ? DELTA_ONE / (10 * patients) : 0;
}

static int64_t days_in(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month] + (month == 1 && leap);
}

int64_t ym_month_of(int64_t unix_s)
{
    const int64_t era_days = 146097; /* of 400 years */
    int64_t days = unix_s / DAY_S + (unix_s % DAY_S + UTC8_S) / DAY_S, year = 1970 + 400 * (days / era_days), month = 0;

    days %= era_days;
    while (days >= days_in(year, month)) {
        days -= days_in(year, month);
        if (++month == 12) {
            month = 0;
            year++;
        }
    }
    return 12 * (year - 1970) + month;
}
