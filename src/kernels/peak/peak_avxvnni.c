/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak_ops_avx2.h"

extern const vecq_peak_kernels vecq_peak_kernels_avxvnni;

#define PEAK_DOT _mm256_dpbusd_avx_epi32

#include "kernels/peak/peak_body.h"

const vecq_peak_kernels vecq_peak_kernels_avxvnni = PEAK_TABLE;
