/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/weights.h"

#include <string.h>

#include "base/status.h"
#include "graph/fold.h"

/* ---- layout rules ---- */

/* What a rule says of the operand as the operator sees it (the view): axes in matrix order, the first
 * `n_row_axes` of them are the rows. split_axis >= 0: that axis is first divided into (parts, rest). */
typedef struct layout_plan {
    unsigned rank; /* after splitting */
    unsigned order[VECQ_MAX_RANK + 1];
    unsigned n_row_axes;
    int split_axis;
    int64_t parts;
    int is_single;
} layout_plan;

typedef const char *(*layout_rule)(const vecq_node *node, unsigned rank, const int64_t *dims,
                                   layout_plan *plan);

struct vecq_weight_rule {
    const char *op_type;
    size_t input;
    const char *role;
    int is_bias;
    layout_rule rule;
};

/* Axis `axis` first, the others in order behind it. */
static void plan_axis_first(layout_plan *plan, unsigned rank, unsigned axis)
{
    unsigned i, n = 0;

    plan->rank = rank;
    plan->order[n++] = axis;
    for (i = 0; i < rank; i++)
        if (i != axis)
            plan->order[n++] = i;
    plan->n_row_axes = 1;
}

static void plan_in_place(layout_plan *plan, unsigned rank, unsigned n_row_axes)
{
    unsigned i;

    plan->rank = rank;
    for (i = 0; i < rank; i++)
        plan->order[i] = i;
    plan->n_row_axes = n_row_axes;
}

static const char *layout_conv(const vecq_node *node, unsigned rank, const int64_t *dims, layout_plan *plan)
{
    (void)node;
    (void)dims;
    if (rank < 2)
        return "a convolution weight needs at least 2 dimensions";
    plan_in_place(plan, rank, 1);
    return NULL;
}

/* [inputs, outputs / groups, kernel...]: rows are (group, output in the group). */
static const char *layout_conv_transpose(const vecq_node *node, unsigned rank, const int64_t *dims,
                                         layout_plan *plan)
{
    int64_t groups = vecq_node_attr_int(node, "group", 1);
    unsigned i;

    if (rank < 2)
        return "a convolution weight needs at least 2 dimensions";
    if (groups < 1 || dims[0] % groups != 0)
        return "the number of groups does not divide the input channels";
    if (groups == 1) {
        plan_axis_first(plan, rank, 1);
        return NULL;
    }
    if (rank + 1 > VECQ_MAX_RANK)
        return "too many dimensions";
    plan->split_axis = 0;
    plan->parts = groups;
    plan->rank = rank + 1;
    plan->order[0] = 0;
    plan->order[1] = 2;
    plan->order[2] = 1;
    for (i = 3; i <= rank; i++)
        plan->order[i] = i;
    plan->n_row_axes = 2;
    return NULL;
}

static const char *layout_bias(const vecq_node *node, unsigned rank, const int64_t *dims, layout_plan *plan)
{
    (void)node;
    (void)dims;
    plan_in_place(plan, rank, rank); /* one row per element, one slice */
    plan->is_single = 1;
    return NULL;
}

static const char *layout_gemm_a(const vecq_node *node, unsigned rank, const int64_t *dims, layout_plan *plan)
{
    (void)dims;
    if (rank != 2)
        return "a Gemm operand needs 2 dimensions";
    plan_axis_first(plan, rank, vecq_node_attr_int(node, "transA", 0) != 0 ? 1 : 0);
    return NULL;
}

static const char *layout_gemm_b(const vecq_node *node, unsigned rank, const int64_t *dims, layout_plan *plan)
{
    (void)dims;
    if (rank != 2)
        return "a Gemm operand needs 2 dimensions";
    plan_axis_first(plan, rank, vecq_node_attr_int(node, "transB", 0) != 0 ? 0 : 1);
    return NULL;
}

/* Left operand [batch..., M, K]: every M of every batch is a row. */
static const char *layout_matmul_a(const vecq_node *node, unsigned rank, const int64_t *dims,
                                   layout_plan *plan)
{
    (void)node;
    (void)dims;
    if (rank < 1)
        return "a MatMul operand needs at least 1 dimension";
    plan_in_place(plan, rank, rank - 1);
    return NULL;
}

/* Right operand [batch..., K, N]: every N of every batch is a row. */
static const char *layout_matmul_b(const vecq_node *node, unsigned rank, const int64_t *dims,
                                   layout_plan *plan)
{
    (void)node;
    (void)dims;
    if (rank < 1)
        return "a MatMul operand needs at least 1 dimension";
    plan_in_place(plan, rank, rank - 1);
    if (rank >= 2) {
        plan->order[rank - 2] = rank - 1;
        plan->order[rank - 1] = rank - 2;
    }
    return NULL;
}

static const char *layout_gather(const vecq_node *node, unsigned rank, const int64_t *dims, layout_plan *plan)
{
    int64_t axis = vecq_node_attr_int(node, "axis", 0);

    (void)dims;
    if (rank < 2)
        return "a look-up table of single values, not an embedding";
    if (axis < 0)
        axis += rank;
    if (axis < 0 || axis >= (int64_t)rank)
        return "the axis of Gather is out of range";
    plan_axis_first(plan, rank, (unsigned)axis);
    return NULL;
}

/* W and R [directions, gates * hidden, inputs]. */
static const char *layout_recurrent(const vecq_node *node, unsigned rank, const int64_t *dims,
                                    layout_plan *plan)
{
    (void)node;
    (void)dims;
    if (rank != 3)
        return "a recurrent weight needs 3 dimensions";
    plan_in_place(plan, rank, 2);
    return NULL;
}

/* B [directions, 2 * gates * hidden]: the W half and the R half are slices of their own. */
static const char *layout_recurrent_bias(const vecq_node *node, unsigned rank, const int64_t *dims,
                                         layout_plan *plan)
{
    (void)node;
    if (rank != 2 || dims[1] % 2 != 0)
        return "a recurrent bias needs 2 dimensions, the second one even";
    plan_in_place(plan, 3, 2);
    plan->split_axis = 1;
    plan->parts = 2;
    return NULL;
}

static const char *layout_peephole(const vecq_node *node, unsigned rank, const int64_t *dims,
                                   layout_plan *plan)
{
    (void)node;
    (void)dims;
    if (rank != 2)
        return "peephole weights need 2 dimensions";
    plan_in_place(plan, rank, 1);
    return NULL;
}

static const struct vecq_weight_rule weight_rules[] = {
#define WEIGHT_OP(op_type, input, role, is_bias, rule) {op_type, input, role, is_bias, rule},
#include "graph/weight_ops.def"
#undef WEIGHT_OP
};

/* Add of a constant to the result of a matrix operator: what most exporters make of a bias. */
static const struct vecq_weight_rule weight_rule_added_bias = {"Add", 0, "bias", 1, layout_bias};

/* ---- from the operator's view to the tensor itself ---- */

/* axis[i]: axis of the target that axis i of the view is. Returns a reason or NULL. */
static const char *view_axes(const vecq_weight_site *site, unsigned rank, unsigned *axis)
{
    unsigned i, old[VECQ_MAX_RANK];
    size_t c;

    for (i = 0; i < rank; i++)
        axis[i] = i;
    for (c = 0; c < site->n_chain; c++) {
        const vecq_attr *perm = vecq_node_attr(site->chain[c], "perm");
        unsigned seen = 0;

        memcpy(old, axis, sizeof old);
        if (perm != NULL && (perm->type != VECQ_ATTR_INTS || perm->n != rank))
            return "a Transpose before the operator does not fit the tensor";
        for (i = 0; i < rank; i++) {
            int64_t from = perm != NULL ? perm->ints[i] : (int64_t)(rank - 1 - i);
            if (from < 0 || from >= (int64_t)rank || (seen >> from & 1u) != 0)
                return "a Transpose before the operator does not fit the tensor";
            seen |= 1u << from;
            axis[i] = old[from];
        }
    }
    return NULL;
}

static int layout_is_in_order(const vecq_layout *layout)
{
    unsigned i, last = 0;

    for (i = 0; i < layout->rank; i++) { /* axes of size 1 can stand anywhere */
        if (layout->split[layout->perm[i]] == 1)
            continue;
        if (layout->perm[i] < last)
            return 0;
        last = layout->perm[i];
    }
    return 1;
}

const char *vecq_weight_layout(const vecq_weight_site *site, unsigned rank, const int64_t *dims,
                               vecq_layout *out)
{
    layout_plan plan = {.split_axis = -1};
    unsigned axis[VECQ_MAX_RANK], i, at_split = 0, n_wide = 0;
    int64_t view[VECQ_MAX_RANK];
    const char *reason;

    memset(out, 0, sizeof *out);
    reason = view_axes(site, rank, axis);
    for (i = 0; i < rank && reason == NULL; i++)
        view[i] = dims[axis[i]];
    if (reason == NULL)
        reason = site->rule->rule(site->use.node, rank, view, &plan);
    if (reason != NULL)
        return reason;

    if (plan.split_axis >= 0)
        at_split = axis[plan.split_axis];
    out->rank = plan.rank;
    out->is_single = plan.is_single;
    for (i = 0; i < rank; i++)
        out->split[plan.split_axis >= 0 && i > at_split ? i + 1 : i] = dims[i];
    if (plan.split_axis >= 0) {
        out->split[at_split] = plan.parts;
        out->split[at_split + 1] = dims[at_split] / plan.parts;
        out->is_reshaped = 1;
    }
    out->rows = out->cols = 1;
    out->axis = -1;
    for (i = 0; i < plan.rank; i++) {
        unsigned v = plan.order[i], t;

        if (plan.split_axis < 0) {
            t = axis[v];
        } else {
            unsigned s = (unsigned)plan.split_axis, plain = v > s ? v - 1 : v;
            t = axis[plain] + (axis[plain] > at_split);
            if (v == s + 1)
                t = at_split + 1;
        }
        out->perm[i] = t;
        if (i < plan.n_row_axes) {
            out->rows *= (size_t)out->split[t];
            if (out->split[t] != 1) {
                n_wide++;
                out->axis = (int)t;
            }
        } else {
            out->cols *= (size_t)out->split[t];
        }
    }
    if (n_wide != 1 || plan.split_axis >= 0)
        out->axis = -1;
    out->is_transposed = !layout_is_in_order(out);
    return NULL;
}

void vecq_layout_permuted(const vecq_layout *layout, int64_t *dims)
{
    unsigned i;

    for (i = 0; i < layout->rank; i++)
        dims[i] = layout->split[layout->perm[i]];
}

void vecq_layout_inverse(const vecq_layout *layout, unsigned *perm)
{
    unsigned i;

    for (i = 0; i < layout->rank; i++)
        perm[layout->perm[i]] = i;
}

void vecq_layout_to_matrix(const vecq_layout *layout, size_t size, const void *src, void *dst)
{
    if (layout->is_transposed)
        vecq_transpose(src, dst, size, layout->rank, layout->split, layout->perm);
    else if (layout->rows * layout->cols > 0)
        memcpy(dst, src, layout->rows * layout->cols * size);
}

void vecq_layout_from_matrix(const vecq_layout *layout, size_t size, const void *src, void *dst)
{
    int64_t dims[VECQ_MAX_RANK];
    unsigned perm[VECQ_MAX_RANK];

    if (layout->is_transposed) {
        vecq_layout_permuted(layout, dims);
        vecq_layout_inverse(layout, perm);
        vecq_transpose(src, dst, size, layout->rank, dims, perm);
    } else if (layout->rows * layout->cols > 0) {
        memcpy(dst, src, layout->rows * layout->cols * size);
    }
}

/* ---- discovery ---- */

int64_t vecq_weight_group(const vecq_node *node)
{
    const char *p = node->name;
    int64_t index = 0;

    if (strncmp(p, "vecq", 4) != 0 || p[4] < '0' || p[4] > '9')
        return -1;
    for (p += 4; *p >= '0' && *p <= '9'; p++) {
        index = index * 10 + (*p - '0');
        if (index > INT32_MAX)
            return -1;
    }
    return *p == '\0' || *p == '_' ? index : -1;
}

int vecq_weight_is_call(const vecq_node *node)
{
    return node->n_outputs == 1 && node->outputs[0] != NULL && node->outputs[0]->constant != NULL &&
           !node->outputs[0]->constant->is_given && !vecq_node_is(node, "Constant");
}

int vecq_weight_is_decoded(const vecq_value *value)
{
    int64_t group = value->producer != NULL ? vecq_weight_group(value->producer) : -1;
    size_t u;

    if (group < 0)
        return value->producer != NULL && vecq_weight_is_call(value->producer);
    for (u = 0; u < value->n_uses; u++)
        if (vecq_weight_group(value->uses[u].node) != group)
            return 1;
    return value->n_uses == 0 || value->is_graph_output;
}

/* Whether a constant is a decoded weight, or one put into another shape, order or type. */
static int is_from_call(const vecq_value *value)
{
    static const char *const layout[] = {"Reshape", "Transpose", "Cast", "Identity"};
    size_t steps, i;

    for (steps = 0; steps < 16 && value != NULL && value->producer != NULL; steps++) {
        const vecq_node *node = value->producer;

        if (vecq_weight_is_call(node) || vecq_weight_group(node) >= 0)
            return 1;
        for (i = 0; i < 4 && !vecq_node_is(node, layout[i]); i++)
            ;
        if (i == 4 || node->n_inputs < 1)
            return 0;
        value = node->inputs[0];
    }
    return 0;
}

/* A Cast that keeps a weight a weight: to integers it would change what the values mean. */
static int is_float_cast(const vecq_node *node)
{
    const vecq_const *from = node->inputs[0]->constant;
    int64_t to = vecq_node_attr_int(node, "to", 0);

    return vecq_node_is(node, "Cast") && from != NULL && vecq_dtype_is_weight(from->dtype) && to > 0 &&
           to < VECQ_DT_COUNT && vecq_dtype_is_weight((vecq_dtype)to);
}

#define TRACE_MAX 1000u /* nodes: longer chains are computed */

/* From an operand back to the tensor that holds its values: through Identity, through Cast between float
 * types, and through Transpose, which is remembered. Anything else that is constant gets computed. */
static void site_trace(vecq_weight_site *site, vecq_value *operand)
{
    vecq_node *met[8];
    vecq_value *value = operand;
    size_t n = 0, i, steps;

    for (steps = 0; steps < TRACE_MAX; steps++) {
        vecq_node *node = value->producer;

        if (is_from_call(value)) {
            site->is_packed = 1;
            site->reason = "already quantized by vecq: unpack the model first";
            break;
        }
        if (value->constant != NULL || node == NULL || node->n_inputs < 1 || node->inputs[0] == NULL)
            break;
        if (vecq_node_is(node, "Transpose") && n < sizeof met / sizeof *met)
            met[n++] = node;
        else if (!vecq_node_is(node, "Identity") && !is_float_cast(node))
            break;
        value = node->inputs[0];
    }
    site->target = value;
    site->n_chain = n;
    for (i = 0; i < n; i++)
        site->chain[i] = met[n - 1 - i];
    site->is_computed = value->constant == NULL;
}

static vecq_status weights_add(vecq_weight_list *list, vecq_value *operand, vecq_use use,
                               const struct vecq_weight_rule *rule, vecq_error *err)
{
    vecq_weight_site site = {.use = use, .rule = rule, .role = rule->role, .is_bias = rule->is_bias};
    const vecq_const *constant;

    site_trace(&site, operand);
    constant = site.target->constant;
    if (constant != NULL && !vecq_dtype_is_weight(constant->dtype))
        return VECQ_OK;
    if (site.target->mark != NULL)
        return VECQ_OK; /* shared: the first consumer decided */
    if (constant != NULL && rule->rule == layout_gather && constant->rank < 2)
        return VECQ_OK; /* a look-up table of single values, no embedding */
    if (site.reason == NULL && constant != NULL) {
        if (constant->is_opaque)
            site.reason = "stored in a form that cannot be read (sparse, or more than 16 dimensions)";
        else if (constant->count == 0)
            site.reason = "has no elements";
        else
            site.reason = vecq_weight_layout(&site, constant->rank, constant->dims, &site.layout);
    }
    if (!vecq_grow((void **)&list->sites, &list->capacity, list->n, sizeof *list->sites))
        return vecq_error_memory(err, sizeof *list->sites);
    list->sites[list->n++] = site;
    site.target->mark = list; /* any non-NULL value will do */
    return VECQ_OK;
}

static int node_is_constant(const vecq_node *node)
{
    return node->n_outputs > 0 && node->outputs[0] != NULL && node->outputs[0]->is_constant;
}

/* The constant operand of an Add whose other operand is the result of a matrix operator; SIZE_MAX: not so. */
static size_t added_bias(const vecq_node *node)
{
    static const char *const producers[] = {"MatMul", "Gemm", "Conv", "ConvTranspose"};
    size_t side, i;

    if (!vecq_node_is(node, "Add") || node->n_inputs != 2 || node->inputs[0] == NULL ||
        node->inputs[1] == NULL)
        return SIZE_MAX;
    for (side = 0; side < 2; side++) {
        const vecq_const *c = node->inputs[side]->constant;
        const vecq_node *from = node->inputs[1 - side]->producer;
        unsigned a, wide = 0;

        if (c == NULL || c->is_opaque || c->count < 2 || from == NULL || !vecq_dtype_is_weight(c->dtype))
            continue;
        for (a = 0; a < c->rank; a++)
            wide += c->dims[a] != 1;
        for (i = 0; i < sizeof producers / sizeof *producers; i++)
            if (wide == 1 && vecq_node_is(from, producers[i]) && from->n_inputs >= 2 &&
                ((from->inputs[1] != NULL && from->inputs[1]->is_constant) ||
                 (from->inputs[0] != NULL && from->inputs[0]->is_constant)))
                return side;
    }
    return SIZE_MAX;
}

static vecq_status weights_of_node(vecq_weight_list *list, vecq_node *node, vecq_error *err)
{
    size_t r, side;

    if (node->domain[0] != '\0' || node_is_constant(node))
        return VECQ_OK;
    for (r = 0; r < sizeof weight_rules / sizeof *weight_rules; r++) {
        const struct vecq_weight_rule *rule = &weight_rules[r];
        vecq_use use = {node, rule->input};

        if (strcmp(node->op_type, rule->op_type) != 0 || rule->input >= node->n_inputs)
            continue;
        if (node->inputs[rule->input] != NULL && node->inputs[rule->input]->is_constant)
            VECQ_TRY(weights_add(list, node->inputs[rule->input], use, rule, err));
    }
    side = added_bias(node);
    if (side != SIZE_MAX) {
        vecq_use use = {node, side};
        VECQ_TRY(weights_add(list, node->inputs[side], use, &weight_rule_added_bias, err));
    }
    return VECQ_OK;
}

vecq_status vecq_weights_find(vecq_ir *ir, vecq_weight_list *out, vecq_error *err)
{
    vecq_status status = VECQ_OK;
    size_t g, n;

    memset(out, 0, sizeof *out);
    for (g = 0; g < ir->n_graphs && status == VECQ_OK; g++)
        for (n = 0; n < ir->graphs[g]->n_nodes && status == VECQ_OK; n++)
            if (!ir->graphs[g]->nodes[n]->is_dead)
                status = weights_of_node(out, ir->graphs[g]->nodes[n], err);
    for (n = 0; n < out->n; n++)
        out->sites[n].target->mark = NULL;
    if (status != VECQ_OK)
        vecq_weights_clear(out);
    return status;
}

void vecq_weights_clear(vecq_weight_list *list)
{
    vecq_free(list->sites);
    memset(list, 0, sizeof *list);
}
