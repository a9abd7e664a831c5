/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of the constant evaluator, its limits and its refusals; operators are in test_fold_cases.c. */
#include "fold_build.h"

#include <math.h>

#define LIMIT ((size_t)1 << 20)

static const struct {
    const char *name;
    int64_t since;
} listed[] = {
#define VECQ_FOLD_OP(name, since, function, variant) {#name, since},
#include "graph/fold_ops.def"
#undef VECQ_FOLD_OP
};
#define N_LISTED (sizeof listed / sizeof *listed)

static vecq_tensor fold_ok(const vecq_value *value)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor out;

    assert_true(vecq_fold_can(value));
    assert_ok(vecq_fold_value(value, LIMIT, &out, &err), &err);
    return out;
}

static void refuses(const vecq_value *value, size_t limit, vecq_status want, const char *part)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor out;
    vecq_status status = vecq_fold_value(value, limit, &out, &err);

    if (status != want || err.status != want || strstr(err.message, part) == NULL)
        fail_msg("status %d, wanted %d, message '%s' without '%s'", status, want, err.message, part);
    assert_null(out.data);
    assert_null(strchr(err.message, '\n'));
}

static vecq_value *floats(fb *b, int64_t n)
{
    float v[64];
    int64_t i;

    assert_true(n <= 64);
    for (i = 0; i < n; i++)
        v[i] = (float)i;
    return fb_vector(b, VECQ_DT_FLOAT, n, v);
}

/* The table is searched by halves, and knows each operator from its first version on. */
static void test_table(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < N_LISTED; i++) {
        fb b = {{0}, listed[i].since};
        vecq_value *out = fb_node(&b, listed[i].name, floats(&b, 1), NULL, NULL);
        if (i > 0)
            assert_true(strcmp(listed[i - 1].name, listed[i].name) < 0);
        assert_true(vecq_fold_can(out));
        out->producer->version--;
        assert_false(vecq_fold_can(out));
        out->producer->version++;
        out->producer->domain = "com.example";
        assert_false(vecq_fold_can(out));
        refuses(out, LIMIT, VECQ_ERR_UNSUPPORTED, listed[i].name);
        vecq_arena_clear(&b.arena);
    }
}

static void test_leaf(void **state)
{
    fb b = {{0}, 21};
    const uint8_t nibbles[] = {0x8f, 0x07};
    vecq_value *leaf = fb_vector(&b, VECQ_DT_INT4, 3, nibbles), *plain = fb_value(&b, "x"), *made;
    vecq_tensor out = fold_ok(leaf);

    (void)state;
    assert_int_equal(out.n_bytes, 2);
    assert_memory_equal(out.data, nibbles, 2);
    vecq_tensor_destroy(&out);
    refuses(plain, LIMIT, VECQ_ERR_UNSUPPORTED, "'x'");
    assert_false(vecq_fold_can(plain));
    plain->is_constant = 0;
    refuses(fb_node(&b, "Add", leaf, plain, NULL), LIMIT, VECQ_ERR_UNSUPPORTED, "'x'");
    made = fb_node(&b, "Identity", leaf, NULL, NULL);
    ((fb_const *)(uintptr_t)leaf->constant)->base.is_opaque = 1;
    refuses(made, LIMIT, VECQ_ERR_UNSUPPORTED, "constant");
    ((fb_const *)(uintptr_t)leaf->constant)->base.is_opaque = 0;
    ((fb_const *)(uintptr_t)leaf->constant)->fails = VECQ_ERR_IO;
    refuses(made, LIMIT, VECQ_ERR_IO, "");
    vecq_arena_clear(&b.arena);
}

/* Four-bit elements are packed again, two to a byte, the spare nibble 0. */
static void test_sub_byte_result(void **state)
{
    fb b = {{0}, 21};
    const uint8_t nibbles[] = {0x8f, 0x07}; /* -1 -8 7 */
    const int64_t one = 1, three = 3, rows[] = {2, 0, 2};
    vecq_value *x = fb_vector(&b, VECQ_DT_INT4, 3, nibbles);
    vecq_value *y = fb_node(&b, "Gather", x, fb_vector(&b, VECQ_DT_INT64, 3, rows), NULL);
    vecq_tensor out = fold_ok(fb_node(&b, "Unsqueeze", y, fb_i64(&b, one), NULL));

    (void)state;
    assert_int_equal(out.dtype, VECQ_DT_INT4);
    assert_int_equal(out.rank, 2);
    assert_int_equal(out.dims[0], three);
    assert_int_equal(out.n_bytes, 2);
    assert_memory_equal(out.data, "\xf7\x07", 2);
    vecq_tensor_destroy(&out);
    vecq_arena_clear(&b.arena);
}

/* 200,000 nodes deep, and 2^60 paths through 60 diamonds: every node once, no recursion. */
static void test_deep_and_shared(void **state)
{
    fb b = {{0}, 13};
    vecq_value *x = floats(&b, 2), *y = x;
    vecq_tensor out;
    fb_const *leaf = (fb_const *)(uintptr_t)x->constant;
    int i;

    (void)state;
    for (i = 0; i < 60; i++)
        y = fb_node(&b, "Max", y, y, NULL);
    for (i = 0; i < 200000; i++)
        y = fb_node(&b, i % 2 ? "Identity" : "Neg", y, NULL, NULL);
    out = fold_ok(y);
    assert_int_equal(out.count, 2);
    assert_true(((float *)out.data)[1] == 1.0f);
    assert_int_equal(leaf->n_reads, 1);
    vecq_tensor_destroy(&out);
    vecq_arena_clear(&b.arena);
}

static void test_cycles(void **state)
{
    fb b = {{0}, 13};
    vecq_value *x = floats(&b, 2), *a = fb_node(&b, "Add", x, x, NULL),
               *c = fb_node(&b, "Neg", a, NULL, NULL);

    (void)state;
    a->producer->inputs[1] = c;
    refuses(c, LIMIT, VECQ_ERR_FORMAT, "own output");
    assert_false(vecq_fold_can(a));
    a->producer->inputs[1] = a;
    refuses(a, LIMIT, VECQ_ERR_FORMAT, "own output");
    vecq_arena_clear(&b.arena);
}

/* Graphs that no loader should build: outputs that are not the node's, or one value twice. */
static void test_inconsistent(void **state)
{
    fb b = {{0}, 13};
    vecq_value *x = floats(&b, 4), *stray = fb_value(&b, "stray"), *in[1] = {x};
    vecq_node *split = fb_node_n(&b, "Split", 1, in, 2);

    (void)state;
    stray->producer = split;
    refuses(stray, LIMIT, VECQ_ERR_FORMAT, "stray");
    refuses(fb_node(&b, "Neg", stray, NULL, NULL), LIMIT, VECQ_ERR_FORMAT, "stray");
    split->outputs[1] = split->outputs[0];
    refuses(split->outputs[0], LIMIT, VECQ_ERR_FORMAT, "Split");
    vecq_arena_clear(&b.arena);
}

static void test_many_outputs(void **state)
{
    fb b = {{0}, 13};
    vecq_value *x = floats(&b, 8), *in[1] = {x};
    vecq_node *split = fb_node_n(&b, "Split", 1, in, 4);
    vecq_value *sum = fb_node(&b, "Sub", split->outputs[3], split->outputs[1], NULL);
    vecq_tensor out = fold_ok(sum);

    (void)state;
    assert_int_equal(out.count, 2);
    assert_true(((float *)out.data)[0] == 4.0f && ((float *)out.data)[1] == 4.0f);
    vecq_tensor_destroy(&out);
    split->outputs[0] = NULL; /* an omitted output */
    out = fold_ok(sum);
    vecq_tensor_destroy(&out);
    vecq_arena_clear(&b.arena);
}

/* Nothing of 2^40 elements is ever asked of the allocator. */
static size_t largest_request;

static void *spy_allocate(void *context, size_t n_bytes)
{
    (void)context;
    if (n_bytes > largest_request)
        largest_request = n_bytes;
    return malloc(n_bytes);
}

static void spy_release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static vecq_value *huge(fb *b, int which)
{
    const int64_t shape[2] = {1 << 20, 1 << 20}, pads[2] = {0, (int64_t)1 << 40}, zero = 0, one = 1;
    const int64_t far = (int64_t)1 << 40, most[3] = {INT64_MAX, INT64_MAX, 2};
    vecq_value *to = fb_vector(b, VECQ_DT_INT64, 2, shape), *x = floats(b, 1), *y;

    switch (which) {
    case 0:
        return fb_node(b, "Expand", x, to, NULL);
    case 1:
        return fb_node(b, "ConstantOfShape", to, NULL, NULL);
    case 2:
        return fb_node(b, "Tile", x, fb_i64(b, far), NULL);
    case 3:
        return fb_node(b, "Pad", x, fb_vector(b, VECQ_DT_INT64, 2, pads), NULL);
    case 4:
        return fb_node(b, "Range", fb_scalar(b, VECQ_DT_INT64, &zero), fb_scalar(b, VECQ_DT_INT64, &far),
                       fb_scalar(b, VECQ_DT_INT64, &one));
    case 5:
        return fb_node(b, "ConstantOfShape", fb_vector(b, VECQ_DT_INT64, 3, most), NULL, NULL);
    case 6: /* outer product */
        x = fb_node(b, "Expand", x, fb_i64(b, 1000), NULL);
        y = fb_node(b, "Unsqueeze", x, fb_i64(b, 1), NULL);
        return fb_node(b, "Mul", x, y, NULL);
    case 7:
        x = fb_node(b, "Expand", x, fb_i64(b, 1000), NULL);
        y = fb_node(b, "Unsqueeze", x, fb_i64(b, 1), NULL);
        return fb_node(b, "MatMul", y, fb_node(b, "Unsqueeze", x, fb_i64(b, 0), NULL), NULL);
    default:
        return NULL;
    }
}

static void test_limits(void **state)
{
    const vecq_allocator spy = {spy_allocate, spy_release, NULL};
    int i;

    (void)state;
    for (i = 0; i < 8; i++) {
        fb b = {{0}, 13};
        vecq_value *value = huge(&b, i);
        vecq_set_allocator(&spy);
        largest_request = 0;
        refuses(value, 100000, VECQ_ERR_UNSUPPORTED, "100000 bytes");
        vecq_set_allocator(NULL);
        assert_true(largest_request < 110000);
        vecq_arena_clear(&b.arena);
    }
}

/* One large tensor more and more held at once, and small ones that take too long together. */
static void test_held_and_work(void **state)
{
    fb b = {{0}, 13};
    vecq_value *x = fb_node(&b, "Expand", floats(&b, 1), fb_i64(&b, 1000), NULL), *in[64], *y = x;
    int i;

    (void)state;
    for (i = 0; i < 64; i++)
        in[i] = fb_node(&b, "Neg", x, NULL, NULL);
    refuses(fb_node_n(&b, "Sum", 64, in, 1)->outputs[0], 4000, VECQ_ERR_UNSUPPORTED, "held at once");
    for (i = 0; i < 64; i++)
        in[i] = x;
    for (i = 0; i < 64; i++)
        in[i] = y = fb_node_n(&b, "Max", 64, in, 1)->outputs[0];
    refuses(y, 4000, VECQ_ERR_UNSUPPORTED, "work");
    vecq_arena_clear(&b.arena);
}

/* A tensor lives until its last reader: a long chain at 3/4 of the limit goes through. */
static void test_released(void **state)
{
    fb b = {{0}, 13};
    vecq_value *y = fb_node(&b, "Expand", floats(&b, 1), fb_i64(&b, 1000), NULL);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor out;
    int i;

    (void)state;
    for (i = 0; i < 50; i++)
        y = fb_node(&b, "Add", fb_node(&b, "Neg", y, NULL, NULL), y, NULL);
    assert_ok(vecq_fold_value(y, 5000, &out, &err), &err);
    vecq_tensor_destroy(&out);
    vecq_arena_clear(&b.arena);
}

static void test_pure(void **state)
{
    static const char *const random[] = {"RandomNormal",      "RandomNormalLike", "RandomUniform",
                                         "RandomUniformLike", "Bernoulli",        "Multinomial"};
    fb b = {{0}, 13};
    vecq_value *x = floats(&b, 2), *y = fb_node(&b, "Relu", x, NULL, NULL);
    vecq_node *node = y->producer;
    vecq_value *in[3] = {x, x, NULL};
    size_t i;

    (void)state;
    assert_true(vecq_fold_is_pure(node));
    node->domain = "ai.vecq";
    assert_false(vecq_fold_is_pure(node));
    node->domain = "";
    node->n_outputs = 0;
    assert_false(vecq_fold_is_pure(node));
    node->n_outputs = 1;
    fb_int(y, "alpha", 1);
    node->attrs[0].reference = "alpha";
    assert_false(vecq_fold_is_pure(node));
    refuses(y, LIMIT, VECQ_ERR_UNSUPPORTED, "Relu");
    node->attrs[0].reference = NULL;
    node->attrs[0].type = VECQ_ATTR_GRAPH;
    assert_false(vecq_fold_is_pure(node));
    node->attrs[0].type = VECQ_ATTR_GRAPHS;
    assert_false(vecq_fold_is_pure(node));
    for (i = 0; i < sizeof random / sizeof *random; i++)
        assert_false(vecq_fold_is_pure(fb_node(&b, random[i], x, NULL, NULL)->producer));
    node = fb_node_n(&b, "Dropout", 3, in, 1);
    assert_true(vecq_fold_is_pure(node));
    node->inputs[2] = x;
    assert_false(vecq_fold_is_pure(node));
    node->version = 10;
    assert_true(vecq_fold_is_pure(node));
    node->version = 6;
    assert_false(vecq_fold_is_pure(node));
    vecq_arena_clear(&b.arena);
}

/* Two's complement at the ends of the ranges. */
static void test_integer_corners(void **state)
{
    fb b = {{0}, 13};
    const int64_t low[2] = {INT64_MIN, INT64_MIN}, minus[2] = {-1, 2}, zero[2] = {1, 0};
    const int32_t low32[2] = {INT32_MIN, 7}, minus32[2] = {-1, -2};
    vecq_value *x = fb_vector(&b, VECQ_DT_INT64, 2, low), *y = fb_vector(&b, VECQ_DT_INT64, 2, minus);
    vecq_value *x32 = fb_vector(&b, VECQ_DT_INT32, 2, low32), *y32 = fb_vector(&b, VECQ_DT_INT32, 2, minus32);
    vecq_tensor out;

    (void)state;
    out = fold_ok(fb_node(&b, "Div", x, y, NULL));
    assert_true(((int64_t *)out.data)[0] == INT64_MIN && ((int64_t *)out.data)[1] == INT64_MIN / 2);
    vecq_tensor_destroy(&out);
    out = fold_ok(fb_node(&b, "Mod", x, y, NULL));
    assert_true(((int64_t *)out.data)[0] == 0);
    vecq_tensor_destroy(&out);
    out = fold_ok(fb_node(&b, "Abs", x, NULL, NULL));
    assert_true(((int64_t *)out.data)[0] == INT64_MIN);
    vecq_tensor_destroy(&out);
    out = fold_ok(fb_node(&b, "Div", x32, y32, NULL));
    assert_true(((int32_t *)out.data)[0] == INT32_MIN && ((int32_t *)out.data)[1] == -3);
    vecq_tensor_destroy(&out);
    refuses(fb_node(&b, "Div", x, fb_vector(&b, VECQ_DT_INT64, 2, zero), NULL), LIMIT, VECQ_ERR_FORMAT,
            "division by zero");
    refuses(fb_node(&b, "Mod", x, fb_vector(&b, VECQ_DT_INT64, 2, zero), NULL), LIMIT, VECQ_ERR_FORMAT,
            "division by zero");
    vecq_arena_clear(&b.arena);
}

/* [Q, C] bytes as 2-bit fields in four strips: shift up, shift down, to float, (u - 1.5) * scale. */
static vecq_value *decode_body(fb *b)
{
    const int64_t q[2] = {2, 3}, n[3] = {4, 1, 1}, flat[2] = {8, 3}, rows[2] = {8, 1};
    const uint8_t bytes[6] = {0x1b, 0xe4, 0x00, 0xff, 0x36, 0x9c}, left[4] = {6, 4, 2, 0}, right[1] = {6};
    const float offset = 1.5f, scales[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    vecq_value *x = fb_tensor(b, VECQ_DT_UINT8, 2, q, bytes);

    x = fb_node(b, "BitShift", x, fb_tensor(b, VECQ_DT_UINT8, 3, n, left), NULL);
    fb_string(x, "direction", "LEFT");
    x = fb_node(b, "BitShift", x, fb_scalar(b, VECQ_DT_UINT8, right), NULL);
    fb_string(x, "direction", "RIGHT");
    x = fb_node(b, "Cast", x, NULL, NULL);
    fb_int(x, "to", VECQ_DT_FLOAT);
    x = fb_node(b, "Sub", x, fb_scalar(b, VECQ_DT_FLOAT, &offset), NULL);
    x = fb_node(b, "Reshape", x, fb_vector(b, VECQ_DT_INT64, 2, flat), NULL);
    return fb_node(b, "Mul", x, fb_tensor(b, VECQ_DT_FLOAT, 2, rows, scales), NULL);
}

static void test_decode_body(void **state)
{
    static const uint8_t bytes[6] = {0x1b, 0xe4, 0x00, 0xff, 0x36, 0x9c};
    fb b = {{0}, 11};
    vecq_tensor out = fold_ok(decode_body(&b));
    size_t row, c;

    (void)state;
    assert_int_equal(out.count, 24);
    for (row = 0; row < 8; row++)
        for (c = 0; c < 3; c++) {
            unsigned u = bytes[row % 2 * 3 + c] >> (row / 2 * 2) & 3;
            assert_true(((float *)out.data)[row * 3 + c] == ((float)u - 1.5f) * (float)(row + 1));
        }
    vecq_tensor_destroy(&out);
    vecq_arena_clear(&b.arena);
}

static long allocations_left, allocations_live;

static void *failing_allocate(void *context, size_t n_bytes)
{
    void *memory;

    (void)context;
    if (allocations_left-- == 0)
        return NULL;
    memory = malloc(n_bytes);
    allocations_live += memory != NULL;
    return memory;
}

static void failing_release(void *context, void *memory)
{
    (void)context;
    allocations_live -= memory != NULL;
    free(memory);
}

static vecq_value *allocation_graph(fb *b, int which)
{
    const uint8_t nibbles[] = {0x21, 0x43, 0x65};
    const int64_t dims[2] = {2, 3}, blocks[2] = {2, 2};
    const float scales[4] = {1, 2, 3, 4};
    vecq_value *x, *in[1];

    if (which == 0)
        return decode_body(b);
    x = fb_tensor(b, VECQ_DT_INT4, 2, dims, nibbles);
    if (which == 1) {
        x = fb_node(b, "DequantizeLinear", x, fb_tensor(b, VECQ_DT_FLOAT, 2, blocks, scales),
                    fb_tensor(b, VECQ_DT_INT4, 2, blocks, nibbles));
        fb_int(x, "block_size", 2);
        return x;
    }
    in[0] = fb_node(b, "Transpose", x, NULL, NULL);
    in[0] = fb_node_n(b, "Split", 1, in, 3)->outputs[1];
    return fb_node(b, "ConstantOfShape", fb_node(b, "Shape", in[0], NULL, NULL), NULL, NULL);
}

/* The N-th allocation fails, for every N: a clean error and nothing left behind. */
static void test_allocation_failures(void **state)
{
    const vecq_allocator failing = {failing_allocate, failing_release, NULL};
    int which;
    long n;

    (void)state;
    for (which = 0; which < 3; which++) {
        fb b = {{0}, 21};
        vecq_value *value = allocation_graph(&b, which);
        vecq_status status = VECQ_ERR_MEMORY;
        vecq_set_allocator(&failing);
        for (n = 0; status != VECQ_OK; n++) {
            vecq_error err = VECQ_ERROR_INIT;
            vecq_tensor out;
            allocations_live = 0;
            allocations_left = n;
            status = vecq_fold_value(value, LIMIT, &out, &err);
            assert_true(status == VECQ_OK || (status == VECQ_ERR_MEMORY && out.data == NULL));
            vecq_tensor_destroy(&out);
            assert_int_equal(allocations_live, 0);
        }
        vecq_set_allocator(NULL);
        assert_true(n > 8);
        vecq_arena_clear(&b.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_leaf),
        cmocka_unit_test(test_sub_byte_result),
        cmocka_unit_test(test_deep_and_shared),
        cmocka_unit_test(test_cycles),
        cmocka_unit_test(test_inconsistent),
        cmocka_unit_test(test_many_outputs),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_held_and_work),
        cmocka_unit_test(test_released),
        cmocka_unit_test(test_pure),
        cmocka_unit_test(test_integer_corners),
        cmocka_unit_test(test_decode_body),
        cmocka_unit_test(test_allocation_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
