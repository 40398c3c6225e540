#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/hub_internal.h"
#include "gate/card.h"
#include "models/state.h"

/* Sponsor.*: a study of somebody else answers as if it did not exist. */

#define REPLY_ROOM (900u * 1024) /* of the 1 MiB of a message */
#define WHY_NOT_BYTES 1000       /* of the 1,024 that the field may have */

static void fail(struct hub_request *q, enum ym_code code, const char *word)
{
    ym_log(YM_LOG_WARN, "hub.refused", "by=%s code=%s reason=\"%s\"", ym_rpc_call_who(q->call)->name,
           ym_code_name(code), word);
    ym_rpc_call_fail(q->call, code, word);
}

static void wrap_fail(struct hub_request *q, const char *word, enum ym_code code, struct ym_status *st)
{
    ym_status_wrap(st, code, "%s", word);
    fail(q, code, st->message);
}

/* ---- SubmitStudy ---- */

static enum ym_code check_sites(struct ym_hub *h, const struct ym_plan *plan, struct ym_status *st)
{
    for (size_t i = 0; i < plan->site_count; i++) {
        struct ym_store_party p;
        enum ym_code code = h->store->ops->get_party(h->store, plan->site[i].name, &p, NULL, st);

        if (code == YM_NOT_FOUND || (code == YM_OK && p.role != YM_ROLE_HOSPITAL))
            return ym_status_set(st, YM_NOT_FOUND, "unknown_site: no hospital '%s' is enrolled here",
                                 plan->site[i].name);
        if (code == YM_OK && p.revoked)
            return ym_status_set(st, YM_DENIED, "revoked: hospital '%s' was revoked", plan->site[i].name);
        if (code != YM_OK)
            return code;
    }
    return YM_OK;
}

/* A plan's certificate counts by its hospital's own signature: else a sponsor could name itself in another's place. */
static enum ym_code check_recipients(struct ym_hub *h, const struct ym_plan *plan, struct ym_status *st)
{
    const struct ym_plan_recipients *all = &plan->border.recipients;
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && i < all->count; i++) {
        struct ym_bytes der = ym_recipient_der(&all->item[i]);
        struct ym_store_party p;
        struct ym_party who;

        code = h->store->ops->get_party(h->store, all->item[i].name, &p, NULL, st);
        if (code == YM_OK &&
            (ym_recipient_read(der, &who, NULL) != YM_OK || strcmp(who.federation, h->config.federation) != 0 ||
             ym_recipient_vouched(der, p.identity_key, NULL) != YM_OK))
            code = ym_status_set(
                st, YM_DENIED,
                "wrong_recipient: hospital '%s' has not signed the certificate that the plan gives for it",
                all->item[i].name);
    }
    return code;
}

static enum ym_code check_plan_leaf(struct ym_hub *h, const char *sponsor, struct ym_bytes leaf,
                                    const struct ym_plan *plan, struct ym_status *st)
{
    const char *reason = "", *study = NULL, *by = NULL;
    uint8_t hash[YM_HASH_BYTES];
    json_t *o = NULL;
    enum ym_code code = hub_open_leaf(h, sponsor, leaf, "plan", &o, &reason, st);

    if (code != YM_OK)
        return ym_status_set(st, code, "%s: the plan leaf", reason);
    if (ym_json_get_str(o, "study", &study, NULL) != YM_OK || strcmp(study, plan->study) != 0 ||
        ym_json_get_str(o, "sponsor", &by, NULL) != YM_OK || strcmp(by, sponsor) != 0 ||
        ym_json_get_hash(o, "plan", hash, NULL) != YM_OK || memcmp(hash, plan->hash, sizeof hash) != 0)
        code = ym_status_set(st, YM_INVALID, "wrong_plan: the plan leaf speaks of another plan");
    json_decref(o);
    return code;
}

static enum ym_code put_first_objects(struct ym_hub *h, const struct ym_plan *plan, uint8_t state[YM_HASH_BYTES],
                                      struct ym_status *st)
{
    struct ym_buf bytes = {0}, start = {0};
    uint8_t hash[YM_HASH_BYTES];
    enum ym_code code = plan->starts ? hub_start_read(h, plan->sponsor, &start, st) : YM_OK;

    if (code == YM_OK && ym_state_initial_from(plan, ym_buf_bytes(&start), &bytes, st) != YM_OK)
        code = ym_status_wrap(st, st->code, "wrong_start");
    if (code == YM_OK)
        code = ym_object_put(h->object_dir, (struct ym_bytes){bytes.data, bytes.len}, state, st);
    if (code == YM_OK && plan->starts)
        code = ym_object_put(h->object_dir, ym_buf_bytes(&start), hash, st);
    if (code == YM_OK)
        code = ym_object_put(h->object_dir, (struct ym_bytes){plan->canonical.data, plan->canonical.len}, hash, st);
    YM_ASSERT(code != YM_OK || memcmp(hash, plan->hash, sizeof hash) == 0);
    ym_buf_release(&bytes);
    ym_buf_release(&start);
    return code;
}

static enum ym_code offer(struct ym_hub *h, struct hub_study *y, struct ym_bytes leaf, struct ym_status *st)
{
    struct hub_apply a = {.study = y, .given = leaf, .fresh = true, .event = {.kind = YM_ROUND_EV_OFFER}};
    enum ym_code code;

    if (ym_buf_append(&y->plan_leaf, leaf.data, leaf.len) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory for a study");
    if (hub_disk_low(h, 4 * y->dim))
        return ym_status_set(st, YM_EXHAUSTED, "disk: the hub's disk is nearly full; its operator must make room");
    code = put_first_objects(h, y->plan, a.event.state, st);
    if (code != YM_OK)
        return code;
    y->created_s = ym_clock_unix();
    hub_seat_sites(h, y);
    code = hub_apply(h, &a);
    return code == YM_OK ? YM_OK : ym_status_set(st, code, "%s: the study could not be kept", a.reason);
}

static void answer_submit(struct hub_request *q, const struct hub_study *y)
{
    Yumen__V1__SubmitStudyReply m = YUMEN__V1__SUBMIT_STUDY_REPLY__INIT;

    m.study = y->plan->study;
    m.plan_sha256 = ym_message_bytes(y->plan->hash, YM_HASH_BYTES);
    hub_reply(q->call, &m);
}

/* True when the call was answered. */
static bool submitted_before(struct ym_hub *h, struct hub_request *q, const struct ym_plan *plan)
{
    struct hub_study *y = hub_study_find(h, plan->study);

    if (!y)
        return false;
    if (strcmp(y->plan->sponsor, plan->sponsor) == 0 && memcmp(y->plan->hash, plan->hash, YM_HASH_BYTES) == 0)
        answer_submit(q, y);
    else
        fail(q, YM_CONFLICT, "study_exists: a study of that name exists; give yours another name");
    return true;
}

static void handle_submit(struct ym_hub *h, struct hub_request *q)
{
    const Yumen__V1__SubmitStudyRequest *m = q->message;
    const char *sponsor = ym_rpc_call_who(q->call)->name;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_plan *plan = NULL;
    struct hub_study *y = NULL;
    enum ym_code code = ym_plan_decode(m->plan.data, m->plan.len, &plan, &st);

    if (code != YM_OK) {
        wrap_fail(q, "malformed", YM_INVALID, &st);
        return;
    }
    if (strcmp(plan->sponsor, sponsor) != 0) {
        fail(q, YM_DENIED, "wrong_sponsor: the plan names another sponsor");
        goto out;
    }
    code = check_plan_leaf(h, sponsor, ym_message_view(m->plan_leaf), plan, &st);
    if (code == YM_OK && submitted_before(h, q, plan))
        goto out;
    if (code == YM_OK)
        code = check_sites(h, plan, &st);
    if (code == YM_OK)
        code = check_recipients(h, plan, &st);
    if (code == YM_OK && h->study_count >= HUB_STUDIES_MAX)
        code = ym_status_set(&st, YM_EXHAUSTED, "too_many_studies: this hub keeps at most %d", HUB_STUDIES_MAX);
    if (code == YM_OK && !hub_may_log(h, sponsor))
        code =
            ym_status_set(&st, YM_EXHAUSTED, "too_many_lines: a sponsor may offer %d studies a day", HUB_LINES_A_DAY);
    if (code == YM_OK) {
        y = hub_study_new(h, &plan, &st);
        code = y ? offer(h, y, ym_message_view(m->plan_leaf), &st) : st.code;
    }
    if (code != YM_OK) {
        fail(q, code, st.message);
        hub_study_free(y);
        goto out;
    }
    if (y->plan->starts)
        hub_start_drop(h, sponsor);
    hub_study_add(h, y);
    answer_submit(q, y);
out:
    ym_plan_free(plan);
}

void hub_on_submit(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__submit_study_request__descriptor, handle_submit);
}

/* ---- ListStudies ---- */

struct listed {
    Yumen__V1__Study study;
    Yumen__V1__SiteStatus items[YM_PLAN_MAX_SITES], *list[YM_PLAN_MAX_SITES];
};

static void handle_list(struct ym_hub *h, struct hub_request *q)
{
    Yumen__V1__ListStudiesReply m = YUMEN__V1__LIST_STUDIES_REPLY__INIT;
    const char *sponsor = ym_rpc_call_who(q->call)->name;
    struct hub_study **mine = calloc(h->study_count + 1, sizeof *mine);
    struct listed **l = calloc(h->study_count + 1, sizeof *l);
    size_t count = 0, first, bytes = 0;

    m.study = calloc(h->study_count + 1, sizeof *m.study);
    if (!mine || !l || !m.study) {
        fail(q, YM_EXHAUSTED, "the hub is out of memory");
        goto out;
    }
    for (struct hub_study *y = h->studies; y; y = y->next)
        if (strcmp(y->plan->sponsor, sponsor) == 0)
            mine[count++] = y;
    for (first = count; first > 0; first--) { /* the newest that fit into a message */
        struct listed *one = l[first - 1] = calloc(1, sizeof *one);

        if (!one)
            break;
        hub_study_message(mine[first - 1], &one->study, one->items, one->list);
        bytes += protobuf_c_message_get_packed_size(&one->study.base) + 8;
        if (bytes > REPLY_ROOM)
            break;
    }
    for (size_t i = first; i < count; i++)
        m.study[m.n_study++] = &l[i]->study;
    hub_reply(q->call, &m);
out:
    for (size_t i = 0; l && i < count; i++)
        free(l[i]);
    free(l);
    free(mine);
    free(m.study);
}

void hub_on_list_studies(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__list_studies_request__descriptor, handle_list);
}

/* ---- CancelStudy ---- */

static enum ym_code check_cancel_leaf(struct ym_hub *h, const char *sponsor, struct ym_bytes leaf, const char *study,
                                      struct ym_status *st)
{
    const char *reason = "", *of = NULL;
    json_t *o = NULL;
    enum ym_code code = hub_open_leaf(h, sponsor, leaf, "abort", &o, &reason, st);

    if (code != YM_OK)
        return ym_status_set(st, code, "%s: the leaf that cancels", reason);
    if (ym_json_get_str(o, "study", &of, NULL) != YM_OK || strcmp(of, study) != 0 ||
        !json_is_true(json_object_get(o, "final")))
        code = ym_status_set(st, YM_INVALID, "malformed: the leaf does not cancel study '%s'", study);
    json_decref(o);
    return code;
}

static void handle_cancel(struct ym_hub *h, struct hub_request *q)
{
    const Yumen__V1__CancelStudyRequest *m = q->message;
    Yumen__V1__CancelStudyReply reply = YUMEN__V1__CANCEL_STUDY_REPLY__INIT;
    const char *sponsor = ym_rpc_call_who(q->call)->name;
    struct ym_status st = YM_STATUS_INIT;
    struct hub_apply a = {.study = hub_study_find(h, m->study),
                          .event = {.kind = YM_ROUND_EV_CANCEL},
                          .given = ym_message_view(m->cancel_leaf)};
    enum ym_code code;

    if (!a.study || strcmp(a.study->plan->sponsor, sponsor) != 0) {
        fail(q, YM_NOT_FOUND, "unknown_study: you have no study of that name");
        return;
    }
    code = check_cancel_leaf(h, sponsor, a.given, m->study, &st);
    if (code != YM_OK)
        fail(q, code, st.message);
    else if (hub_apply(h, &a) != YM_OK)
        fail(q, a.code, a.reason);
    else
        hub_reply(q->call, &reply);
}

void hub_on_cancel(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__cancel_study_request__descriptor, handle_cancel);
}

/* ---- ListData ---- */

struct data_list {
    struct ym_hub *h;
    struct ym_plan *plan; /* NULL: no matching */
    Yumen__V1__ListDataReply reply;
    Yumen__V1__DataSet **item;
    size_t room, share; /* of the reply: what is left, what every hospital has of it */
    size_t hospitals;
    char site[64]; /* whose cards come now */
    bool revoked;
    size_t of_site; /* within its share so far */
    bool rest;      /* second turn: what did not go into the shares */
};

static void begin_site(struct data_list *l, const char *site)
{
    struct ym_store_party p;

    if (strcmp(l->site, site) == 0)
        return;
    snprintf(l->site, sizeof l->site, "%s", site);
    l->revoked = l->h->store->ops->get_party(l->h->store, site, &p, NULL, NULL) != YM_OK || p.revoked;
    l->of_site = 0;
    l->hospitals += !l->revoked;
}

static void count_hospital(void *ctx, const char *site, const char *dataset, struct ym_bytes leaf)
{
    (void)dataset;
    (void)leaf;
    begin_site(ctx, site);
}

/* One hospital's cards cannot crowd out another's: shares first, then the rest as it comes. */
static bool has_room(struct data_list *l, size_t bytes)
{
    bool shared = l->of_site + bytes <= l->share;

    if (shared)
        l->of_site += bytes;
    if (shared == l->rest || bytes > l->room)
        return false;
    l->room -= bytes;
    return true;
}

static char *why_text(const struct ym_buf *why)
{
    size_t n = why->len < WHY_NOT_BYTES ? why->len : WHY_NOT_BYTES;

    while (n < why->len && n > 0 && (why->data[n] & 0xc0) == 0x80)
        n--; /* no half character */
    return strndup(ym_buf_str(why), n);
}

static void match_card(struct data_list *l, struct ym_bytes leaf, Yumen__V1__DataSet *d)
{
    struct ym_buf why = {0};
    json_t *o = NULL;

    if (!l->plan || ym_leaf_parse(leaf, &o, NULL) != YM_OK)
        return;
    d->fits = ym_card_fits(l->plan, json_object_get(o, "public"), &why);
    if (why.len)
        d->why_not = why_text(&why);
    ym_buf_release(&why);
    json_decref(o);
}

static void list_card(void *ctx, const char *site, const char *dataset, struct ym_bytes leaf)
{
    struct data_list *l = ctx;
    Yumen__V1__DataSet *d, **more;

    (void)dataset;
    begin_site(l, site);
    if (l->revoked || !has_room(l, leaf.len + WHY_NOT_BYTES + 200))
        return;
    more = reallocarray(l->item, l->reply.n_data_set + 1, sizeof *more);
    if (more)
        l->item = more;
    d = more ? calloc(1, sizeof *d) : NULL;
    if (!d)
        return;
    yumen__v1__data_set__init(d);
    d->hospital = strdup(site);
    d->card_leaf.data = malloc(leaf.len);
    if (d->card_leaf.data) {
        memcpy(d->card_leaf.data, leaf.data, leaf.len);
        d->card_leaf.len = leaf.len;
    }
    match_card(l, leaf, d);
    l->item[l->reply.n_data_set++] = d;
}

static enum ym_code list_cards(struct data_list *l, struct ym_status *st)
{
    const struct ym_store_ops *ops = l->h->store->ops;
    enum ym_code code = ops->each_card(l->h->store, count_hospital, l, st);

    l->room = REPLY_ROOM;
    l->share = l->hospitals ? REPLY_ROOM / l->hospitals : 0;
    for (int turn = 0; code == YM_OK && turn < 2; turn++) {
        l->rest = turn == 1;
        l->site[0] = 0;
        code = ops->each_card(l->h->store, list_card, l, st);
    }
    return code;
}

static void data_list_release(struct data_list *l)
{
    for (size_t i = 0; i < l->reply.n_data_set; i++) {
        free(l->item[i]->hospital);
        free(l->item[i]->card_leaf.data);
        if (l->item[i]->why_not != protobuf_c_empty_string)
            free(l->item[i]->why_not);
        free(l->item[i]);
    }
    free(l->item);
    ym_plan_free(l->plan);
}

static void handle_list_data(struct ym_hub *h, struct hub_request *q)
{
    const Yumen__V1__ListDataRequest *m = q->message;
    struct data_list l = {.h = h, .reply = YUMEN__V1__LIST_DATA_REPLY__INIT};
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = YM_OK;

    if (m->plan.len)
        code = ym_plan_decode(m->plan.data, m->plan.len, &l.plan, &st);
    if (code == YM_OK)
        code = list_cards(&l, &st);
    l.reply.data_set = l.item;
    if (code == YM_OK)
        hub_reply(q->call, &l.reply);
    else
        fail(q, code, st.message);
    data_list_release(&l);
}

void hub_on_list_data(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    hub_request_post(ctx, call, request, &yumen__v1__list_data_request__descriptor, handle_list_data);
}
