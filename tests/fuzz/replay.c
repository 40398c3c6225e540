/* The ordinary run of a fuzz target, with any compiler: every file of the corpus, then a fixed number of mutations of
 * them, the same ones each time. libFuzzer takes its place in scripts/test --full. Usage: fuzz_x CORPUS [RUNS] */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES_MAX 4096
#define FILE_BYTES 65536

static struct {
    uint8_t *data;
    size_t len;
    char name[256];
} file[FILES_MAX];
static size_t files;
static uint64_t state = 0x9E3779B97F4A7C15u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void load(const char *dir, const char *name)
{
    char path[4096];
    uint8_t *data = malloc(FILE_BYTES);
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    if (!f || !data) {
        perror(path);
        exit(1);
    }
    file[files].len = fread(data, 1, FILE_BYTES, f);
    file[files].data = data;
    snprintf(file[files++].name, sizeof(file[0].name), "%s", name);
    fclose(f);
}

/* A copy of the exact size, so that the sanitizer sees a read one byte past the end. */
static void try(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (!copy)
        exit(1);
    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

/* One to four small changes: flip, set to a byte that means something, cut, repeat, splice with another file. */
static size_t mutate(uint8_t *data, size_t len)
{
    static const uint8_t meaning[] = "{}[]\",:.eE+-0129\\\n\t \0\xFF\x80&*!#|>?%=_/'";

    for (uint64_t n = 1 + next() % 4; n > 0; n--) {
        size_t at = len ? next() % len : 0, other = next() % files, take;

        switch (next() % 5) {
        case 0:
            if (len)
                data[at] ^= (uint8_t)(1u << next() % 8);
            break;
        case 1:
            if (len)
                data[at] = meaning[next() % (sizeof(meaning) - 1)];
            break;
        case 2:
            len = at;
            break;
        case 3:
            take = len - at < 64 ? len - at : 64;
            if (len + take <= FILE_BYTES) {
                memmove(data + at + take, data + at, len - at);
                len += take;
            }
            break;
        default:
            take = file[other].len ? next() % file[other].len : 0;
            if (at + take <= FILE_BYTES) {
                memcpy(data + at, file[other].data, take);
                len = at + take > len ? at + take : len;
            }
        }
    }
    return len;
}

int main(int argc, char **argv)
{
    static uint8_t data[FILE_BYTES];
    unsigned long runs = argc > 2 ? strtoul(argv[2], NULL, 10) : 3000;
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
    struct dirent *entry;

    if (!dir) {
        fprintf(stderr, "usage: %s CORPUS [RUNS]\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(dir)) && files < FILES_MAX)
        if (entry->d_name[0] != '.')
            load(argv[1], entry->d_name);
    closedir(dir);
    if (files == 0) {
        fprintf(stderr, "%s: the corpus is empty\n", argv[1]);
        return 1;
    }
    try(data, 0);
    for (size_t i = 0; i < files; i++)
        try(file[i].data, file[i].len);
    for (unsigned long i = 0; i < runs; i++) {
        size_t from = next() % files;

        memcpy(data, file[from].data, file[from].len);
        try(data, mutate(data, file[from].len));
    }
    printf("%zu files, %lu mutations\n", files, runs);
    for (size_t i = 0; i < files; i++)
        free(file[i].data);
    return 0;
}
