#include "base/doc.h"

#include "base/fs.h"
#include "base/json.h"
#include "support.h"

static enum ym_code parse(const char *text, struct ym_doc **doc, struct ym_problems *p)
{
    return ym_doc_parse("p.yaml", text, strlen(text), doc, p, NULL);
}

static void scalars_become_text_unless_true_false_or_whole(void **state)
{
    struct ym_problems p = {0};
    struct ym_doc *doc = NULL;
    struct ym_buf text = {0};

    (void)state;
    assert_int_equal(parse("a: 1\nb: -5\nc: 0.50\nd: 1e-5\ne: true\nf: \"true\"\ng: '12'\nh: yes\ni: 007\nj: null\n"
                           "k:\nl: 9223372036854775807\nm: 9223372036854775808\nn: True\no: -0\np: 2024-01-02\n"
                           "q: [1, x, {y: false}]\nr: |\n  two\n  lines\ns: \"\\u7389\"\n",
                           &doc, &p),
                     YM_OK);
    assert_int_equal(ym_json_canonical(ym_doc_root(doc), &text, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&text),
                        "{\"a\":1,\"b\":-5,\"c\":\"0.50\",\"d\":\"1e-5\",\"e\":true,\"f\":\"true\",\"g\":\"12\","
                        "\"h\":\"yes\",\"i\":\"007\",\"j\":\"null\",\"k\":\"\",\"l\":9223372036854775807,"
                        "\"m\":\"9223372036854775808\",\"n\":\"True\",\"o\":\"-0\",\"p\":\"2024-01-02\","
                        "\"q\":[1,\"x\",{\"y\":false}],\"r\":\"two\\nlines\\n\",\"s\":\"\\u7389\"}");
    assert_int_equal(p.count, 0);
    ym_buf_release(&text);
    ym_doc_free(doc);
}

static void lines_of_keys_and_values_are_remembered(void **state)
{
    struct ym_problems p = {0};
    struct ym_doc *doc = NULL;
    json_t *root, *model, *inputs;

    (void)state;
    assert_int_equal(parse("# note\nname: x\n\nmodel:\n  family: mlp\n  bias: true\n  inputs:\n    - name: age\n"
                           "      low: 0\n    - name: sex\n",
                           &doc, &p),
                     YM_OK);
    root = ym_doc_root(doc);
    model = json_object_get(root, "model");
    inputs = json_object_get(model, "inputs");
    assert_int_equal(ym_doc_key_line(doc, root, "name"), 2);
    assert_int_equal(ym_doc_key_line(doc, root, "model"), 4);
    assert_int_equal(ym_doc_line(doc, model), 5);
    assert_int_equal(ym_doc_line(doc, json_object_get(model, "family")), 5);
    assert_int_equal(ym_doc_key_line(doc, model, "bias"), 6);
    assert_int_equal(ym_doc_line(doc, json_object_get(model, "bias")), 0); /* shared value */
    assert_int_equal(ym_doc_line(doc, json_array_get(inputs, 1)), 10);
    assert_int_equal(ym_doc_key_line(doc, json_array_get(inputs, 0), "low"), 9);
    assert_int_equal(ym_doc_key_line(doc, root, "none"), 0);
    assert_int_equal(ym_doc_line(doc, NULL), 0);
    ym_doc_free(doc);
}

static void refusals_name_line_and_key(void **state)
{
    static const struct {
        const char *text, *said;
    } c[] = {
        {"a: 1\nb: 2\na: 3\n", "p.yaml:3: a: the key is given twice (first on line 1); keep one\n"},
        {"m:\n  x: 1\n  x: 2\n", "p.yaml:3: m.x: the key is given twice (first on line 2); keep one\n"},
        {"a: &x 1\n", "p.yaml:1: a: aliases and anchors are not allowed; write the value out\n"},
        {"a: 1\nb: *x\n", NULL},
        {"a: &x [1]\nb: [*x, *x]\n", "p.yaml:1: a: aliases and anchors are not allowed; write the value out\n"},
        {"a: !!str 1\n", "p.yaml:1: a: tags such as !!str are not allowed; remove it\n"},
        {"a: !x {b: 1}\n", "p.yaml:1: a: tags such as !!str are not allowed; remove it\n"},
        {"!!map {a: 1}\n", "p.yaml:1: tags such as !!str are not allowed; remove it\n"},
        {"&a k: 1\n", NULL},
        {"a: 1\n---\nb: 2\n", "p.yaml:2: the file holds more than one document; keep one\n"},
        {"", "p.yaml: the file is empty\n"},
        {"# only a note\n", "p.yaml: the file is empty\n"},
        {"---\n", "p.yaml: the file is empty\n"},
        {"a:\n  b: 1\n\tc: 2\n", "p.yaml:3: indented with a tab; use spaces\n"},
        {"ok: 1\na: b: c\n", "p.yaml:2: not valid YAML: "},
        {"a: \"x\n", "p.yaml:1: not valid YAML: "},
        {"a: [1, 2\n", NULL},
        {"a: \"\\0\"\n", "p.yaml:1: a: the text holds a character that is not allowed (NUL or half a pair)\n"},
        {"? [x]\n: 1\n", "p.yaml:1: a key must be plain text\n"},
        {"a: 1\nb: \xB0\xB2\n", "p.yaml:2: not UTF-8 text; save the file as UTF-8\n"},
        {"- - - - - - - - - - - - - - - - - 1\n", NULL},
        {"%TAG ! tag:x,2000:\n---\na: !y 1\n", "p.yaml:3: a: tags such as !!str are not allowed; remove it\n"},
        {"a: 1\n...\nb: 2\n", NULL},
        {"a: 'x' y\n", NULL},
        {"\"\\ud800\": 1\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        struct ym_problems p = {0};
        struct ym_doc *doc = NULL;
        struct ym_buf said = {0};
        enum ym_code code = parse(c[i].text, &doc, &p);

        if (code != YM_INVALID || doc || p.count != 1)
            fail_msg("case %zu: code %d, %zu problems", i, code, p.count);
        assert_int_equal(ym_problems_format(&p, &said), YM_OK);
        if (c[i].said && strncmp(ym_buf_str(&said), c[i].said, strlen(c[i].said)) != 0)
            fail_msg("case %zu: '%s'", i, ym_buf_str(&said));
        ym_buf_release(&said);
        ym_problems_release(&p);
    }
}

static void alias_bomb_is_refused_at_its_first_anchor(void **state)
{
    struct ym_problems p = {0};
    struct ym_doc *doc = NULL;

    (void)state;
    assert_int_equal(parse("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\n"
                           "d: &d [*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]\n",
                           &doc, &p),
                     YM_INVALID);
    assert_int_equal(p.count, 1);
    assert_int_equal(p.item[0].line, 1);
    ym_problems_release(&p);
}

static void bomb(const char *unit, size_t times, size_t bytes)
{
    struct ym_problems p = {0};
    struct ym_doc *doc = NULL;
    struct ym_buf text = {0};

    for (size_t i = 0; i < times; i++)
        assert_int_equal(ym_buf_append(&text, unit, bytes), YM_OK);
    if (ym_doc_parse("p.yaml", text.data, text.len, &doc, &p, NULL) == YM_OK)
        ym_doc_free(doc);
    else
        assert_int_equal(p.count, 1);
    ym_problems_release(&p);
    ym_buf_release(&text);
}

static void bombs_end_soon(void **state)
{
    (void)state;
    alarm(50); /* by the ten-fold what the slowest took here under asan */
    bomb("[", 1 << 20, 1);
    bomb("{", 1 << 20, 1);
    bomb("- ", 1 << 19, 2);
    bomb("? ", 1 << 19, 2);
    bomb("- a\n", 1 << 18, 4);
    bomb("\"", 1 << 20, 1);
    bomb("\n", 1 << 20, 1);
    bomb("#\n", 1 << 19, 2);
    bomb("x", (1 << 20) + 1, 1);
    alarm(0);
}

static void unreadable_files_are_told_apart(void **state)
{
    struct ym_problems p = {0};
    struct ym_doc *doc = NULL;
    struct ym_status st = YM_STATUS_INIT;
    char path[256];
    struct ym_buf big = {0};

    snprintf(path, sizeof(path), "%s/p.yaml", (char *)*state);
    assert_int_equal(ym_doc_load(path, &doc, &p, &st), YM_NOT_FOUND);
    assert_non_null(strstr(st.message, path));
    assert_int_equal(ym_doc_load(*state, &doc, &p, &st), YM_UNAVAILABLE);
    for (int i = 0; i < (1 << 20) / 8 + 1; i++)
        ym_buf_puts(&big, "# 45678\n");
    assert_int_equal(ym_fs_write(path, bytes_in(&big), 0600, NULL), YM_OK);
    assert_int_equal(ym_doc_load(path, &doc, &p, &st), YM_INVALID);
    assert_int_equal(p.count, 1);
    assert_int_equal(ym_fs_write(path, bytes_of("a: 1\r\nb: x\r\n"), 0600, NULL), YM_OK);
    assert_int_equal(ym_doc_load(path, &doc, &p, &st), YM_OK);
    assert_string_equal(ym_doc_file(doc), path);
    assert_string_equal(json_string_value(json_object_get(ym_doc_root(doc), "b")), "x");
    ym_doc_free(doc);
    ym_problems_release(&p);
    ym_buf_release(&big);
}

static void wrapped_values_have_no_lines(void **state)
{
    json_t *value = json_pack("{s:i}", "a", 1);
    struct ym_doc *doc = ym_doc_wrap("wire", value);

    (void)state;
    json_decref(value); /* the document holds its own */
    assert_int_equal(json_integer_value(json_object_get(ym_doc_root(doc), "a")), 1);
    assert_int_equal(ym_doc_line(doc, ym_doc_root(doc)), 0);
    assert_int_equal(ym_doc_key_line(doc, ym_doc_root(doc), "a"), 0);
    ym_doc_free(doc);
    ym_doc_free(NULL);
}

static void problems_are_listed_in_order_and_bounded(void **state)
{
    struct ym_problems p = {0};
    struct ym_buf text = {0};

    (void)state;
    ym_problems_add(&p, "f", 3, "a.b", "is %d", 7);
    ym_problems_add(&p, "f", 0, "", "whole file");
    assert_int_equal(ym_problems_format(&p, &text), YM_OK);
    assert_string_equal(ym_buf_str(&text), "f:3: a.b: is 7\nf: whole file\n");
    for (int i = 0; i < 5000; i++)
        ym_problems_add(&p, "f", i, "k", "again");
    assert_int_equal(p.count, 1000);
    ym_problems_add(NULL, "f", 1, "k", "nobody listens");
    ym_problems_release(&p);
    assert_int_equal(p.count, 0);
    ym_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_become_text_unless_true_false_or_whole),
        cmocka_unit_test(lines_of_keys_and_values_are_remembered),
        cmocka_unit_test(refusals_name_line_and_key),
        cmocka_unit_test(alias_bomb_is_refused_at_its_first_anchor),
        cmocka_unit_test(bombs_end_soon),
        cmocka_unit_test_setup_teardown(unreadable_files_are_told_apart, dir_setup, dir_teardown),
        cmocka_unit_test(wrapped_values_have_no_lines),
        cmocka_unit_test(problems_are_listed_in_order_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
