#include "cmd/audit/receipt.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/proof.h"
#include "audit/verify/crypto.h"
#include "audit/verify/entry.h"
#include "audit/verify/proof.h"
#include "audit/verify/verify.h"
#include "base/fs.h"

#define PROGRAM "yumen-audit"

const struct ym_cli_option audit_receipt_options[] = {{"trust", "FILE", YM_TEXT_AUDIT_HELP_TRUST, false},
                                                      {"json", NULL, YM_TEXT_AUDIT_HELP_JSON, false},
                                                      {NULL, NULL, 0, false}};

/* ---- writing ---- */

struct choice {                   /* the checkpoint that a receipt stands on */
    const struct ym_trust *trust; /* NULL: none */
    uint64_t index;
    bool *cosigned; /* scratch */
    struct ym_buf note;
    size_t weight; /* of note: 0 none yet, 1 signed by the log, more with cosigners */
};

static size_t lines_of(struct ym_bytes signatures)
{
    size_t n = 0;

    for (size_t i = 0; i < signatures.len; i++)
        n += signatures.data[i] == '\n';
    return n;
}

/* With a trust file, one that has its quorum before one that has not; then the more lines the better,
 * then the newer. */
static void weigh(struct choice *c, const char *path)
{
    struct ym_buf bytes = {0};
    struct ym_vnote n;
    struct ym_vsigned s = {.quorum = false};
    size_t weight;

    if (ym_fs_read(path, YM_VNOTE_MAX, &bytes, NULL) == YM_OK && ym_vnote_parse(ym_buf_bytes(&bytes), &n) &&
        n.size > c->index) {
        if (c->trust)
            ym_vnote_weigh(&n, c->trust, c->cosigned, &s);
        weight = 1 + lines_of(n.signatures) + (s.quorum ? YM_VNOTE_MAX : 0);
        if (weight >= c->weight) {
            struct ym_buf old = c->note;

            c->note = bytes;
            bytes = old;
            c->weight = weight;
        }
    }
    ym_buf_release(&bytes);
}

static void choose(struct choice *c, const char *dir)
{
    char folder[4096], path[4096], **name = NULL;
    size_t count = 0;

    if (ym_fs_join(path, sizeof(path), dir, "checkpoint") == YM_OK)
        weigh(c, path);
    if (ym_fs_join(folder, sizeof(folder), dir, "cosigned") != YM_OK || !ym_fs_exists(folder) ||
        ym_fs_list(folder, &name, &count, NULL) != YM_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (ym_fs_join(path, sizeof(path), folder, name[i]) == YM_OK)
            weigh(c, path);
    ym_fs_names_free(name, count);
}

static bool read_index(const char *text, uint64_t *out)
{
    char *end;

    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && end - text <= 19;
}

static enum ym_code make(const char *dir, uint64_t index, const struct ym_trust *trust, struct ym_buf *out,
                         struct ym_status *st)
{
    struct choice c = {.trust = trust, .index = index};
    enum ym_code code;

    c.cosigned = calloc(trust ? trust->witness_count + 1 : 1, sizeof(bool));
    if (!c.cosigned)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    choose(&c, dir);
    code = c.weight
               ? ym_proof_receipt(dir, index, ym_buf_bytes(&c.note), out, st)
               : ym_status_set(st, YM_NOT_FOUND, "'%.200s' has no checkpoint that covers entry %" PRIu64, dir, index);
    ym_buf_release(&c.note);
    free(c.cosigned);
    return code;
}

/* ---- checking ---- */

struct verdict {
    bool bad;
    enum ym_reason reason; /* when bad */
    const char *detail;
    bool anchored, signer; /* the log's key is in the trust file; so is the key of the entry's signer, and it fits */
    size_t cosigners;
};

static void bad(struct verdict *v, enum ym_reason reason, const char *detail)
{
    if (!v->bad)
        *v = (struct verdict){.bad = true, .reason = reason, .detail = detail};
}

/* A hub's checkpoint owes the quorum; a hospital's is held by the hub's log instead. */
static bool owes_quorum(const char *origin)
{
    size_t n = strlen(origin);

    return n >= 4 && strcmp(origin + n - 4, "/hub") == 0;
}

static void check_note(const struct ym_vproof *p, const struct ym_trust *t, struct verdict *v)
{
    bool *cosigned = calloc(t->witness_count + 1, sizeof(bool));
    struct ym_vsigned s;

    if (!cosigned) {
        bad(v, YM_REASON_RECEIPT_MALFORMED, "out of memory");
        return;
    }
    ym_vnote_weigh(&p->note, t, cosigned, &s);
    v->anchored = s.log == YM_VNOTE_SIGNED;
    v->cosigners = s.cosigners;
    if (s.log == YM_VNOTE_FORGED)
        bad(v, YM_REASON_CHECKPOINT_SIGNATURE, "the log's signature does not fit the checkpoint");
    else if (s.log == YM_VNOTE_UNSIGNED)
        bad(v, YM_REASON_CHECKPOINT_UNTRUSTED, "no signature by a log of the trust file");
    else if (s.forged)
        bad(v, YM_REASON_COSIGNATURE_WRONG, s.forged->name);
    else if (!s.quorum && owes_quorum(p->note.origin))
        bad(v, YM_REASON_COSIGNATURE_MISSING, "the checkpoint lacks the cosignatures that the trust file asks for");
    free(cosigned);
}

static void check_entry(const struct ym_vproof *p, const struct ym_trust *t, struct verdict *v)
{
    struct ym_entry e;
    const char *why = NULL;
    char id[17];

    if (ym_entry_parse(ym_buf_bytes(&p->entry), &e, &why) != YM_ENTRY_GOOD)
        bad(v, YM_REASON_LEAF_MALFORMED, why);
    for (size_t i = 0; !v->bad && t && i < t->count; i++) {
        ym_entry_key_id(t->key[i].pub, id);
        if (strcmp(id, e.key) != 0)
            continue;
        v->signer = ym_entry_signed_by(&e, t->key[i].pub);
        if (!v->signer)
            bad(v, YM_REASON_LEAF_SIGNATURE, "the entry's signature does not fit its signer's key");
    }
    ym_entry_release(&e);
}

static void check(const struct ym_vproof *p, const struct ym_trust *t, struct verdict *v)
{
    uint8_t leaf[YM_VHASH];

    ym_vleaf_hash(ym_buf_bytes(&p->entry), leaf);
    if (!ym_vproof_included(leaf, p->index, p->note.size, (const uint8_t(*)[32])p->hash, p->count, p->note.root))
        bad(v, YM_REASON_RECEIPT_WRONG, "the entry and the proof do not give the checkpoint's root");
    if (!v->bad && t)
        check_note(p, t, v);
    if (!v->bad)
        check_entry(p, t, v);
}

static int verdict_code(const struct verdict *v)
{
    if (v->bad)
        return (int)ym_reason_verdict(v->reason);
    return v->anchored ? YM_VERDICT_GOOD : YM_VERDICT_UNANCHORED;
}

static void print_entry(const struct ym_vproof *p)
{
    json_t *o = json_loadb((const char *)p->entry.data, p->entry.len, 0, NULL);

    if (o)
        json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}

static void print_text(const struct ym_vproof *p, const struct verdict *v)
{
    if (v->bad) {
        printf(T(AUDIT_RESULT_BAD), ym_reason_name(v->reason), verdict_code(v));
        printf("\n%s\n", v->detail);
        return;
    }
    printf(T(AUDIT_RECEIPT_ENTRY), p->index, p->note.origin, p->note.size);
    putchar('\n');
    print_entry(p);
    printf(T(AUDIT_RECEIPT_COSIGNED), v->cosigners);
    printf("\n%s\n", v->signer ? T(AUDIT_RECEIPT_SIGNER) : T(AUDIT_RECEIPT_STRANGER));
    puts(v->anchored ? T(AUDIT_RECEIPT_GOOD) : T(AUDIT_RECEIPT_UNANCHORED));
}

static void print_json(const struct ym_vproof *p, const struct verdict *v)
{
    json_t *entry = v->bad ? NULL : json_loadb((const char *)p->entry.data, p->entry.len, 0, NULL);
    json_t *o =
        json_pack("{s:i,s:s?,s:s,s:I,s:I,s:I,s:b,s:b,s:o?}", "code", verdict_code(v), "reason",
                  v->bad ? ym_reason_name(v->reason) : NULL, "origin", v->bad ? "" : p->note.origin, "size",
                  (json_int_t)p->note.size, "index", (json_int_t)p->index, "cosigners", (json_int_t)v->cosigners,
                  "anchored", v->anchored, "signer_checked", v->signer, "entry", entry);

    if (o)
        json_dumpf(o, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(o);
}

static enum ym_code check_file(const char *path, const struct ym_trust *t, bool json, int *rc, struct ym_status *st)
{
    struct ym_buf text = {0};
    struct ym_vproof p = {.count = 0};
    struct verdict v = {.bad = false};
    enum ym_code code = ym_fs_read(path, YM_VPROOF_MAX, &text, st);

    if (code == YM_OK) {
        if (ym_vproof_parse(ym_buf_bytes(&text), &p))
            check(&p, t, &v);
        else
            bad(&v, YM_REASON_RECEIPT_MALFORMED, "not a tlog-proof that holds its entry");
        if (json)
            print_json(&p, &v);
        else
            print_text(&p, &v);
        *rc = verdict_code(&v);
        ym_vproof_release(&p);
    }
    ym_buf_release(&text);
    return code;
}

static void ledger_folder(const char *given, char out[4096])
{
    char note[4096];

    snprintf(out, 4096, "%s", given);
    if (ym_fs_join(note, sizeof(note), given, "ledger/checkpoint") == YM_OK && ym_fs_exists(note))
        ym_fs_join(out, 4096, given, "ledger");
}

static enum ym_code write_out(const struct ym_cli_args *a, const struct ym_trust *t, struct ym_status *st)
{
    struct ym_buf out = {0};
    char dir[4096];
    uint64_t index;
    enum ym_code code = YM_OK;

    if (!read_index(a->positional[1], &index))
        return ym_status_set(st, YM_INVALID, "'%.40s' is no entry number", a->positional[1]);
    ledger_folder(a->positional[0], dir);
    code = make(dir, index, t, &out, st);
    if (code == YM_OK && fwrite(out.data, 1, out.len, stdout) != out.len)
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot write the receipt");
    ym_buf_release(&out);
    return code;
}

int audit_receipt(const struct ym_cli_args *a)
{
    struct ym_trust trust = {0};
    struct ym_status st = YM_STATUS_INIT;
    const char *file = ym_cli_get(a, "trust");
    const struct ym_trust *t = file ? &trust : NULL;
    int rc = YM_EXIT_DONE;
    enum ym_code code = file ? ym_trust_load(file, &trust, &st) : YM_OK;

    if (code == YM_OK)
        code = a->positional_count == 2 ? write_out(a, t, &st)
                                        : check_file(a->positional[0], t, ym_cli_has(a, "json"), &rc, &st);
    ym_trust_release(&trust);
    return code == YM_OK ? rc : ym_cli_fail(PROGRAM, &st);
}
