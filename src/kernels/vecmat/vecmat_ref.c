/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/vecmat/vecmat_body.h"

VECMAT_TABLE(ref)
