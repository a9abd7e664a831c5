/* SPDX-License-Identifier: Apache-2.0 */
#define UNPACK_BYTES 32
#include "kernels/unpack/unpack_body.h"

UNPACK_TABLE(avx2)
