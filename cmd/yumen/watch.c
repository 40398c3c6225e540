#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "base/clock.h"
#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/metric.h"
#include "cmd/yumen/print.h"
#include "cmd/yumen/study.h"
#include "models/results/notice.h"
#include "models/state.h"
#include "sim/site.h"

#define UNREACHED_MS 300000
#define RETRY_NS 200000000
#define STATES_BACK 64 /* published states that are fetched to fill a gap in the scores */

struct watch {
    struct ym_party_home home;
    const char *study, *test_path;
    bool json, live, rounds_only, unit_told;
    struct ym_plan *plan;
    struct ym_model model;
    struct ym_table *test;
    int64_t round_shown; /* newest round that was scored or named; -1 before the first */
    uint8_t state[YM_HASH_BYTES];
    uint64_t log_read; /* of a plan that keeps its model with the hospitals: leaves of the hub's log that were read */
    char last[2048];   /* newest progress line, so that none comes twice */
    int drawn;         /* lines of the live table on the screen */
    Yumen__V1__StudyPhase phase;
    char reason[64];
    struct ym_buf refusals; /* a line for each hospital that last said no, with what can be done */
    struct ym_status *st;
    enum ym_code code;
};

/* ---- rounds: loss and AUC of each published state ---- */

static void erase_table(struct watch *w)
{
    if (w->drawn > 0)
        printf("\x1b[%dA\x1b[J", w->drawn);
    w->drawn = 0;
}

struct round_shown {
    uint32_t round;
    int64_t epsilon;
    const struct ym_score *score;          /* NULL: no test file */
    const struct ym_metric_report *metric; /* NULL: none with this round */
};

static void print_metric_line(const struct round_shown *r)
{
    struct ym_buf line = {0};

    ym_print_report(&line, r->metric);
    puts(ym_buf_str(&line));
    ym_buf_release(&line);
}

/* Once, before the first figure. */
static void print_unit(struct watch *w)
{
    struct ym_buf delta = {0};

    if (!w->unit_told && !w->rounds_only) {
        ym_decimal_format(w->plan->delta, &delta);
        printf(T(SPONSOR_WATCH_UNIT), ym_buf_str(&delta));
    }
    w->unit_told = true;
    ym_buf_release(&delta);
}

static void print_round_text(struct watch *w, const struct round_shown *r)
{
    struct ym_buf line = {0}, cap = {0};

    ym_decimal_format(w->plan->epsilon_max, &cap);
    ym_buf_printf(&line, T(SPONSOR_WATCH_ROUND), r->round, w->plan->rounds);
    if (r->score != NULL) {
        ym_buf_puts(&line, T(SPONSOR_WATCH_TEST));
        ym_print_score(&line, r->score);
        ym_buf_puts(&line, "  ");
    }
    ym_buf_puts(&line, "epsilon ");
    ym_print_micro(&line, r->epsilon);
    ym_buf_printf(&line, T(SPONSOR_WATCH_OF), ym_buf_str(&cap));
    erase_table(w);
    print_unit(w);
    puts(ym_buf_str(&line));
    if (r->metric != NULL)
        print_metric_line(r);
    fflush(stdout);
    ym_buf_release(&line);
    ym_buf_release(&cap);
}

static void print_round_json(const struct round_shown *r)
{
    json_t *o =
        json_pack("{s:s,s:i,s:I}", "type", "round", "round", (int)r->round, "epsilon_micro", (json_int_t)r->epsilon);

    if (r->score != NULL)
        json_object_set_new(o, "test", ym_json_score(r->score));
    if (r->metric != NULL)
        json_object_set_new(o, "metrics", ym_json_report(r->metric));
    ym_print_json(o);
    json_decref(o);
}

static enum ym_code print_round(struct watch *w, struct round_shown *r, struct ym_status *st)
{
    enum ym_code code = r->round > 0 ? ym_plan_epsilon(w->plan, 1, r->round, &r->epsilon, st) : YM_OK;

    if (code == YM_OK && w->json)
        print_round_json(r);
    else if (code == YM_OK)
        print_round_text(w, r);
    if (code == YM_OK)
        w->round_shown = r->round;
    return code;
}

static enum ym_code show_round(struct watch *w, struct ym_bytes state, struct ym_status *st)
{
    struct round_shown r = {0};
    struct ym_score score;
    struct ym_metric_report metric = {0};
    float *params = NULL;
    enum ym_code code = ym_state_released(w->plan, &w->model, state, &r.round, &params, st);

    if (code == YM_OK && w->test != NULL)
        code = ym_score_table(w->plan, &w->model, params, w->test, &score, st);
    /* a sum that cannot be had leaves its line out, no more */
    if (code == YM_OK && ym_metric_fetch(&w->home, w->plan, state, &metric, NULL) == YM_OK)
        r.metric = &metric;
    if (code == YM_OK) {
        r.score = w->test != NULL ? &score : NULL;
        code = print_round(w, &r, st);
    }
    free(params);
    ym_metric_release(&metric);
    return code;
}

/* Where a state came from, out of its header. False at round 0. */
static bool previous_of(struct ym_bytes state, uint8_t out[YM_HASH_BYTES])
{
    json_t *meta = ym_notice_tensors(state);
    bool found = ym_json_get_hash(meta, "previous", out, NULL) == YM_OK;

    json_decref(meta);
    return found;
}

/* Show every round up to this state. The hub tells of the newest state only, so
 * rounds that passed between two events are found through `previous`. */
static enum ym_code show_rounds(struct watch *w, const uint8_t hash[YM_HASH_BYTES], int depth, struct ym_status *st)
{
    struct ym_buf state = {0};
    uint8_t previous[YM_HASH_BYTES];
    const uint8_t *params;
    uint32_t round;
    enum ym_code code = ym_home_fetch_state(&w->home, w->plan, hash, &state, st);

    if (code == YM_OK)
        code = ym_state_params(w->plan, (struct ym_bytes){state.data, state.len}, &round, &params, st);
    if (code == YM_OK && round > w->round_shown + 1 && depth < STATES_BACK &&
        previous_of((struct ym_bytes){state.data, state.len}, previous)) {
        ym_buf_release(&state);
        show_rounds(w, previous, depth + 1, NULL); /* an old state that cannot be had leaves a gap, no more */
        code = ym_home_fetch_state(&w->home, w->plan, hash, &state, st);
    }
    if (code == YM_OK && (int64_t)round > w->round_shown)
        code = show_round(w, (struct ym_bytes){state.data, state.len}, st);
    ym_buf_release(&state);
    return code;
}

/* ---- rounds of a plan that keeps its model with the hospitals: what the log and the released counts tell ---- */

static bool says(const json_t *leaf, const char *key, const char *text)
{
    const char *said = json_string_value(json_object_get(leaf, key));

    return said != NULL && strcmp(said, text) == 0;
}

static enum ym_code on_leaf(void *ctx, uint64_t index, struct ym_bytes line, struct ym_status *st)
{
    struct watch *w = ctx;
    struct ym_metric_report metric = {0};
    struct round_shown r = {0};
    json_t *leaf = NULL;
    enum ym_code code = ym_leaf_parse(line, &leaf, st);
    json_int_t round = json_integer_value(json_object_get(leaf, "round"));

    w->log_read = index + 1;
    if (code == YM_OK && says(leaf, "type", "round_result") && says(leaf, "study", w->study) &&
        round > w->round_shown && round <= w->plan->rounds) {
        r.round = (uint32_t)round;
        /* a round without metrics has none to show; counts that cannot be had leave their line out, no more */
        if (ym_metric_fetch_kept(&w->home, w->plan, leaf, &metric, NULL) == YM_OK)
            r.metric = &metric;
        code = print_round(w, &r, st);
    }
    ym_metric_release(&metric);
    json_decref(leaf);
    return code;
}

/* ---- who is awaited ---- */

static void clock_text(int64_t unix_s, char out[16])
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    strcpy(out, "-");
    if (unix_s > 0 && localtime_r(&t, &tm) != NULL)
        strftime(out, 16, "%H:%M:%S", &tm);
}

static void describe_site(struct ym_buf *line, const Yumen__V1__SiteStatus *s)
{
    char since[16];

    clock_text(s->since, since);
    ym_buf_printf(line, "%s %s", s->hospital, ym_site_phase_text(s->phase));
    if (s->phase == YUMEN__V1__SITE_PHASE__SITE_PHASE_AWAITED)
        ym_buf_printf(line, T(SPONSOR_WATCH_SINCE), since);
    if (s->reason[0] != '\0')
        ym_buf_printf(line, " [%s]", s->reason);
    if (s->left_out > 0)
        ym_buf_printf(line, T(SPONSOR_WATCH_LEFT_OUT), s->left_out);
    if (!s->connected)
        ym_buf_printf(line, " (%s)", T(SPONSOR_WATCH_AWAY));
}

static void print_progress(struct watch *w, const Yumen__V1__StudyEvent *e)
{
    const Yumen__V1__Study *s = e->study;
    struct ym_buf line = {0};
    char now[16];

    ym_buf_printf(&line, T(SPONSOR_WATCH_LINE), s->round, s->rounds, s->attempt, ym_study_phase_text(s->phase));
    for (size_t i = 0; i < s->n_site; i++) {
        ym_buf_puts(&line, i > 0 ? "; " : " ");
        describe_site(&line, s->site[i]);
    }
    if (strncmp(w->last, ym_buf_str(&line), sizeof w->last - 1) != 0) {
        clock_text(e->time, now);
        printf("%s %s\n", now, ym_buf_str(&line));
        fflush(stdout);
    }
    snprintf(w->last, sizeof w->last, "%s", ym_buf_str(&line));
    ym_buf_release(&line);
}

static void draw_site(const Yumen__V1__SiteStatus *s)
{
    struct ym_buf line = {0};
    char since[16], out[16];

    clock_text(s->since, since);
    snprintf(out, sizeof out, "%" PRIu32, s->left_out);
    ym_print_pad(&line, s->hospital, 20);
    ym_print_pad(&line, ym_site_phase_text(s->phase), 16);
    ym_print_pad(&line, since, 12);
    ym_print_pad(&line, out, 10);
    ym_buf_puts(&line, s->connected ? T(SPONSOR_WATCH_HERE) : T(SPONSOR_WATCH_AWAY));
    if (s->reason[0] != '\0')
        ym_buf_printf(&line, "  %s", s->reason);
    puts(ym_buf_str(&line));
    ym_buf_release(&line);
}

static void draw_table(struct watch *w, const Yumen__V1__Study *s)
{
    struct ym_buf head = {0};

    erase_table(w);
    printf(T(SPONSOR_WATCH_LINE), s->round, s->rounds, s->attempt, ym_study_phase_text(s->phase));
    putchar('\n');
    ym_print_pad(&head, T(SPONSOR_WATCH_HOSPITAL), 20);
    ym_print_pad(&head, T(SPONSOR_WATCH_STATE), 16);
    ym_print_pad(&head, T(SPONSOR_WATCH_SINCE_HEAD), 12);
    ym_print_pad(&head, T(SPONSOR_WATCH_LEFT_OUT_HEAD), 10);
    puts(ym_buf_str(&head));
    for (size_t i = 0; i < s->n_site; i++)
        draw_site(s->site[i]);
    fflush(stdout);
    w->drawn = 2 + (int)s->n_site;
    ym_buf_release(&head);
}

static void show_event(struct watch *w, const Yumen__V1__StudyEvent *e)
{
    json_t *o;

    if (w->json) {
        o = ym_study_json(e->study);
        json_object_set_new(o, "type", json_string("study"));
        json_object_set_new(o, "time", json_integer(e->time));
        ym_print_json(o);
        json_decref(o);
    } else if (w->live) {
        draw_table(w, e->study);
    } else if (!w->rounds_only) {
        print_progress(w, e);
    }
}

/* ---- the stream ---- */

static enum ym_code learn_plan(struct watch *w, const Yumen__V1__Study *s)
{
    enum ym_code code;

    if (w->plan != NULL)
        return YM_OK;
    if (s->plan_sha256.len != YM_HASH_BYTES)
        return ym_status_set(w->st, YM_CORRUPT, "the hub names no plan for '%s'", w->study);
    code = ym_home_fetch_plan(&w->home, s->plan_sha256.data, &w->plan, w->st);
    if (code == YM_OK)
        code = ym_model_from_plan(w->plan, &w->model, w->st);
    if (code == YM_OK && w->test_path != NULL && w->plan->border.domestic_only)
        return ym_status_set(w->st, YM_INVALID, "%s", T(SPONSOR_KEPT_TEST));
    if (code == YM_OK && w->test_path != NULL)
        code = ym_test_load(w->plan, w->test_path, &w->test, w->st);
    return code;
}

/* What a sponsor can make of a hospital's word (docs/protocol.md, say_declined). */
static const char *refusal_text(const char *reason)
{
    static const struct {
        const char *reason;
        enum ym_text_id id;
    } known[] = {
        {"border", YM_TEXT_SPONSOR_REFUSAL_BORDER},   {"policy", YM_TEXT_SPONSOR_REFUSAL_POLICY},
        {"budget", YM_TEXT_SPONSOR_REFUSAL_BUDGET},   {"hours", YM_TEXT_SPONSOR_REFUSAL_HOURS},
        {"no_data", YM_TEXT_SPONSOR_REFUSAL_NO_DATA}, {"paused", YM_TEXT_SPONSOR_REFUSAL_PAUSED},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].reason, reason) == 0)
            return ym_text(known[i].id);
    return T(SPONSOR_REFUSAL_OTHER);
}

static void note_refusals(struct watch *w, const Yumen__V1__Study *s)
{
    ym_buf_clear(&w->refusals);
    for (size_t i = 0; i < s->n_site; i++)
        if (s->site[i]->reason[0] != '\0')
            ym_buf_printf(&w->refusals, "  %s: %s: %s\n", s->site[i]->hospital, s->site[i]->reason,
                          refusal_text(s->site[i]->reason));
}

static enum ym_code take_event(struct watch *w, const Yumen__V1__StudyEvent *e)
{
    const Yumen__V1__Study *s = e->study;
    enum ym_code code;

    if (s == NULL)
        return ym_status_set(w->st, YM_CORRUPT, "the hub sent an event without a study");
    code = learn_plan(w, s);
    if (code == YM_OK && s->state_sha256.len == YM_HASH_BYTES &&
        memcmp(w->state, s->state_sha256.data, YM_HASH_BYTES) != 0) {
        code = w->plan->border.domestic_only ? ym_home_read_log(&w->home, w->log_read, on_leaf, w, w->st)
                                             : show_rounds(w, s->state_sha256.data, 0, w->st);
        if (code == YM_OK)
            memcpy(w->state, s->state_sha256.data, YM_HASH_BYTES);
    }
    if (code != YM_OK)
        return code;
    show_event(w, e);
    w->phase = s->phase;
    snprintf(w->reason, sizeof w->reason, "%s", s->reason);
    note_refusals(w, s);
    return YM_OK;
}

static bool watch_ended(const struct watch *w)
{
    return ym_study_over(w->phase) || w->phase == YUMEN__V1__STUDY_PHASE__STUDY_PHASE_PAUSED;
}

static bool on_event(void *ctx, struct ym_bytes message)
{
    struct watch *w = ctx;
    Yumen__V1__StudyEvent *e = NULL;

    w->code = ym_message_unpack(&yumen__v1__study_event__descriptor, message, &e, w->st);
    if (w->code == YM_OK)
        w->code = take_event(w, e);
    ym_message_free(e);
    return w->code == YM_OK && !watch_ended(w);
}

static enum ym_code watch_once(struct watch *w, struct ym_bytes request)
{
    struct timespec pause = {.tv_nsec = RETRY_NS};
    enum ym_code code = ym_rpc_client_wait(w->home.client, UNREACHED_MS, w->st);

    if (code != YM_OK)
        return code;
    code = ym_rpc_read_stream(w->home.client, "/yumen.v1.Sponsor/WatchStudy", request, 0, on_event, w, w->st);
    if (w->code != YM_OK && w->code != YM_UNAVAILABLE)
        return w->code;
    if (code != YM_OK && code != YM_UNAVAILABLE)
        return code;
    if (!watch_ended(w)) /* the hub went away: dial again, it tells the present first */
        nanosleep(&pause, NULL);
    return YM_OK;
}

static enum ym_code watch(struct watch *w)
{
    Yumen__V1__WatchStudyRequest request = YUMEN__V1__WATCH_STUDY_REQUEST__INIT;
    struct ym_buf wire = {0};
    enum ym_code code;

    request.study = (char *)(uintptr_t)w->study;
    code = ym_message_pack(&request, &wire, w->st);
    while (code == YM_OK && !watch_ended(w))
        code = watch_once(w, (struct ym_bytes){wire.data, wire.len});
    ym_buf_release(&wire);
    return code;
}

static int print_outcome(const struct watch *w)
{
    if (!w->json && w->phase == YUMEN__V1__STUDY_PHASE__STUDY_PHASE_DONE)
        printf(w->plan->border.domestic_only ? T(SPONSOR_WATCH_DONE_KEPT) : T(SPONSOR_WATCH_DONE), w->study, w->study);
    if (!w->json && w->phase == YUMEN__V1__STUDY_PHASE__STUDY_PHASE_ABORTED)
        printf(T(SPONSOR_WATCH_ABORTED), w->study, w->reason);
    if (!w->json && w->phase == YUMEN__V1__STUDY_PHASE__STUDY_PHASE_PAUSED)
        printf(T(SPONSOR_WATCH_PAUSED), w->study, w->reason, ym_buf_str(&w->refusals));
    return w->phase == YUMEN__V1__STUDY_PHASE__STUDY_PHASE_DONE ? YM_EXIT_DONE : YM_EXIT_NO;
}

int ym_cmd_study_watch(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct watch w = {.study = a->positional[0],
                      .test_path = ym_cli_get(a, "test"),
                      .json = ym_cli_has(a, "json"),
                      .rounds_only = ym_cli_has(a, "rounds"),
                      .round_shown = -1,
                      .st = &st};
    enum ym_code code = ym_home_open(ym_home_dir(a), &w.home, &st);
    int rc;

    w.live = !w.json && !w.rounds_only && isatty(STDOUT_FILENO);
    if (code == YM_OK)
        code = watch(&w);
    rc = code == YM_OK ? print_outcome(&w) : ym_cli_fail("yumen", &st);
    ym_buf_release(&w.refusals);
    ym_table_free(w.test);
    ym_plan_free(w.plan);
    ym_home_close(&w.home);
    return rc;
}
