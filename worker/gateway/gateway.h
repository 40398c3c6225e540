#ifndef YM_GATEWAY_H
#define YM_GATEWAY_H

#include "base/doc.h"

/* The gateway daemon: dials the hub, connects to the trainer's socket, carries
 * what each has for the other, prints one ready line, serves until SIGTERM or
 * SIGINT. check_only stops after the configuration was read. */
enum ym_code ym_gateway_run(const char *dir, bool check_only, struct ym_problems *p, struct ym_status *st);

#endif
