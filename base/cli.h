#ifndef YM_BASE_CLI_H
#define YM_BASE_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

/* Exit codes of every program (DESIGN 8). yumen-audit verify adds 10..13. */
enum { YM_EXIT_DONE = 0, YM_EXIT_NO = 1, YM_EXIT_USAGE = 2, YM_EXIT_UNREACHED = 3 };

/* Options of one command: "--name VALUE", "--name=VALUE" or flag "--name"; one
 * with a name of one letter is spelled "-n". Repeat options may come several
 * times, others once. "--" ends options. They may stand before the command. */
struct ym_cli_option {
    const char *name;  /* without dashes */
    const char *value; /* placeholder such as "FILE", NULL for a flag */
    enum ym_text_id help;
    bool repeat;
};

struct ym_cli_command;

struct ym_cli_value {
    const char *name, *value; /* value NULL for a flag */
};

struct ym_cli_args {
    const struct ym_cli_command *command;
    const char **positional;
    size_t positional_count;
    struct ym_cli_value *option; /* in the order given */
    size_t option_count;
};

struct ym_cli_command {
    const char *words;     /* "study watch"; "" for a program of one command */
    const char *arguments; /* "STUDY" for help */
    enum ym_text_id help;
    int min_positional, max_positional;  /* max -1: no bound */
    const struct ym_cli_option *options; /* ends with name NULL; may be NULL */
    int (*run)(const struct ym_cli_args *args);
};

const char *ym_cli_get(const struct ym_cli_args *a, const char *option);           /* last value, NULL when absent */
const char *ym_cli_nth(const struct ym_cli_args *a, const char *option, size_t n); /* n-th of a repeated option */
bool ym_cli_has(const struct ym_cli_args *a, const char *option);

/* Parse argv against the table (ends with words NULL), run the command. Every
 * program has --help, --version, --lang. Unknown words or options: message on
 * stderr with the nearest command, exit 2. about: one paragraph for --help. */
int ym_cli_main(const char *program, enum ym_text_id about, const struct ym_cli_command *table, int argc, char **argv);

/* "program: message" to stderr, with the status code's word. Returns the exit
 * code that fits code: usage for INVALID, unreached for UNAVAILABLE, DEADLINE,
 * NOT_FOUND, else no. */
int ym_cli_fail(const char *program, const struct ym_status *st);

#endif
