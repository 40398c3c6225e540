#ifndef YM_BASE_LANES_H
#define YM_BASE_LANES_H

/* Before a function whose loops should use the widest vectors of the machine: it is
 * compiled for each kind of them and chosen when the program is loaded. Without
 * contraction or reordering (meson.build) all kinds give the same bits. Sanitized
 * programs have the plain kind only: choosing happens before their runtime is up. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define YM_LANES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define YM_LANES
#endif

#endif
