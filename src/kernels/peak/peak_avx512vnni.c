/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak_ops_avx512.h"

extern const vecq_peak_kernels vecq_peak_kernels_avx512vnni;

#define PEAK_DOT _mm512_dpbusd_epi32

#include "kernels/peak/peak_body.h"

const vecq_peak_kernels vecq_peak_kernels_avx512vnni = PEAK_TABLE;
