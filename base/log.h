#ifndef YM_BASE_LOG_H
#define YM_BASE_LOG_H

#include <stdbool.h>

/* One line a record on stderr: time level id key=value ... Shells log; lower
 * floors return. Never rows, gradients, keys, exact counts. Thread-safe.
 * id: stable, "subsystem.event". fmt gives "key=value key=value". */
enum ym_log_level { YM_LOG_ERROR, YM_LOG_WARN, YM_LOG_INFO, YM_LOG_TRACE };
void ym_log(enum ym_log_level level, const char *id, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* YUMEN_LOG=warn,rpc=trace sets the level for all and for one subsystem. */
void ym_log_init(const char *program);

#endif
