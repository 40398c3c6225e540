#ifndef YM_TENSOR_RESTART_H
#define YM_TENSOR_RESTART_H

/* OpenBLAS starts its threads and chooses its kernels when it is loaded, before main; both
 * can be asked for by environment alone. Where they are not as wanted, this program is
 * executed again from its file, once:
 *   OPENBLAS_NUM_THREADS=1    threads are ours, one for each share of the patients; and a
 *                             sandbox must be entered while there is one
 *   OPENBLAS_CORETYPE         only where it is unset and the library, older than the
 *                             processor, fell back to kernels without AVX (0.3.21 does so on
 *                             Intel models 143 and 207: a fourth of the speed)
 * Returns if nothing is to be changed or the kernel refuses. Call first in main. */
void ym_blas_restart(char **argv);

#endif
