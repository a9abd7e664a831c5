/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen or eight levels (32-bit indices), or eight elements (doubles), at a time. */
#include <immintrin.h>

#include "kernels/search/search_tables.h"

#define ROUND_UP (_MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)

static double tree_sum(__m512d x)
{
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));

    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* Bits of the smallest floats >= (level + 0..7) * step. */
static __m256i thresholds(__m512d level, __m512d step)
{
    return _mm256_castps_si256(_mm512_cvt_roundpd_ps(_mm512_mul_pd(level, step), ROUND_UP));
}

typedef struct sums512 {
    __m512d a, spread;
    __m512i reached, moment, index; /* index: the levels j of the next eight */
    __m512d level;                  /* the same as doubles */
} sums512;

static inline void count_eight(sums512 *sums, const vecq_search_tail *tail, const double *reciprocal,
                               __m256i all, __m256i at)
{
    __m512i count = _mm512_cvtepu32_epi64(_mm256_sub_epi32(all, at));
    __m256i twice = _mm256_add_epi32(at, at);

    sums->a = _mm512_add_pd(sums->a, _mm512_i32gather_pd(twice, &tail->sum, 8));
    sums->spread = _mm512_add_pd(sums->spread, _mm512_mul_pd(_mm512_i32gather_pd(twice, &tail->squares, 8),
                                                             _mm512_loadu_pd(reciprocal)));
    sums->reached = _mm512_add_epi64(sums->reached, count);
    sums->moment = _mm512_add_epi64(sums->moment, _mm512_mul_epu32(count, sums->index));
    sums->index = _mm512_add_epi64(sums->index, _mm512_set1_epi64(8));
    sums->level = _mm512_add_pd(sums->level, _mm512_set1_pd(8.0));
}

/* In both searches lanes that are done (lo = hi) read a value that is not below t and stay as they are. */
static inline __m512i first_of_16(const int *a, __m512i t, __m512i lo, __m512i hi)
{
    while (_mm512_cmplt_epi32_mask(lo, hi) != 0) {
        __m512i mid = _mm512_srli_epi32(_mm512_add_epi32(lo, hi), 1);
        __mmask16 below = _mm512_cmplt_epi32_mask(_mm512_i32gather_epi32(mid, a, 4), t);

        lo = _mm512_mask_add_epi32(lo, below, mid, _mm512_set1_epi32(1));
        hi = _mm512_mask_mov_epi32(mid, below, hi);
    }
    return lo;
}

static inline __m256i first_of_8(const int *a, __m256i t, __m256i lo, __m256i hi)
{
    while (_mm256_cmplt_epi32_mask(lo, hi) != 0) {
        __m256i mid = _mm256_srli_epi32(_mm256_add_epi32(lo, hi), 1);
        __mmask8 below = _mm256_cmplt_epi32_mask(_mm256_i32gather_epi32(a, mid, 4), t);

        lo = _mm256_mask_add_epi32(lo, below, mid, _mm256_set1_epi32(1));
        hi = _mm256_mask_mov_epi32(mid, below, hi);
    }
    return lo;
}

static void levels_avx512(const float *a, const vecq_search_tail *tail, const double *reciprocal, uint32_t n,
                          double step, uint32_t n_levels, const uint32_t *low, const uint32_t *high,
                          uint32_t *first, vecq_search_sums *out)
{
    const int *bits = (const int *)(const void *)a;
    const __m512d s = _mm512_set1_pd(step);
    const __m256i all = _mm256_set1_epi32((int)n);
    sums512 sums = {_mm512_setzero_pd(),
                    _mm512_setzero_pd(),
                    _mm512_setzero_si512(),
                    _mm512_setzero_si512(),
                    _mm512_setr_epi64(1, 2, 3, 4, 5, 6, 7, 8),
                    _mm512_setr_pd(1, 2, 3, 4, 5, 6, 7, 8)};
    uint32_t j = 0;

    for (; j + 16 <= n_levels; j += 16) {
        __m256i t0 = thresholds(sums.level, s);
        __m256i t1 = thresholds(_mm512_add_pd(sums.level, _mm512_set1_pd(8.0)), s);
        __m512i at = first_of_16(bits, _mm512_inserti64x4(_mm512_castsi256_si512(t0), t1, 1),
                                 _mm512_loadu_si512(low + j), _mm512_loadu_si512(high + j));

        _mm512_storeu_si512(first + j, at);
        count_eight(&sums, tail, reciprocal + j, all, _mm512_castsi512_si256(at));
        count_eight(&sums, tail, reciprocal + j + 8, all, _mm512_extracti64x4_epi64(at, 1));
    }
    if (j < n_levels) {
        __m256i at = first_of_8(bits, thresholds(sums.level, s),
                                _mm256_loadu_si256((const __m256i *)(const void *)(low + j)),
                                _mm256_loadu_si256((const __m256i *)(const void *)(high + j)));

        _mm256_storeu_si256((__m256i *)(void *)(first + j), at);
        count_eight(&sums, tail, reciprocal + j, all, at);
    }
    out->a = tree_sum(sums.a);
    out->spread = tree_sum(sums.spread);
    out->reached = (uint64_t)_mm512_reduce_add_epi64(sums.reached);
    out->moment = 2 * (uint64_t)_mm512_reduce_add_epi64(sums.moment);
}

/* The rounded quotient, put right by exact products; see search_ref.c. */
static void elements_avx512(const float *a, const double *harmonic, uint32_t n, double step, uint32_t highest,
                            uint32_t *codes, vecq_search_sums *out)
{
    const __m512d s = _mm512_set1_pd(step), inverse = _mm512_set1_pd(1.0 / step), one = _mm512_set1_pd(1.0);
    const __m512d top = _mm512_set1_pd((double)highest), half = _mm512_set1_pd(0.5);
    __m512d sum = _mm512_setzero_pd(), spread = sum, reached = sum, moment = sum;
    uint32_t i;

    for (i = 0; i < n; i += 8) {
        __mmask8 lanes = n - i >= 8 ? (__mmask8)0xff : (__mmask8)((1u << (n - i)) - 1u);
        __m512d x = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(lanes, a + i));
        __m512d code = _mm512_min_pd(
            _mm512_roundscale_pd(_mm512_mul_pd(x, inverse), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC), top);
        __mmask8 over = _mm512_cmp_pd_mask(_mm512_mul_pd(code, s), x, _CMP_GT_OQ);
        __m512d next = _mm512_add_pd(code, one);
        __mmask8 under = _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(code, top, _CMP_LT_OQ),
                                                 _mm512_mul_pd(next, s), x, _CMP_LE_OQ);
        __m256i index;

        code = _mm512_mask_mov_pd(_mm512_mask_sub_pd(code, over, code, one), under, next);
        index = _mm512_cvtpd_epi32(code);
        _mm256_mask_storeu_epi32(codes + i, lanes, index);
        spread = _mm512_add_pd(spread,
                               _mm512_mul_pd(_mm512_mul_pd(x, x), _mm512_i32gather_pd(index, harmonic, 8)));
        sum = _mm512_add_pd(sum, _mm512_mul_pd(x, _mm512_add_pd(code, half)));
        reached = _mm512_add_pd(reached, code);
        moment = _mm512_add_pd(moment, _mm512_mul_pd(code, _mm512_add_pd(code, one)));
    }
    out->a = tree_sum(sum);
    out->spread = tree_sum(spread);
    out->reached = (uint64_t)_mm512_reduce_add_pd(reached);
    out->moment = (uint64_t)_mm512_reduce_add_pd(moment);
}

const vecq_search_kernels vecq_search_kernels_avx512 = {"avx512", levels_avx512, elements_avx512};
