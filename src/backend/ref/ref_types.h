/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of the element types that programs hold: X(tag, type). A bool is a byte of 0 or 1. */
#ifndef VECQ_BACKEND_REF_REF_TYPES_H
#define VECQ_BACKEND_REF_REF_TYPES_H

#include <stdint.h>

#include "tensor/tensor.h"

typedef uint8_t vecq_bool8;

#define VECQ_REF_REALS(X)                                                                                    \
    X(VECQ_DT_FLOAT, float)                                                                                  \
    X(VECQ_DT_DOUBLE, double)
#define VECQ_REF_SIGNED(X)                                                                                   \
    X(VECQ_DT_INT8, int8_t)                                                                                  \
    X(VECQ_DT_INT16, int16_t)                                                                                \
    X(VECQ_DT_INT32, int32_t)                                                                                \
    X(VECQ_DT_INT64, int64_t)
#define VECQ_REF_UNSIGNED(X)                                                                                 \
    X(VECQ_DT_UINT8, uint8_t)                                                                                \
    X(VECQ_DT_UINT16, uint16_t)                                                                              \
    X(VECQ_DT_UINT32, uint32_t)                                                                              \
    X(VECQ_DT_UINT64, uint64_t)
#define VECQ_REF_TYPES(X)                                                                                    \
    VECQ_REF_REALS(X)                                                                                        \
    VECQ_REF_SIGNED(X)                                                                                       \
    VECQ_REF_UNSIGNED(X)                                                                                     \
    X(VECQ_DT_BOOL, vecq_bool8)

#endif
