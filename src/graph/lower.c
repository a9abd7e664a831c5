/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk: which tensors are parameters and states, which nodes the outputs need, then node by node in
 * document order. Whatever turns out to be constant on the way (shapes, once they are static) is folded.
 */
#include "graph/lower.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "graph/ops/decode.h"
#include "graph/ops/quantized.h"
#include "graph/weights.h"

typedef enum lower_role {
    ROLE_NONE,
    ROLE_WEIGHT,
    ROLE_BIAS,
    ROLE_NORM,  /* scale or offset of a normalisation */
    ROLE_STATE, /* running statistics */
    ROLE_PACKED /* stays packed */
} lower_role;

typedef struct lower_mark {
    lower_role role;
    int is_dependent; /* on a tensor with a role: not to be folded */
    int is_needed;
    int has_folded_use;
    int has_other_use; /* than as the weight of a layer */
    int is_made;       /* vecq_lower_check(): by a node before */
    vecq_var *var;
    const vecq_plan_item *item; /* how it is quantized, or NULL */
    const vecq_packed *packed;  /* ROLE_PACKED */
} lower_mark;

typedef struct lower_row {
    const char *name;
    int64_t since;
    vecq_lower_fn function;
} lower_row;

static const lower_row lower_rows[] = {
#define VECQ_LOWER(name, since, stem) {#name, since, vecq_lower_##stem},
#include "graph/lower_ops.def"
#undef VECQ_LOWER
};

/* The row with the highest version that the node's opset reaches. */
static const lower_row *lower_find(const vecq_node *node)
{
    const lower_row *best = NULL;
    size_t i;

    for (i = 0; node->domain[0] == '\0' && i < sizeof lower_rows / sizeof *lower_rows; i++)
        if (strcmp(node->op_type, lower_rows[i].name) == 0 && node->version >= lower_rows[i].since &&
            (best == NULL || lower_rows[i].since > best->since))
            best = &lower_rows[i];
    return best;
}

static lower_mark *mark_of(const vecq_value *value)
{
    return value->mark;
}

static vecq_status fail_at(vecq_error *err, const vecq_node *node, vecq_status status)
{
    char prefix[160];

    snprintf(prefix, sizeof prefix, "%s '%.100s'", node->op_type, vecq_node_label(node));
    if (status != VECQ_OK && err != NULL && strncmp(err->message, prefix, strlen(prefix)) != 0)
        vecq_error_prefix(err, "%s", prefix); /* an op of the same name has not said so already */
    return status;
}

/* ---- roles ---- */

/* The main graph, or a branch of it (parents come first in ir->graphs). */
static int is_scope(const vecq_lower *l, vecq_graph *graph)
{
    return vecq_graph_root(graph) == l->ir->main;
}

static vecq_status make_marks(vecq_lower *l, vecq_error *err)
{
    size_t g, i;

    for (g = 0; g < l->ir->n_graphs; g++) {
        const vecq_graph *graph = l->ir->graphs[g];

        for (i = 0; i < graph->n_values && is_scope(l, l->ir->graphs[g]); i++) {
            lower_mark *mark = vecq_arena_alloc(&l->program->arena, 1, sizeof *mark);

            if (mark == NULL)
                return vecq_error_memory(err, sizeof *mark);
            mark->is_needed = graph != l->ir->main; /* of a branch that is taken, everything */
            graph->values[i]->mark = mark;
        }
    }
    return VECQ_OK;
}

static void clear_marks(vecq_lower *l)
{
    size_t g, i;

    for (g = 0; g < l->ir->n_graphs; g++)
        for (i = 0; i < l->ir->graphs[g]->n_values && is_scope(l, l->ir->graphs[g]); i++)
            l->ir->graphs[g]->values[i]->mark = NULL;
}

static void set_role(const vecq_value *value, lower_role role)
{
    if (value != NULL && value->is_constant && mark_of(value) != NULL && mark_of(value)->role == ROLE_NONE)
        mark_of(value)->role = role;
}

/* A vector added to the result of a matrix product or convolution is its bias. */
static void find_added_bias(const vecq_node *node)
{
    size_t i;

    for (i = 0; i < 2 && node->n_inputs == 2; i++) {
        const vecq_value *bias = node->inputs[i], *other = node->inputs[1 - i];
        const vecq_node *from = other != NULL ? other->producer : NULL;

        if (bias == NULL || bias->constant == NULL || from == NULL || bias->constant->count < 2 ||
            !vecq_dtype_is_weight(bias->constant->dtype))
            continue;
        if (vecq_node_is(from, "MatMul") || vecq_node_is(from, "Gemm") || vecq_node_is(from, "Conv") ||
            vecq_node_is(from, "ConvTranspose"))
            set_role(bias, ROLE_BIAS);
    }
}

static void find_norms(const vecq_node *node)
{
    size_t i;

    if (vecq_node_is(node, "BatchNormalization"))
        for (i = 1; i < node->n_inputs && i < 5; i++)
            if (node->inputs[i] != NULL &&
                node->inputs[i]->constant != NULL) /* computed ones are no parameters */
                set_role(node->inputs[i], i < 3 ? ROLE_NORM : ROLE_STATE);
    if (vecq_node_is(node, "InstanceNormalization") || vecq_node_is(node, "LayerNormalization") ||
        vecq_node_is(node, "RMSNormalization") || vecq_node_is(node, "GroupNormalization"))
        for (i = 1; i < node->n_inputs && i < 3; i++)
            set_role(node->inputs[i], ROLE_NORM);
    if (vecq_node_is(node, "PRelu") && node->n_inputs == 2)
        set_role(node->inputs[1], ROLE_NORM);
    if (vecq_node_is(node, "Add"))
        find_added_bias(node);
}

/* Whatever depends on a tensor with a role is computed by the program. */
static void find_dependents_in(const vecq_graph *graph)
{
    size_t i, k;

    for (i = 0; i < graph->n_values; i++)
        mark_of(graph->values[i])->is_dependent = mark_of(graph->values[i])->role != ROLE_NONE;
    for (i = 0; i < graph->n_nodes; i++) {
        const vecq_node *node = graph->nodes[i];
        int any = 0;

        for (k = 0; k < node->n_inputs; k++)
            any |= node->inputs[k] != NULL && mark_of(node->inputs[k]) != NULL &&
                   mark_of(node->inputs[k])->is_dependent;
        for (k = 0; any && k < node->n_outputs; k++)
            if (node->outputs[k] != NULL)
                mark_of(node->outputs[k])->is_dependent = 1;
    }
}

static void find_dependents(vecq_lower *l)
{
    size_t g;

    for (g = 0; g < l->ir->n_graphs; g++)
        if (is_scope(l, l->ir->graphs[g]))
            find_dependents_in(l->ir->graphs[g]);
}

static int node_is_layer(const vecq_node *node)
{
    return vecq_node_is(node, "Conv") || vecq_node_is(node, "Gemm") || vecq_node_is(node, "MatMul");
}

/* Values that something else than moving elements is computed from before run time, and those that are read
 * by others than layers; nodes stand in order. */
static void find_folded_uses(const vecq_graph *graph)
{
    size_t i, k, o;

    for (i = graph->n_nodes; i-- > 0;) {
        const vecq_node *node = graph->nodes[i];
        int is_constant = 0, is_folded = 0, is_other = !node_is_layer(node);

        for (o = 0; o < node->n_outputs; o++)
            if (node->outputs[o] != NULL) {
                is_constant |= node->outputs[o]->is_constant;
                is_folded |= mark_of(node->outputs[o])->has_folded_use;
                if (node->outputs[o]->is_constant && vecq_packed_moves(node))
                    is_other = mark_of(node->outputs[o])->has_other_use;
            }
        for (k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] != NULL && mark_of(node->inputs[k]) != NULL)
                mark_of(node->inputs[k])->has_other_use |= is_other || (!is_constant && k != 1);
        for (k = 0; is_constant && k < node->n_inputs; k++)
            if (node->inputs[k] != NULL && mark_of(node->inputs[k]) != NULL)
                mark_of(node->inputs[k])->has_folded_use |= is_folded || k > 0 || !vecq_packed_moves(node);
    }
}

/* A packed weight stays packed when everything computed from it before run time only moves its elements;
 * what DequantizeLinear makes does if layers alone read it. */
static vecq_status find_packed(vecq_lower *l, vecq_error *err)
{
    const vecq_graph *graph = l->ir->main;
    size_t g, i;

    for (g = l->ir->n_graphs; g-- > 0;)
        if (is_scope(l, l->ir->graphs[g]))
            find_folded_uses(l->ir->graphs[g]);
    for (i = 0; i < graph->n_values; i++) {
        const vecq_value *value = graph->values[i];
        lower_mark *mark = mark_of(value);

        if (mark->has_folded_use)
            continue;
        mark->packed = vecq_packed_of(value->constant);
        if (mark->packed == NULL && value->is_constant && value->producer != NULL && !mark->has_other_use &&
            !value->is_graph_output)
            VECQ_TRY(vecq_packed_linear(l, value->producer, &mark->packed, err));
        if (mark->packed != NULL)
            mark->role = ROLE_PACKED;
    }
    find_dependents(l);
    return VECQ_OK;
}

static void find_roles(vecq_lower *l, const vecq_weight_list *list)
{
    const vecq_graph *graph = l->ir->main;
    size_t i;

    for (i = 0; i < list->n; i++)
        if (list->sites[i].target->graph == graph && !list->sites[i].is_packed)
            set_role(list->sites[i].target, list->sites[i].is_bias ? ROLE_BIAS : ROLE_WEIGHT);
    for (i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i]->domain[0] == '\0')
            find_norms(graph->nodes[i]);
    find_dependents(l);
    for (i = 0; l->options->plan != NULL && i < l->options->plan->n; i++) {
        const vecq_plan_item *item = &l->options->plan->items[i];

        if (item->is_selected && item->reason == NULL && item->value->graph == graph &&
            mark_of(item->value)->role != ROLE_NONE)
            mark_of(item->value)->item = item;
    }
}

/* Finding weights uses the marks of values too, so it comes first. */
static vecq_status prepare(vecq_lower *l, vecq_error *err)
{
    vecq_weight_list list = {0};
    vecq_status status = VECQ_OK;

    if (!l->options->is_frozen)
        status = vecq_weights_find(l->ir, &list, err);
    if (status == VECQ_OK)
        status = make_marks(l, err);
    if (status == VECQ_OK && !l->options->is_frozen)
        find_roles(l, &list);
    if (status == VECQ_OK && l->options->is_frozen && l->options->keep_packed)
        status = find_packed(l, err);
    vecq_weights_clear(&list);
    return status;
}

static int is_folded(const vecq_value *value)
{
    return value->is_constant && !mark_of(value)->is_dependent;
}

/* ---- what the outputs need ---- */

/* Whatever a branch of a node reads from outside. */
static void need_branches(const vecq_node *node)
{
    size_t a, g, i, k;

    for (a = 0; a < node->n_attrs; a++)
        for (g = 0; g < node->attrs[a].n && node->attrs[a].graphs != NULL; g++) {
            const vecq_graph *graph = node->attrs[a].graphs[g];

            for (i = 0; i < graph->n_nodes; i++) {
                for (k = 0; k < graph->nodes[i]->n_inputs; k++)
                    if (graph->nodes[i]->inputs[k] != NULL && mark_of(graph->nodes[i]->inputs[k]) != NULL)
                        mark_of(graph->nodes[i]->inputs[k])->is_needed = 1;
                need_branches(graph->nodes[i]);
            }
            for (i = 0; i < graph->n_outputs; i++)
                if (graph->outputs[i] != NULL && mark_of(graph->outputs[i]) != NULL)
                    mark_of(graph->outputs[i])->is_needed = 1;
        }
}

static void need_backwards(vecq_lower *l)
{
    const vecq_graph *graph = l->ir->main;
    size_t i, k;

    for (i = graph->n_nodes; i-- > 0;) {
        const vecq_node *node = graph->nodes[i];
        int any = 0;

        for (k = 0; k < node->n_outputs; k++)
            any |= node->outputs[k] != NULL && mark_of(node->outputs[k])->is_needed &&
                   !is_folded(node->outputs[k]) && mark_of(node->outputs[k])->role == ROLE_NONE;
        for (k = 0; any && k < node->n_inputs; k++)
            if (node->inputs[k] != NULL && mark_of(node->inputs[k]) != NULL)
                mark_of(node->inputs[k])->is_needed = 1;
        if (any)
            need_branches(node);
    }
}

static int node_is_needed(const vecq_node *node)
{
    size_t k;

    for (k = 0; k < node->n_outputs; k++)
        if (node->outputs[k] != NULL && mark_of(node->outputs[k])->is_needed &&
            !is_folded(node->outputs[k]) && mark_of(node->outputs[k])->role == ROLE_NONE)
            return 1;
    return 0;
}

/* Of an input only the shape counts. */
static int node_is_shape(const vecq_node *node)
{
    return vecq_node_is(node, "Shape") || vecq_node_is(node, "Size") || vecq_node_is(node, "EyeLike");
}

/* Operators without a row may still turn out to be constant (arithmetic on shapes): those that can be folded
 * are refused only when they do not. */
static vecq_status check_nodes(vecq_lower *l, vecq_error *err)
{
    const vecq_graph *graph = l->ir->main;
    size_t i;

    for (i = 0; i < graph->n_nodes; i++) {
        const vecq_node *node = graph->nodes[i];

        if (!node_is_needed(node) || lower_find(node) != NULL || node_is_shape(node) ||
            vecq_fold_is_known(node))
            continue;
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s%s%s '%s' (opset %lld): this operator cannot be %s", node->domain,
                              node->domain[0] != '\0' ? "." : "", node->op_type, vecq_node_label(node),
                              (long long)node->version, l->options->is_training ? "trained" : "run");
    }
    return VECQ_OK;
}

static vecq_status need_outputs(vecq_lower *l, const char *const *names, size_t n_outputs, vecq_error *err)
{
    const vecq_graph *graph = l->ir->main;
    size_t i;

    for (i = 0; i < n_outputs; i++) {
        const vecq_value *value = names[i] != NULL       ? vecq_map_get(&graph->by_name, names[i])
                                  : graph->n_outputs > 0 ? graph->outputs[0]
                                                         : NULL;
        if (value == NULL)
            return vecq_error_set(err, VECQ_ERR_VALUE, "the model has no value '%s'",
                                  names[i] != NULL ? names[i] : "(first output)");
        mark_of(value)->is_needed = 1;
    }
    need_backwards(l);
    return VECQ_OK;
}

static vecq_status check_order(const vecq_graph *graph, vecq_error *err)
{
    size_t i, k;

    for (i = 0; i < graph->n_nodes; i++) {
        const vecq_node *node = graph->nodes[i];

        for (k = 0; k < node->n_inputs && node_is_needed(node); k++) {
            const vecq_value *value = node->inputs[k];

            if (value == NULL || value->is_constant || value->is_graph_input || mark_of(value) == NULL ||
                mark_of(value)->is_made)
                continue;
            return vecq_error_set(err, VECQ_ERR_FORMAT,
                                  "%s '%s' reads '%s', which no node before it makes: the graph has a cycle, "
                                  "or its nodes are out of order",
                                  node->op_type, vecq_node_label(node), value->name);
        }
        for (k = 0; k < node->n_outputs; k++)
            if (node->outputs[k] != NULL)
                mark_of(node->outputs[k])->is_made = 1;
    }
    return VECQ_OK;
}

/* ---- values ---- */

static int matches_any(const char *name, const char *const *globs, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (fnmatch(globs[i], name, 0) == 0)
            return 1;
    return 0;
}

/* Integers of 2 and 4 bits, a byte each. */
static void unpack(const vecq_tensor *packed, uint8_t *dst)
{
    const unsigned bits = vecq_dtype_bits(packed->dtype), per_byte = 8 / bits;
    const int is_signed = packed->dtype == VECQ_DT_INT4 || packed->dtype == VECQ_DT_INT2;
    size_t i;

    for (i = 0; i < packed->count; i++) {
        unsigned code = ((const uint8_t *)packed->data)[i / per_byte] >> (i % per_byte * bits);

        code &= (1u << bits) - 1;
        if (is_signed && (code >> (bits - 1)) != 0)
            code |= 0xffu << bits;
        dst[i] = (uint8_t)code;
    }
}

/* As a program holds it: floats of other widths become float32, integers below 8 bits a byte each. */
static vecq_status to_program_type(vecq_tensor *tensor, vecq_error *err)
{
    const vecq_dtype dtype = vecq_program_type(tensor->dtype);
    vecq_tensor wide;

    if (dtype == tensor->dtype)
        return VECQ_OK;
    VECQ_TRY(vecq_tensor_create(dtype, tensor->rank, tensor->dims, &wide, err));
    if (dtype == VECQ_DT_FLOAT)
        vecq_convert_to_f32(tensor->dtype, tensor->data, wide.data, tensor->count);
    else
        unpack(tensor, wide.data);
    vecq_tensor_destroy(tensor);
    *tensor = wide;
    return VECQ_OK;
}

static vecq_status load_tensor(vecq_lower *l, const vecq_value *value, vecq_tensor *out, vecq_error *err)
{
    vecq_status status = vecq_fold_spend(value, &l->budget, out, err);

    if (status == VECQ_OK)
        status = to_program_type(out, err);
    if (status != VECQ_OK) {
        vecq_tensor_destroy(out);
        vecq_error_prefix(err, "tensor '%s'", value->name);
    }
    return status;
}

static vecq_status stored_var(vecq_lower *l, const vecq_value *value, vecq_var **out, vecq_error *err)
{
    const lower_mark *mark = mark_of(value);
    vecq_stored *stored = vecq_store_by_key(l->store, value);

    if (stored == NULL) {
        vecq_tensor tensor;

        VECQ_TRY(load_tensor(l, value, &tensor, err));
        VECQ_TRY(vecq_store_add(l->store, value->name, value, &tensor, &stored, err));
        stored->is_trained =
            mark->role != ROLE_STATE && !matches_any(value->name, l->options->freeze, l->options->n_freeze);
        stored->is_bias = mark->role == ROLE_BIAS;
        stored->is_norm = mark->role == ROLE_NORM;
    }
    return vecq_program_stored(l->program, stored, out, err);
}

/* Out of the bank: where it lies in the document if it can be used there, else one copy. */
static vecq_status shared_const(vecq_lower *l, const vecq_const *c, vecq_shared **out, vecq_error *err)
{
    vecq_tensor tensor;
    vecq_status status;

    *out = vecq_bank_find(l->options->bank, c);
    if (*out != NULL)
        return VECQ_OK;
    if (c->bytes != NULL && c->count > 0 && vecq_program_type(c->dtype) == c->dtype) {
        tensor = (vecq_tensor){.dtype = c->dtype,
                               .rank = c->rank,
                               .count = c->count,
                               .n_bytes = vecq_dtype_bytes(c->dtype, c->count),
                               .data = (void *)(uintptr_t)c->bytes}; /* read only */
        memcpy(tensor.dims, c->dims, sizeof tensor.dims);
        return vecq_bank_borrow(l->options->bank, c, &tensor, out, err);
    }
    VECQ_TRY(vecq_const_load(c, &tensor, err));
    status = to_program_type(&tensor, err);
    if (status != VECQ_OK) {
        vecq_tensor_destroy(&tensor);
        return status;
    }
    return vecq_bank_add(l->options->bank, c, &tensor, out, err);
}

vecq_status vecq_lower_const(vecq_lower *l, const char *name, const vecq_const *c, vecq_var **out,
                             vecq_error *err)
{
    vecq_shared *shared;
    vecq_tensor tensor;
    vecq_status status;

    if (l->options->bank != NULL) {
        VECQ_TRY(shared_const(l, c, &shared, err));
        return vecq_program_shared(l->program, name, shared, out, err);
    }
    VECQ_TRY(vecq_const_load(c, &tensor, err));
    status = to_program_type(&tensor, err);
    if (status != VECQ_OK) {
        vecq_tensor_destroy(&tensor);
        return status;
    }
    return vecq_program_constant(l->program, name, &tensor, out, err);
}

/* What nodes compute of constants is in the bank by the value that they make. */
static vecq_status constant_var(vecq_lower *l, const vecq_value *value, vecq_var **out, vecq_error *err)
{
    vecq_bank *bank = l->options->bank;
    vecq_shared *shared = bank != NULL ? vecq_bank_find(bank, value) : NULL;
    vecq_tensor tensor;
    vecq_status status;

    if (bank != NULL && value->constant != NULL) {
        status = vecq_lower_const(l, value->name, value->constant, out, err);
        if (status != VECQ_OK)
            vecq_error_prefix(err, "tensor '%s'", value->name);
        return status;
    }
    if (shared == NULL)
        VECQ_TRY(load_tensor(l, value, &tensor, err));
    if (bank == NULL)
        return vecq_program_constant(l->program, value->name, &tensor, out, err);
    if (shared == NULL)
        VECQ_TRY(vecq_bank_add(bank, value, &tensor, &shared, err));
    return vecq_program_shared(l->program, value->name, shared, out, err);
}

static vecq_status value_var(vecq_lower *l, const vecq_value *value, vecq_var **out, vecq_error *err)
{
    lower_mark *mark = mark_of(value);

    if (mark == NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "'%s' belongs to another graph", value->name);
    if (mark->var == NULL && mark->role == ROLE_PACKED) {
        VECQ_TRY(vecq_lower_packed(l, value, mark->packed, &mark->var, err));
    } else if (mark->var == NULL && mark->role != ROLE_NONE) {
        VECQ_TRY(stored_var(l, value, &mark->var, err));
        if (mark->item != NULL)
            VECQ_TRY(vecq_lower_quantized_weight(l, mark->item, mark->var, &mark->var, err));
    } else if (mark->var == NULL && is_folded(value)) {
        VECQ_TRY(constant_var(l, value, &mark->var, err));
    }
    if (mark->var == NULL)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "'%s' is not made by any node before", value->name);
    *out = mark->var;
    return VECQ_OK;
}

/* ---- inputs ---- */

static vecq_status check_input(vecq_lower *l, const vecq_value *value, const vecq_var *var, vecq_error *err)
{
    char have[96];
    unsigned i;

    if (!value->is_typed)
        return VECQ_OK;
    if (value->rank != var->rank)
        return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s' has %u dimensions, the data have %u (%s)",
                              value->name, value->rank, var->rank, vecq_var_shape_text(var, have));
    for (i = 0; i < var->rank; i++) {
        int is_free = value->dims[i] < 0 || (i == 0 && value->dims[i] == 1);

        if (i == 0 && is_free)
            l->batch = var->dims[0];
        if (!is_free && value->dims[i] != var->dims[i])
            return vecq_error_set(err, VECQ_ERR_VALUE,
                                  "dimension %u of input '%s' is %lld, that of the data %lld (%s)", i,
                                  value->name, (long long)value->dims[i], (long long)var->dims[i],
                                  vecq_var_shape_text(var, have));
    }
    return VECQ_OK;
}

static vecq_status set_inputs(vecq_lower *l, const vecq_lower_input *inputs, size_t n, vecq_error *err)
{
    const vecq_graph *graph = l->ir->main;
    size_t i, k;

    for (i = 0; i < n; i++) {
        vecq_value *value = vecq_map_get(&graph->by_name, inputs[i].name);

        if (value == NULL || !value->is_graph_input)
            return vecq_error_set(err, VECQ_ERR_VALUE, "the model has no input '%s'", inputs[i].name);
        VECQ_TRY(check_input(l, value, inputs[i].var, err));
        mark_of(value)->var = inputs[i].var;
    }
    for (k = 0; k < graph->n_inputs; k++)
        if (mark_of(graph->inputs[k])->is_needed && mark_of(graph->inputs[k])->var == NULL &&
            !graph->inputs[k]->is_constant)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                                  "the model has another input, '%s', and nothing is known to feed it",
                                  graph->inputs[k]->name);
    return VECQ_OK;
}

/* ---- nodes ---- */

/* What folding sees of a variable: a constant, or (Shape and Size ask for no more) a shape without values. */
static vecq_tensor folding_view(const vecq_var *var)
{
    vecq_tensor view = {.dtype = var->dtype, .rank = var->rank, .count = var->count};

    if (var->kind == VECQ_VAR_CONSTANT)
        return var->constant;
    memcpy(view.dims, var->dims, sizeof view.dims);
    return view;
}

/* Takes the tensor over (also on failure). */
static vecq_status folded_var(vecq_lower *l, const vecq_value *value, vecq_tensor *tensor, vecq_var **out,
                              vecq_error *err)
{
    vecq_status status = VECQ_OK;

    if (vecq_dtype_bits(tensor->dtype) < 8) { /* a byte each already */
        tensor->dtype = vecq_program_type(tensor->dtype);
        tensor->n_bytes = tensor->count;
    } else {
        status = to_program_type(tensor, err);
    }
    if (status != VECQ_OK) {
        vecq_tensor_destroy(tensor);
        return status;
    }
    return vecq_program_constant(l->program, value->name, tensor, out, err);
}

static vecq_status lower_folded(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                vecq_error *err)
{
    vecq_tensor **operands = vecq_alloc(node->n_inputs, sizeof *operands);
    vecq_tensor *views = vecq_alloc(node->n_inputs, sizeof *views);
    vecq_tensor *results = vecq_calloc(node->n_outputs, sizeof *results);
    vecq_status status = VECQ_OK;
    size_t i;

    if (operands == NULL || views == NULL || results == NULL)
        status = vecq_error_memory(err, node->n_outputs * sizeof *results);
    for (i = 0; status == VECQ_OK && i < node->n_inputs; i++) {
        operands[i] = NULL;
        if (in[i] != NULL) {
            views[i] = folding_view(in[i]);
            operands[i] = &views[i];
        }
    }
    if (status == VECQ_OK)
        status = vecq_fold_node(node, operands, &l->budget, results, err);
    for (i = 0; results != NULL && i < node->n_outputs; i++)
        if (status != VECQ_OK)
            vecq_tensor_destroy(&results[i]);
        else if (node->outputs[i] != NULL)
            status = folded_var(l, node->outputs[i], &results[i], &out[i], err);
    vecq_free((void *)operands);
    vecq_free(views);
    vecq_free(results);
    return status;
}

static int all_constant(const vecq_node *node, vecq_var *const *in)
{
    size_t i;

    for (i = 0; i < node->n_inputs; i++)
        if (in[i] != NULL && in[i]->kind != VECQ_VAR_CONSTANT)
            return 0;
    return node->n_inputs > 0;
}

static int is_recurrent(const vecq_node *node)
{
    return vecq_node_is(node, "LSTM") || vecq_node_is(node, "GRU") || vecq_node_is(node, "RNN");
}

/* Activations are quantized where an operator with weights reads them: all data inputs when n is 0, else the
 * first n of vars (outputs of a recurrent layer). */
static vecq_status quantize_data(vecq_lower *l, const vecq_node *node, vecq_var **vars, size_t n,
                                 vecq_error *err)
{
    size_t i, last = n;

    if (l->options->act.bits == 0)
        return VECQ_OK;
    if (n == 0) {
        if (!is_recurrent(node) && !vecq_node_is(node, "Conv") && !vecq_node_is(node, "ConvTranspose") &&
            !vecq_node_is(node, "Gemm") && !vecq_node_is(node, "MatMul"))
            return VECQ_OK;
        last = vecq_node_is(node, "Gemm") || vecq_node_is(node, "MatMul") ? 2 : 1;
    }
    for (i = 0; i < last; i++) {
        const vecq_value *value = n == 0 ? node->inputs[i] : node->outputs[i];

        if (vars[i] == NULL || value == NULL || value->is_constant || !vecq_var_is_float(vars[i]))
            continue;
        if (n == 0)
            VECQ_TRY(vecq_lower_quantized_activation(l, node, i, vars[i], &vars[i], err));
        else
            VECQ_TRY(vecq_lower_quantized_output(l, node, i, vars[i], &vars[i], err));
    }
    return VECQ_OK;
}

static vecq_status lower_node(vecq_lower *l, const vecq_node *node, vecq_var **in, vecq_var **out,
                              vecq_error *err)
{
    const lower_row *row = lower_find(node);
    size_t i;

    for (i = 0; i < node->n_inputs; i++) {
        in[i] = NULL;
        if (node->inputs[i] != NULL)
            VECQ_TRY(value_var(l, node->inputs[i], &in[i], err));
    }
    if ((all_constant(node, in) || node_is_shape(node)) && vecq_fold_is_known(node))
        return lower_folded(l, node, in, out, err);
    if (row == NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "this operator cannot be %s",
                              l->options->is_training ? "trained" : "run");
    VECQ_TRY(quantize_data(l, node, in, 0, err));
    VECQ_TRY(row->function(l, node, in, out, err));
    if (is_recurrent(node)) /* the paper: inputs, outputs and weights; the state within stays float */
        return quantize_data(l, node, out, node->n_outputs < 2 ? node->n_outputs : 2, err);
    return VECQ_OK;
}

static vecq_status lower_nodes(vecq_lower *l, const vecq_graph *graph, vecq_error *err)
{
    vecq_status status = VECQ_OK;
    vecq_var **in = NULL, **out;
    size_t i, k, widest = 1;

    for (i = 0; i < graph->n_nodes; i++) {
        size_t n = graph->nodes[i]->n_inputs + graph->nodes[i]->n_outputs;
        widest = n > widest ? n : widest;
    }
    in = vecq_alloc(widest, sizeof *in);
    if (in == NULL)
        return vecq_error_memory(err, widest * sizeof *in);
    for (i = 0; i < graph->n_nodes && status == VECQ_OK; i++) {
        const vecq_node *node = graph->nodes[i];

        if (!node_is_needed(node))
            continue;
        out = in + node->n_inputs;
        memset((void *)out, 0, node->n_outputs * sizeof *out);
        status = fail_at(err, node, lower_node(l, node, in, out, err));
        for (k = 0; k < node->n_outputs && status == VECQ_OK; k++)
            if (node->outputs[k] != NULL) {
                mark_of(node->outputs[k])->var = out[k];
                if (out[k] != NULL && out[k]->kind == VECQ_VAR_RESULT && out[k]->producer->n_outputs == 1)
                    out[k]->name = node->outputs[k]->name;
            }
    }
    vecq_free((void *)in);
    return status;
}

/* The branch that a condition known before run time takes, in place of the node. */
vecq_status vecq_lower_if(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                          vecq_error *err)
{
    const vecq_attr *attr;
    const vecq_graph *branch;
    size_t i;

    if (node->n_inputs != 1 || in[0] == NULL)
        return vecq_op_fail(err, "the condition is missing");
    if (in[0]->kind != VECQ_VAR_CONSTANT)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "its condition must be known before run time: data choose no branch");
    if (in[0]->count != 1)
        return vecq_op_fail(err, "the condition has %zu elements", in[0]->count);
    attr = vecq_node_attr(node, vecq_lower_number(in[0], 0) != 0 ? "then_branch" : "else_branch");
    if (attr == NULL || attr->type != VECQ_ATTR_GRAPH || attr->graphs[0]->n_outputs != node->n_outputs)
        return vecq_op_fail(err, "a branch is missing, or has other outputs");
    branch = attr->graphs[0];
    VECQ_TRY(lower_nodes(l, branch, err));
    for (i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] != NULL)
            VECQ_TRY(value_var(l, branch->outputs[i], &out[i], err));
    return VECQ_OK;
}

static vecq_status lower_graph(vecq_lower *l, const vecq_lower_input *inputs, size_t n_inputs,
                               const char *const *names, size_t n_outputs, vecq_var **outputs,
                               vecq_error *err)
{
    const vecq_graph *graph = l->ir->main;
    size_t i;

    VECQ_TRY(prepare(l, err));
    VECQ_TRY(need_outputs(l, names, n_outputs, err));
    VECQ_TRY(check_nodes(l, err));
    VECQ_TRY(set_inputs(l, inputs, n_inputs, err));
    VECQ_TRY(lower_nodes(l, graph, err));
    for (i = 0; i < n_outputs; i++)
        VECQ_TRY(value_var(l, names[i] != NULL ? vecq_map_get(&graph->by_name, names[i]) : graph->outputs[0],
                           &outputs[i], err));
    return VECQ_OK;
}

vecq_status vecq_lower_graph(vecq_program *program, vecq_store *store, vecq_ir *ir,
                             const vecq_lower_options *options, const vecq_lower_input *inputs,
                             size_t n_inputs, const char *const *names, size_t n_outputs, vecq_var **outputs,
                             vecq_error *err)
{
    vecq_lower l = {
        .program = program, .store = store, .ir = ir, .options = options, .budget = vecq_fold_budget_of(ir)};
    vecq_status status = lower_graph(&l, inputs, n_inputs, names, n_outputs, outputs, err);

    clear_marks(&l);
    return status;
}

vecq_status vecq_lower_check(vecq_ir *ir, const char *const *names, size_t n_outputs, vecq_error *err)
{
    vecq_lower_options options = {.is_frozen = 1};
    vecq_program program = {0}; /* only its memory is used */
    vecq_lower l = {.program = &program, .ir = ir, .options = &options};
    vecq_status status = make_marks(&l, err);

    if (status == VECQ_OK)
        status = need_outputs(&l, names, n_outputs, err);
    if (status == VECQ_OK)
        status = check_nodes(&l, err);
    if (status == VECQ_OK)
        status = check_order(ir->main, err);
    clear_marks(&l);
    vecq_program_clear(&program);
    return status;
}
