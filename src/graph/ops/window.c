/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/ops/window.h"

#include "base/status.h"

vecq_status vecq_window_spatial(const vecq_var *x, unsigned *spatial, vecq_error *err)
{
    char shape[96];

    if (x->rank < 3 || x->rank > 2 + VECQ_SPATIAL_MAX)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "an input of shape %s; batch, channels and 1 to %u spatial axes are supported",
                              vecq_var_shape_text(x, shape), VECQ_SPATIAL_MAX);
    *spatial = x->rank - 2;
    return VECQ_OK;
}

vecq_status vecq_window_read(const vecq_node *node, vecq_window *window, vecq_error *err)
{
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};
    int64_t pads[2 * VECQ_SPATIAL_MAX];
    unsigned i, n = window->spatial;
    int how;

    VECQ_TRY(vecq_lower_attr_string(node, "auto_pad", names, &how, err));
    window->auto_pad = (vecq_auto_pad)how;
    VECQ_TRY(vecq_lower_attr_ints(node, "strides", 1, n, window->stride, err));
    VECQ_TRY(vecq_lower_attr_ints(node, "dilations", 1, n, window->dilation, err));
    VECQ_TRY(vecq_lower_attr_ints(node, "pads", 0, 2 * n, pads, err));
    for (i = 0; i < n; i++) {
        int is_given = window->auto_pad == VECQ_AUTO_PAD_NOTSET;

        window->pad_begin[i] = is_given ? pads[i] : 0;
        window->pad_end[i] = is_given ? pads[n + i] : 0;
    }
    return VECQ_OK;
}

void vecq_window_split_pad(vecq_auto_pad how, int64_t total, int64_t *begin, int64_t *end)
{
    *begin = how == VECQ_AUTO_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    *end = total - *begin;
}

vecq_status vecq_window_pad_same(const vecq_var *x, vecq_window *window, vecq_error *err)
{
    unsigned i;

    VECQ_TRY(vecq_window_check(window, err));
    if (window->auto_pad != VECQ_AUTO_PAD_SAME_UPPER && window->auto_pad != VECQ_AUTO_PAD_SAME_LOWER)
        return VECQ_OK;
    for (i = 0; i < window->spatial; i++) {
        int64_t size = x->dims[2 + i], stride = window->stride[i], total;

        if (size < 1)
            return vecq_op_fail(err, "an input without elements");
        total = (size - 1) / stride * stride + vecq_window_extent(window, i) - size;
        vecq_window_split_pad(window->auto_pad, total > 0 ? total : 0, &window->pad_begin[i],
                              &window->pad_end[i]);
    }
    return VECQ_OK;
}

vecq_status vecq_window_check(const vecq_window *window, vecq_error *err)
{
    unsigned i;

    if (window->spatial < 1 || window->spatial > VECQ_SPATIAL_MAX)
        return vecq_op_fail(err, "%u spatial axes", window->spatial);
    for (i = 0; i < window->spatial; i++) {
        if (window->kernel[i] < 1 || window->kernel[i] > INT32_MAX || window->stride[i] < 1 ||
            window->stride[i] > INT32_MAX || window->dilation[i] < 1 || window->dilation[i] > INT32_MAX)
            return vecq_op_fail(err, "kernel %lld, stride %lld, dilation %lld of spatial axis %u",
                                (long long)window->kernel[i], (long long)window->stride[i],
                                (long long)window->dilation[i], i);
        if (window->pad_begin[i] < 0 || window->pad_end[i] < 0 || window->pad_begin[i] > INT32_MAX ||
            window->pad_end[i] > INT32_MAX)
            return vecq_op_fail(err, "padding %lld, %lld of spatial axis %u", (long long)window->pad_begin[i],
                                (long long)window->pad_end[i], i);
    }
    return VECQ_OK;
}

int64_t vecq_window_extent(const vecq_window *window, unsigned axis)
{
    return (window->kernel[axis] - 1) * window->dilation[axis] + 1;
}

vecq_status vecq_window_count(const vecq_window *window, unsigned axis, int64_t size, int ceil_mode,
                              int64_t *count, vecq_error *err)
{
    int64_t stride = window->stride[axis], extent = vecq_window_extent(window, axis);
    int64_t room = size + window->pad_begin[axis] + window->pad_end[axis] - extent;

    if (size < 1 || room < 0)
        return vecq_op_fail(err, "a window of %lld does not fit into an axis of %lld with padding %lld, %lld",
                            (long long)extent, (long long)size, (long long)window->pad_begin[axis],
                            (long long)window->pad_end[axis]);
    *count = room / stride + 1;
    if (ceil_mode && room % stride != 0 && *count * stride < size + window->pad_begin[axis])
        ++*count;
    return VECQ_OK;
}
