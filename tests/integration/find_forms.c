/* find_forms FORMS PLACE...: look for byte strings in files and in the writable
 * memory of processes ("pid:123"). FORMS: records of u32 length, bytes, all of
 * at least 8 bytes. Prints "<index of the form> <place>" for the first hit in each
 * place; exit 0 whether or not anything was found, 2 when FORMS cannot be read.
 * A place that is gone by now is passed over. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE (1u << 20)
#define REGION_MAX (UINT64_C(1) << 30)

struct form {
    const uint8_t *data;
    uint32_t len;
    int next; /* of the same head, -1 at the end */
};

static struct form *form;
static size_t form_count;
static int table[TABLE]; /* first form + 1 */

static uint32_t head(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return (v * UINT32_C(2654435761)) >> 12;
}

static uint8_t *read_all(int fd, uint64_t from, uint64_t most, size_t *len)
{
    size_t cap = 1 << 20, n = 0;
    uint8_t *data = malloc(cap);

    while (data && n < most) {
        ssize_t got;

        if (n == cap) {
            uint8_t *more = realloc(data, cap *= 2);

            if (!more)
                break;
            data = more;
        }
        got = pread(fd, data + n, cap - n < most - n ? cap - n : most - n, (off_t)(from + n));
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    *len = n;
    return data;
}

static int load_forms(const char *path)
{
    size_t len = 0;
    int fd = open(path, O_RDONLY);
    uint8_t *data = fd < 0 ? NULL : read_all(fd, 0, REGION_MAX, &len);

    if (!data)
        return -1;
    form = calloc(len / 12 + 1, sizeof *form);
    for (size_t at = 0; form && at + 4 <= len;) {
        struct form *f = &form[form_count];
        uint32_t h;

        memcpy(&f->len, data + at, 4);
        f->data = data + at + 4;
        if (f->len < 8 || f->len > len - at - 4)
            return -1;
        h = head(f->data);
        f->next = table[h] - 1;
        table[h] = (int)++form_count;
        at += 4 + f->len;
    }
    return form && form_count ? 0 : -1;
}

static int find(const uint8_t *data, size_t len)
{
    for (size_t at = 0; at + 8 <= len; at++)
        for (int i = table[head(data + at)] - 1; i >= 0; i = form[i].next)
            if (form[i].len <= len - at && memcmp(data + at, form[i].data, form[i].len) == 0)
                return i;
    return -1;
}

static int find_in_file(const char *path)
{
    int fd = open(path, O_RDONLY), hit = -1;
    size_t len = 0;
    uint8_t *data = fd < 0 ? NULL : read_all(fd, 0, REGION_MAX, &len);

    if (data)
        hit = find(data, len);
    free(data);
    if (fd >= 0)
        close(fd);
    return hit;
}

static int find_in_memory(const char *pid)
{
    char path[64], line[512];
    FILE *maps;
    int mem, hit = -1;

    snprintf(path, sizeof path, "/proc/%.16s/maps", pid);
    maps = fopen(path, "r");
    snprintf(path, sizeof path, "/proc/%.16s/mem", pid);
    mem = open(path, O_RDONLY);
    while (maps && mem >= 0 && hit < 0 && fgets(line, sizeof line, maps)) {
        uint64_t low, high;
        char mode[8];
        size_t len;
        uint8_t *data;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &low, &high, mode) != 3 || mode[1] != 'w' ||
            high - low > REGION_MAX)
            continue;
        data = read_all(mem, low, high - low, &len);
        hit = data ? find(data, len) : -1;
        free(data);
    }
    if (maps)
        fclose(maps);
    if (mem >= 0)
        close(mem);
    return hit;
}

int main(int argc, char **argv)
{
    if (argc < 2 || load_forms(argv[1]) != 0) {
        fprintf(stderr, "find_forms: no forms to look for\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        int hit = strncmp(argv[i], "pid:", 4) == 0 ? find_in_memory(argv[i] + 4) : find_in_file(argv[i]);

        if (hit >= 0)
            printf("%d %s\n", hit, argv[i]);
    }
    return 0;
}
