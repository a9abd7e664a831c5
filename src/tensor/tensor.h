/* SPDX-License-Identifier: Apache-2.0 */
/* What the library does with tensors besides vecq/tensor.h: conversion, transposition. */
#ifndef VECQ_TENSOR_TENSOR_H
#define VECQ_TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/tensor.h"

int vecq_dtype_is_weight(vecq_dtype dtype); /* float32, float16, bfloat16, double: what can be quantized */

vecq_status vecq_tensor_copy(const vecq_tensor *src, vecq_tensor *out, vecq_error *err);

/* Conversions of n elements; src may be unaligned. To float: float16 and bfloat16 exactly, double rounded to
 * nearest even (a double beyond the range of float becomes infinite). From float: rounded to nearest even. */
void vecq_convert_to_f32(vecq_dtype dtype, const void *src, float *dst, size_t n);
void vecq_convert_from_f32(vecq_dtype dtype, const float *src, void *dst, size_t n);

float vecq_f16_to_f32(uint16_t h);
uint16_t vecq_f32_to_f16(float f);
float vecq_bf16_to_f32(uint16_t h);
uint16_t vecq_f32_to_bf16(float f);

/*
 * dst = src with axes permuted: dst axis i is src axis perm[i] (ONNX Transpose). Elements of `size` bytes
 * (1, 2, 4 or 8).
 */
void vecq_transpose(const void *src, void *dst, size_t size, unsigned rank, const int64_t *src_dims,
                    const unsigned *perm);

#endif
