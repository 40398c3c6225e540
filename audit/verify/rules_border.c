#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"

/* Where a hospital's rule sets are asked, each charge rests on what they decided last on its
 * plan and data set, and that lets it pass. */

struct pass {
    struct ym_check *c;
    size_t log, i;
    struct ym_vmap *seen;
    bool unasked;     /* people said so; without a word they are asked */
    int64_t returned; /* so many of the next entries come back from a ledger whose decisions are lost */
};

#define FIND(p, ...) ym_check_find((p)->c, (p)->log, (int64_t)(p)->i, YM_REASON_DECISION_MISSING, __VA_ARGS__)
#define ABOUT "|%s|%s|%s"
#define ABOUT_OF(e) ym_entry_text(e, "study"), ym_entry_text(e, "plan"), ym_entry_text(e, "dataset")

/* Two numbers in one: where it is, and whether it lets the charge pass. */
static void take_decision(struct pass *p, const struct ym_entry *e)
{
    bool passes = strcmp(ym_entry_inner(e, "decision", "outcome"), "proceed") == 0;

    ym_check_keep(p->c, p->seen, 2 * (uint64_t)p->i + passes, "d|%s" ABOUT, e->hash, ABOUT_OF(e));
    ym_check_keep(p->c, p->seen, p->i, "D" ABOUT, ABOUT_OF(e));
}

static void take_charge(struct pass *p, const struct ym_entry *e)
{
    const char *decision = ym_entry_text(e, "decision");
    uint64_t at = 0, newest = 0;

    if (strspn(decision, "0") == strlen(decision)) {
        if (!p->unasked)
            FIND(p, "rule sets are asked here, and it rests on no decision of theirs");
    } else if (!ym_vmap_get(p->seen, &at, "d|%s" ABOUT, decision, ABOUT_OF(e))) {
        FIND(p, "no earlier decision %.16s... on this plan and data set", decision);
    } else if (at % 2 == 0) {
        FIND(p, "the rule sets did not let it pass, entry %" PRIu64, at / 2);
    } else if (ym_vmap_get(p->seen, &newest, "D" ABOUT, ABOUT_OF(e)) && newest != at / 2) {
        FIND(p, "entry %" PRIu64 " decided otherwise since", newest);
    }
}

static void take(void *ctx, size_t i, const struct ym_entry *e)
{
    struct pass *p = ctx;
    bool returned = p->returned > 0;

    p->i = i;
    p->returned -= returned;
    if (e->type == YM_ENTRY_BORDER)
        p->unasked = !ym_entry_bool(e, "asked");
    else if (e->type == YM_ENTRY_RECOVER)
        p->returned = ym_entry_int(e, "count");
    else if (e->type == YM_ENTRY_DECISION)
        take_decision(p, e);
    else if (e->type == YM_ENTRY_CHARGE && !returned)
        take_charge(p, e);
}

static void *begin(struct ym_check *c, size_t log)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (p)
        *p = (struct pass){.c = c, .log = log, .seen = &c->log[log].seen};
    return p;
}

const struct ym_rule ym_rule_border = {begin, take, free};
