/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 512 bits for peak_body.h; PEAK_DOT is the includer's. */
#include <immintrin.h>

#include "kernels/peak/peak.h"

#define PEAK_F             __m512
#define PEAK_I             __m512i
#define PEAK_LANES         16
#define PEAK_N             12
#define PEAK_SET_F         _mm512_set1_ps
#define PEAK_FMA           _mm512_fmadd_ps
#define PEAK_STORE_F       _mm512_storeu_ps
#define PEAK_SET_I         _mm512_set1_epi8
#define PEAK_XOR           _mm512_xor_si512
#define PEAK_LOAD_I(p)     _mm512_load_si512((const __m512i *)(const void *)(p))
#define PEAK_STORE_I(p, x) _mm512_storeu_si512((__m512i *)(void *)(p), x)
#define PEAK_DOT_MACS      64
