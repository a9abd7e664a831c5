/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"
#include "train/trainer_private.h"
vecq_status vecq_trainer_write(vecq_trainer *t, const vecq_metrics *expected, vecq_train_result *result,
                               vecq_error *err)
{
    (void)t;
    (void)expected;
    (void)result;
    (void)err;
    return VECQ_OK;
}
