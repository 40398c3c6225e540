#ifndef YM_BASE_CLOCK_H
#define YM_BASE_CLOCK_H

#include <stdint.h>

/* Time is passed in below floor 3; shells read it here. */
int64_t ym_clock_unix(void);    /* seconds, wall clock: for records */
int64_t ym_clock_mono_ms(void); /* milliseconds, monotonic: for deadlines */

#endif
