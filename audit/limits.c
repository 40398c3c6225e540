#include "audit/limits.h"

#include <stddef.h>
#include <string.h>

#define DELTA_ONE 1000000000000000000

int64_t ym_size_class_patients(const char *size_class)
{
    static const struct {
        const char *name;
        int64_t patients;
    } known[] = {{"<100", 99}, {"100-499", 499}, {"500-1999", 1999}, {"2000-9999", 9999}, {">=10000", 10000}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, size_class) == 0)
            return known[i].patients;
    return 0;
}

int64_t ym_size_class_delta_e18(const char *size_class)
{
    int64_t patients = ym_size_class_patients(size_class);

    return patients > 0 ? DELTA_ONE / (10 * patients) : 0;
}
