/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/igemm/igemm_ops_avx512.h"

#define IGEMM_SPLIT                   0
#define igemm_dot(acc, x, w, is_wide) ((void)(is_wide), _mm512_dpbusd_epi32(acc, x, w))

#include "kernels/igemm/igemm_flat_avx512.h"

#include "kernels/igemm/igemm_body.h"

IGEMM_TABLE(avx512vnni)
