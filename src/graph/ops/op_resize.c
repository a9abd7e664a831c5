/* SPDX-License-Identifier: Apache-2.0 */
/* Resize (nearest, linear, cubic) along any axes, its gradient, and the ONNX operators Resize and Upsample.
 */
#include <math.h>

#include "graph/ops/op_util.h"

static vecq_status resize_check(const vecq_resize_params *params, const vecq_var *x, vecq_error *err)
{
    unsigned a;

    if (!vecq_var_is_float(x))
        return vecq_op_fail(err, "an input of type %s", vecq_dtype_name(x->dtype));
    for (a = 0; a < x->rank; a++) {
        if (params->sizes[a] != x->dims[a] && (params->sizes[a] < 1 || x->dims[a] < 1))
            return vecq_op_fail(err, "axis %u of %lld elements cannot become %lld", a, (long long)x->dims[a],
                                (long long)params->sizes[a]);
        if (!(params->scales[a] > 0) || !isfinite(params->scales[a]))
            return vecq_op_fail(err, "a scale of %g for axis %u", params->scales[a], a);
    }
    return VECQ_OK;
}

vecq_status vecq_op_resize_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_resize_params *params = op->params;
    const vecq_var *x = op->inputs[0];

    (void)program;
    VECQ_TRY(resize_check(params, x, err));
    op->outputs[0]->is_relu = x->is_relu;
    return vecq_op_set_output(op, 0, x->dtype, x->rank, params->sizes, err);
}

/* dy -> dx */
vecq_status vecq_op_resize_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_resize_params *params = op->params;
    const vecq_var *dy = op->inputs[0];
    unsigned a;

    (void)program;
    for (a = 0; a < dy->rank; a++)
        if (dy->dims[a] != params->sizes[a])
            return vecq_op_fail(err, "not the shape of its forward op");
    return vecq_op_set_output(op, 0, dy->dtype, dy->rank, params->full, err);
}

vecq_status vecq_op_resize_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_resize_params params = *(const vecq_resize_params *)op->params;
    vecq_var *dx;

    memcpy(params.full, op->inputs[0]->dims, sizeof params.full);
    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_RESIZE_GRAD, vecq_gradient_of(g, op->outputs[0]), &params,
                           sizeof params, &dx, err));
    return vecq_gradient_add(g, op->inputs[0], dx, err);
}

/* ---- from ONNX ---- */

/* Sizes and scales of all axes from what is given for some of them. */
typedef struct resize_given {
    int64_t axes[VECQ_MAX_RANK], sizes[VECQ_MAX_RANK];
    double scales[VECQ_MAX_RANK];
    double roi[2 * VECQ_MAX_RANK];
    size_t n_axes, n_sizes, n_scales, n_roi;
    int policy; /* keep_aspect_ratio_policy */
} resize_given;

enum { POLICY_STRETCH, POLICY_NOT_LARGER, POLICY_NOT_SMALLER };

/*
 * floor(size * scale) in float, as ONNX Runtime and the exporters have it: a scale of 0.7 makes 7 elements of
 * 10, although the float next to 0.7 is a little less than it.
 */
static vecq_status scaled_size(int64_t size, double scale, int64_t *out, vecq_error *err)
{
    float length = (float)size * (float)scale;

    if (!(length >= 0) || length > 1e14f)
        return vecq_op_fail(err, "%lld elements scaled by %g", (long long)size, scale);
    *out = (int64_t)floorf(length);
    return VECQ_OK;
}

static vecq_status resize_set(const vecq_var *x, const resize_given *given, vecq_resize_params *params,
                              vecq_error *err)
{
    size_t n = given->n_scales > 0 ? given->n_scales : given->n_sizes, i;
    unsigned a, seen = 0;

    if ((given->n_scales > 0) == (given->n_sizes > 0) || n != given->n_axes)
        return vecq_op_fail(err, "%zu scales and %zu sizes for %zu axes", given->n_scales, given->n_sizes,
                            given->n_axes);
    for (a = 0; a < x->rank; a++) {
        params->sizes[a] = x->dims[a];
        params->scales[a] = 1;
    }
    for (i = 0; i < n; i++) {
        VECQ_TRY(vecq_lower_axis(given->axes[i], x->rank, &a, err));
        if ((seen >> a & 1u) != 0)
            return vecq_op_fail(err, "axis %u is named twice", a);
        seen |= 1u << a;
        if (given->n_sizes > 0) {
            params->sizes[a] = given->sizes[i];
            params->scales[a] = given->policy != POLICY_STRETCH ? given->scales[i]
                                : given->sizes[i] == x->dims[a]
                                    ? 1
                                    : (double)given->sizes[i] / (double)x->dims[a];
            continue;
        }
        params->scales[a] = given->scales[i];
        VECQ_TRY(scaled_size(x->dims[a], given->scales[i], &params->sizes[a], err));
    }
    return VECQ_OK;
}

/* One scale for all axes, so that no size is larger (smaller) than asked for; sizes rounded, halves up. */
static vecq_status resize_keep_ratio(const vecq_var *x, resize_given *given, vecq_error *err)
{
    double scale = given->policy == POLICY_NOT_LARGER ? INFINITY : 0;
    unsigned a;
    size_t i;

    if (given->policy == POLICY_STRETCH || given->n_sizes == 0)
        return VECQ_OK;
    for (i = 0; i < given->n_sizes && i < given->n_axes; i++) {
        double ratio;

        VECQ_TRY(vecq_lower_axis(given->axes[i], x->rank, &a, err));
        ratio = (double)given->sizes[i] / (double)x->dims[a];
        scale = given->policy == POLICY_NOT_LARGER ? fmin(scale, ratio) : fmax(scale, ratio);
    }
    for (i = 0; i < given->n_sizes && i < given->n_axes; i++) {
        VECQ_TRY(vecq_lower_axis(given->axes[i], x->rank, &a, err));
        given->sizes[i] = (int64_t)floor(scale * (double)x->dims[a] + 0.5);
        given->scales[i] = scale;
    }
    return VECQ_OK;
}

static void all_axes(const vecq_var *x, resize_given *given)
{
    for (given->n_axes = 0; given->n_axes < x->rank; given->n_axes++)
        given->axes[given->n_axes] = (int64_t)given->n_axes;
}

static vecq_status resize_add(vecq_lower *l, const vecq_node *node, vecq_var *x,
                              const vecq_resize_params *params, vecq_var **out, vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_var *y;
    unsigned a;

    for (a = 0; a < x->rank && params->sizes[a] == x->dims[a] && params->scales[a] == 1; a++)
        ;
    if (a == x->rank && params->coordinate != VECQ_COORD_CROP) {
        *out = x;
        return VECQ_OK;
    }
    VECQ_TRY(vecq_lower_widen(l, name, x, &y, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_RESIZE, name, y, params, sizeof *params, &y, err));
    return vecq_lower_narrow(l, name, y, x, out, err);
}

static vecq_status read_mode(const vecq_node *node, vecq_resize_params *params, vecq_error *err)
{
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    int mode;

    VECQ_TRY(vecq_lower_attr_string(node, "mode", modes, &mode, err));
    params->mode = (vecq_resize_mode)mode;
    return VECQ_OK;
}

/*
 * Upsample, and Resize of version 10: coordinate / scale; the nearest element is the one below when an image
 * grows and the one above when it shrinks.
 */
static vecq_status resize_old(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                              const resize_given *given, vecq_var **out, vecq_error *err)
{
    vecq_resize_params params = {.coordinate = VECQ_COORD_ASYMMETRIC, .nearest = VECQ_NEAREST_FLOOR};
    int grows = 0, shrinks = 0;
    unsigned a;

    VECQ_TRY(read_mode(node, &params, err));
    VECQ_TRY(resize_set(in[0], given, &params, err));
    for (a = 0; a < in[0]->rank; a++) {
        grows |= params.scales[a] > 1;
        shrinks |= params.scales[a] < 1;
    }
    if (params.mode == VECQ_RESIZE_CUBIC)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "mode 'cubic' is not supported in opset %lld",
                              (long long)node->version);
    if (grows && shrinks && params.mode == VECQ_RESIZE_NEAREST)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "an image that grows along one axis and shrinks along another is not supported "
                              "in opset %lld",
                              (long long)node->version);
    if (shrinks)
        params.nearest = VECQ_NEAREST_CEIL;
    return resize_add(l, node, in[0], &params, &out[0], err);
}

vecq_status vecq_lower_upsample(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                vecq_error *err)
{
    resize_given given = {.n_sizes = 0};
    const vecq_attr *attr;
    size_t i;

    VECQ_TRY(vecq_lower_need(node, in, node->version >= 9 ? 2 : 1, 2, err));
    all_axes(in[0], &given);
    if (node->version >= 9) {
        VECQ_TRY(vecq_lower_floats(in[1], "scales", given.scales, VECQ_MAX_RANK, &given.n_scales, err));
    } else {
        attr = vecq_node_attr(node, "scales");
        if (attr == NULL || attr->type != VECQ_ATTR_FLOATS || attr->n > VECQ_MAX_RANK)
            return vecq_op_fail(err, "attribute 'scales' is no list of numbers");
        for (i = 0; i < attr->n; i++)
            given.scales[i] = (double)attr->floats[i];
        given.n_scales = attr->n;
    }
    for (i = 0; i < given.n_scales; i++)
        if (!(given.scales[i] >= 1))
            return vecq_op_fail(err, "a scale of %g", given.scales[i]);
    return resize_old(l, node, in, &given, out, err);
}

/* Attributes of version 11 and later. */
static vecq_status resize_attrs(const vecq_node *node, resize_given *given, vecq_resize_params *params,
                                vecq_error *err)
{
    static const char *const coordinates[] = {"half_pixel", "pytorch_half_pixel",   "align_corners",
                                              "asymmetric", "half_pixel_symmetric", "tf_crop_and_resize",
                                              NULL}; /* as vecq_resize_coordinate */
    static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
    int value;

    VECQ_TRY(read_mode(node, params, err));
    VECQ_TRY(vecq_lower_attr_string(node, "coordinate_transformation_mode", coordinates, &value, err));
    params->coordinate = (vecq_resize_coordinate)value;
    VECQ_TRY(vecq_lower_attr_string(node, "nearest_mode", nearest, &value, err));
    params->nearest = (vecq_resize_nearest)value;
    VECQ_TRY(vecq_lower_attr_string(node, "keep_aspect_ratio_policy", policies, &given->policy, err));
    params->cubic = (double)vecq_node_attr_float(node, "cubic_coeff_a", -0.75f);
    params->exclude_outside = vecq_node_attr_int(node, "exclude_outside", 0) != 0;
    params->antialias = vecq_node_attr_int(node, "antialias", 0) != 0;
    if (params->coordinate == VECQ_COORD_CROP)
        params->outside = (double)vecq_node_attr_float(node, "extrapolation_value", 0);
    return VECQ_OK;
}

/* Starts of all axes, then ends. */
static vecq_status set_roi(const vecq_var *x, const resize_given *given, vecq_resize_params *params,
                           vecq_error *err)
{
    unsigned a;
    size_t i;

    if (params->coordinate != VECQ_COORD_CROP)
        return VECQ_OK;
    if (given->n_roi != 2 * given->n_axes)
        return vecq_op_fail(err, "roi has %zu numbers for %zu axes", given->n_roi, given->n_axes);
    for (a = 0; a < x->rank; a++)
        params->last[a] = 1;
    for (i = 0; i < given->n_axes; i++) {
        VECQ_TRY(vecq_lower_axis(given->axes[i], x->rank, &a, err));
        params->first[a] = given->roi[i];
        params->last[a] = given->roi[given->n_axes + i];
    }
    return VECQ_OK;
}

static vecq_status read_axes(const vecq_node *node, const vecq_var *x, resize_given *given, vecq_error *err)
{
    const vecq_attr *attr = node->version >= 18 ? vecq_node_attr(node, "axes") : NULL;

    all_axes(x, given);
    if (attr == NULL || attr->n == 0)
        return VECQ_OK;
    if (attr->type != VECQ_ATTR_INTS || attr->n > VECQ_MAX_RANK)
        return vecq_op_fail(err, "attribute 'axes' is no list of at most %u integers", VECQ_MAX_RANK);
    memcpy(given->axes, attr->ints, attr->n * sizeof *given->axes);
    given->n_axes = attr->n;
    return VECQ_OK;
}

vecq_status vecq_lower_resize(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    resize_given given = {.n_sizes = 0};
    vecq_resize_params params = {.mode = VECQ_RESIZE_NEAREST};

    VECQ_TRY(vecq_lower_need(node, in, 1, 4, err));
    VECQ_TRY(read_axes(node, in[0], &given, err));
    if (node->version < 11) {
        VECQ_TRY(vecq_lower_floats(node->n_inputs > 1 ? in[1] : NULL, "scales", given.scales, VECQ_MAX_RANK,
                                   &given.n_scales, err));
        return resize_old(l, node, in, &given, out, err);
    }
    VECQ_TRY(resize_attrs(node, &given, &params, err));
    VECQ_TRY(vecq_lower_floats(node->n_inputs > 2 ? in[2] : NULL, "scales", given.scales, VECQ_MAX_RANK,
                               &given.n_scales, err));
    VECQ_TRY(vecq_lower_ints(node->n_inputs > 3 ? in[3] : NULL, "sizes", given.sizes, VECQ_MAX_RANK,
                             &given.n_sizes, err));
    if (params.coordinate == VECQ_COORD_CROP)
        VECQ_TRY(vecq_lower_floats(node->n_inputs > 1 ? in[1] : NULL, "roi", given.roi, 2 * VECQ_MAX_RANK,
                                   &given.n_roi, err));
    VECQ_TRY(resize_keep_ratio(in[0], &given, err));
    VECQ_TRY(resize_set(in[0], &given, &params, err));
    VECQ_TRY(set_roi(in[0], &given, &params, err));
    return resize_add(l, node, in[0], &params, &out[0], err);
}
