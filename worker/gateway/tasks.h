#ifndef YM_GATEWAY_TASKS_H
#define YM_GATEWAY_TASKS_H

#include "worker/gateway/courier.h"
#include "worker/link.h"

/* What is open for this hospital, as the hub gave it, and how much of it this
 * run of the trainer has got. A new trainer gets everything again. One thread. */

#define YM_TASKS_STUDIES 256

struct ym_tasks;
/* objects_dir is borrowed. */
struct ym_tasks *ym_tasks_new(const char *objects_dir);
void ym_tasks_free(struct ym_tasks *t);
/* Take over a TASK event; its buffers are emptied. */
enum ym_code ym_tasks_add(struct ym_tasks *t, struct ym_courier_event *e, struct ym_status *st);
void ym_tasks_again(struct ym_tasks *t); /* a new pair: nothing was given yet */
/* Send the next frame of what the trainer lacks. False: nothing to send, or the window is full. */
bool ym_tasks_feed(struct ym_tasks *t, struct ym_link *l, int64_t now_ms);

#endif
