/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/image/image_body.h"

IMAGE_TABLE(avx512)
