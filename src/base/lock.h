/* SPDX-License-Identifier: Apache-2.0 */
/* One thread at a time, for what several handles share. */
#ifndef VECQ_BASE_LOCK_H
#define VECQ_BASE_LOCK_H

#include "vecq/status.h"

typedef struct vecq_lock vecq_lock;

vecq_status vecq_lock_create(vecq_lock **out, vecq_error *err);
void vecq_lock_destroy(vecq_lock *lock); /* held by nobody; NULL is fine */

/* Waits until no other thread holds it. Not recursive. */
void vecq_lock_take(vecq_lock *lock);
void vecq_lock_give(vecq_lock *lock);

#endif
