#include "cmd/yumen/card.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "cmd/yumen/print.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text == NULL ? "" : text;
}

static json_int_t int_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

/* A cell that came from elsewhere must not end its row or become markup. */
static void put_safe(struct ym_buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("|\\`*_<>[]#&", *text))
            ym_buf_puts(out, "\\");
        ym_buf_append(out, text, 1);
    }
}

static void put_micro(struct ym_buf *out, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    if (json_is_integer(v))
        ym_print_micro(out, json_integer_value(v));
    else
        ym_buf_puts(out, "-");
}

static void put_marks(const json_t *card, struct ym_buf *out)
{
    const json_t *mark;
    size_t i;

    json_array_foreach(json_object_get(card, "marks"), i, mark)
    {
        ym_buf_puts(out, "**");
        put_safe(out, json_string_value(mark));
        ym_buf_puts(out, "**\n\n");
    }
}

static void put_file(const json_t *card, struct ym_buf *out)
{
    const json_t *sealed = json_object_get(card, "sealed_to"), *name;
    size_t i;

    ym_buf_printf(out, sealed ? T(SPONSOR_CARD_SEALED) : "* safetensors `%s`", text_of(card, "file"));
    json_array_foreach(sealed, i, name) ym_buf_printf(out, "%s%s", i ? ", " : "", json_string_value(name));
    ym_buf_puts(out, "\n");
}

static void put_head(const json_t *card, struct ym_buf *out)
{
    ym_buf_puts(out, "# ");
    put_safe(out, text_of(card, "title"));
    ym_buf_printf(out, "\n\n> %s\n>\n> %s\n\n", text_of(card, "notice"), text_of(card, "notice_zh"));
    put_marks(card, out);
    ym_buf_printf(out, T(SPONSOR_CARD_STUDY), text_of(card, "study"), text_of(card, "sponsor"));
    ym_buf_puts(out, T(SPONSOR_CARD_PURPOSE));
    put_safe(out, text_of(card, "purpose"));
    ym_buf_printf(out, T(SPONSOR_CARD_MODEL), text_of(card, "family"), (int)int_of(card, "round"),
                  (int)int_of(card, "rounds"));
    ym_buf_printf(out, "\n* content `%s`\n* plan `%s`\n* state `%s`\n", text_of(card, "content_id"),
                  text_of(card, "plan"), text_of(card, "state"));
    put_file(card, out);
}

static void put_variable(const json_t *v, struct ym_buf *out)
{
    const json_t *level, *levels = json_object_get(v, "levels");
    size_t i;

    ym_buf_printf(out, "| %s | ", text_of(v, "name"));
    if (json_is_number(json_object_get(v, "low"))) {
        ym_buf_printf(out, "%.15g .. %.15g ", json_number_value(json_object_get(v, "low")),
                      json_number_value(json_object_get(v, "high")));
        put_safe(out, text_of(v, "unit"));
    }
    json_array_foreach(levels, i, level)
    {
        ym_buf_puts(out, i > 0 ? ", " : "");
        put_safe(out, json_string_value(level));
    }
    if (json_is_integer(json_object_get(v, "channels")))
        ym_buf_printf(out, "%d x %d x %d", (int)int_of(v, "height"), (int)int_of(v, "width"),
                      (int)int_of(v, "channels"));
    ym_buf_printf(out, " | %s |\n", text_of(v, "missing"));
}

static void put_variables(const json_t *card, struct ym_buf *out)
{
    const json_t *v;
    size_t i;

    ym_buf_puts(out, T(SPONSOR_CARD_INPUTS));
    json_array_foreach(json_object_get(card, "inputs"), i, v) put_variable(v, out);
    ym_buf_puts(out, T(SPONSOR_CARD_OUTCOME));
    put_variable(json_object_get(card, "outcome"), out);
}

static void put_hospital(const json_t *h, struct ym_buf *out)
{
    const json_t *public = json_object_get(h, "card");

    ym_buf_printf(out, "| %s | ", text_of(h, "name"));
    put_safe(out, text_of(public, "title"));
    ym_buf_puts(out, " | ");
    put_safe(out, text_of(public, "size_class"));
    ym_buf_printf(out, ", %s, %s | %d (%d) | ", text_of(public, "tier"), text_of(public, "patient_identifier"),
                  (int)int_of(h, "rounds"), (int)int_of(h, "charges"));
    put_micro(out, h, "epsilon_study_micro");
    ym_buf_puts(out, " | ");
    put_micro(out, h, "epsilon_certified_micro");
    ym_buf_printf(out, " (%s) | ", text_of(h, "certified_by"));
    put_micro(out, h, "epsilon_spent_micro");
    ym_buf_puts(out, " / ");
    put_micro(out, h, "epsilon_cap_micro");
    ym_buf_printf(out, " | %g |\n", (double)int_of(h, "delta_e18") * 1e-18);
}

static void put_privacy(const json_t *card, struct ym_buf *out)
{
    const json_t *hospital, *privacy = json_object_get(card, "privacy");
    size_t i;

    if (!json_is_object(privacy)) {
        ym_buf_puts(out, T(SPONSOR_CARD_NOT_PRIVATE));
        return;
    }
    ym_buf_puts(out, T(SPONSOR_CARD_PRIVACY));
    put_micro(out, privacy, "epsilon_micro");
    ym_buf_printf(out, T(SPONSOR_CARD_DELTA), text_of(privacy, "delta"));
    if (json_array_size(json_object_get(card, "hospitals")) > 0)
        ym_buf_puts(out, T(SPONSOR_CARD_HOSPITALS));
    json_array_foreach(json_object_get(card, "hospitals"), i, hospital) put_hospital(hospital, out);
    ym_buf_puts(out, T(SPONSOR_CARD_LIMITS));
}

static void put_figure(const json_t *metrics, const char *key, struct ym_buf *out)
{
    const json_t *f = json_object_get(metrics, key);

    if (json_is_object(f))
        ym_buf_printf(out, "| %s | %.4f | %.4f |\n", key, json_number_value(json_object_get(f, "value")),
                      json_number_value(json_object_get(f, "sd")));
}

static void put_metrics(const json_t *card, struct ym_buf *out)
{
    static const char *const figures[] = {"auc",      "concordance", "accuracy", "brier",
                                          "expected", "observed",    "patients"};
    const json_t *metrics = json_object_get(card, "metrics");

    if (!json_is_object(metrics)) {
        ym_buf_puts(out, T(SPONSOR_CARD_NO_METRICS));
        return;
    }
    ym_buf_printf(out, T(SPONSOR_CARD_METRICS), (int)int_of(metrics, "of"));
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        put_figure(metrics, figures[i], out);
}

static void put_coefficients(const json_t *card, struct ym_buf *out)
{
    const json_t *table = json_object_get(card, "coefficients"), *row, *study;
    size_t i;

    if (!json_is_object(table))
        return;
    ym_buf_puts(out, T(SPONSOR_CARD_COEFFICIENTS));
    json_array_foreach(json_object_get(table, "rows"), i, row)
    {
        study = json_object_get(row, "study");
        ym_buf_puts(out, "| ");
        put_safe(out, text_of(row, "level"));
        ym_buf_puts(out, " | ");
        put_safe(out, text_of(row, "term"));
        ym_buf_printf(out, " | %.6g | ", json_number_value(json_object_get(row, "scaled")));
        ym_buf_printf(out, json_is_number(study) ? "%.6g |\n" : "- |\n", json_number_value(study));
    }
    ym_buf_puts(out, T(SPONSOR_CARD_NO_INTERVALS));
}

enum ym_code ym_card_markdown(const json_t *card, struct ym_buf *out, struct ym_status *st)
{
    put_head(card, out);
    put_variables(card, out);
    put_privacy(card, out);
    put_metrics(card, out);
    put_coefficients(card, out);
    return ym_buf_puts(out, "\n") == YM_OK ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for the model's card");
}
