/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy arrays and archives of them. What is read must be consistent. */
#include <stdlib.h>
#include <string.h>

#include "vecq/tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const vecq_tensor *t)
{
    size_t count;

    if (!vecq_shape_count(t->dims, t->rank, &count) || count != t->count ||
        t->n_bytes != vecq_dtype_bytes(t->dtype, count) || t->data == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor t;
    vecq_npz *npz;
    size_t i;

    if (vecq_npy_read(data, n, &t, &err) == VECQ_OK) {
        check(&t);
        vecq_tensor_destroy(&t);
    } else if (err.message[0] == '\0' || t.data != NULL) {
        abort();
    }
    if (vecq_npz_open_memory(data, n, "input", &npz, NULL) != VECQ_OK)
        return 0;
    for (i = 0; i < vecq_npz_count(npz) && i < 16; i++) {
        if (vecq_npz_name(npz, i) == NULL)
            abort();
        if (vecq_npz_read(npz, i, &t, NULL) == VECQ_OK) {
            check(&t);
            vecq_tensor_destroy(&t);
        }
    }
    vecq_npz_close(npz);
    return 0;
}
