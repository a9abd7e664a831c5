/* SPDX-License-Identifier: Apache-2.0 */
/* The oneDNN primitives of a network's training step and nothing else: what our step is compared with. */
#ifndef VECQ_BENCH_STEP_ALONE_H
#define VECQ_BENCH_STEP_ALONE_H

#include "step_net.h"

typedef struct step_alone step_alone;

/* Every primitive in the layouts it likes best: weights and their gradients stay in the library's own form,
 * activations flow without a reorder, ReLU is part of the convolution before it. No loss, no update. NULL
 * when the library refuses something. */
step_alone *step_alone_create(const step_net *net, int batch, int is_direct);
void step_alone_destroy(step_alone *alone);
void step_alone_run(step_alone *alone);
/* Seconds of one run by kind: convolutions, dense layers, normalization, ReLU, pooling. */
void step_alone_split(step_alone *alone, double seconds[5]);

/* Floating point operations per second of the best of several large matrix products. */
double step_alone_peak(void);

#endif
