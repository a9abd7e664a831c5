/* SPDX-License-Identifier: Apache-2.0 */
/* Everything. */
#ifndef VECQ_H
#define VECQ_H

#include "vecq/api.h"
#include "vecq/cpu.h"
#include "vecq/model.h"
#include "vecq/quant.h"
#include "vecq/random.h"
#include "vecq/run.h"
#include "vecq/status.h"
#include "vecq/tensor.h"
#include "vecq/train.h"

#endif
