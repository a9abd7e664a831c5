/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constants that several programs of one model share: weights stand in memory once, whatever the number of
 * input shapes and threads.
 *
 * What a value of the model holds is found by the value: a view of the document where its bytes can be used
 * as they lie there, else one dense copy. What passes and plans make of weights (folded, reordered) is found
 * by its content. Items are counted; the last one who releases an item frees it. A bank is used by one thread
 * at a time; reading data of items needs no care.
 */
#ifndef VECQ_GRAPH_BANK_H
#define VECQ_GRAPH_BANK_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/tensor.h"

typedef struct vecq_bank vecq_bank;

typedef struct vecq_shared {
    const void *data;
    size_t n_bytes;
    vecq_tensor tensor; /* of a value: type and shape; data as above */
    const void *key;    /* value or constant of the graph; NULL: known by content */
    int is_borrowed;    /* the memory is the document's */
    size_t n_refs;
    vecq_bank *bank;
    size_t index; /* in bank->items */
} vecq_shared;

struct vecq_bank {
    vecq_shared **items;
    size_t n, capacity;
    size_t n_bytes;    /* owned by the items */
    size_t n_borrowed; /* of the document */
};

void vecq_bank_clear(vecq_bank *bank); /* all items released by then */

/* The item of a value with one more reference, or NULL. */
vecq_shared *vecq_bank_find(vecq_bank *bank, const void *key);

/* Takes the tensor over (also on failure); one reference. */
vecq_status vecq_bank_add(vecq_bank *bank, const void *key, vecq_tensor *tensor, vecq_shared **out,
                          vecq_error *err);
/* The same with data that stay the caller's: tensor->data outlives the bank. */
vecq_status vecq_bank_borrow(vecq_bank *bank, const void *key, const vecq_tensor *tensor, vecq_shared **out,
                             vecq_error *err);
/* Memory from vecq_alloc: taken over when no item has the same bytes, freed else (also on failure). */
vecq_status vecq_bank_intern(vecq_bank *bank, void *data, size_t n_bytes, vecq_shared **out, vecq_error *err);

void vecq_shared_release(vecq_shared *shared); /* NULL is fine */

#endif
