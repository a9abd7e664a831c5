/* SPDX-License-Identifier: Apache-2.0 */
/* Types that a model declares for the inputs and outputs of its graphs. */
#include <string.h>

#include "base/status.h"
#include "onnx/reader_private.h"
#include "onnx/schema.h"

/* One dimension: -1 unless it is a number that is not negative; its name, if it has one. */
static vecq_status read_dim(vecq_reader *r, vecq_span bytes, int64_t *dim, vecq_span *symbol)
{
    vecq_wire_field f;

    *dim = -1;
    memset(symbol, 0, sizeof *symbol);
    for (;;) {
        VECQ_TRY(vecq_wire_next(&bytes, &f, r->err));
        if (f.number == 0)
            return VECQ_OK;
        if (f.number == ONNX_DIM_VALUE && f.type == VECQ_WIRE_VARINT) {
            *dim = f.scalar <= INT64_MAX ? (int64_t)f.scalar : -1;
            memset(symbol, 0, sizeof *symbol);
        } else if (f.number == ONNX_DIM_PARAM && f.type == VECQ_WIRE_BYTES) {
            *dim = -1;
            *symbol = f.payload;
        }
    }
}

static vecq_status add_dim(vecq_reader *r, vecq_span bytes, vecq_value *value)
{
    vecq_arena *arena = &r->doc->ir.arena;
    vecq_span symbol;

    VECQ_TRY(read_dim(r, bytes, &value->dims[value->rank], &symbol));
    if (symbol.n > 0 && memchr(symbol.data, 0, symbol.n) == NULL) {
        if (value->symbols == NULL)
            value->symbols = vecq_arena_alloc(arena, VECQ_MAX_RANK, sizeof *value->symbols);
        if (value->symbols == NULL || (value->symbols[value->rank] = vecq_arena_string(
                                           arena, (const char *)symbol.data, symbol.n)) == NULL)
            return vecq_reader_oom(r);
    }
    value->rank++;
    return VECQ_OK;
}

static vecq_status read_shape(vecq_reader *r, vecq_span bytes, vecq_value *value)
{
    vecq_wire_field f;

    value->rank = 0;
    value->is_typed = 1;
    value->symbols = NULL;
    for (;;) {
        VECQ_TRY(vecq_wire_next(&bytes, &f, r->err));
        if (f.number == 0)
            return VECQ_OK;
        if (f.number != ONNX_SHAPE_DIM || f.type != VECQ_WIRE_BYTES || !value->is_typed)
            continue;
        if (value->rank == VECQ_MAX_RANK) {
            value->rank = 0;
            value->is_typed = 0;
        } else {
            VECQ_TRY(add_dim(r, f.payload, value));
        }
    }
}

/* Of several occurrences of a field the last one counts. */
vecq_status vecq_reader_type(vecq_reader *r, vecq_span info, vecq_value *value)
{
    static const uint32_t path[] = {ONNX_VALUE_INFO_TYPE, ONNX_TYPE_TENSOR};
    vecq_span bytes = info;
    vecq_wire_field f;
    size_t i;

    for (i = 0; i < sizeof path / sizeof *path; i++) {
        vecq_span rest = bytes;

        memset(&bytes, 0, sizeof bytes);
        for (;;) {
            VECQ_TRY(vecq_wire_next(&rest, &f, r->err));
            if (f.number == 0)
                break;
            if (f.number == path[i] && f.type == VECQ_WIRE_BYTES)
                bytes = f.payload;
        }
    }
    for (;;) {
        VECQ_TRY(vecq_wire_next(&bytes, &f, r->err));
        if (f.number == 0)
            break;
        if (f.number == ONNX_TYPE_TENSOR_ELEM_TYPE && f.type == VECQ_WIRE_VARINT)
            value->dtype = f.scalar < VECQ_DT_COUNT ? (vecq_dtype)f.scalar : VECQ_DT_UNDEFINED;
        else if (f.number == ONNX_TYPE_TENSOR_SHAPE && f.type == VECQ_WIRE_BYTES)
            VECQ_TRY(read_shape(r, f.payload, value));
    }
    if (value->dtype == VECQ_DT_UNDEFINED) {
        value->is_typed = 0;
        value->rank = 0;
    }
    return VECQ_OK;
}
