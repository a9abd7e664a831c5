/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/program.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

static const vecq_op_info op_infos[VECQ_OP_COUNT] = {
#define VECQ_OP(symbol, title, stem, n_in_min, n_in_max, n_out, flags)                                       \
    [VECQ_OP_##symbol] = {title,                                                                             \
                          n_in_min,                                                                          \
                          n_in_max,                                                                          \
                          n_out,                                                                             \
                          flags,                                                                             \
                          vecq_op_##stem##_shape,                                                            \
                          ((flags)&VECQ_OPF_NO_GRAD) != 0 ? NULL : vecq_op_##stem##_gradient},
#include "graph/ops.def"
#undef VECQ_OP
};

const vecq_op_info *vecq_op_info_of(vecq_op_kind kind)
{
    return &op_infos[kind];
}

/* ---- store ---- */

vecq_stored *vecq_store_find(const vecq_store *store, const char *name)
{
    size_t i;

    for (i = 0; i < store->n; i++)
        if (strcmp(store->items[i]->name, name) == 0)
            return store->items[i];
    return NULL;
}

vecq_stored *vecq_store_by_key(const vecq_store *store, const void *key)
{
    size_t i;

    for (i = 0; key != NULL && i < store->n; i++)
        if (store->items[i]->key == key)
            return store->items[i];
    return NULL;
}

static const char *store_name(vecq_store *store, const char *name)
{
    unsigned suffix;
    char *unique;

    if (vecq_store_find(store, name) == NULL)
        return vecq_arena_string(&store->arena, name, strlen(name));
    for (suffix = 2;; suffix++) {
        unique = vecq_arena_printf(&store->arena, "%s#%u", name, suffix);
        if (unique == NULL || vecq_store_find(store, unique) == NULL)
            return unique;
    }
}

vecq_status vecq_store_add(vecq_store *store, const char *name, const void *key, vecq_tensor *tensor,
                           vecq_stored **out, vecq_error *err)
{
    vecq_stored *item = vecq_arena_alloc(&store->arena, 1, sizeof *item);

    if (item == NULL || (item->name = store_name(store, name)) == NULL ||
        !vecq_grow((void **)&store->items, &store->capacity, store->n, sizeof *store->items)) {
        vecq_tensor_destroy(tensor);
        return vecq_error_memory(err, sizeof *item);
    }
    item->key = key;
    item->tensor = *tensor;
    memset(tensor, 0, sizeof *tensor);
    store->items[store->n++] = item;
    *out = item;
    return VECQ_OK;
}

void vecq_store_clear(vecq_store *store)
{
    size_t i;

    for (i = 0; i < store->n; i++)
        vecq_tensor_destroy(&store->items[i]->tensor);
    vecq_free((void *)store->items);
    vecq_arena_clear(&store->arena);
    memset(store, 0, sizeof *store);
}

/* ---- variables ---- */

static vecq_status program_var(vecq_program *program, vecq_var_kind kind, const char *name, vecq_var **out,
                               vecq_error *err)
{
    vecq_var *var = vecq_arena_alloc(&program->arena, 1, sizeof *var);

    if (var == NULL || (var->name = vecq_arena_string(&program->arena, name, strlen(name))) == NULL ||
        !vecq_grow((void **)&program->vars, &program->vars_capacity, program->n_vars, sizeof *program->vars))
        return vecq_error_memory(err, sizeof *var);
    var->kind = kind;
    var->index = program->n_vars;
    program->vars[program->n_vars++] = var;
    *out = var;
    return VECQ_OK;
}

static vecq_status var_set_shape(vecq_var *var, vecq_dtype dtype, unsigned rank, const int64_t *dims,
                                 vecq_error *err)
{
    if (rank > VECQ_MAX_RANK)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "'%s' has %u dimensions; at most %u are supported",
                              var->name, rank, VECQ_MAX_RANK);
    if (!vecq_shape_count(dims, rank, &var->count) ||
        (var->count > 0 && vecq_dtype_bytes(dtype, var->count) == 0))
        return vecq_error_set(err, VECQ_ERR_FORMAT, "'%s' has an impossible shape", var->name);
    var->dtype = dtype;
    var->rank = rank;
    if (rank > 0)
        memcpy(var->dims, dims, rank * sizeof *dims);
    return VECQ_OK;
}

vecq_status vecq_program_input(vecq_program *program, const char *name, vecq_dtype dtype, unsigned rank,
                               const int64_t *dims, vecq_var **out, vecq_error *err)
{
    VECQ_TRY(program_var(program, VECQ_VAR_INPUT, name, out, err));
    return var_set_shape(*out, dtype, rank, dims, err);
}

vecq_status vecq_program_constant(vecq_program *program, const char *name, vecq_tensor *tensor,
                                  vecq_var **out, vecq_error *err)
{
    vecq_status status = program_var(program, VECQ_VAR_CONSTANT, name, out, err);

    if (status != VECQ_OK) {
        vecq_tensor_destroy(tensor);
        return status;
    }
    (*out)->constant = *tensor;
    memset(tensor, 0, sizeof *tensor);
    return var_set_shape(*out, (*out)->constant.dtype, (*out)->constant.rank, (*out)->constant.dims, err);
}

vecq_status vecq_program_shared(vecq_program *program, const char *name, vecq_shared *shared, vecq_var **out,
                                vecq_error *err)
{
    vecq_status status = program_var(program, VECQ_VAR_CONSTANT, name, out, err);

    if (status != VECQ_OK) {
        vecq_shared_release(shared);
        return status;
    }
    (*out)->constant = shared->tensor;
    (*out)->shared = shared;
    return var_set_shape(*out, shared->tensor.dtype, shared->tensor.rank, shared->tensor.dims, err);
}

vecq_status vecq_program_stored(vecq_program *program, vecq_stored *stored, vecq_var **out, vecq_error *err)
{
    size_t i;

    for (i = 0; i < program->n_vars; i++)
        if (program->vars[i]->stored == stored) {
            *out = program->vars[i];
            return VECQ_OK;
        }
    VECQ_TRY(program_var(program, stored->is_trained ? VECQ_VAR_PARAMETER : VECQ_VAR_STATE, stored->name, out,
                         err));
    (*out)->stored = stored;
    return var_set_shape(*out, stored->tensor.dtype, stored->tensor.rank, stored->tensor.dims, err);
}

vecq_status vecq_program_fill(vecq_program *program, const char *name, vecq_dtype dtype, unsigned rank,
                              const int64_t *dims, double value, vecq_var **out, vecq_error *err)
{
    const float narrow = (float)value;
    const int64_t integer = value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : 0; /* of reals: not used */
    const void *src = dtype == VECQ_DT_DOUBLE  ? (const void *)&value
                      : dtype == VECQ_DT_FLOAT ? (const void *)&narrow
                                               : (const void *)&integer; /* its low bytes */
    size_t size = vecq_dtype_bytes(dtype, 1), i;
    vecq_tensor tensor;

    VECQ_TRY(vecq_tensor_create(dtype, rank, dims, &tensor, err));
    for (i = 0; i < tensor.count; i++)
        memcpy((unsigned char *)tensor.data + i * size, src, size);
    return vecq_program_constant(program, name, &tensor, out, err);
}

int vecq_program_holds(vecq_dtype dtype)
{
    return (dtype >= VECQ_DT_FLOAT && dtype <= VECQ_DT_INT64) || dtype == VECQ_DT_BOOL ||
           dtype == VECQ_DT_DOUBLE || dtype == VECQ_DT_UINT32 || dtype == VECQ_DT_UINT64;
}

vecq_dtype vecq_program_type(vecq_dtype dtype)
{
    switch (dtype) {
    case VECQ_DT_FLOAT16:
    case VECQ_DT_BFLOAT16:
    case VECQ_DT_DOUBLE:
        return VECQ_DT_FLOAT;
    case VECQ_DT_INT4:
    case VECQ_DT_INT2:
        return VECQ_DT_INT8;
    case VECQ_DT_UINT4:
    case VECQ_DT_UINT2:
        return VECQ_DT_UINT8;
    default:
        return dtype;
    }
}

int vecq_var_is_float(const vecq_var *var)
{
    return var->dtype == VECQ_DT_FLOAT || var->dtype == VECQ_DT_DOUBLE;
}

int vecq_var_same_shape(const vecq_var *a, const vecq_var *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

const char *vecq_var_shape_text(const vecq_var *var, char text[96])
{
    size_t n = 0;
    unsigned i;

    text[0] = '\0';
    if (var->rank == 0)
        snprintf(text, 96, "scalar");
    for (i = 0; i < var->rank && n < 80; i++)
        n += (size_t)snprintf(text + n, 96 - n, "%s%lld", i > 0 ? "x" : "", (long long)var->dims[i]);
    return text;
}

/* ---- ops ---- */

static vecq_status op_outputs(vecq_program *program, vecq_op *op, size_t n, vecq_error *err)
{
    size_t i;

    op->outputs = vecq_arena_alloc(&program->arena, n, sizeof *op->outputs);
    if (op->outputs == NULL)
        return vecq_error_memory(err, n * sizeof *op->outputs);
    for (i = 0; i < n; i++) {
        const char *name = op->name;

        if (i > 0 && (name = vecq_arena_printf(&program->arena, "%s:%zu", op->name, i)) == NULL)
            return vecq_error_memory(err, 0);
        VECQ_TRY(program_var(program, VECQ_VAR_RESULT, name, &op->outputs[i], err));
        op->outputs[i]->producer = op;
        op->outputs[i]->output = i;
        op->n_outputs = i + 1;
    }
    return VECQ_OK;
}

static vecq_status op_check_inputs(const vecq_op *op, vecq_error *err)
{
    const vecq_op_info *info = op->info;
    size_t i;

    if (op->n_inputs < info->n_in_min ||
        (op->n_inputs > info->n_in_max && (info->flags & VECQ_OPF_VARIADIC) == 0))
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%zu inputs; it takes %u to %u", op->n_inputs,
                              info->n_in_min, info->n_in_max);
    for (i = 0; i < info->n_in_min; i++)
        if (op->inputs[i] == NULL)
            return vecq_error_set(err, VECQ_ERR_FORMAT, "input %zu is missing", i);
    return VECQ_OK;
}

static vecq_status op_build(vecq_program *program, vecq_op *op, vecq_var *const *inputs, const void *params,
                            size_t params_bytes, size_t n_outputs, vecq_error *err)
{
    void *copy;
    size_t i;

    op->inputs = vecq_arena_alloc(&program->arena, op->n_inputs, sizeof *op->inputs);
    if (op->inputs == NULL)
        return vecq_error_memory(err, op->n_inputs * sizeof *op->inputs);
    if (op->n_inputs > 0)
        memcpy(op->inputs, inputs, op->n_inputs * sizeof *op->inputs);
    if (params_bytes > 0) {
        copy = vecq_arena_alloc(&program->arena, 1, params_bytes);
        if (copy == NULL)
            return vecq_error_memory(err, params_bytes);
        memcpy(copy, params, params_bytes);
        op->params = copy;
    }
    VECQ_TRY(op_check_inputs(op, err));
    VECQ_TRY(op_outputs(program, op, n_outputs > 0 ? n_outputs : op->info->n_out, err));
    VECQ_TRY(op->info->shape(program, op, err));
    for (i = 0; i < op->n_outputs; i++)
        if (op->outputs[i]->dtype == VECQ_DT_UNDEFINED)
            return vecq_error_set(err, VECQ_ERR_USAGE, "output %zu has no type", i);
    for (i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] != NULL)
            op->inputs[i]->n_uses++;
    if (!vecq_grow((void **)&program->ops, &program->ops_capacity, program->n_ops, sizeof *program->ops))
        return vecq_error_memory(err, sizeof *program->ops);
    op->index = program->n_ops;
    program->ops[program->n_ops++] = op;
    return VECQ_OK;
}

vecq_status vecq_program_op_of(vecq_program *program, vecq_op_kind kind, const char *name,
                               const vecq_op *forward, vecq_var *const *inputs, size_t n_inputs,
                               const void *params, size_t params_bytes, size_t n_outputs, vecq_op **out,
                               vecq_error *err)
{
    vecq_op *op = vecq_arena_alloc(&program->arena, 1, sizeof *op);
    vecq_status status;

    *out = NULL;
    if (op == NULL || (op->name = vecq_arena_string(&program->arena, name, strlen(name))) == NULL)
        return vecq_error_memory(err, sizeof *op);
    op->kind = kind;
    op->info = vecq_op_info_of(kind);
    op->program = program;
    op->forward = forward;
    op->n_inputs = n_inputs;
    status = op_build(program, op, inputs, params, params_bytes, n_outputs, err);
    if (status != VECQ_OK) {
        vecq_error_prefix(err, "%s '%s'", op->info->name, name);
        return status;
    }
    *out = op;
    return VECQ_OK;
}

vecq_status vecq_program_op(vecq_program *program, vecq_op_kind kind, const char *name,
                            vecq_var *const *inputs, size_t n_inputs, const void *params, size_t params_bytes,
                            size_t n_outputs, vecq_op **out, vecq_error *err)
{
    return vecq_program_op_of(program, kind, name, NULL, inputs, n_inputs, params, params_bytes, n_outputs,
                              out, err);
}

vecq_status vecq_program_op1(vecq_program *program, vecq_op_kind kind, const char *name, vecq_var *a,
                             const void *params, size_t params_bytes, vecq_var **out, vecq_error *err)
{
    vecq_op *op;

    VECQ_TRY(vecq_program_op(program, kind, name, &a, 1, params, params_bytes, 0, &op, err));
    *out = op->outputs[0];
    return VECQ_OK;
}

vecq_status vecq_program_op2(vecq_program *program, vecq_op_kind kind, const char *name, vecq_var *a,
                             vecq_var *b, const void *params, size_t params_bytes, vecq_var **out,
                             vecq_error *err)
{
    vecq_var *inputs[2] = {a, b};
    vecq_op *op;

    VECQ_TRY(vecq_program_op(program, kind, name, inputs, 2, params, params_bytes, 0, &op, err));
    *out = op->outputs[0];
    return VECQ_OK;
}

vecq_status vecq_op_set_output(vecq_op *op, size_t i, vecq_dtype dtype, unsigned rank, const int64_t *dims,
                               vecq_error *err)
{
    return var_set_shape(op->outputs[i], dtype, rank, dims, err);
}

vecq_status vecq_op_output_like(vecq_op *op, size_t i, const vecq_var *like, vecq_error *err)
{
    return var_set_shape(op->outputs[i], like->dtype, like->rank, like->dims, err);
}

vecq_status vecq_op_fail(vecq_error *err, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return vecq_error_set(err, VECQ_ERR_FORMAT, "%s", text);
}

/* ---- pruning ---- */

static int op_is_needed(const vecq_op *op)
{
    size_t i;

    if ((op->info->flags & VECQ_OPF_EFFECT) != 0)
        return 1;
    for (i = 0; i < op->n_outputs; i++)
        if (op->outputs[i]->n_uses > 0 || op->outputs[i]->is_output)
            return 1;
    return 0;
}

void vecq_program_prune(vecq_program *program)
{
    size_t i, k, n = 0;

    for (i = program->n_ops; i-- > 0;) {
        vecq_op *op = program->ops[i];

        if (op_is_needed(op))
            continue;
        for (k = 0; k < op->n_inputs; k++)
            if (op->inputs[k] != NULL)
                op->inputs[k]->n_uses--;
        program->ops[i] = NULL;
    }
    for (i = 0; i < program->n_ops; i++)
        if (program->ops[i] != NULL) {
            program->ops[i]->index = n;
            program->ops[n++] = program->ops[i];
        }
    program->n_ops = n;
}

void vecq_var_drop(vecq_var *var)
{
    if (var->shared == NULL)
        vecq_free(var->constant.data);
    vecq_shared_release(var->shared);
    var->constant.data = NULL;
    var->shared = NULL;
}

/* Below this size sharing costs more than it saves. */
#define BANK_BYTES_MIN 1024u

vecq_status vecq_program_bank(vecq_program *program, vecq_bank *bank, vecq_error *err)
{
    size_t i;

    for (i = 0; i < program->n_vars; i++) {
        vecq_var *var = program->vars[i];

        if (var->kind != VECQ_VAR_CONSTANT || var->is_output)
            continue;
        if (var->n_uses == 0) {
            vecq_var_drop(var);
        } else if (var->shared == NULL && var->constant.n_bytes >= BANK_BYTES_MIN) {
            void *data = var->constant.data;

            var->constant.data = NULL;
            VECQ_TRY(vecq_bank_intern(bank, data, var->constant.n_bytes, &var->shared, err));
            var->constant.data = (void *)(uintptr_t)var->shared->data; /* read only */
        }
    }
    return VECQ_OK;
}

void vecq_program_clear(vecq_program *program)
{
    size_t i;

    for (i = 0; i < program->n_vars; i++)
        vecq_var_drop(program->vars[i]);
    vecq_free((void *)program->vars);
    vecq_free((void *)program->ops);
    vecq_arena_clear(&program->arena);
    memset(program, 0, sizeof *program);
}
