/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 256 bits for peak_body.h; PEAK_DOT is the includer's. */
#include <immintrin.h>

#include "kernels/peak/peak.h"

#define PEAK_F             __m256
#define PEAK_I             __m256i
#define PEAK_LANES         8
#define PEAK_N             12
#define PEAK_SET_F         _mm256_set1_ps
#define PEAK_FMA           _mm256_fmadd_ps
#define PEAK_STORE_F       _mm256_storeu_ps
#define PEAK_SET_I         _mm256_set1_epi8
#define PEAK_XOR           _mm256_xor_si256
#define PEAK_LOAD_I(p)     _mm256_load_si256((const __m256i *)(const void *)(p))
#define PEAK_STORE_I(p, x) _mm256_storeu_si256((__m256i *)(void *)(p), x)
#define PEAK_DOT_MACS      32
