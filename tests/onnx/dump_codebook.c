/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a model with codebooks in the place of its weights, for test_codebook.py:
 *
 *     dump_codebook MODEL OUT BITS (tensor|rows)
 *
 * Tables are the middles of 2^BITS equal parts of the range of a tensor or row, bent by a cube so that they
 * are no grid. Exit status 1: the message is on standard error.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "onnx/trained.h"

typedef struct books {
    vecq_arena arena;
    int by_row;
} books;

/* Codes and table of n weights. */
static void fit(const float *w, size_t n, unsigned bits, uint8_t *codes, float *table)
{
    float largest = 0, x;
    unsigned u, best, count = 1u << bits;
    size_t i;

    for (i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(w[i]));
    for (u = 0; u < count; u++) {
        x = (float)(2 * u + 1) / (float)count - 1;
        table[u] = largest * (0.5f * x + 0.5f * x * x * x);
    }
    for (i = 0; i < n; i++) {
        for (u = best = 0; u < count; u++)
            best = fabsf(table[u] - w[i]) < fabsf(table[best] - w[i]) ? u : best;
        codes[i] = (uint8_t)best;
    }
}

static vecq_status give_item(books *b, vecq_plan_item *item, vecq_error *err)
{
    size_t n_tables = b->by_row ? item->layout.rows : 1, n = item->count / n_tables, i;
    vecq_plan_codebook *book = vecq_arena_alloc(&b->arena, 1, sizeof *book);
    uint8_t *codes = vecq_arena_alloc(&b->arena, item->count, 1);
    float *tables = vecq_arena_alloc(&b->arena, n_tables << item->bits, sizeof *tables);
    float *values = vecq_arena_alloc(&b->arena, item->count, sizeof *values), *matrix = values;

    if (book == NULL || codes == NULL || tables == NULL || values == NULL)
        return vecq_error_memory(err, item->count);
    VECQ_TRY(vecq_plan_values(item, values, err));
    if (item->layout.is_transposed) {
        matrix = vecq_arena_alloc(&b->arena, item->count, sizeof *matrix);
        if (matrix == NULL)
            return vecq_error_memory(err, item->count);
        vecq_layout_to_matrix(&item->layout, sizeof *matrix, values, matrix);
    }
    for (i = 0; i < n_tables; i++)
        fit(matrix + i * n, n, item->bits, codes + i * n, tables + (i << item->bits));
    *book = (vecq_plan_codebook){codes, tables, n_tables};
    item->codebook = book;
    return VECQ_OK;
}

static vecq_status give(void *context, vecq_plan *plan, vecq_error *err)
{
    size_t i;

    for (i = 0; i < plan->n; i++)
        if (plan->items[i].is_selected && plan->items[i].reason == NULL)
            VECQ_TRY(give_item(context, &plan->items[i], err));
    return VECQ_OK;
}

static vecq_status dump(char **argv, books *b, vecq_model **model, vecq_error *err)
{
    vecq_quantize_options options;

    vecq_quantize_options_default(&options);
    options.bits = (unsigned)atoi(argv[3]);
    VECQ_TRY(vecq_model_load(argv[1], model, err));
    VECQ_TRY(vecq_model_quantize_given(*model, &options, give, b, NULL, err));
    return vecq_model_save(*model, argv[2], NULL, NULL, err);
}

int main(int argc, char **argv)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_model *model = NULL;
    books b = {{0}, 0};
    vecq_status status;

    if (argc != 5)
        return 2;
    b.by_row = strcmp(argv[4], "rows") == 0;
    status = dump(argv, &b, &model, &err);
    vecq_model_close(model);
    vecq_arena_clear(&b.arena);
    if (status != VECQ_OK)
        fprintf(stderr, "%s\n", err.message);
    return status != VECQ_OK;
}
