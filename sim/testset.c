#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "gate/card.h"
#include "sim/load.h"
#include "sim/site.h"

#define ROW_COLUMN "yumen_row"
#define TEST_MAX_BYTES (256u << 20)

/* The reader of hospital data wants a patient column; in a test file each row
 * is an example of its own, so every record gets its number put in front. */
static enum ym_code number_records(struct ym_bytes csv, struct ym_buf *out)
{
    enum ym_code code = YM_OK;
    bool quoted = false, start = true;
    uint64_t record = 0;
    size_t i = csv.len >= 3 && memcmp(csv.data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    for (; i < csv.len && code == YM_OK; i++) {
        uint8_t c = csv.data[i];

        if (start && (c == '\n' || c == '\r'))
            continue; /* blank line */
        if (start)
            code = record++ == 0 ? ym_buf_puts(out, ROW_COLUMN ",") : ym_buf_printf(out, "%" PRIu64 ",", record - 1);
        start = false;
        if (c == '"')
            quoted = !quoted;
        if (c == '\n' && !quoted)
            start = true;
        if (code == YM_OK)
            code = ym_buf_append(out, &c, 1);
    }
    return code;
}

static json_t *decimal(double v)
{
    char text[64];

    snprintf(text, sizeof text, "%.15g", v);
    return json_string(text);
}

static json_t *card_variable(const struct ym_variable *v)
{
    json_t *o = json_pack("{s:s,s:s}", "name", v->name, "column", v->name), *levels, *map;

    if (v->kind == YM_VAR_IMAGE) {
        json_object_set_new(o, "channels", json_integer(v->channels));
        json_object_set_new(o, "height", json_integer(v->height));
        json_object_set_new(o, "width", json_integer(v->width));
        return o;
    }
    if (v->kind == YM_VAR_NUMBER) {
        if (v->unit[0] != '\0')
            json_object_set_new(o, "unit", json_string(v->unit));
        json_object_set_new(o, "low", decimal(v->low));
        json_object_set_new(o, "high", decimal(v->high));
        return o;
    }
    levels = json_array();
    map = json_object();
    for (size_t i = 0; i < v->level_count; i++) {
        json_array_append_new(levels, json_string(v->level[i]));
        json_object_set_new(map, v->level[i], json_string(v->level[i]));
    }
    json_object_set_new(o, "levels", levels);
    json_object_set_new(o, "map", map);
    return o;
}

static json_t *card_of_plan(const struct ym_plan *plan, bool npz)
{
    json_t *variables = json_array();

    for (size_t i = 0; i < plan->input_count; i++)
        json_array_append_new(variables, card_variable(&plan->input[i]));
    json_array_append_new(variables, card_variable(&plan->outcome));
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o}", "yumen", "card/1", "name", "test", "title",
                     "test file", "file", npz ? "test.npz" : "test.csv", "encoding", "utf-8", "separator", ",",
                     "patient_column", ROW_COLUMN, "patient_identifier", "row", "size_class", "<100", "tier", "general",
                     "variables", variables);
}

static enum ym_code read_card(const struct ym_plan *plan, bool npz, struct ym_card **out, struct ym_buf *report,
                              struct ym_status *st)
{
    json_t *value = card_of_plan(plan, npz);
    struct ym_doc *doc = ym_doc_wrap("test", value);
    struct ym_problems problems = {0};
    enum ym_code code = ym_card_read(doc, out, &problems, st);

    ym_problems_format(&problems, report);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    json_decref(value);
    return code;
}

/* A file without a name that the CSV reader can open by path. */
static enum ym_code memory_file(struct ym_bytes data, int *fd, char path[64], struct ym_status *st)
{
    int f = memfd_create("yumen-test", MFD_CLOEXEC);
    size_t done = 0;

    if (f < 0)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the test file");
    while (done < data.len) {
        ssize_t n = write(f, data.data + done, data.len - done);

        if (n <= 0) {
            close(f);
            return ym_status_set(st, YM_EXHAUSTED, "no memory for the test file");
        }
        done += (size_t)n;
    }
    snprintf(path, 64, "/proc/self/fd/%d", f);
    *fd = f;
    return YM_OK;
}

/* A CSV, given its column of patients. */
static enum ym_code load_csv(const struct ym_plan *plan, const char *path, struct ym_table **out, struct ym_buf *report,
                             struct ym_status *st)
{
    struct ym_buf csv = {0}, numbered = {0};
    struct ym_card *card = NULL;
    char name[64], *copy = strdup(path);
    int fd = -1;
    enum ym_code code =
        copy ? ym_fs_read(path, TEST_MAX_BYTES, &csv, st) : ym_status_set(st, YM_EXHAUSTED, "no memory");

    if (code != YM_OK)
        goto out;
    code = number_records((struct ym_bytes){csv.data, csv.len}, &numbered);
    if (code != YM_OK) {
        ym_status_set(st, code, "no memory for '%s'", path);
        goto out;
    }
    code = memory_file((struct ym_bytes){numbered.data, numbered.len}, &fd, name, st);
    if (code == YM_OK)
        code = read_card(plan, false, &card, report, st);
    if (code == YM_OK)
        code = ym_sim_table(plan, card, name, dirname(copy), out, report, st);
out:
    ym_card_free(card);
    ym_buf_release(&csv);
    ym_buf_release(&numbered);
    free(copy);
    if (fd >= 0)
        close(fd);
    return code;
}

/* Rows of an NPZ are numbered by the reader. */
static enum ym_code load_npz(const struct ym_plan *plan, const char *path, struct ym_table **out, struct ym_buf *report,
                             struct ym_status *st)
{
    struct ym_card *card = NULL;
    enum ym_code code = read_card(plan, true, &card, report, st);

    if (code == YM_OK)
        code = ym_sim_table(plan, card, path, NULL, out, report, st);
    ym_card_free(card);
    return code;
}

enum ym_code ym_sim_load_test(const struct ym_plan *plan, const char *path, struct ym_table **out,
                              struct ym_buf *report, struct ym_status *st)
{
    struct ym_plan any_size = *plan; /* borrows everything */
    size_t len = strlen(path);
    bool npz = len > 4 && strcmp(path + len - 4, ".npz") == 0;

    any_size.min_patients = 1;
    any_size.max_records_per_patient = 1;
    enum ym_code code = npz ? load_npz(&any_size, path, out, report, st) : load_csv(&any_size, path, out, report, st);
    return code == YM_OK ? code : ym_status_wrap(st, code, "%s", path);
}
