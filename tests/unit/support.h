#ifndef YM_TESTS_UNIT_SUPPORT_H
#define YM_TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

/* A fresh folder for one test, removed by dir_teardown. */
static inline int dir_setup(void **state)
{
    char *dir = strdup("/tmp/yumen-test-XXXXXX");

    *state = dir;
    return dir && mkdtemp(dir) ? 0 : -1;
}

static inline int dir_teardown(void **state)
{
    char command[256];

    snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    free(*state);
    return system(command);
}

static inline struct ym_bytes bytes_of(const char *text)
{
    return (struct ym_bytes){(const uint8_t *)text, strlen(text)};
}

static inline struct ym_bytes bytes_in(const struct ym_buf *b)
{
    return (struct ym_bytes){b->data, b->len};
}

#endif
