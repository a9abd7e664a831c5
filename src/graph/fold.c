/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two steps: plan the nodes behind a value (depth first with a stack of our own, each node once, operands
 * before users), then run them in that order and release every tensor after its last use.
 */
#include "graph/fold.h"

#include <string.h>

#include "graph/fold_call.h"

#define FOLD_WORK_FACTOR 256u /* bytes read and written in all, in units of the limit of one tensor */
#define FOLD_NODE_WORK   256u /* for a node, whatever it does */

typedef struct fold_row {
    const char *name;
    int64_t since;
    vecq_fold_fn function;
    int variant;
} fold_row;

static const fold_row fold_rows[] = {
#define VECQ_FOLD_OP(name, since, function, variant) {#name, since, vecq_fold_op_##function, variant},
#include "graph/fold_ops.def"
#undef VECQ_FOLD_OP
};

static const fold_row *fold_find(const vecq_node *node)
{
    size_t low = 0, high = sizeof fold_rows / sizeof *fold_rows;

    if (node->domain[0] != '\0')
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(node->op_type, fold_rows[middle].name);
        if (order == 0)
            return node->version >= fold_rows[middle].since ? &fold_rows[middle] : NULL;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* Index of a pointer, for values and nodes. Open addressing, at most half full. */
typedef struct fold_index {
    const void **keys;
    size_t *values;
    size_t capacity, count;
} fold_index;

static size_t index_place(const fold_index *index, const void *key)
{
    uint64_t hash = ((uint64_t)(uintptr_t)key >> 4) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(hash >> 32) & (index->capacity - 1);

    while (index->keys[at] != NULL && index->keys[at] != key)
        at = (at + 1) & (index->capacity - 1);
    return at;
}

static void index_clear(fold_index *index)
{
    vecq_free((void *)index->keys);
    vecq_free(index->values);
    memset(index, 0, sizeof *index);
}

static int index_grow(fold_index *index)
{
    fold_index fresh = {0};
    size_t i, at;

    fresh.capacity = index->capacity == 0 ? 64 : 2 * index->capacity;
    fresh.count = index->count;
    fresh.keys = vecq_calloc(fresh.capacity, sizeof *fresh.keys);
    fresh.values = vecq_alloc(fresh.capacity, sizeof *fresh.values);
    if (fresh.keys == NULL || fresh.values == NULL) {
        index_clear(&fresh);
        return 0;
    }
    for (i = 0; i < index->capacity; i++)
        if (index->keys[i] != NULL) {
            at = index_place(&fresh, index->keys[i]);
            fresh.keys[at] = index->keys[i];
            fresh.values[at] = index->values[i];
        }
    index_clear(index);
    *index = fresh;
    return 1;
}

/* Its place, which holds SIZE_MAX for a new key; NULL when memory is out. */
static size_t *index_put(fold_index *index, const void *key)
{
    size_t at;

    if (2 * (index->count + 1) > index->capacity && !index_grow(index))
        return NULL;
    at = index_place(index, key);
    if (index->keys[at] == NULL) {
        index->keys[at] = key;
        index->values[at] = SIZE_MAX;
        index->count++;
    }
    return &index->values[at];
}

static size_t index_get(const fold_index *index, const void *key)
{
    size_t at;

    if (index->capacity == 0)
        return SIZE_MAX;
    at = index_place(index, key);
    return index->keys[at] == key ? index->values[at] : SIZE_MAX;
}

typedef struct fold_slot {
    const vecq_value *value;
    vecq_tensor tensor;
    size_t n_left;    /* reads to come */
    size_t n_counted; /* bytes in held_bytes; 0 for constants of the document */
    int is_loaded;
} fold_slot;

typedef struct fold_frame {
    const vecq_node *node;
    size_t next; /* input to visit */
} fold_frame;

enum { FOLD_NODE_OPEN = 1, FOLD_NODE_DONE };

typedef struct fold_plan {
    fold_index slot_of;  /* vecq_value -> index in slots */
    fold_index state_of; /* vecq_node -> FOLD_NODE_* */
    fold_slot *slots;
    size_t n_slots, slots_capacity;
    const vecq_node **order;
    size_t n_order, order_capacity;
    fold_frame *stack;
    size_t n_stack, stack_capacity;
    size_t held_bytes;
    uint64_t work; /* left */
} fold_plan;

static void plan_clear(fold_plan *plan)
{
    size_t i;

    for (i = 0; i < plan->n_slots; i++)
        vecq_tensor_destroy(&plan->slots[i].tensor);
    vecq_free(plan->slots);
    vecq_free((void *)plan->order);
    vecq_free(plan->stack);
    index_clear(&plan->slot_of);
    index_clear(&plan->state_of);
}

static int fold_is_leaf(const vecq_value *value)
{
    return value->constant != NULL; /* also what the document layer can decode: packed weights */
}

/* An attribute of a function body that the caller fills: the value is not known here. */
static int fold_has_reference(const vecq_node *node)
{
    size_t i;

    for (i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].reference != NULL)
            return 1;
    return 0;
}

static vecq_status plan_push(fold_plan *plan, const vecq_node *node, vecq_error *err)
{
    size_t *state = index_put(&plan->state_of, node);

    if (state == NULL)
        return vecq_error_memory(err, plan->state_of.capacity * sizeof(size_t));
    if (*state == FOLD_NODE_DONE)
        return VECQ_OK;
    if (*state == FOLD_NODE_OPEN)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s '%.200s' depends on its own output", node->op_type,
                              node->name);
    if (plan->work < FOLD_NODE_WORK)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "the constant subgraph takes too much work to evaluate");
    plan->work -= FOLD_NODE_WORK;
    if (fold_find(node) == NULL || fold_has_reference(node))
        return vecq_error_set(
            err, VECQ_ERR_UNSUPPORTED,
            "constant subgraph with operator %.100s%s%.100s (opset %lld), which is not evaluated",
            node->domain, node->domain[0] != '\0' ? "." : "", node->op_type, (long long)node->version);
    *state = FOLD_NODE_OPEN;
    if (!vecq_grow((void **)&plan->stack, &plan->stack_capacity, plan->n_stack, sizeof *plan->stack))
        return vecq_error_memory(err, plan->stack_capacity * sizeof *plan->stack);
    plan->stack[plan->n_stack].node = node;
    plan->stack[plan->n_stack].next = 0;
    plan->n_stack++;
    return VECQ_OK;
}

/* Counts one read of a value and opens the node that makes it. */
static vecq_status plan_visit(fold_plan *plan, const vecq_value *value, vecq_error *err)
{
    size_t *at = index_put(&plan->slot_of, value);

    if (at == NULL)
        return vecq_error_memory(err, plan->slot_of.capacity * sizeof(size_t));
    if (*at == SIZE_MAX) {
        if (!value->is_constant || (!fold_is_leaf(value) && value->producer == NULL))
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "'%.200s' is not known before run time",
                                  value->name);
        if (!vecq_grow((void **)&plan->slots, &plan->slots_capacity, plan->n_slots, sizeof *plan->slots))
            return vecq_error_memory(err, plan->slots_capacity * sizeof *plan->slots);
        memset(&plan->slots[plan->n_slots], 0, sizeof *plan->slots);
        plan->slots[plan->n_slots].value = value;
        *at = plan->n_slots++;
    }
    plan->slots[*at].n_left++;
    return fold_is_leaf(value) ? VECQ_OK : plan_push(plan, value->producer, err);
}

static vecq_status plan_build(fold_plan *plan, const vecq_value *value, vecq_error *err)
{
    VECQ_TRY(plan_visit(plan, value, err));
    while (plan->n_stack > 0) {
        fold_frame *frame = &plan->stack[plan->n_stack - 1];
        const vecq_node *node = frame->node;

        if (frame->next < node->n_inputs) {
            const vecq_value *input = node->inputs[frame->next++];
            if (input != NULL)
                VECQ_TRY(plan_visit(plan, input, err));
            continue;
        }
        if (!vecq_grow((void **)&plan->order, &plan->order_capacity, plan->n_order, sizeof *plan->order))
            return vecq_error_memory(err, plan->order_capacity * sizeof *plan->order);
        plan->order[plan->n_order++] = node;
        *index_put(&plan->state_of, node) = FOLD_NODE_DONE; /* there since it was opened */
        plan->n_stack--;
    }
    return VECQ_OK;
}

/* The arrays of a call, reused from node to node. */
typedef struct fold_buffers {
    vecq_tensor **in;
    unsigned char *last, *wanted;
    vecq_tensor *out;
    size_t in_capacity, out_capacity;
} fold_buffers;

static void buffers_clear(fold_buffers *buffers)
{
    vecq_free((void *)buffers->in);
    vecq_free(buffers->last);
    vecq_free(buffers->wanted);
    vecq_free(buffers->out);
    memset(buffers, 0, sizeof *buffers);
}

static vecq_status buffers_fit(fold_buffers *buffers, const vecq_node *node, vecq_error *err)
{
    fold_buffers fresh = {0};

    if (buffers->in != NULL && node->n_inputs <= buffers->in_capacity &&
        node->n_outputs <= buffers->out_capacity)
        return VECQ_OK;
    fresh.in_capacity = node->n_inputs > 8 ? node->n_inputs : 8;
    fresh.out_capacity = node->n_outputs > 8 ? node->n_outputs : 8;
    if (fresh.in_capacity < buffers->in_capacity)
        fresh.in_capacity = buffers->in_capacity;
    if (fresh.out_capacity < buffers->out_capacity)
        fresh.out_capacity = buffers->out_capacity;
    buffers_clear(buffers);
    fresh.in = vecq_alloc(fresh.in_capacity, sizeof *fresh.in);
    fresh.last = vecq_alloc(fresh.in_capacity, 1);
    fresh.wanted = vecq_alloc(fresh.out_capacity, 1);
    fresh.out = vecq_alloc(fresh.out_capacity, sizeof *fresh.out);
    if (fresh.in == NULL || fresh.last == NULL || fresh.wanted == NULL || fresh.out == NULL) {
        buffers_clear(&fresh);
        return vecq_error_memory(err,
                                 fresh.in_capacity * sizeof(void *) + fresh.out_capacity * sizeof *fresh.out);
    }
    *buffers = fresh;
    return VECQ_OK;
}

/* Loads the constants among the operands and notes which reads are the last. */
static vecq_status run_operands(fold_plan *plan, const vecq_node *node, fold_buffers *buffers, uint64_t *work,
                                vecq_error *err)
{
    size_t i;

    for (i = 0; i < node->n_inputs; i++) {
        fold_slot *slot;
        if (node->inputs[i] == NULL) {
            buffers->in[i] = NULL;
            buffers->last[i] = 0;
            continue;
        }
        slot = &plan->slots[index_get(&plan->slot_of, node->inputs[i])];
        if (!slot->is_loaded && slot->value->constant == NULL)
            return vecq_error_set(err, VECQ_ERR_FORMAT, "'%.200s' is not made by its node",
                                  slot->value->name);
        if (!slot->is_loaded) {
            VECQ_TRY(vecq_fold_const(slot->value->constant, &slot->tensor, err));
            slot->is_loaded = 1;
        }
        buffers->in[i] = &slot->tensor;
        buffers->last[i] = slot->n_left == 1;
        *work -= slot->tensor.n_bytes < *work ? slot->tensor.n_bytes : *work;
    }
    return VECQ_OK;
}

static void run_release(fold_plan *plan, fold_slot *slot)
{
    if (--slot->n_left > 0)
        return;
    plan->held_bytes -= slot->n_counted;
    slot->n_counted = 0;
    vecq_tensor_destroy(&slot->tensor);
}

/* Moves the results to their slots and lets go of operands that were read for the last time. */
static vecq_status run_results(fold_plan *plan, vecq_fold_call *call)
{
    const vecq_node *node = call->node;
    size_t i;

    for (i = 0; i < node->n_outputs; i++) {
        fold_slot *slot;
        if (!call->wanted[i])
            continue;
        if (call->out[i].data == NULL)
            return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "output %zu is not evaluated", i);
        slot = &plan->slots[index_get(&plan->slot_of, node->outputs[i])];
        if (slot->is_loaded)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "output %zu was made before", i);
        slot->tensor = call->out[i];
        slot->is_loaded = 1;
        slot->n_counted = slot->tensor.n_bytes;
        plan->held_bytes += slot->n_counted;
        memset(&call->out[i], 0, sizeof call->out[i]);
    }
    for (i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != NULL)
            run_release(plan, &plan->slots[index_get(&plan->slot_of, node->inputs[i])]);
    return VECQ_OK;
}

static vecq_status run_node(fold_plan *plan, const vecq_node *node, fold_buffers *buffers, size_t limit_bytes,
                            vecq_error *err)
{
    const fold_row *row = fold_find(node);
    vecq_fold_call call = {0};
    vecq_status status;
    size_t i;

    VECQ_TRY(buffers_fit(buffers, node, err));
    VECQ_TRY(run_operands(plan, node, buffers, &plan->work, err));
    memset(buffers->out, 0, node->n_outputs * sizeof *buffers->out);
    for (i = 0; i < node->n_outputs; i++)
        buffers->wanted[i] =
            node->outputs[i] != NULL && index_get(&plan->slot_of, node->outputs[i]) != SIZE_MAX;
    call.node = node;
    call.variant = row->variant;
    call.in = buffers->in;
    call.n_in = node->n_inputs;
    call.last = buffers->last;
    call.out = buffers->out;
    call.wanted = buffers->wanted;
    call.n_out = node->n_outputs;
    call.limit_bytes = limit_bytes;
    call.held_bytes = plan->held_bytes;
    call.work = &plan->work;
    call.err = err;
    status = row->function(&call);
    if (status == VECQ_OK)
        status = run_results(plan, &call);
    for (i = 0; i < node->n_outputs; i++)
        vecq_tensor_destroy(&buffers->out[i]);
    return status;
}

static vecq_status plan_run(fold_plan *plan, const vecq_value *value, size_t limit_bytes, vecq_tensor *out,
                            vecq_error *err)
{
    fold_buffers buffers = {0};
    fold_slot *root = &plan->slots[index_get(&plan->slot_of, value)];
    vecq_status status = VECQ_OK;
    size_t i;

    for (i = 0; i < plan->n_order && status == VECQ_OK; i++)
        status = run_node(plan, plan->order[i], &buffers, limit_bytes, err);
    buffers_clear(&buffers);
    if (status != VECQ_OK)
        return status;
    if (!root->is_loaded)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "'%.200s' is not made by its node", value->name);
    vecq_fold_pack(&root->tensor);
    *out = root->tensor;
    memset(&root->tensor, 0, sizeof root->tensor);
    return VECQ_OK;
}

vecq_status vecq_fold_spend(const vecq_value *value, vecq_fold_budget *budget, vecq_tensor *out,
                            vecq_error *err)
{
    fold_plan plan = {.work = budget->work};
    vecq_status status;

    memset(out, 0, sizeof *out);
    if (fold_is_leaf(value) && !value->constant->is_opaque)
        return vecq_const_load(value->constant, out, err);
    status = plan_build(&plan, value, err);
    if (status == VECQ_OK)
        status = plan_run(&plan, value, budget->limit_bytes, out, err);
    budget->work = plan.work;
    plan_clear(&plan);
    return status;
}

vecq_status vecq_fold_value(const vecq_value *value, size_t limit_bytes, vecq_tensor *out, vecq_error *err)
{
    vecq_fold_budget budget = {limit_bytes, 0};

    if (__builtin_mul_overflow((uint64_t)limit_bytes, FOLD_WORK_FACTOR, &budget.work))
        budget.work = UINT64_MAX;
    return vecq_fold_spend(value, &budget, out, err);
}

vecq_status vecq_fold_node(const vecq_node *node, vecq_tensor *const *in, vecq_fold_budget *budget,
                           vecq_tensor *out, vecq_error *err)
{
    const fold_row *row = fold_find(node);
    fold_buffers buffers = {0};
    vecq_fold_call call = {0};
    vecq_status status;
    size_t i;

    if (row == NULL || fold_has_reference(node))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "operator %.100s (opset %lld) is not evaluated",
                              node->op_type, (long long)node->version);
    VECQ_TRY(buffers_fit(&buffers, node, err));
    for (i = 0; i < node->n_inputs; i++) {
        buffers.in[i] = in[i];
        buffers.last[i] = 0;
    }
    for (i = 0; i < node->n_outputs; i++)
        buffers.wanted[i] = node->outputs[i] != NULL;
    memset(out, 0, node->n_outputs * sizeof *out);
    call.node = node;
    call.variant = row->variant;
    call.in = buffers.in;
    call.n_in = node->n_inputs;
    call.last = buffers.last;
    call.out = out;
    call.wanted = buffers.wanted;
    call.n_out = node->n_outputs;
    call.limit_bytes = budget->limit_bytes;
    call.work = &budget->work;
    call.err = err;
    status = row->function(&call);
    for (i = 0; i < node->n_outputs && status == VECQ_OK; i++)
        if (node->outputs[i] != NULL && out[i].data == NULL)
            status = vecq_fold_fail(&call, VECQ_ERR_UNSUPPORTED, "output %zu is not evaluated", i);
    for (i = 0; i < node->n_outputs && status != VECQ_OK; i++)
        vecq_tensor_destroy(&out[i]);
    buffers_clear(&buffers);
    return status;
}

static uint64_t budget_part(const vecq_ir *ir, uint64_t factor, uint64_t least)
{
    uint64_t n;

    if (__builtin_mul_overflow(ir->n_source, factor, &n) || n > SIZE_MAX)
        n = SIZE_MAX;
    return n > least ? n : least;
}

vecq_fold_budget vecq_fold_budget_of(const vecq_ir *ir)
{
    vecq_fold_budget budget = {(size_t)budget_part(ir, 64, (uint64_t)64 << 20),
                               budget_part(ir, 1024, (uint64_t)256 << 20)};

    return budget;
}

int vecq_fold_is_known(const vecq_node *node)
{
    return fold_find(node) != NULL && !fold_has_reference(node);
}

int vecq_fold_can(const vecq_value *value)
{
    fold_plan plan = {.work = UINT64_MAX};
    vecq_error err = VECQ_ERROR_INIT;
    int can = plan_build(&plan, value, &err) == VECQ_OK;

    plan_clear(&plan);
    return can;
}

/* Dropout is the identity unless it is told to train; before version 7 an attribute says so. */
static int fold_is_dropout_off(const vecq_node *node)
{
    return node->version >= 7 && (node->version < 12 || node->n_inputs < 3 || node->inputs[2] == NULL);
}

int vecq_fold_is_pure(const vecq_node *node)
{
    static const char *const random[] = {"RandomNormal",      "RandomNormalLike", "RandomUniform",
                                         "RandomUniformLike", "Bernoulli",        "Multinomial"};
    size_t i;

    if (node->domain[0] != '\0' || node->n_outputs == 0 || fold_has_reference(node))
        return 0;
    for (i = 0; i < sizeof random / sizeof *random; i++)
        if (strcmp(node->op_type, random[i]) == 0)
            return 0;
    for (i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].type == VECQ_ATTR_GRAPH || node->attrs[i].type == VECQ_ATTR_GRAPHS)
            return 0;
    return strcmp(node->op_type, "Dropout") != 0 || fold_is_dropout_off(node);
}
