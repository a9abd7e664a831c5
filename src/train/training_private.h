/* SPDX-License-Identifier: Apache-2.0 */
/* Between training.c (model and data) and training_stage.c (programs). */
#ifndef VECQ_TRAIN_TRAINING_PRIVATE_H
#define VECQ_TRAIN_TRAINING_PRIVATE_H

#include "train/training.h"

/* Releases programs and plan; parameters and data stay. */
void vecq_training_clear_stage(vecq_training *training);

#endif
