/* SPDX-License-Identifier: Apache-2.0 */
/* 12 sums, 2 weights, activations: 15 of 16 registers. */
#include "kernels/igemm/igemm_ops_avx2.h"

#define IGEMM_ROWS_1                  6
#define IGEMM_SPLIT                   0
#define igemm_dot(acc, x, w, is_wide) ((void)(is_wide), _mm256_dpbusd_avx_epi32(acc, x, w))

#include "kernels/igemm/igemm_float_avx2.h"
#include "kernels/igemm/igemm_tile.h"

#include "kernels/igemm/igemm_body.h"

IGEMM_TABLE(avxvnni)
