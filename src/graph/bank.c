/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain list. Models have some hundreds of constants; of those with the same size the bytes are compared,
 * which as a rule ends at the first few.
 */
#include "graph/bank.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

void vecq_bank_clear(vecq_bank *bank)
{
    while (bank->n > 0) {
        bank->items[0]->n_refs = 1;
        vecq_shared_release(bank->items[0]);
    }
    vecq_free((void *)bank->items);
    memset(bank, 0, sizeof *bank);
}

vecq_shared *vecq_bank_find(vecq_bank *bank, const void *key)
{
    size_t i;

    for (i = 0; i < bank->n; i++)
        if (bank->items[i]->key == key) {
            bank->items[i]->n_refs++;
            return bank->items[i];
        }
    return NULL;
}

static vecq_status bank_item(vecq_bank *bank, const void *data, size_t n_bytes, vecq_shared **out,
                             vecq_error *err)
{
    vecq_shared *item = vecq_calloc(1, sizeof *item);

    *out = NULL;
    if (item == NULL || !vecq_grow((void **)&bank->items, &bank->capacity, bank->n, sizeof *bank->items)) {
        vecq_free(item);
        return vecq_error_memory(err, sizeof *item);
    }
    item->data = data;
    item->n_bytes = n_bytes;
    item->n_refs = 1;
    item->bank = bank;
    item->index = bank->n;
    bank->items[bank->n++] = item;
    *out = item;
    return VECQ_OK;
}

vecq_status vecq_bank_add(vecq_bank *bank, const void *key, vecq_tensor *tensor, vecq_shared **out,
                          vecq_error *err)
{
    vecq_status status = bank_item(bank, tensor->data, tensor->n_bytes, out, err);

    if (status != VECQ_OK) {
        vecq_tensor_destroy(tensor);
        return status;
    }
    (*out)->key = key;
    (*out)->tensor = *tensor;
    bank->n_bytes += tensor->n_bytes;
    memset(tensor, 0, sizeof *tensor);
    return VECQ_OK;
}

vecq_status vecq_bank_borrow(vecq_bank *bank, const void *key, const vecq_tensor *tensor, vecq_shared **out,
                             vecq_error *err)
{
    VECQ_TRY(bank_item(bank, tensor->data, tensor->n_bytes, out, err));
    (*out)->key = key;
    (*out)->tensor = *tensor;
    (*out)->is_borrowed = 1;
    bank->n_borrowed += tensor->n_bytes;
    return VECQ_OK;
}

vecq_status vecq_bank_intern(vecq_bank *bank, void *data, size_t n_bytes, vecq_shared **out, vecq_error *err)
{
    vecq_status status;
    size_t i;

    for (i = 0; i < bank->n; i++)
        if (bank->items[i]->n_bytes == n_bytes && memcmp(bank->items[i]->data, data, n_bytes) == 0) {
            bank->items[i]->n_refs++;
            vecq_free(data);
            *out = bank->items[i];
            return VECQ_OK;
        }
    status = bank_item(bank, data, n_bytes, out, err);
    if (status != VECQ_OK)
        vecq_free(data);
    else
        bank->n_bytes += n_bytes;
    return status;
}

void vecq_shared_release(vecq_shared *shared)
{
    vecq_bank *bank;

    if (shared == NULL || --shared->n_refs > 0)
        return;
    bank = shared->bank;
    bank->n_bytes -= shared->is_borrowed ? 0 : shared->n_bytes;
    bank->n_borrowed -= shared->is_borrowed ? shared->n_bytes : 0;
    bank->items[shared->index] = bank->items[--bank->n];
    bank->items[shared->index]->index = shared->index;
    if (!shared->is_borrowed)
        vecq_free((void *)(uintptr_t)shared->data); /* ours: it came from vecq_alloc */
    vecq_free(shared);
}
