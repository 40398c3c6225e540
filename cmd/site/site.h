#ifndef YM_CMD_SITE_H
#define YM_CMD_SITE_H

#include <jansson.h>

#include "base/cli.h"
#include "base/listing.h"
#include "gate/policy.h"
#include "worker/trainer/site.h"

/* yumen-site: the hospital's own desk. What the trainer knows is asked through
 * its admin socket; what lies in the folder is read here. */

#define YM_SITE_WAIT_MS 600000 /* a dry run on large data takes its time */

/* --dir, else $YUMEN_DIR, else "." */
const char *ym_site_dir(const struct ym_cli_args *a);
/* site.yaml of that folder; prints all its problems. */
enum ym_code ym_site_open(const struct ym_cli_args *a, struct ym_site *out, struct ym_status *st);
/* Ask the trainer; takes request. *reply is new. */
enum ym_code ym_site_ask(const struct ym_site *s, json_t *request, json_t **reply, struct ym_status *st);
/* Says that an option is missing; the exit code. */
int ym_site_need(const char *option);
/* "yumen-site: ..." with advice for the usual causes; the exit code. */
int ym_site_fail(const struct ym_site *s, const struct ym_status *st);
/* Canonical JSON and a newline on stdout; 0. */
int ym_site_print_json(const json_t *value);
/* Open, ask, print as JSON when --json, else by show; the exit code. Takes request. */
int ym_site_run(const struct ym_cli_args *a, json_t *request, void (*show)(const json_t *reply));

/* Budget or releases (all pages), from the trainer or from the folder at rest; and the exit code when that failed. */
enum ym_code ym_site_ask_record(const struct ym_site *s, bool egress, json_t **reply, struct ym_status *st);
int ym_site_fail_record(const struct ym_site *s, enum ym_code code, const struct ym_status *st);

/* For requests that people may have to seal (docs/border.md, "Offices"): seals what the trainer proposes with every
 * office's key at hand, after a look that it is what was asked. want: {leaf type: {member: value}}, borrowed. Takes
 * request. reply: of the request; sealed: enough seals were given, it is in the ledger; waits: the item that needs
 * another person, else NULL. Release in either case. */
struct ym_sealing {
    json_t *reply, *waits;
    bool sealed;
};
enum ym_code ym_site_ask_sealed(const struct ym_cli_args *a, const struct ym_site *s, json_t *request,
                                const json_t *want, struct ym_sealing *out, struct ym_status *st);
void ym_sealing_release(struct ym_sealing *s);
/* Say what the next person has to run; the exit code. */
int ym_sealing_waits(const struct ym_cli_args *a, const struct ym_sealing *s);
/* As ym_site_run; takes request and want. view: the request whose answer is shown when it was sealed. */
int ym_site_run_sealed(const struct ym_cli_args *a, json_t *request, json_t *want, const char *view,
                       void (*show)(const json_t *reply));

/* Members of a reply, never failing. */
const char *ym_get_text(const json_t *o, const char *key);
long long ym_get_int(const json_t *o, const char *key);
/* Millionths as "0.123456", delta units of 1e-18 as "0.00001", an order's thousandths as "7.5", unix seconds as
 * "2026-01-31 08:15:00 UTC"; static buffers, each call of one kind reuses one of four. */
const char *ym_epsilon_text(long long micro);
const char *ym_delta_text(long long e18);
const char *ym_order_text(long long milli);
const char *ym_time_text(long long unix_s);
/* A decision or phase of the trainer's in the user's language; any other word as it is. */
const char *ym_site_word(const char *word);
/* What offices seal, by its type, for people. */
const char *ym_site_leaf_text(const char *type);
/* A state of worker/trainer/watch.h, for people. */
const char *ym_site_log_text(const char *word);

struct ym_card;
/* A card by its path; prints all its problems. */
enum ym_code ym_site_load_card(const char *path, struct ym_card **out, struct ym_status *st);
/* Where the file lies that a card names, seen from the card. */
enum ym_code ym_site_card_file(const char *card_path, const char *file, char out[YM_SITE_PATH], struct ym_status *st);

/* Options of init and "policy sign" over what was before (NULL: the usual). The
 * exit code, after its message. */
int ym_site_read_policy(const struct ym_cli_args *a, const struct ym_site_policy *before, struct ym_site_policy *p);

/* A policy file; prints all its problems. The terms are borrowed from *keep, which the caller frees. */
int ym_site_load_policy(const char *path, struct ym_site_policy *p, struct ym_policy **keep);

/* The page that a committee can table: shown is the reply to plan_show, border (may be NULL) that of border for a data
 * set, filings the dossier's, pending what waits for seals. Self-contained HTML in the user's language. False: out of
 * memory. */
bool ym_site_page(const json_t *shown, const json_t *border, const json_t *filings, const json_t *pending,
                  struct ym_buf *out);

int ym_site_cmd_init(const struct ym_cli_args *a);
int ym_site_cmd_enrol(const struct ym_cli_args *a);
int ym_site_cmd_status(const struct ym_cli_args *a);
int ym_site_cmd_data_add(const struct ym_cli_args *a);
int ym_site_cmd_data_check(const struct ym_cli_args *a);
int ym_site_cmd_data_list(const struct ym_cli_args *a);
int ym_site_cmd_recipient_make(const struct ym_cli_args *a);
int ym_site_cmd_recipient_show(const struct ym_cli_args *a);
int ym_site_cmd_model_open(const struct ym_cli_args *a);
int ym_site_cmd_plans_list(const struct ym_cli_args *a);
int ym_site_cmd_plans_show(const struct ym_cli_args *a);
int ym_site_cmd_plans_check(const struct ym_cli_args *a);
int ym_site_cmd_plans_approve(const struct ym_cli_args *a);
int ym_site_cmd_plans_veto(const struct ym_cli_args *a);
int ym_site_cmd_plans_pause(const struct ym_cli_args *a);
int ym_site_cmd_policy_show(const struct ym_cli_args *a);
int ym_site_cmd_policy_check(const struct ym_cli_args *a);
int ym_site_cmd_policy_sign(const struct ym_cli_args *a);
int ym_site_cmd_rules_list(const struct ym_cli_args *a);
int ym_site_cmd_rules_check(const struct ym_cli_args *a);
int ym_site_cmd_rules_sign(const struct ym_cli_args *a);
int ym_site_cmd_rules_withdraw(const struct ym_cli_args *a);
int ym_site_cmd_dossier_list(const struct ym_cli_args *a);
int ym_site_cmd_dossier_add(const struct ym_cli_args *a);
int ym_site_cmd_dossier_withdraw(const struct ym_cli_args *a);
int ym_site_cmd_dossier_export(const struct ym_cli_args *a);
int ym_site_cmd_dossier_check(const struct ym_cli_args *a);
int ym_site_cmd_border_show(const struct ym_cli_args *a);
int ym_site_cmd_border_again(const struct ym_cli_args *a);
int ym_site_cmd_border_on(const struct ym_cli_args *a);
int ym_site_cmd_border_off(const struct ym_cli_args *a);
int ym_site_cmd_offices_list(const struct ym_cli_args *a);
int ym_site_cmd_offices_make(const struct ym_cli_args *a);
int ym_site_cmd_offices_replace(const struct ym_cli_args *a);
int ym_site_cmd_offices_close(const struct ym_cli_args *a);
int ym_site_cmd_pending_list(const struct ym_cli_args *a);
int ym_site_cmd_seal(const struct ym_cli_args *a);
int ym_site_cmd_withdraw(const struct ym_cli_args *a);
int ym_site_cmd_withdraw_list(const struct ym_cli_args *a);
int ym_site_cmd_budget(const struct ym_cli_args *a);
int ym_site_cmd_recover(const struct ym_cli_args *a);
int ym_site_cmd_infer(const struct ym_cli_args *a);
int ym_site_cmd_egress(const struct ym_cli_args *a);
int ym_site_cmd_egress_show(const struct ym_cli_args *a);
int ym_site_cmd_egress_export(const struct ym_cli_args *a);
int ym_site_cmd_people(const struct ym_cli_args *a);

#endif
