/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed weights as they are: ops whose weights are Decode ops work on the packed fields where that pays, and
 * whoever else reads such a weight gets its values made in the layout he asks for; once, or
 * (VECQ_PREFER_MEMORY) in every run into memory that all layers share.
 */
#ifndef VECQ_BACKEND_LOWBIT_LOWBIT_H
#define VECQ_BACKEND_LOWBIT_LOWBIT_H

#include "backend/planner.h"

extern const vecq_backend vecq_backend_lowbit;

#endif
