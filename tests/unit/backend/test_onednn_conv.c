/* SPDX-License-Identifier: Apache-2.0 */
/* Conv and ConvTranspose with their gradients: oneDNN against ref. */
#include "backend_check.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

typedef struct conv_case {
    const char *name;
    unsigned spatial;
    int64_t batch, channels, filters, group;
    int64_t size[3], kernel[3], stride[3], dilation[3], begin[3], end[3], output_pad[3];
    int has_bias;
    double slack;
} conv_case;

#define ONES                                                                                                 \
    {                                                                                                        \
        1, 1, 1                                                                                              \
    }

static vecq_conv_params params_of(const conv_case *v)
{
    vecq_conv_params p;

    memset(&p, 0, sizeof p);
    p.spatial = v->spatial;
    p.group = v->group;
    memcpy(p.stride, v->stride, sizeof p.stride);
    memcpy(p.dilation, v->dilation, sizeof p.dilation);
    memcpy(p.pad_begin, v->begin, sizeof p.pad_begin);
    memcpy(p.pad_end, v->end, sizeof p.pad_end);
    memcpy(p.output_pad, v->output_pad, sizeof p.output_pad);
    return p;
}

static vecq_status build_conv(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                              size_t *n_out, vecq_error *err)
{
    const conv_case *v = extra;
    vecq_conv_params p = params_of(v);
    vecq_op *op;

    *n_out = 1;
    VECQ_TRY(
        vecq_program_op(program, VECQ_OP_CONV, v->name, in, v->has_bias ? 3 : 2, &p, sizeof p, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

static vecq_status build_transposed(vecq_program *program, vecq_var *const *in, const void *extra,
                                    vecq_var **out, size_t *n_out, vecq_error *err)
{
    const conv_case *v = extra;
    vecq_conv_params p = params_of(v);
    vecq_op *op;

    *n_out = 1;
    VECQ_TRY(vecq_program_op(program, VECQ_OP_CONV_TRANSPOSE, v->name, in, v->has_bias ? 3 : 2, &p, sizeof p,
                             0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

/* `units`: bound in units of eps times the sum of magnitudes; 0: what any order of the sums may lose. */
static void run_conv(const conv_case *v, int is_transposed, double units, const vecq_backend *backend)
{
    bc_case c = {.name = v->name,
                 .n_inputs = v->has_bias ? 3 : 2,
                 .inputs = {{.rank = v->spatial + 2, .dims = {v->batch, v->channels}},
                            {.rank = v->spatial + 2},
                            {.rank = 1, .dims = {v->filters}}},
                 .build = is_transposed ? build_transposed : build_conv,
                 .extra = v,
                 .taken = is_transposed ? "ConvTranspose ConvTransposeGradInput ConvTransposeGradWeight"
                                        : "Conv ConvGradInput ConvGradWeight",
                 .slack = v->slack};
    double area = 1, image = (double)v->batch;
    unsigned i;

    c.inputs[1].dims[0] = is_transposed ? v->channels : v->filters;
    c.inputs[1].dims[1] = (is_transposed ? v->filters : v->channels) / v->group;
    for (i = 0; i < v->spatial; i++) {
        c.inputs[0].dims[2 + i] = v->size[i];
        c.inputs[1].dims[2 + i] = v->kernel[i];
        area *= (double)v->kernel[i];
        image *= (double)v->size[i] * (is_transposed ? (double)v->stride[i] : 1);
    }
    /* forward and data: kernel times channels; weights: images; bias: images too */
    c.terms = area * (double)(v->channels > v->filters ? v->channels : v->filters) / (double)v->group + image;
    if (units > 0)
        c.terms = units - 4;
    bc_run(&c, backend);
}

static void test_conv(void **state)
{
    static const conv_case cases[] = {
        {"3x3 of 16", 2, 2, 16, 32, 1, {9, 7, 0}, {3, 3, 0}, ONES, ONES, {1, 1, 0}, {1, 1, 0}, {0}, 1, 1},
        {"3x3, no bias", 2, 3, 16, 16, 1, {8, 8, 0}, {3, 3, 0}, ONES, ONES, {0}, {0}, {0}, 0, 1},
        {"first layer", 2, 4, 3, 32, 1, {12, 12}, {3, 3}, ONES, ONES, {1, 1}, {1, 1}, {0}, 1, 1},
        {"grey 5x5", 2, 3, 1, 32, 1, {14, 14, 0}, {5, 5, 0}, ONES, ONES, {2, 2, 0}, {2, 2, 0}, {0}, 1, 1},
        {"odd channels", 2, 2, 7, 5, 1, {6, 5, 0}, {2, 3, 0}, ONES, ONES, {0, 1, 0}, {1, 0, 0}, {0}, 1, 1},
        {"stride 2", 2, 2, 16, 24, 1, {11, 10}, {3, 3}, {2, 2, 1}, ONES, {1, 1}, {1, 1}, {0}, 1, 1},
        {"uneven pads", 2, 2, 8, 16, 1, {9, 9}, {4, 2}, {2, 1, 1}, ONES, {0, 1}, {3, 0}, {0}, 1, 1},
        {"pads not used up", 2, 2, 8, 8, 1, {10, 10}, {3, 3}, {4, 4, 1}, ONES, {0}, {1, 2}, {0}, 1, 1},
        {"dilation", 2, 2, 16, 16, 1, {12, 13}, {3, 3}, ONES, {2, 3, 1}, {2, 3}, {2, 3}, {0}, 1, 1},
        {"groups of 8", 2, 2, 32, 48, 4, {7, 7}, {3, 3}, ONES, ONES, {1, 1}, {1, 1}, {0}, 1, 1},
        {"groups of 3", 2, 2, 6, 9, 3, {7, 6, 0}, {3, 3, 0}, ONES, ONES, {1, 1, 0}, {1, 1, 0}, {0}, 1, 1},
        {"depthwise", 2, 3, 32, 32, 32, {9, 9, 0}, {3, 3, 0}, ONES, ONES, {1, 1, 0}, {1, 1, 0}, {0}, 1, 1},
        {"depthwise stride 2", 2, 2, 16, 16, 16, {9, 8}, {3, 3}, {2, 2, 1}, ONES, {0, 0}, {1, 1}, {0}, 0, 1},
        {"depthwise times 2", 2, 2, 5, 10, 5, {6, 6}, {3, 3}, ONES, ONES, {1, 1}, {1, 1}, {0}, 1, 1},
        {"1x1", 2, 3, 24, 40, 1, {6, 6, 0}, {1, 1, 0}, ONES, ONES, {0}, {0}, {0}, 1, 1},
        {"1x1 stride 2", 2, 3, 16, 32, 1, {7, 7, 0}, {1, 1, 0}, {2, 2, 1}, ONES, {0}, {0}, {0}, 0, 1},
        {"7x7 stride 2", 2, 2, 3, 16, 1, {17, 17}, {7, 7}, {2, 2, 1}, ONES, {3, 3}, {3, 3}, {0}, 0, 1},
        {"whole image", 2, 4, 16, 10, 1, {5, 5, 0}, {5, 5, 0}, ONES, ONES, {0}, {0}, {0}, 1, 1},
        {"1d", 1, 3, 24, 16, 1, {19, 0, 0}, {5, 0, 0}, ONES, ONES, {2, 0, 0}, {2, 0, 0}, {0}, 1, 1},
        {"1d stride, dilation",
         1,
         2,
         6,
         8,
         2,
         {20, 0},
         {3, 0},
         {2, 1, 1},
         {3, 1, 1},
         {1, 0},
         {4, 0},
         {0},
         1,
         1},
        {"3d", 3, 2, 4, 8, 1, {5, 6, 4}, {3, 2, 3}, {1, 2, 1}, ONES, {1, 0, 1}, {1, 1, 0}, {0}, 1, 1},
    };
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        run_conv(&cases[i], 0, 0, backend);
}

/* Sizes at which the library's estimate chooses Winograd (2.6, AVX-512). Its transforms lose a little of the
 * accuracy: 5 units were measured, direct convolution has 2. */
static void test_winograd(void **state)
{
    static const conv_case v = {"3x3 of 64 in a batch of 32",
                                2,
                                32,
                                64,
                                64,
                                1,
                                {16, 1},
                                {3, 3},
                                ONES,
                                ONES,
                                {1, 1},
                                {1, 1},
                                {0},
                                1,
                                1};
    BC_BACKEND("onednn")

    (void)state;
    run_conv(&v, 0, 16, backend);
}

static void test_transposed(void **state)
{
    static const conv_case cases[] = {
        {"up 2x2", 2, 2, 16, 8, 1, {5, 6, 0}, {2, 2, 0}, {2, 2, 1}, ONES, {0}, {0}, {0}, 1, 1},
        {"up 3x3, output pad",
         2,
         2,
         16,
         32,
         1,
         {5, 4},
         {3, 3},
         {2, 2, 1},
         ONES,
         {1, 1},
         {1, 1},
         {1, 1},
         1,
         1},
        {"stride 1", 2, 2, 5, 7, 1, {6, 6, 0}, {3, 3, 0}, ONES, ONES, {1, 0, 0}, {0, 1, 0}, {0}, 0, 1},
        {"groups, dilation", 2, 2, 8, 12, 4, {5, 5}, {3, 3}, {2, 1, 1}, {1, 2, 1}, {1, 1}, {0, 2}, {0}, 1, 1},
        {"1d", 1, 3, 6, 4, 1, {9, 0, 0}, {4, 0, 0}, {2, 1, 1}, ONES, {1, 0, 0}, {1, 0, 0}, {0}, 1, 1},
        {"3d", 3, 1, 4, 6, 1, {3, 4, 3}, {2, 2, 2}, {2, 2, 2}, ONES, {0}, {0}, {0}, 1, 1},
    };
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        run_conv(&cases[i], 1, 0, backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_winograd),
        cmocka_unit_test(test_transposed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
