#ifndef YM_TESTS_FUZZ_H
#define YM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a string of its own; free it. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    YM_ASSERT(text);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
