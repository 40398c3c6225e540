#ifndef YM_BASE_PROGRAM_H
#define YM_BASE_PROGRAM_H

#include "base/buf.h"
#include "base/status.h"

/* Which program runs: what charges and results name, so that an auditor can
 * compare it with a build of his own (docs/build.md). */
#define YM_BUILD_HEX 40  /* GNU build id, SHA-1, as the linker wrote it */
#define YM_BINARY_HEX 64 /* SHA-256 of the program's file */

struct ym_program {
    char build[YM_BUILD_HEX + 1], binary[YM_BINARY_HEX + 1];
};

/* Reads /proc/self/exe, that is the file that was started, whatever lies under
 * its name since. To be called at start, before a sandbox closes /proc.
 * YM_UNAVAILABLE: it cannot be read; YM_INVALID: linked without a build id. */
enum ym_code ym_program_read(struct ym_program *out, struct ym_status *st);

#endif
