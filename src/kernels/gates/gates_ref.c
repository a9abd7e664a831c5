/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gates/gates_body.h"

GATES_TABLE(ref)
