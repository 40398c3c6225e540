#include "base/calendar.h"

#include <stdio.h>
#include <string.h>

enum { CHINA_S = 8 * 3600, DAY_S = 24 * 3600, LAST_YEAR = 9999 };

static bool leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && leap(year));
}

/* Days since 1970-01-01 of a day of the proleptic Gregorian calendar. */
static int64_t day_number(int year, int month, int day)
{
    int64_t before = (int64_t)year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162;
    for (int m = 1; m < month; m++)
        days += month_days(year, m);
    return days + day - 1;
}

static void parts_of(int64_t unix_s, int *year, int *month, int *day)
{
    const int64_t last = day_number(LAST_YEAR, 12, 31);
    int64_t days = unix_s < 0 ? 0 : unix_s / DAY_S + (unix_s % DAY_S + CHINA_S) / DAY_S;
    if (days > last)
        days = last;
    *year = 1970 + (int)(days / 366);
    while (day_number(*year + 1, 1, 1) <= days)
        ++*year;
    days -= day_number(*year, 1, 1);
    for (*month = 1; days >= month_days(*year, *month); ++*month)
        days -= month_days(*year, *month);
    *day = (int)days + 1;
}

/* Years have four digits. */
static void put(int year, int month, int day, char out[YM_DATE_BYTES])
{
    char text[32];
    snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
    memcpy(out, text, YM_DATE_BYTES - 1);
    out[YM_DATE_BYTES - 1] = 0;
}

void ym_date_of(int64_t unix_s, char out[YM_DATE_BYTES])
{
    int year, month, day;
    parts_of(unix_s, &year, &month, &day);
    put(year, month, day, out);
}

int ym_year_of(int64_t unix_s)
{
    int year, month, day;
    parts_of(unix_s, &year, &month, &day);
    return year;
}

int64_t ym_month_of(int64_t unix_s)
{
    int year, month, day;
    parts_of(unix_s, &year, &month, &day);
    return 12 * ((int64_t)year - 1970) + month - 1;
}

static bool digits(const char *text, size_t count, int *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (text[i] - '0');
    }
    return true;
}

static bool take_apart(const char *text, int *year, int *month, int *day)
{
    return strlen(text) == YM_DATE_BYTES - 1 && text[4] == '-' && text[7] == '-' && digits(text, 4, year) &&
           digits(text + 5, 2, month) && digits(text + 8, 2, day) && *year >= 1970 && *month >= 1 && *month <= 12 &&
           *day >= 1 && *day <= month_days(*year, *month);
}

bool ym_date_valid(const char *text)
{
    int year, month, day;
    return take_apart(text, &year, &month, &day);
}

bool ym_date_add_years(const char *date, int years, char out[YM_DATE_BYTES])
{
    int year, month, day;
    if (!take_apart(date, &year, &month, &day) || years < 0 || years > LAST_YEAR - year)
        return false;
    year += years;
    put(year, month, day > month_days(year, month) ? month_days(year, month) : day, out);
    return true;
}

int64_t ym_date_days(const char *a, const char *b)
{
    int y[2], m[2], d[2];
    if (!take_apart(a, &y[0], &m[0], &d[0]) || !take_apart(b, &y[1], &m[1], &d[1]))
        return 0;
    return day_number(y[1], m[1], d[1]) - day_number(y[0], m[0], d[0]);
}
