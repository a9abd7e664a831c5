/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN's own int8 convolution of a shape, for comparison: bytes in, bytes out, ReLU, one scale per channel.
 */
#ifndef VECQ_BENCH_IGEMM_DNNL_H
#define VECQ_BENCH_IGEMM_DNNL_H

#include "kernels/igemm/igemm.h"

typedef struct igemm_dnnl igemm_dnnl;

/* NULL when this oneDNN (3.x: other attributes) or shape is not provided for. */
igemm_dnnl *igemm_dnnl_create(const vecq_igemm_shape *shape);
void igemm_dnnl_run(igemm_dnnl *d);
void igemm_dnnl_destroy(igemm_dnnl *d);

#endif
