#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit/verify/crypto.h"
#include "audit/verify/trust.h"
#include "base/crypto.h"
#include "cmd/audit/chart.h"
#include "cmd/audit/document.h"
#include "cmd/audit/report.h"

#define SAY(d, tag, id, ...) html_element_say(&(d)->h, tag, YM_TEXT_DOC_##id, ##__VA_ARGS__)

/* The end of a path that tells it from others: "hub/ledger", "logs/hub". */
static const char *folder_name(const char *dir)
{
    const char *at = dir + strlen(dir);

    for (int parts = 0; at > dir; at--)
        if (at[-1] == '/' && at[0] && ++parts == 2)
            return at;
    return at;
}

/* ---- what stands out ---- */

static const enum ym_text_id event_text[FACT_EVENT_KINDS] = {
    [FACT_OVERRIDE] = YM_TEXT_DOC_EVENT_OVERRIDE,
    [FACT_INCIDENT] = YM_TEXT_DOC_EVENT_INCIDENT,
    [FACT_RECOVERED] = YM_TEXT_DOC_EVENT_RECOVERED,
    [FACT_ABORT] = YM_TEXT_DOC_EVENT_ABORT,
    [FACT_STUDY_ABORT] = YM_TEXT_DOC_EVENT_STUDY_ABORT,
    [FACT_VETOED] = YM_TEXT_DOC_EVENT_VETO,
    [FACT_PAUSED] = YM_TEXT_DOC_EVENT_PAUSED,
    [FACT_RESUMED] = YM_TEXT_DOC_EVENT_RESUMED,
    [FACT_REVOKED] = YM_TEXT_DOC_EVENT_REVOKED,
    [FACT_REPEATED] = YM_TEXT_DOC_EVENT_REPEATED,
    [FACT_UNRELEASED] = YM_TEXT_DOC_EVENT_UNRELEASED,
    [FACT_LEFT_OUT] = YM_TEXT_DOC_EVENT_LEFT_OUT,
    [FACT_PROGRAM] = YM_TEXT_DOC_EVENT_PROGRAM,
    [FACT_BORDER_ASKED] = YM_TEXT_DOC_EVENT_BORDER_ASKED,
    [FACT_BORDER_UNASKED] = YM_TEXT_DOC_EVENT_BORDER_UNASKED,
};

/* Study, round and attempt, then who, and the leaf's own words. */
static void event_row(struct document *d, const struct fact_event *x)
{
    char when[32], place[160] = "";

    html_raw(&d->h, "<tr>");
    html_element(&d->h, "td class=\"t\"", document_time(x->time, when));
    html_element(&d->h, "td", x->who);
    if (x->study[0] && x->round > 0)
        snprintf(place, sizeof(place), "%s %" PRId64 "/%" PRId64, x->study, x->round, x->attempt);
    else
        snprintf(place, sizeof(place), "%s", x->study);
    html_element(&d->h, "td", place);
    html_raw(&d->h, "<td class=\"w\">");
    html_say(&d->h, event_text[x->kind]);
    if (x->text[0]) {
        html_raw(&d->h, " \xe2\x80\x9c");
        html_text(&d->h, x->text);
        html_raw(&d->h, "\xe2\x80\x9d");
    }
    html_raw(&d->h, " <span class=\"soft\">");
    html_say(&d->h, YM_TEXT_DOC_ENTRY, d->v->log[x->log].origin, x->entry);
    html_raw(&d->h, "</span></td></tr>\n");
}

static void findings(struct document *d)
{
    if (d->v->finding_count == 0)
        return;
    html_raw(&d->h, "<ul>\n");
    for (size_t i = 0; i < d->v->finding_count; i++) {
        const struct ym_finding *f = &d->v->finding[i];

        html_raw(&d->h, "<li><code>%s</code> ", ym_reason_name(f->reason));
        html_say(&d->h, audit_report_why(f->reason));
        html_raw(&d->h, " <span class=\"soft\">");
        html_text(&d->h, d->v->log[f->log].origin[0] ? d->v->log[f->log].origin : folder_name(d->v->log[f->log].dir));
        if (f->entry >= 0)
            html_raw(&d->h, " #%" PRId64, f->entry);
        html_raw(&d->h, ": ");
        html_text(&d->h, f->detail);
        html_raw(&d->h, "</span></li>\n");
    }
    html_raw(&d->h, "</ul>\n");
    if (d->v->finding_total > d->v->finding_count)
        SAY(d, "p", MORE, (uint64_t)(d->v->finding_total - d->v->finding_count));
}

static void unchecked(struct document *d)
{
    uint64_t planless = 0, alone = 0, older = 0;

    for (size_t i = 0; i < d->v->log_count; i++) {
        planless += d->v->log[i].planless;
        alone += d->v->log[i].alone;
        older += d->v->log[i].checkpoints;
    }
    if (older)
        html_element_say(&d->h, "p", YM_TEXT_AUDIT_OLDER, older);
    if (planless && d->in->objects)
        html_element_say(&d->h, "p", YM_TEXT_AUDIT_PLANLESS, planless);
    if (alone)
        html_element_say(&d->h, "p", YM_TEXT_AUDIT_ALONE, alone);
    for (size_t i = 0; i < d->v->log_count; i++) {
        const struct ym_log_summary *s = &d->v->log[i];

        if (s->compared && (s->posted < s->charges || s->received < s->releases))
            html_element_say(&d->h, "p", YM_TEXT_AUDIT_UNPOSTED, s->origin, s->charges - s->posted,
                             s->releases - s->received);
    }
    for (size_t i = 0; i < d->v->log_count; i++)
        if (d->v->log[i].unchecked)
            html_element_say(&d->h, "p", YM_TEXT_AUDIT_UNCHECKED, d->v->log[i].origin, d->v->log[i].unchecked);
}

void document_events(struct document *d)
{
    static const enum ym_text_id head[] = {YM_TEXT_DOC_COL_WHEN, YM_TEXT_DOC_COL_WHO, YM_TEXT_DOC_COL_WHERE,
                                           YM_TEXT_DOC_COL_WHAT};

    SAY(d, "h2", EVENTS);
    SAY(d, "p", EVENTS_INTRO);
    findings(d);
    unchecked(d);
    if (d->f.event_count == 0) {
        SAY(d, "p", EVENTS_NONE);
        return;
    }
    html_raw(&d->h, "<table><thead><tr>");
    for (size_t i = 0; i < 4; i++)
        html_element_say(&d->h, "th", head[i]);
    html_raw(&d->h, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < d->f.event_count; i++)
        event_row(d, &d->f.event[i]);
    html_raw(&d->h, "</tbody></table>\n");
    if (d->f.event_total > d->f.event_count)
        SAY(d, "p", MORE, d->f.event_total - d->f.event_count);
}

/* ---- programs ---- */

static void program_row(struct document *d, const struct fact_program *p)
{
    char first[32], last[32];

    html_raw(&d->h, "<tr>");
    html_element(&d->h, "td", p->who);
    html_raw(&d->h, "<td class=\"t\">");
    html_say(&d->h, strcmp(p->role, "hub") == 0 ? YM_TEXT_DOC_COORDINATOR : YM_TEXT_DOC_TRAINER);
    html_raw(&d->h, "</td><td class=\"t\">");
    html_text(&d->h, document_time(p->first, first));
    html_raw(&d->h, "<br>\xe2\x80\x93 ");
    html_text(&d->h, document_time(p->last, last));
    html_raw(&d->h, "</td><td class=\"n\">%" PRIu64 "</td><td><code>", p->entries);
    html_text(&d->h, p->binary);
    html_raw(&d->h, "</code><br><span class=\"soft\"><code>");
    html_text(&d->h, p->build);
    html_raw(&d->h, "</code></span>");
    if (p->changed) {
        html_raw(&d->h, "<br>");
        html_say(&d->h, YM_TEXT_DOC_PROGRAM_CHANGED);
    }
    html_raw(&d->h, "</td></tr>\n");
}

void document_programs(struct document *d)
{
    SAY(d, "h2", PROGRAMS);
    if (d->f.program_count == 0) {
        SAY(d, "p", NONE);
        return;
    }
    SAY(d, "p", PROGRAMS_INTRO);
    html_raw(&d->h, "<table><thead><tr>");
    SAY(d, "th", COL_WHO);
    SAY(d, "th", COL_PROGRAM);
    SAY(d, "th", COL_WHEN);
    SAY(d, "th class=\"n\"", COL_ENTRIES);
    SAY(d, "th", COL_BINARY);
    html_raw(&d->h, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < d->f.program_count; i++)
        program_row(d, &d->f.program[i]);
    html_raw(&d->h, "</tbody></table>\n");
}

/* ---- what was checked, what is not proved ---- */

void document_limits(struct document *d)
{
    static const enum ym_text_id checked[] = {YM_TEXT_DOC_CHECKED_FILES,   YM_TEXT_DOC_CHECKED_LEAVES,
                                              YM_TEXT_DOC_CHECKED_BUDGET,  YM_TEXT_DOC_CHECKED_BORDER,
                                              YM_TEXT_DOC_CHECKED_STUDIES, YM_TEXT_DOC_CHECKED_BETWEEN};
    static const enum ym_text_id open[] = {YM_TEXT_DOC_OPEN_NOISE, YM_TEXT_DOC_OPEN_CARDS,   YM_TEXT_DOC_OPEN_UNLINKED,
                                           YM_TEXT_DOC_OPEN_OTHER, YM_TEXT_DOC_OPEN_PROGRAM, YM_TEXT_DOC_OPEN_VIEW};

    SAY(d, "h2", CHECKED);
    if (ym_verification_worst(d->v))
        SAY(d, "p", CHECKED_BAD);
    html_raw(&d->h, "<ul>\n");
    for (size_t i = 0; i < sizeof(checked) / sizeof(*checked); i++)
        html_element_say(&d->h, "li", checked[i]);
    SAY(d, "li", CHECKED_STATES);
    html_raw(&d->h, "</ul>\n");
    SAY(d, "h2", OPEN);
    html_raw(&d->h, "<ul>\n");
    for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
        html_element_say(&d->h, "li", open[i]);
    html_raw(&d->h, "</ul>\n");
}

/* ---- hashes ---- */

static void log_row(struct document *d, const struct ym_log_summary *s, const struct ym_trust *trust)
{
    const struct ym_vkey *key = ym_trust_find(trust, s->origin);
    struct ym_buf text = {0};
    char root[65];

    ym_vhex_text(s->root, sizeof(s->root), root);
    html_raw(&d->h, "<tr><td>");
    html_text(&d->h, s->origin[0] ? s->origin : folder_name(s->dir));
    html_raw(&d->h, "</td><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64 "</td><td><code>%s</code>", s->size,
             s->signatures, root);
    if (key && ym_vkey_format(key->name, YM_NOTE_LOG, key->pub, &text) == YM_OK) {
        html_raw(&d->h, "<br><span class=\"soft\"><code>");
        html_text(&d->h, ym_buf_str(&text));
        html_raw(&d->h, "</code></span>");
    } else {
        html_raw(&d->h, "<br>");
        html_say(&d->h, YM_TEXT_AUDIT_NOT_ANCHORED);
    }
    html_raw(&d->h, "</td></tr>\n");
    ym_buf_release(&text);
}

static void cards(struct document *d)
{
    html_raw(&d->h, "<table><thead><tr>");
    SAY(d, "th", COL_HOSPITAL);
    SAY(d, "th", COL_DATASET);
    SAY(d, "th", COL_SIZE);
    SAY(d, "th", COL_IDENTIFIED);
    SAY(d, "th", COL_CARD);
    html_raw(&d->h, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < d->f.card_count; i++) {
        const struct fact_card *c = &d->f.card[i];

        html_raw(&d->h, "<tr>");
        html_element(&d->h, "td", c->hospital);
        html_element(&d->h, "td", c->dataset);
        html_element(&d->h, "td", c->size_class);
        html_element(&d->h, "td", c->identified);
        html_raw(&d->h, "<td>");
        html_element(&d->h, "code", c->hash);
        html_raw(&d->h, "</td></tr>\n");
    }
    html_raw(&d->h, "</tbody></table>\n");
}

static void cosigned(struct document *d)
{
    for (size_t i = 0; i < d->v->log_count; i++) {
        const struct ym_log_summary *s = &d->v->log[i];

        if (s->cosigned)
            html_element_say(&d->h, "p class=\"note\"", YM_TEXT_AUDIT_COSIGNED, s->origin, s->cosigned - 1,
                             s->cosigners);
        if (s->seen)
            html_element_say(&d->h, "p class=\"note\"", YM_TEXT_AUDIT_SEEN, s->origin, s->seen);
    }
}

void document_hashes(struct document *d)
{
    struct ym_trust trust = {0};

    if (d->in->trust && ym_trust_load(d->in->trust, &trust, NULL) != YM_OK)
        memset(&trust, 0, sizeof(trust));
    SAY(d, "h2", HASHES);
    html_raw(&d->h, "<table><thead><tr>");
    SAY(d, "th", COL_LEDGER);
    SAY(d, "th class=\"n\"", COL_ENTRIES);
    SAY(d, "th class=\"n\"", COL_SIGNATURES);
    SAY(d, "th", COL_ROOT);
    html_raw(&d->h, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < d->v->log_count; i++)
        log_row(d, &d->v->log[i], &trust);
    html_raw(&d->h, "</tbody></table>\n");
    cosigned(d);
    if (d->f.card_count)
        cards(d);
    ym_trust_release(&trust);
}

/* ---- repeating ---- */

void document_repeat(struct document *d)
{
    const struct ym_log_summary *s = &d->v->log[0];
    char root[65];

    for (size_t i = 0; i < d->v->log_count; i++)
        if (strcmp(d->v->log[i].role, "hub") == 0)
            s = &d->v->log[i];

    ym_vhex_text(s->root, sizeof(s->root), root);
    SAY(d, "h2", REPEAT);
    SAY(d, "p", REPEAT_WITH);
    html_raw(&d->h, "<pre>yumen-audit verify ");
    for (size_t i = 0; i < d->v->log_count && i < 8; i++) {
        html_text(&d->h, folder_name(d->v->log[i].dir));
        html_raw(&d->h, " ");
    }
    html_raw(&d->h, "%s--trust trust%s</pre>\n", d->v->log_count > 8 ? "... " : "",
             d->in->objects ? " --objects objects" : "");
    SAY(d, "p", REPEAT_WITHOUT);
    html_raw(&d->h, "<pre>cd ");
    html_text(&d->h, folder_name(s->dir));
    html_raw(&d->h,
             "\nhead -n 3 checkpoint &gt; text\n"
             "grep -F -- \"\xe2\x80\x94 $(head -n 1 checkpoint) \" checkpoint | awk '{print $3}' | base64 -d | tail -c "
             "64 &gt; sig\n"
             "(printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000'; echo KEY | base64 -d | tail -c "
             "32) &gt; "
             "key.der\n"
             "openssl pkeyutl -verify -rawin -pubin -inkey key.der -keyform DER -in text -sigfile sig\n"
             "sed -n 3p checkpoint | base64 -d | od -An -tx1 | tr -d ' \\n'\n# %s\n"
             "sha256sum yumen-trainer yumen-coordinator objects/*\n"
             "readelf -n yumen-trainer | grep 'Build ID'</pre>\n",
             root);
    SAY(d, "p", REPEAT_KEY);
    html_raw(&d->h, "<div class=\"sign\">");
    SAY(d, "span", SIGN_PLACE);
    SAY(d, "span", SIGN_NAME);
    SAY(d, "span", SIGN_SIGNATURE);
    html_raw(&d->h, "</div>\n");
}
