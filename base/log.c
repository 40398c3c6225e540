#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048
#define SUBSYSTEMS_MAX 16

static const char *const level_name[] = {"error", "warn", "info", "trace"};
static enum ym_log_level general = YM_LOG_INFO;
static struct {
    char name[32];
    enum ym_log_level level;
} subsystem[SUBSYSTEMS_MAX];
static size_t subsystem_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int level_parse(const char *text, size_t len)
{
    for (int i = 0; i < 4; i++)
        if (strlen(level_name[i]) == len && memcmp(level_name[i], text, len) == 0)
            return i;
    return -1;
}

static bool apply(const char *item, size_t len)
{
    const char *equals = memchr(item, '=', len);
    size_t name_len = equals ? (size_t)(equals - item) : 0;
    int level = equals ? level_parse(equals + 1, len - name_len - 1) : level_parse(item, len);

    if (level < 0 || name_len >= sizeof(subsystem[0].name) || subsystem_count == SUBSYSTEMS_MAX)
        return false;
    if (!equals) {
        general = (enum ym_log_level)level;
        return true;
    }
    memcpy(subsystem[subsystem_count].name, item, name_len);
    subsystem[subsystem_count].name[name_len] = '\0';
    subsystem[subsystem_count++].level = (enum ym_log_level)level;
    return true;
}

void ym_log_init(const char *program)
{
    const char *setting = getenv("YUMEN_LOG");

    general = YM_LOG_INFO;
    subsystem_count = 0;
    while (setting && *setting) {
        size_t len = strcspn(setting, ",");

        if (len && !apply(setting, len))
            fprintf(stderr, "%s: YUMEN_LOG: '%.*s' is not error, warn, info, trace or subsystem=level\n", program,
                    (int)(len < 64 ? len : 64), setting);
        setting += len + (setting[len] == ',');
    }
}

static bool wanted(enum ym_log_level level, const char *id)
{
    size_t len = strcspn(id, ".");

    for (size_t i = subsystem_count; i-- > 0;)
        if (strlen(subsystem[i].name) == len && memcmp(subsystem[i].name, id, len) == 0)
            return level <= subsystem[i].level;
    return level <= general;
}

void ym_log(enum ym_log_level level, const char *id, const char *fmt, ...)
{
    char line[LINE_BYTES];
    struct timespec now;
    struct tm tm;
    size_t len;
    va_list ap;
    int n;

    if (!wanted(level, id))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    len += (size_t)snprintf(line + len, sizeof(line) - len, ".%03ldZ %s %.64s ", now.tv_nsec / 1000000,
                            level_name[level], id);
    va_start(ap, fmt);
    n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
    va_end(ap);
    if (n > 0)
        len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n : sizeof(line) - len - 2;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7F)
            line[i] = '?'; /* one record stays one line, whatever was quoted */
    line[len++] = '\n';
    pthread_mutex_lock(&lock);
    for (size_t at = 0; at < len;) {
        ssize_t sent = write(STDERR_FILENO, line + at, len - at);

        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    pthread_mutex_unlock(&lock);
}
