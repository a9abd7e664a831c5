/* SPDX-License-Identifier: Apache-2.0 */
/* The header of .npy files, for npy.c and npz.c. The public part is in vecq/tensor.h. */
#ifndef VECQ_TENSOR_NPY_H
#define VECQ_TENSOR_NPY_H

#include "tensor/tensor.h"

#define VECQ_NPY_HEADER_MAX 512u

/* Header of version 1 for a tensor into text[VECQ_NPY_HEADER_MAX]; *n its bytes, a multiple of 64.
 * VECQ_ERR_UNSUPPORTED for types that NumPy does not have. */
vecq_status vecq_npy_header(const vecq_view *tensor, char *text, size_t *n, vecq_error *err);

#endif
