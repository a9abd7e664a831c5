/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/nhwc/nhwc_body.h"

NHWC_TABLE(ref)
