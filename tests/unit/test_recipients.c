#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate_help.h"

/* border.recipients of a plan: docs/plan.md, "border". */

#define BORDER                                                                                                         \
    "border:\n  recipient: R\n  contact: c\n  method: m\n  categories: c\n  rights: r\n  storage: s\n"                 \
    "  foreign_law: none\n"

static struct ym_buf certificate_of(const char *name, enum ym_role role)
{
    struct ym_party who = {.federation = "test", .role = role};
    struct ym_key *identity = NULL;
    struct ym_buf key = {0}, der = {0}, text = {0};

    snprintf(who.name, sizeof who.name, "%s", name);
    assert_int_equal(ym_key_generate(&identity, NULL), YM_OK);
    assert_int_equal(ym_tls_key_generate(&key, NULL), YM_OK);
    assert_int_equal(ym_recipient_make(identity, ym_buf_bytes(&key), &who, 1700000000, &der, NULL), YM_OK);
    assert_int_equal(ym_base64_encode(der.data, der.len, &text), YM_OK);
    ym_key_free(identity);
    ym_buf_wipe(&key);
    ym_buf_release(&der);
    return text;
}

/* The good plan with a section border that ends with these lines; NULL and the problems where it is refused. */
static struct ym_plan *plan_with(const char *lines, struct ym_buf *why)
{
    struct ym_buf text = {0};
    struct ym_problems problems = {0};
    struct ym_plan *p = NULL;

    ym_buf_printf(&text, "%s%s%s", good_plan, BORDER, lines);
    if (plan_parse(ym_buf_str(&text), &p, &problems) != YM_OK)
        ym_problems_format(&problems, why);
    ym_buf_release(&text);
    ym_problems_release(&problems);
    return p;
}

static void refused(const char *lines, const char *key, const char *part)
{
    struct ym_buf why = {0};

    assert_null(plan_with(lines, &why));
    if (!strstr(ym_buf_str(&why), key) || !strstr(ym_buf_str(&why), part))
        fail_msg("%s", ym_buf_str(&why));
    ym_buf_release(&why);
}

static void recipients_are_read_and_read_back(void **state)
{
    struct ym_buf cert = certificate_of("h1", YM_ROLE_HOSPITAL), lines = {0}, why = {0}, der = {0};
    struct ym_plan *p, *again = NULL;

    (void)state;
    ym_buf_printf(&lines, "  model_release: domestic_only\n  recipients:\n    - {name: h1, certificate: \"%s\"}\n",
                  ym_buf_str(&cert));
    p = plan_with(ym_buf_str(&lines), &why);
    if (!p)
        fail_msg("%s", ym_buf_str(&why));
    assert_true(p->border.domestic_only);
    assert_int_equal(p->border.recipients.count, 1);
    assert_string_equal(p->border.recipients.item[0].name, "h1");
    assert_int_equal(ym_base64_decode(ym_buf_str(&cert), cert.len, &der), YM_OK);
    assert_int_equal(p->border.recipients.item[0].der_len, der.len);
    assert_memory_equal(p->border.recipients.item[0].der, der.data, der.len);
    assert_int_equal(ym_plan_decode(p->canonical.data, p->canonical.len, &again, NULL), YM_OK);
    assert_memory_equal(again->hash, p->hash, YM_HASH_BYTES);
    ym_plan_free(p);
    ym_plan_free(again);
    ym_buf_release(&cert);
    ym_buf_release(&lines);
    ym_buf_release(&der);
}

static void an_open_model_has_none_and_no_trace_of_them(void **state)
{
    struct ym_buf why = {0};
    struct ym_plan *p = plan_with("", &why);

    (void)state;
    assert_non_null(p);
    assert_null(strstr(ym_buf_str(&p->canonical), "recipients"));
    ym_plan_free(p);
}

static void senseless_recipients_are_refused(void **state)
{
    struct ym_buf one = certificate_of("h1", YM_ROLE_HOSPITAL), far = certificate_of("h9", YM_ROLE_HOSPITAL), l = {0};

    (void)state;
    refused("  model_release: domestic_only\n", "border.recipients", "");
    refused("  model_release: domestic_only\n  recipients: []\n", "border.recipients", "");
    ym_buf_printf(&l, "  recipients:\n    - {name: h1, certificate: \"%s\"}\n", ym_buf_str(&one));
    refused(ym_buf_str(&l), "border.recipients", "domestic_only");
    l.len = 0;
    ym_buf_printf(&l, "  model_release: domestic_only\n  recipients:\n    - {name: h9, certificate: \"%s\"}\n",
                  ym_buf_str(&far));
    refused(ym_buf_str(&l), "border.recipients[0].name", "federation.hospitals");
    l.len = 0;
    ym_buf_printf(&l, "  model_release: domestic_only\n  recipients:\n    - {name: h2, certificate: \"%s\"}\n",
                  ym_buf_str(&one));
    refused(ym_buf_str(&l), "border.recipients[0].certificate", "h1");
    l.len = 0;
    ym_buf_printf(&l,
                  "  model_release: domestic_only\n  recipients:\n    - {name: h1, certificate: \"%s\"}\n"
                  "    - {name: h1, certificate: \"%s\"}\n",
                  ym_buf_str(&one), ym_buf_str(&one));
    refused(ym_buf_str(&l), "border.recipients[1].name", "twice");
    refused("  model_release: domestic_only\n  recipients:\n    - {name: h1, certificate: \"AAAA\"}\n",
            "border.recipients[0].certificate", "yumen-site recipient show");
    ym_buf_release(&l);
    ym_buf_release(&one);
    ym_buf_release(&far);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recipients_are_read_and_read_back),
        cmocka_unit_test(an_open_model_has_none_and_no_trace_of_them),
        cmocka_unit_test(senseless_recipients_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
