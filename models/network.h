#ifndef YM_MODELS_NETWORK_H
#define YM_MODELS_NETWORK_H

#include "gate/network.h"

/* One image at a time through a network and back. Nothing is kept from one image to
 * the next, so what an image gives is a function of it and the parameters alone.
 * Products through CBLAS, windows gathered a cache-sized stretch at a time; no
 * allocation after new. */
struct ym_network_work; /* scratch of one thread; wiped by free, for it held images */
struct ym_network_work *ym_network_work_new(const struct ym_network *n); /* NULL: no memory */
uint64_t ym_network_work_bytes(const struct ym_network *n);              /* that it takes */
void ym_network_work_free(struct ym_network_work *w);

/* The outputs, before any link function: in w, until the next call. x: the image. */
const float *ym_network_forward(const struct ym_network *n, const float *params, const float *x,
                                struct ym_network_work *w);

/* After forward of the same image: g [dim] = beta * g + the gradient, beta 0 (g is not
 * read) or 1. delta [outputs]: d loss / d outputs. */
void ym_network_backward(const struct ym_network *n, const float *params, const float *x, const float *delta,
                         float beta, struct ym_network_work *w, float *g);

#endif
