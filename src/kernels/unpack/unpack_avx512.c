/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of up to 32 values fit into two registers: a permutation instead of a gather. */
#include <immintrin.h>

#define UNPACK_BYTES  64
#define UNPACK_LOOKUP unpack_lookup_avx512
#include "kernels/unpack/unpack_body.h"

static void unpack_lookup_avx512(const uint8_t *blocks, unsigned bits, size_t vector, size_t n_vectors,
                                 const float *table, const float scale[16], float *out)
{
    const __mmask16 low = (__mmask16)((1u << (bits < 4 ? 1u << bits : 16u)) - 1u);
    __m512 scales, small, large;
    uint8_t u[VECQ_UNPACK_BLOCK];
    size_t n, i;

    if (bits > 5) {
        unpack_lookup(blocks, bits, vector, n_vectors, table, scale, out);
        return;
    }
    scales = _mm512_loadu_ps(scale);
    small = _mm512_maskz_loadu_ps(low, table);
    large = bits == 5 ? _mm512_loadu_ps(table + 16) : small;
    for (; n_vectors > 0; n_vectors -= n, vector += n) {
        n = 8 - vector % 8 < n_vectors ? 8 - vector % 8 : n_vectors;
        unpack_codes(blocks, bits, vector, n, u);
        for (i = 0; i < 64 * n; i += 16, out += 16) {
            __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(u + i)));

            _mm512_storeu_ps(out, _mm512_mul_ps(scales, _mm512_permutex2var_ps(small, index, large)));
        }
    }
}

UNPACK_TABLE(avx512)
