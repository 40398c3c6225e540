#ifndef YM_CMD_AUDIT_SELFTEST_RUN_H
#define YM_CMD_AUDIT_SELFTEST_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/* A scratch federation of the installed programs: they are started as people
 * start them, by name, in a folder of their own. Every wait ends at the deadline,
 * and when the user interrupts. */
struct bench {
    char root[64], programs[4000]; /* programs: folder of the siblings, "/" at its end */
    pid_t daemon[8];
    size_t daemons;
    double deadline_s; /* of the monotonic clock */
    char hub[64], enrol[64];
    struct ym_buf trust; /* lines of the trust file */
};

double bench_now_s(void);
/* programs: NULL for the folder of this program. The folder is made in $TMPDIR if that is short, else in /tmp. */
enum ym_code bench_open(struct bench *b, const char *programs, double limit_s, struct ym_status *st);
/* Ends every process that it started, and waits for it; removes the folder unless keep. */
void bench_close(struct bench *b, bool keep);

#define BENCH_PATH 160
/* root/name, in path. */
const char *bench_path(const struct bench *b, const char *name, char path[BENCH_PATH]);
/* Run to the end; out (may be NULL) gets stdout. A program that fails: YM_INTERNAL with its last line. argv ends with
 * NULL. */
enum ym_code bench_run(struct bench *b, const char *program, const char *const *argv, struct ym_buf *out,
                       struct ym_status *st);
/* Start, and wait until it says "ready ..."; that line into out (may be NULL). name: of its logs. */
enum ym_code bench_start(struct bench *b, const char *name, const char *program, const char *const *argv,
                         struct ym_buf *out, struct ym_status *st);
/* YM_OK, or DEADLINE, or UNAVAILABLE when interrupted or a daemon has ended; sleeps a little. */
enum ym_code bench_wait(struct bench *b, struct ym_status *st);

/* The usual steps: hub and sponsor; a hospital with its pseudo-patients' card. */
enum ym_code bench_hub(struct bench *b, struct ym_status *st);
enum ym_code bench_hospital(struct bench *b, const char *name, const char *cap, const char *delta, const char *card,
                            struct ym_status *st);
/* Submit the plan file and approve it at these hospitals. */
enum ym_code bench_study(struct bench *b, const char *study, const char *plan, const char *const *hospital,
                         size_t count, struct ym_status *st);

#endif
