#ifndef YM_VERIFY_TERMS_H
#define YM_VERIFY_TERMS_H

#include "audit/verify/entry.h"

/* A policy leaf's terms (docs/site.md, "Policy"), read anew from the ledger: whom
 * the hospital served, with what, for how much and when. */
enum { YM_VTERMS_WINDOWS = 16 };

struct ym_vterms {
    bool good; /* there, and every member is one that this program knows and can read */
    struct ym_vjson json;
    int64_t study_micro;
    const char *score_basis; /* inside json; "": no model may score here */
    int64_t score_rows_hour; /* put to models in a clock hour, at most */
    struct {
        unsigned days;    /* bit 0: Monday, when it begins */
        int64_t from, to; /* minutes since midnight in China */
    } window[YM_VTERMS_WINDOWS];
    size_t window_count; /* 0: at any time */
};

/* Terms of a policy entry, which may lack them. False: out of memory. Release what was there before. */
bool ym_vterms_read(const struct ym_entry *policy, struct ym_vterms *out);
void ym_vterms_release(struct ym_vterms *t);

/* Whether the list of that name, "sponsors" "purposes" "models" "recipients", is "any" or holds the word. */
bool ym_vterms_name(const struct ym_vterms *t, const char *list, const char *word);
/* The same of "inputs" and "outcomes", less those that are never to be read. */
bool ym_vterms_column(const struct ym_vterms *t, const char *list, const char *name);
bool ym_vterms_open(const struct ym_vterms *t, int64_t unix_s);

#endif
