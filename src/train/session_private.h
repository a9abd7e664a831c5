/* SPDX-License-Identifier: Apache-2.0 */
/* Between session.c (model and data) and session_stage.c (programs). */
#ifndef VECQ_TRAIN_SESSION_PRIVATE_H
#define VECQ_TRAIN_SESSION_PRIVATE_H

#include "train/session.h"

/* Releases programs and plan; parameters and data stay. */
void vecq_session_clear_stage(vecq_session *session);

#endif
