#ifndef YM_TRAINER_SANDBOX_H
#define YM_TRAINER_SANDBOX_H

#include <stdbool.h>

#include "base/status.h"

/* What keeps the process that reads patient data from the rest of the machine.
 * Entered once, before the first thread, after whatever lies outside dir was
 * read. What the kernel gives is used and named; what it lacks is named too.
 *
 *   network namespace  of its own and empty, where the kernel lets us make one
 *   Landlock           dir: read and write; nothing else can be opened. ABI 4:
 *                      no TCP; ABI 6: no abstract sockets, no signals outward
 *   seccomp            allow-list, else EPERM: socket() of AF_UNIX alone, no
 *                      connect, execve, ptrace, process_vm_*, new process, or
 *                      new executable memory
 *   and                no_new_privs, no core dumps, not dumpable */
struct ym_sandbox_level {
    int landlock_abi; /* 0: the kernel has none */
    bool seccomp, netns;
    char text[64]; /* "landlock-abi=7 seccomp=on netns=own" */
};

/* YM_UNAVAILABLE when a part that the kernel offers cannot be entered; the
 * process must then exit. */
enum ym_code ym_sandbox_enter(const char *dir, struct ym_sandbox_level *level, struct ym_status *st);

#endif
