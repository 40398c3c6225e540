#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/proof.h"
#include "base/fs.h"

/* A hub's checkpoints as others cosigned them. Each must be of this very log, so that a
 * log which was rewritten since is found by the first that is older than the rewriting. */

#define DIGITS 20

struct pass {
    struct ym_check *c;
    size_t log;
    bool *cosigned;            /* scratch, by witness */
    uint64_t covered, results; /* entries under the newest quorum; rounds that ended past it */
};

#define FIND(p, reason, ...) ym_check_find((p)->c, (p)->log, -1, YM_REASON_##reason, __VA_ARGS__)

static void weigh(struct pass *p, const struct ym_vnote *n)
{
    struct ym_log_summary *s = &p->c->v->log[p->log];
    const struct ym_trust *t = &p->c->trust;
    struct ym_vsigned w;

    ym_vnote_weigh(n, t, p->cosigned, &w);
    if (w.forged)
        FIND(p, COSIGNATURE_WRONG, "the line of '%.150s' does not fit the checkpoint of %" PRIu64 " entries",
             w.forged->name, n->size);
    if (!w.quorum || (w.cosigners == 0 && !ym_trust_asks(t)) || n->size < s->cosigned)
        return;
    p->covered = s->cosigned = n->size;
    s->cosigners = w.cosigners;
}

/* Signed by this log, of these entries. */
static bool belongs(struct pass *p, const struct ym_vnote *n, const char *name)
{
    const struct ym_vlog *l = &p->c->log[p->log];
    struct ym_vkey key = {.type = YM_VKEY_LOG};
    uint8_t root[32];

    memcpy(key.name, l->folder.note.origin, sizeof(key.name));
    memcpy(key.pub, l->owner, sizeof(key.pub));
    if (strcmp(n->origin, l->folder.note.origin) != 0 || ym_vnote_check(n, &key) != YM_VNOTE_SIGNED ||
        strtoull(name, NULL, 10) != n->size) {
        FIND(p, COSIGNED_DIFFERS, "'cosigned/%s' is not this log's checkpoint of that size", name);
        return false;
    }
    if (!ym_folder_root_at(&l->folder, n->size, root)) {
        FIND(p, ENTRIES_MISSING, "a checkpoint that was given to be cosigned covers %" PRIu64 " entries, there are %zu",
             n->size, l->folder.count);
        return false;
    }
    if (memcmp(root, n->root, sizeof(root)) != 0) {
        FIND(p, COSIGNED_DIFFERS, "the first %" PRIu64 " entries are not those that were given to be cosigned",
             n->size);
        return false;
    }
    return true;
}

static void check_file(struct pass *p, const char *folder, const char *name)
{
    char path[4096];
    struct ym_buf bytes = {0};
    struct ym_vnote n;

    if (strlen(name) != DIGITS || strspn(name, "0123456789") != DIGITS)
        return;
    if (ym_fs_join(path, sizeof(path), folder, name) != YM_OK ||
        ym_fs_read(path, YM_VNOTE_MAX, &bytes, NULL) != YM_OK ||
        !ym_vnote_parse((struct ym_bytes){bytes.data, bytes.len}, &n))
        FIND(p, COSIGNED_DIFFERS, "'cosigned/%s' is no checkpoint", name);
    else if (belongs(p, &n, name))
        weigh(p, &n);
    ym_buf_release(&bytes);
}

static void check_files(struct pass *p)
{
    char folder[4096], **name = NULL;
    size_t count = 0;

    if (ym_fs_join(folder, sizeof(folder), p->c->log[p->log].folder.dir, "cosigned") != YM_OK ||
        !ym_fs_exists(folder) || ym_fs_list(folder, &name, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++)
        check_file(p, folder, name[i]);
    ym_fs_names_free(name, count);
}

static void *begin(struct ym_check *c, size_t log)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (struct pass){.c = c, .log = log, .cosigned = calloc(c->trust.witness_count + 1, sizeof(bool))};
    if (!p->cosigned) {
        free(p);
        return NULL;
    }
    check_files(p);
    weigh(p, &c->log[log].folder.note);
    return p;
}

static void take(void *pass, size_t i, const struct ym_entry *e)
{
    struct pass *p = pass;

    p->results += e->type == YM_ENTRY_ROUND_RESULT && i >= p->covered;
}

/* One round is the lag of an honest federation: hospitals cosign after its end. */
static void end(void *pass)
{
    struct pass *p = pass;

    if (p->c->have_trust && ym_trust_asks(&p->c->trust)) {
        if (p->covered == 0)
            FIND(p, COSIGNATURE_MISSING, "no checkpoint of this log has the cosignatures that the trust file asks for");
        else if (p->results > 1)
            FIND(p, COSIGNATURE_BEHIND,
                 "%" PRIu64 " rounds ended after entry %" PRIu64 ", the last under a checkpoint with the quorum",
                 p->results, p->covered - 1);
    }
    free(p->cosigned);
    free(p);
}

const struct ym_rule ym_rule_cosigned = {begin, take, end};
