#include "base/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"

enum { BUILD_BYTES = YM_BUILD_HEX / 2, PIECE = 65536 };

static size_t padded(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

/* The build id among the notes of one segment, NULL when it is not there. */
static const uint8_t *build_in_notes(const uint8_t *p, size_t len)
{
    ElfW(Nhdr) n;

    while (len >= sizeof n) {
        size_t name, desc;

        memcpy(&n, p, sizeof n);
        name = padded(n.n_namesz);
        desc = padded(n.n_descsz);
        if (len - sizeof n < name + desc)
            return NULL;
        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && memcmp(p + sizeof n, "GNU", 4) == 0)
            return n.n_descsz == BUILD_BYTES ? p + sizeof n + name : NULL;
        p += sizeof n + name + desc;
        len -= sizeof n + name + desc;
    }
    return NULL;
}

/* The first object that is visited is the program itself. */
static int visit(struct dl_phdr_info *info, size_t size, void *ctx)
{
    const uint8_t **found = ctx;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum && !*found; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            *found = build_in_notes((const uint8_t *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
                                    info->dlpi_phdr[i].p_memsz);
    return 1;
}

static enum ym_code put_hex(const uint8_t *data, size_t len, char *out)
{
    struct ym_buf hex = {0};
    enum ym_code code = ym_hex_encode(data, len, &hex);

    if (code == YM_OK)
        memcpy(out, ym_buf_str(&hex), 2 * len + 1);
    ym_buf_release(&hex);
    return code;
}

static enum ym_code hash_file(int fd, uint8_t out[YM_HASH_BYTES], struct ym_status *st)
{
    struct ym_sha256 *h = ym_sha256_new();
    uint8_t piece[PIECE];
    ssize_t n;

    do {
        n = read(fd, piece, sizeof piece);
        if (n > 0)
            ym_sha256_update(h, piece, (size_t)n);
    } while (n > 0 || (n < 0 && errno == EINTR));
    ym_sha256_final(&h, out);
    return n == 0 ? YM_OK : ym_status_set(st, YM_UNAVAILABLE, "cannot read this program's file: %s", strerror(errno));
}

enum ym_code ym_program_read(struct ym_program *out, struct ym_status *st)
{
    struct ym_program p = {0};
    const uint8_t *build = NULL;
    uint8_t hash[YM_HASH_BYTES];
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    enum ym_code code;

    if (fd < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot open this program's file: %s", strerror(errno));
    code = hash_file(fd, hash, st);
    close(fd);
    dl_iterate_phdr(visit, &build);
    if (code == YM_OK && !build)
        code = ym_status_set(st, YM_INVALID, "this program was linked without --build-id=sha1: build it with meson");
    if (code == YM_OK &&
        (put_hex(build, BUILD_BYTES, p.build) != YM_OK || put_hex(hash, sizeof hash, p.binary) != YM_OK))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (code == YM_OK)
        *out = p;
    return code;
}
