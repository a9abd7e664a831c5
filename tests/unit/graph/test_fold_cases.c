/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays fold_cases.bin: single nodes with the answers of the ONNX reference evaluator, written by
 * tests/onnx/make_fold_cases.py (format there), for every operator of fold_ops.def.
 */
#include "fold_build.h"

#include <ctype.h>
#include <math.h>

static const char *const listed[] = {
#define VECQ_FOLD_OP(name, since, function, variant) #name,
#include "graph/fold_ops.def"
#undef VECQ_FOLD_OP
};
#define N_LISTED (sizeof listed / sizeof *listed)

typedef struct reader {
    const uint8_t *p, *end;
} reader;

static const uint8_t *take(reader *r, size_t n)
{
    const uint8_t *at = r->p;

    assert_true((size_t)(r->end - r->p) >= n);
    r->p += n;
    return at;
}

static uint8_t take_u8(reader *r)
{
    return *take(r, 1);
}

static uint32_t take_u32(reader *r)
{
    uint32_t v;

    memcpy(&v, take(r, 4), 4);
    return v;
}

static char *take_text(reader *r, vecq_arena *arena)
{
    size_t n = take_u8(r);

    return vecq_arena_string(arena, (const char *)take(r, n), n);
}

/* NULL when omitted. */
static fb_const *take_tensor(reader *r, fb *b)
{
    vecq_dtype dtype = (vecq_dtype)take_u8(r);
    unsigned rank = take_u8(r), a;
    int64_t dims[VECQ_MAX_RANK] = {0};
    uint32_t n_bytes;
    fb_const *c;

    assert_true(rank <= VECQ_MAX_RANK);
    for (a = 0; a < rank; a++)
        dims[a] = take_u32(r);
    n_bytes = take_u32(r);
    if (dtype == VECQ_DT_UNDEFINED)
        return NULL;
    c = fb_make_const(b, dtype, rank, dims, r->p);
    assert_int_equal(n_bytes, c->base.n_stored);
    take(r, n_bytes);
    return c;
}

static void take_attr(reader *r, fb *b, vecq_node *node)
{
    char *name = take_text(r, &b->arena);
    vecq_attr *attr = fb_attr(node, name, (vecq_attr_type)take_u8(r));
    uint16_t n;
    char *text;
    void *items;

    switch (attr->type) {
    case VECQ_ATTR_FLOAT:
        memcpy(&attr->f, take(r, 4), 4);
        break;
    case VECQ_ATTR_INT:
        memcpy(&attr->i, take(r, 8), 8);
        break;
    case VECQ_ATTR_STRING:
        text = take_text(r, &b->arena);
        attr->s.data = (const uint8_t *)text;
        attr->s.n = strlen(text);
        break;
    case VECQ_ATTR_TENSOR:
        attr->tensor = &take_tensor(r, b)->base;
        break;
    case VECQ_ATTR_FLOATS:
    case VECQ_ATTR_INTS:
        memcpy(&n, take(r, 2), 2);
        attr->n = n;
        items = vecq_arena_alloc(&b->arena, (size_t)n + 1, 8);
        assert_non_null(items);
        memcpy(items, take(r, n * (attr->type == VECQ_ATTR_INTS ? 8u : 4u)),
               n * (attr->type == VECQ_ATTR_INTS ? 8u : 4u));
        attr->floats = items;
        attr->ints = items;
        break;
    default:
        fail_msg("attribute type %d", attr->type);
    }
}

/* Floating-point values of all widths as integers in the order of the numbers; 0 for any zero. */
static int64_t ordered(vecq_dtype dtype, const uint8_t *p, size_t i, int *is_nan)
{
    uint64_t bits = 0, sign, magnitude, infinity;
    unsigned n = vecq_dtype_bits(dtype);

    memcpy(&bits, p + i * (n / 8), n / 8);
    sign = bits >> (n - 1);
    magnitude = bits & (((uint64_t)1 << (n - 1)) - 1);
    infinity = dtype == VECQ_DT_FLOAT     ? 0x7f800000u
               : dtype == VECQ_DT_DOUBLE  ? (uint64_t)0x7ff << 52
               : dtype == VECQ_DT_FLOAT16 ? 0x7c00u
                                          : 0x7f80u;
    *is_nan = magnitude > infinity;
    return sign ? -(int64_t)magnitude : (int64_t)magnitude;
}

/* Index of the first element that differs by more than `ulps`, or SIZE_MAX. Any NaN equals any NaN; with
 * ulps > 0, a zero equals the other zero. */
static size_t first_difference(const vecq_tensor *got, const fb_const *want, unsigned ulps)
{
    const uint8_t *a = got->data, *b = want->data;
    size_t i, size = vecq_dtype_bits(got->dtype) / 8;
    int a_nan, b_nan;

    if (!vecq_dtype_is_weight(got->dtype)) {
        for (i = 0; i < got->n_bytes; i++)
            if (a[i] != b[i])
                return i;
        return SIZE_MAX;
    }
    for (i = 0; i < got->count; i++) {
        int64_t distance = ordered(got->dtype, a, i, &a_nan) - ordered(got->dtype, b, i, &b_nan);
        if (a_nan && b_nan)
            continue;
        if (a_nan != b_nan || distance > (int64_t)ulps || -distance > (int64_t)ulps ||
            (ulps == 0 && memcmp(a + i * size, b + i * size, size) != 0))
            return i;
    }
    return SIZE_MAX;
}

static int report(const char *op, const char *note, int64_t opset, const char *what)
{
    print_error("%s opset %lld (%s): %s\n", op, (long long)opset, note, what);
    return 1;
}

static int check_output(const char *op, const char *note, int64_t opset, unsigned ulps,
                        const vecq_value *value, const fb_const *want)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor got;
    char text[160];
    size_t at;
    int wrong = 0;

    if (vecq_fold_value(value, 1 << 20, &got, &err) != VECQ_OK)
        return report(op, note, opset, err.message);
    if (got.dtype != want->base.dtype || got.rank != want->base.rank ||
        memcmp(got.dims, want->base.dims, got.rank * sizeof *got.dims) != 0) {
        snprintf(text, sizeof text, "%s of rank %u, wanted %s of rank %u (or other dimensions)",
                 vecq_dtype_name(got.dtype), got.rank, vecq_dtype_name(want->base.dtype), want->base.rank);
        wrong = report(op, note, opset, text);
    } else if ((at = first_difference(&got, want, ulps)) != SIZE_MAX) {
        snprintf(text, sizeof text, "element or byte %zu of %s differs", at, vecq_dtype_name(got.dtype));
        wrong = report(op, note, opset, text);
    }
    vecq_tensor_destroy(&got);
    return wrong;
}

static int replay_case(reader *r, unsigned *seen)
{
    fb b = {0};
    char *op = take_text(r, &b.arena), *note = take_text(r, &b.arena);
    unsigned since, until, ulps, n_attrs, n_in, n_out, i;
    vecq_value *in[8] = {NULL};
    vecq_node *node;
    int wrong = 0;

    since = take_u8(r);
    until = take_u8(r);
    assert_true(since <= until);
    ulps = take_u8(r);
    n_attrs = take_u8(r), n_in = take_u8(r), n_out = take_u8(r);
    assert_true(n_in <= 8);
    node = fb_node_n(&b, op, n_in, in, n_out);
    for (i = 0; i < n_attrs; i++)
        take_attr(r, &b, node);
    for (i = 0; i < n_in; i++) {
        fb_const *c = take_tensor(r, &b);
        node->inputs[i] = c != NULL ? fb_value(&b, "input") : NULL;
        if (c != NULL)
            node->inputs[i]->constant = &c->base;
    }
    for (i = 0; i < n_out; i++) {
        fb_const *want = take_tensor(r, &b);
        assert_non_null(want);
        for (node->version = since; node->version <= (int64_t)until; node->version++)
            wrong |= check_output(op, note, node->version, ulps, node->outputs[i], want);
    }
    for (i = 0; i < N_LISTED; i++)
        if (strcmp(op, listed[i]) == 0)
            seen[i]++;
    vecq_arena_clear(&b.arena);
    return wrong;
}

static uint8_t *load_cases(size_t *n)
{
    static char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    uint8_t *bytes;
    FILE *file;
    long size;

    snprintf(path, sizeof path, "%.*sfold_cases.bin", slash != NULL ? (int)(slash - __FILE__ + 1) : 0,
             __FILE__);
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s is missing", path);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    assert_true(size > 8);
    bytes = malloc((size_t)size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    fclose(file);
    *n = (size_t)size;
    return bytes;
}

static void test_reference_cases(void **state)
{
    unsigned seen[N_LISTED] = {0};
    size_t n, i, wrong = 0, count;
    uint8_t *bytes = load_cases(&n);
    reader r = {bytes, bytes + n};

    (void)state;
    assert_memory_equal(take(&r, 4), "VQFC", 4);
    count = take_u32(&r);
    assert_true(count > 1000);
    for (i = 0; i < count; i++)
        wrong += (size_t)replay_case(&r, seen);
    assert_ptr_equal(r.p, r.end);
    free(bytes);
    for (i = 0; i < N_LISTED; i++)
        if (seen[i] == 0) {
            print_error("%s has no case\n", listed[i]);
            wrong++;
        }
    print_message("%zu cases, %zu wrong\n", count, wrong);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference_cases)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
