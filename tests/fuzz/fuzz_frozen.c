#include <math.h>
#include <string.h>

#include "worker/data/frozen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char number_plan_text[] =
    "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\n"
    "model:\n"
    "  family: logistic\n"
    "  inputs:\n"
    "    - {name: age, unit: year, low: 0, high: 100, missing: indicator}\n"
    "  outcome: {name: sex, levels: [female, male]}\n"
    "training: {rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 4, "
    "learning_rate: 1, max_records_per_patient: 2}\n"
    "privacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 3, min_patients: 1}\n"
    "federation: {hospitals: [{name: h1}]}\n";

static const char image_plan_text[] =
    "yumen: plan/1\nstudy: s\nsponsor: a\ntitle: t\npurpose: p\n"
    "model:\n"
    "  family: network\n"
    "  inputs: [{name: x, channels: 1, height: 2, width: 3}]\n"
    "  outcome: {name: y, levels: [\"0\", \"1\"]}\n"
    "  layers: [dense: {width: 2}]\n"
    "training: {rounds: 1, local_steps: 1, sampling_probability: 0.5, nominal_patients: 4, "
    "learning_rate: 1, max_records_per_patient: 2}\n"
    "privacy: {noise_multiplier: 10, delta: 1e-5, epsilon: 3, min_patients: 1}\n"
    "federation: {hospitals: [{name: h1}]}\n";

static struct ym_plan *plan_make(const char *plan_text)
{
    struct ym_doc *doc = NULL;
    struct ym_plan *plan = NULL;
    YM_ASSERT(ym_doc_parse("p", plan_text, strlen(plan_text), &doc, NULL, NULL) == YM_OK);
    YM_ASSERT(ym_plan_read(doc, &plan, NULL, NULL) == YM_OK);
    ym_doc_free(doc);
    return plan;
}

/* Values stay in [-1, 1]: cut numbers, and bytes about a middle of one half. */
static void check_table(const struct ym_plan *plan, const struct ym_frozen *f)
{
    struct ym_table *t = NULL;
    if (ym_table_build(plan, f, NULL, &t, NULL, NULL) != YM_OK)
        return;
    for (size_t r = 0; r < t->rows; r++) {
        float scratch[6];
        const float *x = ym_table_rows(t, r, 1, scratch);
        for (size_t i = 0; i < t->columns; i++)
            YM_ASSERT(fabsf(x[i]) <= 1);
    }
    ym_table_free(t);
}

/* Whatever loads is what its header says, and so are tables of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ym_plan *numbers, *image;
    struct ym_frozen *f = NULL;
    if (!numbers) {
        numbers = plan_make(number_plan_text);
        image = plan_make(image_plan_text);
    }
    if (ym_frozen_parse((struct ym_bytes){data, size}, &f, NULL) != YM_OK)
        return 0;
    YM_ASSERT(f->first_row[f->patient_count] == f->row_count);
    check_table(numbers, f);
    check_table(image, f);
    ym_frozen_free(f);
    return 0;
}
