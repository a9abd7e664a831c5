/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/activation/activation_body.h"

ACTIVATION_TABLE(avx512)
