/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/status.h"

struct vecq_lock {
    pthread_mutex_t mutex;
};

vecq_status vecq_lock_create(vecq_lock **out, vecq_error *err)
{
    vecq_lock *lock = vecq_alloc(1, sizeof *lock);

    *out = NULL;
    if (lock == NULL)
        return vecq_error_memory(err, sizeof *lock);
    if (pthread_mutex_init(&lock->mutex, NULL) != 0) {
        vecq_free(lock);
        return vecq_error_set(err, VECQ_ERR_MEMORY, "the system has no lock left");
    }
    *out = lock;
    return VECQ_OK;
}

void vecq_lock_destroy(vecq_lock *lock)
{
    if (lock == NULL)
        return;
    pthread_mutex_destroy(&lock->mutex);
    vecq_free(lock);
}

void vecq_lock_take(vecq_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}

void vecq_lock_give(vecq_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}
