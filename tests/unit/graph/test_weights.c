/* SPDX-License-Identifier: Apache-2.0 */
/* Which constants are weights, and the matrix each becomes: every row of weight_ops.def, chains, sharing. */
#include "vecq_test.h"

#include "graph/weights.h"
#include "onnx/document.h"
#include "onnx_model.h"

/* What a rule makes of a tensor of these dims: entry (row, col) of the matrix is element[row][col] of it. */
typedef struct expected {
    const char *op_type;
    size_t input;
    unsigned rank;
    int64_t dims[5];
    const char *attribute; /* of the node; NULL: none */
    int64_t value;
    size_t rows, cols;
    int axis; /* the one axis the rows are, or -1 */
    int is_transposed, is_single;
    const char *role;
    size_t second_row; /* row-major index of entry (1, 0) */
    size_t second_col; /* and of (0, 1); 0: the matrix has one column */
} expected;

static const expected table[] = {
    {"Conv", 1, 4, {4, 3, 2, 2}, NULL, 0, 4, 12, 0, 0, 0, "weight", 12, 1},
    {"Conv", 1, 3, {4, 3, 5}, "group", 2, 4, 15, 0, 0, 0, "weight", 15, 1},
    {"Conv", 1, 5, {2, 1, 2, 2, 2}, NULL, 0, 2, 8, 0, 0, 0, "weight", 8, 1},
    {"Conv", 1, 2, {2, 3}, NULL, 0, 2, 3, 0, 0, 0, "weight", 3, 1},
    {"Conv", 2, 1, {4}, NULL, 0, 4, 1, 0, 0, 1, "bias", 1, 0},
    {"ConvTranspose", 1, 4, {4, 3, 2, 2}, NULL, 0, 3, 16, 1, 1, 0, "weight", 4, 1},
    {"ConvTranspose", 1, 4, {4, 3, 2, 1}, "group", 2, 6, 4, -1, 1, 0, "weight", 2, 1},
    {"ConvTranspose", 2, 1, {4}, NULL, 0, 4, 1, 0, 0, 1, "bias", 1, 0},
    {"Gemm", 0, 2, {4, 3}, NULL, 0, 4, 3, 0, 0, 0, "weight", 3, 1},
    {"Gemm", 0, 2, {4, 3}, "transA", 1, 3, 4, 1, 1, 0, "weight", 1, 3},
    {"Gemm", 1, 2, {4, 3}, NULL, 0, 3, 4, 1, 1, 0, "weight", 1, 3},
    {"Gemm", 1, 2, {4, 3}, "transB", 1, 4, 3, 0, 0, 0, "weight", 3, 1},
    {"Gemm", 2, 2, {1, 3}, NULL, 0, 3, 1, 1, 0, 1, "bias", 1, 0},
    {"MatMul", 0, 2, {4, 3}, NULL, 0, 4, 3, 0, 0, 0, "weight", 3, 1},
    {"MatMul", 0, 3, {2, 4, 3}, NULL, 0, 8, 3, -1, 0, 0, "weight", 3, 1},
    {"MatMul", 0, 1, {5}, NULL, 0, 1, 5, -1, 0, 0, "weight", 0, 1},
    {"MatMul", 1, 2, {4, 3}, NULL, 0, 3, 4, 1, 1, 0, "weight", 1, 3},
    {"MatMul", 1, 3, {2, 4, 3}, NULL, 0, 6, 4, -1, 1, 0, "weight", 1, 3},
    {"MatMul", 1, 3, {1, 4, 3}, NULL, 0, 3, 4, 2, 1, 0, "weight", 1, 3},
    {"MatMul", 1, 1, {5}, NULL, 0, 1, 5, -1, 0, 0, "weight", 0, 1},
    {"MatMul", 1, 2, {4, 1}, NULL, 0, 1, 4, -1, 0, 0, "weight", 0, 1},
    {"Gather", 0, 2, {7, 3}, NULL, 0, 7, 3, 0, 0, 0, "embedding", 3, 1},
    {"Gather", 0, 2, {7, 3}, "axis", 1, 3, 7, 1, 1, 0, "embedding", 1, 3},
    {"Gather", 0, 3, {2, 7, 3}, "axis", -2, 7, 6, 1, 1, 0, "embedding", 3, 1},
    {"LSTM", 1, 3, {2, 8, 3}, NULL, 0, 16, 3, -1, 0, 0, "weight", 3, 1},
    {"LSTM", 2, 3, {1, 8, 2}, NULL, 0, 8, 2, 1, 0, 0, "recurrent weight", 2, 1},
    {"LSTM", 3, 2, {2, 16}, NULL, 0, 4, 8, -1, 0, 0, "bias", 8, 1},
    {"LSTM", 7, 2, {2, 6}, NULL, 0, 2, 6, 0, 0, 0, "peephole", 6, 1},
    {"GRU", 1, 3, {1, 6, 3}, NULL, 0, 6, 3, 1, 0, 0, "weight", 3, 1},
    {"GRU", 2, 3, {1, 6, 2}, NULL, 0, 6, 2, 1, 0, 0, "recurrent weight", 2, 1},
    {"GRU", 3, 2, {1, 12}, NULL, 0, 2, 6, -1, 0, 0, "bias", 6, 1},
    {"RNN", 1, 3, {1, 2, 3}, NULL, 0, 2, 3, 1, 0, 0, "weight", 3, 1},
    {"RNN", 2, 3, {1, 2, 2}, NULL, 0, 2, 2, 1, 0, 0, "recurrent weight", 2, 1},
    {"RNN", 3, 2, {1, 4}, NULL, 0, 2, 2, -1, 0, 0, "bias", 2, 1},
};

static vecq_document doc;
static vecq_weight_list list;
static uint8_t *bytes;

/* Reads a finished model and finds its weights. */
static void find(model_build *b)
{
    vecq_error err = VECQ_ERROR_INIT;
    size_t n;

    bytes = model_bytes(b, &n);
    memset(&doc, 0, sizeof doc);
    doc.name = "m";
    doc.bytes.data = bytes;
    doc.bytes.n = n;
    assert_ok(vecq_document_read(&doc, &err), &err);
    assert_ok(vecq_weights_find(&doc.ir, &list, &err), &err);
}

static void forget(void)
{
    vecq_weights_clear(&list);
    vecq_document_clear(&doc);
    free(bytes);
}

/* The site of a tensor; NULL when it has none. */
static const vecq_weight_site *site_of(const char *name)
{
    size_t i;

    for (i = 0; i < list.n; i++)
        if (strcmp(list.sites[i].target->name, name) == 0)
            return &list.sites[i];
    return NULL;
}

static void check_matrix(const vecq_layout *l, const expected *e)
{
    size_t n = l->rows * l->cols, i;
    uint32_t *plain = calloc(n, 4), *matrix = calloc(n, 4), *back = calloc(n, 4);
    char *seen = calloc(n, 1);

    for (i = 0; i < n; i++)
        plain[i] = (uint32_t)i;
    vecq_layout_to_matrix(l, 4, plain, matrix);
    vecq_layout_from_matrix(l, 4, matrix, back);
    assert_memory_equal(plain, back, n * 4);
    for (i = 0; i < n; i++) {
        assert_true(matrix[i] < n && !seen[matrix[i]]);
        seen[matrix[i]] = 1;
        if (!l->is_transposed)
            assert_int_equal(matrix[i], i);
    }
    assert_int_equal(matrix[0], 0);
    if (l->rows > 1)
        assert_int_equal(matrix[l->cols], e->second_row);
    if (l->cols > 1)
        assert_int_equal(matrix[1], e->second_col);
    if (l->axis >= 0) { /* the row of an element is its index along that axis */
        size_t inner = 1;
        unsigned a;

        for (a = (unsigned)l->axis + 1; a < e->rank; a++)
            inner *= (size_t)e->dims[a];
        for (i = 0; i < n; i++)
            assert_int_equal(matrix[i] / inner % (size_t)e->dims[l->axis], i / l->cols);
    }
    free(plain);
    free(matrix);
    free(back);
    free(seen);
}

static void check_row(const expected *e)
{
    char inputs[64] = "";
    const vecq_weight_site *site;
    vecq_message *node;
    model_build b;
    size_t i;

    for (i = 0; i <= e->input; i++)
        strcat(inputs, i == e->input ? " w" : i == 0 ? "x" : " -");
    if (e->input == 0)
        strcat(inputs, " x");
    model_begin(&b, 8, 17);
    node = model_node(&b, e->op_type, inputs[0] == ' ' ? inputs + 1 : inputs, "y");
    if (e->attribute != NULL)
        assert_true(vecq_onnx_node_int(node, e->attribute, e->value));
    model_weight(&b, "w", e->rank, e->dims);
    find(&b);
    site = site_of("w");
    if (site == NULL || site->reason != NULL)
        fail_msg("%s input %zu: %s", e->op_type, e->input, site == NULL ? "is no weight" : site->reason);
    assert_int_equal(list.n, 1);
    assert_string_equal(site->role, e->role);
    assert_int_equal(site->is_bias, strcmp(e->role, "bias") == 0 || strcmp(e->role, "peephole") == 0);
    assert_int_equal(site->use.input, e->input);
    if (site->layout.rows != e->rows || site->layout.cols != e->cols || site->layout.axis != e->axis ||
        site->layout.is_transposed != e->is_transposed || site->layout.is_single != e->is_single)
        fail_msg("%s input %zu, rank %u: %zu x %zu, axis %d, transposed %d, single %d", e->op_type, e->input,
                 e->rank, site->layout.rows, site->layout.cols, site->layout.axis, site->layout.is_transposed,
                 site->layout.is_single);
    check_matrix(&site->layout, e);
    forget();
}

static void test_rules(void **state)
{
    static const struct {
        const char *op_type;
        size_t input;
    } rules[] = {
#define WEIGHT_OP(op_type, input, role, is_bias, rule) {op_type, input},
#include "graph/weight_ops.def"
#undef WEIGHT_OP
    };
    size_t r, t, n;

    (void)state;
    for (r = 0; r < sizeof rules / sizeof *rules; r++) {
        for (t = n = 0; t < sizeof table / sizeof *table; t++)
            if (strcmp(rules[r].op_type, table[t].op_type) == 0 && rules[r].input == table[t].input) {
                check_row(&table[t]);
                n++;
            }
        if (n == 0)
            fail_msg("%s input %zu has no row in the table of this test", rules[r].op_type, rules[r].input);
    }
}

/* Shapes that an operator cannot take are left alone, with a reason. */
static void test_refused(void **state)
{
    static const struct {
        const char *op_type, *inputs;
        unsigned rank;
        int64_t dims[3];
        const char *attribute;
        int64_t value;
    } rows[] = {{"Conv", "x w", 1, {3}, NULL, 0},
                {"ConvTranspose", "x w", 2, {4, 3}, "group", 3},
                {"ConvTranspose", "x w", 2, {4, 3}, "group", 0},
                {"ConvTranspose", "x w", 1, {4}, NULL, 0},
                {"Gemm", "x w", 3, {1, 2, 3}, NULL, 0},
                {"MatMul", "x w", 0, {0}, NULL, 0},
                {"Gather", "w x", 2, {4, 3}, "axis", 2},
                {"Gather", "w x", 2, {4, 3}, "axis", -3},
                {"LSTM", "x w", 2, {4, 3}, NULL, 0},
                {"LSTM", "x - - w", 2, {1, 3}, NULL, 0},
                {"LSTM", "x - - - - - - w", 1, {3}, NULL, 0},
                {"MatMul", "x w", 2, {0, 3}, NULL, 0}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vecq_message *node;
        model_build b;

        model_begin(&b, 8, 17);
        node = model_node(&b, rows[i].op_type, rows[i].inputs, "y");
        if (rows[i].attribute != NULL)
            assert_true(vecq_onnx_node_int(node, rows[i].attribute, rows[i].value));
        model_weight(&b, "w", rows[i].rank, rows[i].dims);
        find(&b);
        assert_int_equal(list.n, 1);
        if (list.sites[0].reason == NULL)
            fail_msg("row %zu has a layout", i);
        forget();
    }
}

/* What is no weight at all. */
static void test_none(void **state)
{
    static const int64_t dims[] = {4}, table_dims[] = {4, 2};
    static const int64_t ints[8] = {0};
    model_build b;

    (void)state;
    model_begin(&b, 8, 17);
    model_node(&b, "Gather", "w x", "y");
    model_node(&b, "Gather", "i x", "y1");
    model_node_of(&b, "other", "MatMul", "x w", "y2");
    model_node(&b, "Relu", "w", "y3");
    model_node(&b, "MatMul", "x in", "y4");
    model_input(&b, "in");
    model_weight(&b, "w", 1, dims);
    model_tensor(&b, "i", VECQ_DT_INT64, 2, table_dims, ints, sizeof ints);
    find(&b);
    assert_int_equal(list.n, 0);
    forget();
}

/* ---- chains ---- */

static vecq_message *transpose(model_build *b, const char *in, const char *out, const int64_t *perm, size_t n)
{
    vecq_message *node = model_node(b, "Transpose", in, out);

    if (perm != NULL)
        assert_true(vecq_onnx_node_ints(node, "perm", perm, n));
    return node;
}

static void test_transposes(void **state)
{
    static const int64_t swap[] = {1, 0}, dims[] = {2, 3, 4, 5}, one[] = {3, 0, 1, 2}, two[] = {1, 3, 0, 2},
                         bad[] = {0, 0}, wide[] = {0, 2};
    static const float zeros[6] = {0};
    const vecq_weight_site *site;
    const vecq_layout *l;
    model_build b;
    uint32_t plain[120], matrix[120];
    size_t i;

    (void)state;
    model_begin(&b, 8, 17);
    model_matrix(&b, "w", 3, 4); /* MatMul(x, w^T): the rows are those of w */
    transpose(&b, "w", "t", NULL, 0);
    model_node(&b, "MatMul", "x t", "y");
    find(&b);
    site = site_of("w");
    assert_non_null(site);
    assert_null(site->reason);
    assert_true(site->layout.rows == 3 && site->layout.cols == 4 && !site->layout.is_transposed);
    assert_int_equal(site->layout.axis, 0);
    forget();

    model_begin(&b, 8, 17); /* twice is not at all; Identity and Cast between floats do not matter */
    model_matrix(&b, "w", 3, 4);
    transpose(&b, "w", "t", swap, 2);
    model_node(&b, "Identity", "t", "u");
    transpose(&b, "u", "v", NULL, 0);
    model_node(&b, "MatMul", "x v", "y");
    find(&b);
    site = site_of("w");
    assert_true(site != NULL && site->layout.rows == 4 && site->layout.cols == 3 &&
                site->layout.is_transposed);
    assert_int_equal(site->n_chain, 2);
    forget();

    model_begin(&b, 8, 17); /* a convolution of a tensor put into order twice: compared with doing so */
    model_weight(&b, "w", 4, dims);
    transpose(&b, "w", "t", one, 4);
    transpose(&b, "t", "u", two, 4);
    model_node(&b, "Conv", "x u", "y");
    find(&b);
    site = site_of("w");
    assert_true(site != NULL && site->reason == NULL);
    l = &site->layout;
    {
        static const int64_t after_one[] = {5, 2, 3, 4};
        static const unsigned p1[] = {3, 0, 1, 2}, p2[] = {1, 3, 0, 2};
        uint32_t t[120], u[120];

        for (i = 0; i < 120; i++)
            plain[i] = (uint32_t)i;
        vecq_transpose(plain, t, 4, 4, dims, p1);
        vecq_transpose(t, u, 4, 4, after_one, p2);
        vecq_layout_to_matrix(l, 4, plain, matrix);
        assert_memory_equal(matrix, u, sizeof u);
        vecq_layout_from_matrix(l, 4, matrix, t);
        assert_memory_equal(t, plain, sizeof t);
    }
    assert_int_equal(l->rows, 2);
    assert_int_equal(l->axis, 0);
    forget();

    for (i = 0; i < 2; i++) { /* a perm that is none */
        model_begin(&b, 8, 17);
        model_matrix(&b, "w", 3, 4);
        transpose(&b, "w", "t", i == 0 ? bad : wide, 2);
        model_node(&b, "MatMul", "x t", "y");
        find(&b);
        site = site_of("w");
        assert_true(site != NULL && site->reason != NULL);
        forget();
    }

    model_begin(&b, 8, 17); /* integers made of floats are no weights of this tensor */
    model_tensor(&b, "w", VECQ_DT_FLOAT, 2, (const int64_t[]){3, 2}, zeros, sizeof zeros);
    assert_true(vecq_onnx_node_int(model_node(&b, "Cast", "w", "t"), "to", VECQ_DT_INT32));
    model_node(&b, "Gather", "t x", "y");
    assert_true(vecq_onnx_node_int(model_node(&b, "Cast", "w", "h"), "to", VECQ_DT_FLOAT16));
    model_node(&b, "MatMul", "x h", "z");
    find(&b);
    site = site_of("w");
    assert_true(site != NULL && strcmp(site->role, "weight") == 0);
    assert_true(site_of("t") != NULL && site_of("t")->is_computed);
    forget();
}

static void test_long_chain(void **state)
{
    char in[16], out[16];
    model_build b;
    int i;

    (void)state;
    model_begin(&b, 8, 17);
    model_matrix(&b, "t0", 3, 4);
    for (i = 0; i < 12; i++) {
        snprintf(in, sizeof in, "t%d", i);
        snprintf(out, sizeof out, "t%d", i + 1);
        transpose(&b, in, out, NULL, 0);
    }
    model_node(&b, "MatMul", "x t12", "y");
    find(&b);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.sites[0].target->name, "t4"); /* behind it, more than are remembered */
    assert_true(list.sites[0].is_computed && list.sites[0].n_chain == 8);
    forget();
}

/* ---- sharing and biases ---- */

static void test_shared(void **state)
{
    const vecq_weight_site *site;
    model_build b;

    (void)state;
    model_begin(&b, 8, 17);
    model_node(&b, "Relu", "x", "r");
    model_node(&b, "MatMul", "r w", "y");
    model_node(&b, "Gather", "w x", "z");
    model_node(&b, "Gemm", "x w", "z2");
    model_matrix(&b, "w", 4, 3);
    find(&b);
    assert_int_equal(list.n, 1);
    site = site_of("w");
    assert_string_equal(site->use.node->op_type, "MatMul");
    assert_true(site->layout.rows == 3 && site->target->n_uses == 3);
    assert_null(site->target->mark);
    forget();
}

static int finds_bias(const char *op_type, const char *matrix_inputs, const char *add_inputs, unsigned rank,
                      const int64_t *dims)
{
    const vecq_weight_site *site;
    model_build b;
    int found;

    model_begin(&b, 8, 17);
    model_node(&b, op_type, matrix_inputs, "m");
    model_node(&b, "Add", add_inputs, "y");
    model_matrix(&b, "w", 4, 3);
    model_weight(&b, "b", rank, dims);
    find(&b);
    site = site_of("b");
    found = site != NULL;
    if (found) {
        assert_true(site->is_bias && site->layout.is_single && site->reason == NULL);
        assert_string_equal(site->role, "bias");
    }
    forget();
    return found;
}

static void test_added_bias(void **state)
{
    static const int64_t row[] = {3}, wide[] = {1, 1, 3}, matrix[] = {2, 3}, one[] = {1},
                         channel[] = {1, 4, 1, 1};

    (void)state;
    assert_true(finds_bias("MatMul", "x w", "m b", 1, row));
    assert_true(finds_bias("MatMul", "x w", "b m", 1, row));
    assert_true(finds_bias("MatMul", "w x", "m b", 3, wide));
    assert_true(finds_bias("Conv", "x w", "m b", 4, channel));
    assert_true(finds_bias("Gemm", "x w", "m b", 1, row));
    assert_false(finds_bias("MatMul", "x z", "m b", 1, row)); /* no weight: attention, say */
    assert_false(finds_bias("MatMul", "x w", "x b", 1, row)); /* added to something else */
    assert_false(finds_bias("Relu", "x", "m b", 1, row));
    assert_false(finds_bias("MatMul", "x w", "m b", 2, matrix));
    assert_false(finds_bias("MatMul", "x w", "m b", 1, one));
}

static void test_groups(void **state)
{
    static const struct {
        const char *name;
        int64_t group;
    } rows[] = {{"vecq0", 0},           {"vecq12", 12},
                {"vecq7_", 7},          {"vecq7_n3", 7},
                {"vecq", -1},           {"vecq_1", -1},
                {"vecqx", -1},          {"vecq7x", -1},
                {"Vecq7", -1},          {"", -1},
                {"vecq-1", -1},         {"vecq2147483647", INT32_MAX},
                {"vecq2147483648", -1}, {"vecq99999999999999999999", -1},
                {"xvecq1", -1}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vecq_node node = {.name = rows[i].name};

        if (vecq_weight_group(&node) != rows[i].group)
            fail_msg("'%s' is of group %lld", rows[i].name, (long long)vecq_weight_group(&node));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),      cmocka_unit_test(test_refused),    cmocka_unit_test(test_none),
        cmocka_unit_test(test_transposes), cmocka_unit_test(test_long_chain), cmocka_unit_test(test_shared),
        cmocka_unit_test(test_added_bias), cmocka_unit_test(test_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
