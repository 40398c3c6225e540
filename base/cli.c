#include "base/cli.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BYTES 64

/* Texts with two subjects end in a newline of their own. */
#define SAY(program, ...) (fprintf(stderr, "%s: ", program), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))

static const struct ym_cli_option common_option[] = {
    {"help", NULL, YM_TEXT_CLI_HELP_HELP, true},
    {"version", NULL, YM_TEXT_CLI_HELP_VERSION, true},
    {"lang", "LANG", YM_TEXT_CLI_HELP_LANG, false},
    {NULL, NULL, (enum ym_text_id)0, false},
};

struct parse {
    const char *program;
    enum ym_text_id about;
    const struct ym_cli_command *table;
    int argc;
    char **argv;
    struct ym_cli_args args;
};

/* One item of argv that looks like an option, taken apart. */
struct spelling {
    char name[WORD_BYTES];
    const char *value; /* after "=", else NULL */
};

const char *ym_cli_nth(const struct ym_cli_args *a, const char *option, size_t n)
{
    for (size_t i = 0; i < a->option_count; i++)
        if (strcmp(a->option[i].name, option) == 0 && n-- == 0)
            return a->option[i].value;
    return NULL;
}

const char *ym_cli_get(const struct ym_cli_args *a, const char *option)
{
    for (size_t i = a->option_count; i-- > 0;)
        if (strcmp(a->option[i].name, option) == 0)
            return a->option[i].value;
    return NULL;
}

bool ym_cli_has(const struct ym_cli_args *a, const char *option)
{
    for (size_t i = 0; i < a->option_count; i++)
        if (strcmp(a->option[i].name, option) == 0)
            return true;
    return false;
}

static const char *dashes(const char *name)
{
    return name[1] ? "--" : "-";
}

/* Edit distance, for the nearest word only; long words never come near. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_BYTES + 1], n = strlen(b);

    if (n > WORD_BYTES || strlen(a) > WORD_BYTES)
        return WORD_BYTES;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t best = diagonal + (a[i] != b[j]);

            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[n];
}

static void say_nearest(const char *word, const char *found, size_t near, const char *prefix)
{
    char text[2 * WORD_BYTES];

    if (!found || near > 1 + strlen(word) / 3)
        return;
    snprintf(text, sizeof(text), "%s%s", prefix, found);
    fprintf(stderr, T(CLI_NEAREST), text);
    fputc('\n', stderr);
}

static bool is_option(const char *item)
{
    return item[0] == '-' && item[1] != '\0' && !(item[1] >= '0' && item[1] <= '9');
}

static struct spelling take_apart(const char *item)
{
    struct spelling s = {{0}, NULL};
    const char *name = item + (item[1] == '-' ? 2 : 1), *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);

    if (len >= sizeof(s.name))
        len = sizeof(s.name) - 1;
    memcpy(s.name, name, len);
    s.value = equals ? equals + 1 : NULL;
    return s;
}

static const struct ym_cli_option *find_in(const struct ym_cli_option *options, const char *name)
{
    for (; options && options->name; options++)
        if (strcmp(options->name, name) == 0)
            return options;
    return NULL;
}

/* command NULL: any command's, for finding the words between options. */
static const struct ym_cli_option *find_option(const struct parse *p, const struct ym_cli_command *command,
                                               const char *name)
{
    const struct ym_cli_option *found = find_in(common_option, strcmp(name, "h") == 0 ? "help" : name);

    if (found)
        return found;
    if (command)
        return find_in(command->options, name);
    for (const struct ym_cli_command *c = p->table; c->words && !found; c++)
        found = find_in(c->options, name);
    return found;
}

/* The plain arguments of argv, options and their values left out. */
static size_t plain_arguments(const struct parse *p, const struct ym_cli_command *command, const char **out)
{
    size_t count = 0;
    bool ended = false;

    for (int i = 1; i < p->argc; i++) {
        const struct ym_cli_option *option;
        struct spelling s;

        if (ended || !is_option(p->argv[i])) {
            out[count++] = p->argv[i];
        } else if (strcmp(p->argv[i], "--") == 0) {
            ended = true;
        } else {
            s = take_apart(p->argv[i]);
            option = find_option(p, command, s.name);
            i += option && option->value && !s.value;
        }
    }
    return count;
}

/* How many of the arguments the command's words take, -1 when they do not match. */
static int words_match(const char *words, const char *const *argument, size_t count)
{
    size_t n = 0;

    while (*words) {
        size_t len = strcspn(words, " ");

        if (n == count || strlen(argument[n]) != len || memcmp(argument[n], words, len) != 0)
            return -1;
        n++;
        words += len + (words[len] == ' ');
    }
    return (int)n;
}

static const struct ym_cli_command *find_command(const struct parse *p, const char *const *argument, size_t count,
                                                 int *taken)
{
    const struct ym_cli_command *found = NULL;

    *taken = -1;
    for (const struct ym_cli_command *c = p->table; c->words; c++) {
        int n = words_match(c->words, argument, count);

        if (n > *taken) {
            *taken = n;
            found = c;
        }
    }
    return found;
}

/* "study" beside "study watch": what follows it is meant as a command, not as an argument. */
static bool is_group(const struct parse *p, const struct ym_cli_command *c)
{
    size_t len = strlen(c->words);

    for (const struct ym_cli_command *other = p->table; len && other->words; other++)
        if (strncmp(other->words, c->words, len) == 0 && other->words[len] == ' ')
            return true;
    return false;
}

static void print_options(const struct ym_cli_option *options)
{
    for (; options && options->name; options++) {
        char left[80];

        snprintf(left, sizeof(left), "%s%s%s%s", dashes(options->name), options->name, options->value ? " " : "",
                 options->value ? options->value : "");
        printf("  %-28s %s\n", left, ym_text(options->help));
    }
}

static void print_usage(const struct parse *p, const struct ym_cli_command *c)
{
    printf("%s\n  %s%s%s%s%s [OPTION]...\n", T(CLI_USAGE), p->program, *c->words ? " " : "", c->words,
           c->arguments && *c->arguments ? " " : "", c->arguments ? c->arguments : "");
}

/* Does the word begin commands of two words? */
static bool begins_commands(const struct parse *p, const char *word)
{
    size_t len = strlen(word);

    for (const struct ym_cli_command *c = p->table; c->words; c++)
        if (strncmp(c->words, word, len) == 0 && c->words[len] == ' ')
            return true;
    return false;
}

/* Those that begin with word, all when NULL. */
static void print_commands(FILE *out, const struct parse *p, const char *word)
{
    size_t len = word ? strlen(word) : 0;

    for (const struct ym_cli_command *c = p->table; c->words; c++) {
        char left[120];

        if (word && (strncmp(c->words, word, len) != 0 || c->words[len] != ' '))
            continue;
        snprintf(left, sizeof(left), "%s%s%s", c->words, c->arguments && *c->arguments ? " " : "",
                 c->arguments ? c->arguments : "");
        fprintf(out, "  %-30s %s\n", left, ym_text(c->help));
    }
}

static void print_help(const struct parse *p, const struct ym_cli_command *command, const char *group)
{
    if (command) {
        printf("%s\n\n", ym_text(*command->words ? command->help : p->about));
        print_usage(p, command);
        printf("\n%s\n", T(CLI_OPTIONS));
        print_options(command->options);
        print_options(common_option);
        return;
    }
    if (!group)
        printf("%s\n\n", ym_text(p->about));
    printf("%s\n", T(CLI_COMMANDS));
    print_commands(stdout, p, group);
    printf("\n%s\n", T(CLI_OPTIONS));
    print_options(common_option);
    fputc('\n', stdout);
    printf(T(CLI_HELP_MORE), p->program);
    fputc('\n', stdout);
}

static int unknown_command(const struct parse *p, const char *const *argument, size_t count)
{
    const char *nearest = NULL;
    size_t near = SIZE_MAX;
    char given[WORD_BYTES], one[WORD_BYTES];

    if (count == 0) {
        SAY(p->program, T(CLI_NO_COMMAND), p->program);
        return YM_EXIT_USAGE;
    }
    if (count == 1 && begins_commands(p, argument[0])) {
        SAY(p->program, T(CLI_HALF_COMMAND), argument[0]);
        print_commands(stderr, p, argument[0]);
        return YM_EXIT_USAGE;
    }
    snprintf(one, sizeof(one), "%.60s", argument[0]);
    snprintf(given, sizeof(given), count > 1 ? "%.30s %.30s" : "%.60s", argument[0], count > 1 ? argument[1] : "");
    for (const struct ym_cli_command *c = p->table; c->words; c++) {
        size_t d = distance(strchr(c->words, ' ') ? given : one, c->words);

        if (d && d < near) {
            near = d;
            nearest = c->words;
        }
    }
    SAY(p->program, T(CLI_UNKNOWN_COMMAND), given, p->program);
    say_nearest(given, nearest, near, "");
    return YM_EXIT_USAGE;
}

static int unknown_option(const struct parse *p, const struct ym_cli_command *c, const char *item, const char *name)
{
    const char *nearest = NULL;
    size_t near = SIZE_MAX;

    for (const struct ym_cli_option *o = c->options; o && o->name; o++) {
        size_t d = distance(name, o->name);

        if (d < near && o->name[1]) {
            near = d;
            nearest = o->name;
        }
    }
    SAY(p->program, T(CLI_UNKNOWN_OPTION), item, p->program);
    say_nearest(name, nearest, near, "--");
    return YM_EXIT_USAGE;
}

/* Take the option at argv[*i]; YM_EXIT_DONE or what is wrong with it, said. */
static int take_option(struct parse *p, const struct ym_cli_command *c, int *i)
{
    const char *item = p->argv[*i];
    struct spelling s = take_apart(item);
    const struct ym_cli_option *option = find_option(p, c, s.name);
    const char *value = s.value;

    if (!option || (item[1] == '-') == (s.name[0] && !s.name[1]))
        return unknown_option(p, c, item, s.name);
    if (!option->value && value) {
        SAY(p->program, T(CLI_FLAG_VALUE), item);
        return YM_EXIT_USAGE;
    }
    if (option->value && !value) {
        if (*i + 1 >= p->argc) {
            SAY(p->program, T(CLI_MISSING_VALUE), item, option->value);
            return YM_EXIT_USAGE;
        }
        value = p->argv[++*i];
    }
    if (!option->repeat && ym_cli_has(&p->args, option->name)) {
        SAY(p->program, T(CLI_REPEATED), item);
        return YM_EXIT_USAGE;
    }
    p->args.option[p->args.option_count++] = (struct ym_cli_value){option->name, value};
    return YM_EXIT_DONE;
}

static int take_all(struct parse *p, const struct ym_cli_command *c)
{
    for (int i = 1; i < p->argc; i++) {
        int code;

        if (strcmp(p->argv[i], "--") == 0)
            break;
        if (!is_option(p->argv[i]))
            continue;
        code = take_option(p, c, &i);
        if (code != YM_EXIT_DONE)
            return code;
    }
    return YM_EXIT_DONE;
}

static int check_count(const struct parse *p, const struct ym_cli_command *c)
{
    size_t n = p->args.positional_count;

    if (c->max_positional >= 0 && n > (size_t)c->max_positional) {
        SAY(p->program, T(CLI_EXTRA_ARGUMENT), p->args.positional[c->max_positional], p->program);
        return YM_EXIT_USAGE;
    }
    if (n < (size_t)(c->min_positional > 0 ? c->min_positional : 0)) {
        SAY(p->program, T(CLI_MISSING_ARGUMENT), c->words, c->arguments ? c->arguments : "");
        return YM_EXIT_USAGE;
    }
    return YM_EXIT_DONE;
}

/* The language must be known before anything is said: it is looked for by hand. */
static int choose_language(const struct parse *p)
{
    const char *lang = NULL;

    for (int i = 1; i < p->argc && strcmp(p->argv[i], "--") != 0; i++) {
        if (strncmp(p->argv[i], "--lang=", 7) == 0)
            lang = p->argv[i] + 7;
        else if (strcmp(p->argv[i], "--lang") == 0 && i + 1 < p->argc)
            lang = p->argv[++i];
    }
    ym_text_init(lang);
    if (!lang || strcmp(lang, "en") == 0 || strcmp(lang, "zh") == 0)
        return YM_EXIT_DONE;
    SAY(p->program, T(CLI_LANG_UNKNOWN), lang);
    return YM_EXIT_USAGE;
}

/* --help and --version work anywhere, also where the rest of the line is not complete yet. */
static bool asks_for(const struct parse *p, const char *option)
{
    for (int i = 1; i < p->argc && strcmp(p->argv[i], "--") != 0; i++)
        if (strcmp(p->argv[i], option) == 0)
            return true;
    return false;
}

static int run(struct parse *p, const char **argument)
{
    size_t count = plain_arguments(p, NULL, argument);
    int taken, code = choose_language(p);
    const struct ym_cli_command *c;

    if (code != YM_EXIT_DONE)
        return code;
    c = find_command(p, argument, count, &taken);
    if (c && c->max_positional == 0 && count > (size_t)taken && is_group(p, c))
        c = NULL;
    if (asks_for(p, "--version")) {
        printf("%s %s\n", p->program, YM_VERSION);
        return YM_EXIT_DONE;
    }
    if (asks_for(p, "--help") || asks_for(p, "-h") || (!c && count == 1 && strcmp(argument[0], "help") == 0)) {
        print_help(p, c, !c && count > 0 && begins_commands(p, argument[0]) ? argument[0] : NULL);
        return YM_EXIT_DONE;
    }
    if (!c)
        return unknown_command(p, argument, count);
    code = take_all(p, c);
    if (code != YM_EXIT_DONE)
        return code;
    count = plain_arguments(p, c, argument); /* now by this command's own options */
    p->args.command = c;
    p->args.positional = argument + taken;
    p->args.positional_count = count - (size_t)taken;
    code = check_count(p, c);
    return code == YM_EXIT_DONE ? c->run(&p->args) : code;
}

int ym_cli_main(const char *program, enum ym_text_id about, const struct ym_cli_command *table, int argc, char **argv)
{
    struct parse p = {program, about, table, argc, argv, {0}};
    const char **argument = calloc((size_t)argc + 1, sizeof(*argument));
    int code;

    p.args.option = calloc((size_t)argc + 1, sizeof(*p.args.option));
    if (argument && p.args.option) {
        code = run(&p, argument);
    } else {
        SAY(program, "%s", T(CLI_NO_MEMORY));
        code = YM_EXIT_NO;
    }
    free(argument);
    free(p.args.option);
    return code;
}

int ym_cli_fail(const char *program, const struct ym_status *st)
{
    fprintf(stderr, "%s: %s [%s]\n", program, st->message, ym_text(YM_TEXT_CODE_OK + (enum ym_text_id)st->code));
    if (st->code == YM_INVALID)
        return YM_EXIT_USAGE;
    if (st->code == YM_UNAVAILABLE || st->code == YM_DEADLINE || st->code == YM_NOT_FOUND)
        return YM_EXIT_UNREACHED;
    return YM_EXIT_NO;
}
