#ifndef YM_TRAINER_LIMITS_H
#define YM_TRAINER_LIMITS_H

#include <stdint.h>

#include "base/status.h"

/* What the site's policy grants a job that reads rows: threads and memory. Held twice.
 *   before   what the job will take is worked out from the sizes of what it reads, and a job
 *            that would not fit is refused before it takes it (ym_limits_room)
 *   during   the kernel's limit on the process's data (RLIMIT_DATA) stands at memory and, on
 *            top, YM_LIMITS_THREAD a thread: address space that OpenBLAS (128 MiB) and the C
 *            library (a stack, an arena) reserve for a thread and touch little of
 * The limit stands while a job runs, so that the hospital's commands are answered when none
 * does. Of the whole process; for the one thread that runs jobs. */
struct ym_limits {
    size_t threads;  /* 0: what the machine grants */
    uint64_t memory; /* bytes; 0: any */
};
#define YM_LIMITS_THREAD (UINT64_C(144) << 20)

/* YM_UNAVAILABLE: the kernel does not take the limit. end undoes it; also after begin failed. */
enum ym_code ym_limits_begin(const struct ym_limits *l, struct ym_status *st);
void ym_limits_end(void);

/* Would so many bytes more still fit, beside what is allocated and YM_POLICY_MEMORY_BASE? YM_EXHAUSTED, said with
 * both figures. Where the machine itself has no such memory is not asked. */
enum ym_code ym_limits_room(const struct ym_limits *l, uint64_t bytes, struct ym_status *st);

#endif
