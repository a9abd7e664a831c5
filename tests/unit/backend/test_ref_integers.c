/* SPDX-License-Identifier: Apache-2.0 */
/* Integers of every width: arithmetic and bits against 128-bit sums, casts between all types, at the ends of
 * the ranges. */
#include "vecq_test.h"

#include "program_run.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 natural;

static const vecq_dtype integers[] = {VECQ_DT_INT8,  VECQ_DT_INT16,  VECQ_DT_INT32,  VECQ_DT_INT64,
                                      VECQ_DT_UINT8, VECQ_DT_UINT16, VECQ_DT_UINT32, VECQ_DT_UINT64};

#define N_INTEGERS (sizeof integers / sizeof *integers)
#define N_VALUES   9

static int is_signed(vecq_dtype dtype)
{
    return dtype == VECQ_DT_INT8 || dtype == VECQ_DT_INT16 || dtype == VECQ_DT_INT32 ||
           dtype == VECQ_DT_INT64;
}

/* A value cut to the bits of a type. */
static wide cut(vecq_dtype dtype, wide value)
{
    const wide range = (wide)1 << vecq_dtype_bits(dtype);

    value %= range;
    value += value < 0 ? range : 0;
    return is_signed(dtype) && value >= range / 2 ? value - range : value;
}

static wide get(vecq_dtype dtype, const void *memory, size_t i)
{
    uint64_t bits = 0;

    memcpy(&bits, (const unsigned char *)memory + i * vecq_dtype_bytes(dtype, 1), vecq_dtype_bytes(dtype, 1));
    return cut(dtype, (wide)bits);
}

static void put(vecq_dtype dtype, void *memory, size_t i, wide value)
{
    const uint64_t bits = (uint64_t)value;

    memcpy((unsigned char *)memory + i * vecq_dtype_bytes(dtype, 1), &bits, vecq_dtype_bytes(dtype, 1));
}

/* The ends of the range, what lies beside them, and small numbers. */
static wide value_of(vecq_dtype dtype, size_t i)
{
    const wide top = is_signed(dtype) ? ((wide)1 << (vecq_dtype_bits(dtype) - 1)) - 1
                                      : ((wide)1 << vecq_dtype_bits(dtype)) - 1;
    const wide low = is_signed(dtype) ? -top - 1 : 0;
    const wide values[N_VALUES] = {low, low + 1, top, top - 1, 0, 1, -1, 7, 3};

    return cut(dtype, values[i]);
}

static wide expected(vecq_op_kind kind, vecq_dtype dtype, wide a, wide b)
{
    const wide bits = vecq_dtype_bits(dtype), mask = ((wide)1 << bits) - 1;
    const int has_shift = b >= 0 && b < bits;

    switch (kind) {
    case VECQ_OP_ADD:
        return a + b;
    case VECQ_OP_SUB:
        return a - b;
    case VECQ_OP_MUL:
        return (wide)((natural)a * (natural)b);
    case VECQ_OP_DIV:
        return b == 0 ? 0 : a / b;
    case VECQ_OP_MAX:
        return a > b ? a : b;
    case VECQ_OP_MIN:
        return a < b ? a : b;
    case VECQ_OP_FMOD:
        return b == 0 ? 0 : a % b;
    case VECQ_OP_MOD:
        return b == 0 ? 0 : (a % b + b) % b;
    case VECQ_OP_BIT_AND:
        return (a & mask) & (b & mask);
    case VECQ_OP_BIT_OR:
        return (a & mask) | (b & mask);
    case VECQ_OP_BIT_XOR:
        return (a & mask) ^ (b & mask);
    case VECQ_OP_SHIFT_LEFT:
        return has_shift ? (wide)((natural)a << (unsigned)b) : 0;
    default: /* right: down, also below 0 */
        return has_shift ? (a >= 0 ? a >> b : -((-a - 1) >> b) - 1) : -(a < 0);
    }
}

static void check_binary(vecq_op_kind kind, vecq_dtype dtype, size_t turn)
{
    static const int64_t dims[2] = {N_VALUES, N_VALUES}, column[2] = {N_VALUES, 1}, row[1] = {N_VALUES};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[2];
    program_run pr;
    vecq_op *op;
    size_t i;

    memset(&pr, 0, sizeof pr); /* every value with every other; once broadcast, once not */
    in[0] = turn == 0 ? pr_input(&pr, dtype, 2, column, NULL) : pr_input(&pr, dtype, 2, dims, NULL);
    in[1] = turn == 0 ? pr_input(&pr, dtype, 1, row, NULL) : pr_input(&pr, dtype, 2, dims, NULL);
    for (i = 0; i < (turn == 0 ? N_VALUES : N_VALUES * N_VALUES); i++) {
        put(dtype, pr.memory[0], i, value_of(dtype, turn == 0 ? i : i / N_VALUES));
        put(dtype, pr.memory[1], i, value_of(dtype, i % N_VALUES));
    }
    op = pr_op(&pr, kind, in, 2, NULL, 0, 0);
    assert_ok(pr_run(&pr, 1, &err), &err);
    for (i = 0; i < N_VALUES * N_VALUES; i++) {
        const wide a = value_of(dtype, i / N_VALUES), b = value_of(dtype, i % N_VALUES);
        const wide have = get(dtype, vecq_exec_data(pr.exec, op->outputs[0]), i);
        const wide want = cut(dtype, expected(kind, dtype, a, b));

        if (have != want)
            fail_msg("%s of %s: %lld, %lld give %lld, not %lld", op->info->name, vecq_dtype_name(dtype),
                     (long long)a, (long long)b, (long long)have, (long long)want);
    }
    pr_end(&pr);
}

static void test_binary(void **state)
{
    static const vecq_op_kind kinds[] = {
        VECQ_OP_ADD,     VECQ_OP_SUB,        VECQ_OP_MUL,        VECQ_OP_DIV,     VECQ_OP_MAX,
        VECQ_OP_MIN,     VECQ_OP_FMOD,       VECQ_OP_MOD,        VECQ_OP_BIT_AND, VECQ_OP_BIT_OR,
        VECQ_OP_BIT_XOR, VECQ_OP_SHIFT_LEFT, VECQ_OP_SHIFT_RIGHT};
    size_t k, t;

    (void)state;
    for (k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (t = 0; t < N_INTEGERS; t++) {
            check_binary(kinds[k], integers[t], 0);
            check_binary(kinds[k], integers[t], 1);
        }
}

/* ---- casts ---- */

static void test_integer_casts(void **state)
{
    static const int64_t dims[1] = {N_VALUES};
    size_t from, to, i;

    (void)state;
    for (from = 0; from < N_INTEGERS; from++)
        for (to = 0; to < N_INTEGERS; to++) {
            vecq_cast_params params = {.to = integers[to]};
            vecq_error err = VECQ_ERROR_INIT;
            program_run pr;
            vecq_op *op;

            memset(&pr, 0, sizeof pr);
            pr_input(&pr, integers[from], 1, dims, NULL);
            for (i = 0; i < N_VALUES; i++)
                put(integers[from], pr.memory[0], i, value_of(integers[from], i));
            op = pr_op(&pr, VECQ_OP_CAST, pr.inputs, 1, &params, sizeof params, 0);
            assert_ok(pr_run(&pr, 1, &err), &err);
            for (i = 0; i < N_VALUES; i++)
                assert_true(get(integers[to], vecq_exec_data(pr.exec, op->outputs[0]), i) ==
                            cut(integers[to], value_of(integers[from], i)));
            pr_end(&pr);
        }
}

typedef struct real_cast {
    vecq_cast_params params;
    double from, to;
} real_cast;

/* Toward zero; what does not fit becomes the nearest that does, NaN becomes 0; narrow integers are cut. */
static void test_real_casts(void **state)
{
    static const real_cast cases[] = {
        {{.to = VECQ_DT_INT8}, 127.9, 127},
        {{.to = VECQ_DT_INT8}, -300, -128},
        {{.to = VECQ_DT_UINT8}, -1, 0},
        {{.to = VECQ_DT_UINT16}, 1e9, 65535},
        {{.to = VECQ_DT_INT16}, -1.99, -1},
        {{.to = VECQ_DT_UINT32}, 4294967295.0, 4294967295.0},
        {{.to = VECQ_DT_UINT64}, 9223372036854775808.0, 9223372036854775808.0},
        {{.to = VECQ_DT_INT64}, 1e30, 9223372036854775807.0},
        {{.to = VECQ_DT_INT32}, (double)NAN, 0},
        {{.to = VECQ_DT_BOOL}, -0.5, 1},
        {{.to = VECQ_DT_BOOL}, 0, 0},
        {{.to = VECQ_DT_FLOAT, .through = VECQ_DT_FLOAT16}, 2049, 2048},
        {{.to = VECQ_DT_FLOAT, .through = VECQ_DT_BFLOAT16}, 257, 256},
        {{.to = VECQ_DT_INT8, .through = VECQ_DT_INT4}, 8, -8},
        {{.to = VECQ_DT_UINT8, .through = VECQ_DT_UINT4}, -1, 15},
        {{.to = VECQ_DT_INT8, .through = VECQ_DT_INT2}, 3, -1},
        {{.to = VECQ_DT_UINT8, .through = VECQ_DT_UINT2}, 6, 2},
    };
    const int64_t dims[1] = {300};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const real_cast *c = &cases[i];
        vecq_error err = VECQ_ERROR_INIT;
        program_run pr;
        vecq_op *op;

        memset(&pr, 0, sizeof pr);
        pr_input(&pr, VECQ_DT_DOUBLE, 1, dims, NULL);
        for (k = 0; k < 300; k++) /* more than a block */
            ((double *)pr.memory[0])[k] = c->from;
        op = pr_op(&pr, VECQ_OP_CAST, pr.inputs, 1, &c->params, sizeof c->params, 0);
        assert_ok(pr_run(&pr, 2, &err), &err);
        for (k = 0; k < 300; k += 299) {
            const void *data = vecq_exec_data(pr.exec, op->outputs[0]);
            double have = c->params.to == VECQ_DT_FLOAT  ? (double)((const float *)data)[k]
                          : c->params.to == VECQ_DT_BOOL ? (double)((const uint8_t *)data)[k]
                                                         : (double)get(c->params.to, data, k);

            if (have < c->to || have > c->to)
                fail_msg("case %zu: %g gives %.20g, not %.20g", i, c->from, have, c->to);
        }
        pr_end(&pr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_integer_casts),
        cmocka_unit_test(test_real_casts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
