#include <stdlib.h>
#include <string.h>

#include "coordinator/hub_internal.h"

/* A line in the log is there for good, for everybody. So a party has a number of
 * them a day, far more than it needs. What forbids (a veto, a pause, a cancel)
 * is never counted: it can only follow a line that was. */

#define DAY_MS (86400 * 1000LL)

struct hub_meter {
    struct hub_meter *next;
    char name[64];
    int64_t since_ms;
    unsigned count;
};

static struct hub_meter *meter_of(struct ym_hub *h, const char *name)
{
    struct hub_meter *m;

    for (m = h->meters; m; m = m->next)
        if (strcmp(m->name, name) == 0)
            return m;
    m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    memcpy(m->name, name, strlen(name)); /* of an enrolled party: at most 63 bytes */
    m->since_ms = ym_clock_mono_ms();
    m->next = h->meters;
    h->meters = m;
    return m;
}

bool hub_may_log(struct ym_hub *h, const char *name)
{
    struct hub_meter *m = meter_of(h, name);
    int64_t now_ms = ym_clock_mono_ms();

    if (!m)
        return false;
    if (now_ms - m->since_ms >= DAY_MS) {
        m->since_ms = now_ms;
        m->count = 0;
    }
    if (m->count >= HUB_LINES_A_DAY)
        return false;
    m->count++;
    return true;
}

void hub_meters_free(struct ym_hub *h)
{
    while (h->meters) {
        struct hub_meter *m = h->meters;

        h->meters = m->next;
        free(m);
    }
}
