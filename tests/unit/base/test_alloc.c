/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "base/alloc.h"

/* An allocator that counts, and fails from the n-th call on (or never). */
typedef struct counting {
    long calls, live, fail_at;
    size_t last;
} counting;

static void *counting_allocate(void *context, size_t n_bytes)
{
    counting *c = context;

    c->last = n_bytes;
    if (c->fail_at > 0 && ++c->calls >= c->fail_at)
        return NULL;
    c->live++;
    return malloc(n_bytes);
}

static void counting_release(void *context, void *memory)
{
    counting *c = context;

    c->live--;
    free(memory);
}

static void count_with(counting *c)
{
    vecq_allocator allocator = {counting_allocate, counting_release, c};

    vecq_set_allocator(&allocator);
}

static int restore(void **state)
{
    (void)state;
    vecq_set_allocator(NULL);
    return 0;
}

static void blocks_are_aligned_and_whole(void **state)
{
    unsigned char *block[64];
    size_t n, i;

    (void)state;
    for (n = 0; n < 64; n++) {
        block[n] = vecq_alloc(n * 7, 1);
        assert_non_null(block[n]);
        assert_int_equal((uintptr_t)block[n] % VECQ_ALIGNMENT, 0);
        memset(block[n], (int)n, n * 7);
    }
    for (n = 0; n < 64; n++) {
        for (i = 0; i < n * 7; i++)
            assert_int_equal(block[n][i], n);
        vecq_free(block[n]);
    }
    vecq_free(NULL);
}

static void sizes_that_overflow_are_refused(void **state)
{
    counting c = {0};
    size_t out;
    vecq_arena arena = {0};

    (void)state;
    count_with(&c);
    assert_null(vecq_alloc(SIZE_MAX, 1));
    assert_null(vecq_alloc(SIZE_MAX, 2));
    assert_null(vecq_alloc(SIZE_MAX / 2 + 1, 2));
    assert_null(vecq_alloc(SIZE_MAX - VECQ_ALIGNMENT, 1));
    assert_null(vecq_alloc(PTRDIFF_MAX, 1));
    assert_null(vecq_calloc((size_t)1 << 33, (size_t)1 << 33));
    assert_null(vecq_realloc(NULL, 0, SIZE_MAX / 4, 8));
    assert_null(vecq_arena_alloc(&arena, SIZE_MAX, 1));
    assert_null(vecq_arena_alloc(&arena, SIZE_MAX / 2, 3));
    assert_null(vecq_arena_alloc(&arena, SIZE_MAX - 16, 1));
    assert_null(vecq_arena_string(&arena, "x", SIZE_MAX));
    assert_int_equal(c.live, 0);
    assert_int_equal(c.last, 0); /* the allocator was never asked */
    assert_false(vecq_mul_size(SIZE_MAX, 2, &out));
    assert_true(vecq_mul_size(SIZE_MAX / 2, 2, &out));
    assert_int_equal(out, SIZE_MAX - 1);
    assert_false(vecq_add_size(SIZE_MAX, 1, &out));
    assert_true(vecq_add_size(SIZE_MAX - 1, 1, &out));
    assert_int_equal(out, SIZE_MAX);
}

static void calloc_clears(void **state)
{
    unsigned char *p = vecq_alloc(4096, 1);
    size_t i;

    (void)state;
    memset(p, 0xff, 4096);
    vecq_free(p);
    p = vecq_calloc(512, 8);
    for (i = 0; i < 4096; i++)
        assert_int_equal(p[i], 0);
    vecq_free(p);
}

static void realloc_keeps_and_survives_failure(void **state)
{
    counting c = {0};
    uint32_t *p, *q;
    uint32_t i;

    (void)state;
    count_with(&c);
    p = vecq_realloc(NULL, 0, 100, sizeof *p);
    for (i = 0; i < 100; i++)
        p[i] = i;
    q = vecq_realloc(p, 100, 1000, sizeof *p);
    assert_non_null(q);
    c.fail_at = 1;
    assert_null(vecq_realloc(q, 100, 5000, sizeof *p));
    c.fail_at = 0;
    for (i = 0; i < 100; i++)
        assert_int_equal(q[i], i);
    p = vecq_realloc(q, 100, 10, sizeof *p); /* shrinks too */
    assert_int_equal(p[9], 9);
    vecq_free(p);
    assert_int_equal(c.live, 0);
}

static void arrays_grow(void **state)
{
    counting c = {0};
    uint64_t *items = NULL;
    size_t capacity = 0, i;

    (void)state;
    count_with(&c);
    for (i = 0; i < 1000; i++) {
        assert_true(vecq_grow((void **)&items, &capacity, i, sizeof *items));
        assert_true(capacity > i);
        items[i] = i * i;
    }
    c.fail_at = 1;
    assert_false(vecq_grow((void **)&items, &capacity, capacity, sizeof *items));
    for (i = 0; i < 1000; i++)
        assert_int_equal(items[i], i * i);
    vecq_free(items);
    assert_int_equal(c.live, 0);
    i = SIZE_MAX / 2 + 1;
    assert_false(vecq_grow((void **)&items, &i, i, 1)); /* the capacity itself would overflow */
}

/* Small and large requests in turn, from every failure point: nothing lost, nothing overlaps. */
static int arena_fill(vecq_arena *arena, unsigned char **block, size_t *size, size_t n)
{
    size_t i, j;

    for (i = 0; i < n; i++) {
        size[i] = i % 5 == 0 ? 20000 + i * 1111 : i % 97;
        block[i] = vecq_arena_alloc(arena, size[i], 1);
        if (block[i] == NULL)
            return 0;
        assert_int_equal((uintptr_t)block[i] % 16, 0);
        for (j = 0; j < size[i]; j++)
            assert_int_equal(block[i][j], 0);
        memset(block[i], (int)(i + 1), size[i]);
    }
    for (i = 0; i < n; i++)
        for (j = 0; j < size[i]; j++)
            assert_int_equal(block[i][j], (i + 1) & 255);
    return 1;
}

static void arena_holds_all_and_frees_all(void **state)
{
    static unsigned char *block[200];
    static size_t size[200];
    vecq_arena arena = {0};
    counting c = {0};
    long fail_at;
    int done;

    (void)state;
    count_with(&c);
    assert_true(arena_fill(&arena, block, size, 200));
    vecq_arena_clear(&arena);
    assert_int_equal(c.live, 0);
    assert_null(arena.head);
    vecq_arena_clear(&arena);
    for (fail_at = 1, done = 0; !done; fail_at++) {
        c.calls = 0;
        c.fail_at = fail_at;
        done = arena_fill(&arena, block, size, 200);
        vecq_arena_clear(&arena);
        assert_int_equal(c.live, 0);
    }
    assert_true(fail_at > 40); /* one block for each of the 40 large ones at least */
}

static void arena_does_not_waste_blocks_on_large_requests(void **state)
{
    vecq_arena arena = {0};
    size_t i, wanted = 0;

    (void)state;
    for (i = 0; i < 1000; i++) {
        size_t n = i % 2 ? 70000 : 16;
        assert_non_null(vecq_arena_alloc(&arena, n, 1));
        wanted += n;
    }
    assert_true(arena.n_reserved < wanted + 200000);
    vecq_arena_clear(&arena);
}

static void arena_texts(void **state)
{
    vecq_arena arena = {0};
    char *text = vecq_arena_string(&arena, "conv1.weight/extra", 12);

    (void)state;
    assert_string_equal(text, "conv1.weight");
    assert_string_equal(vecq_arena_string(&arena, NULL, 0), "");
    assert_string_equal(vecq_arena_printf(&arena, "%s_%d", text, 42), "conv1.weight_42");
    text = vecq_arena_printf(&arena, "%0*d", 100000, 7);
    assert_int_equal(strlen(text), 100000);
    assert_int_equal(text[99999], '7');
    vecq_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_whole),
        cmocka_unit_test_teardown(sizes_that_overflow_are_refused, restore),
        cmocka_unit_test(calloc_clears),
        cmocka_unit_test_teardown(realloc_keeps_and_survives_failure, restore),
        cmocka_unit_test_teardown(arrays_grow, restore),
        cmocka_unit_test_teardown(arena_holds_all_and_frees_all, restore),
        cmocka_unit_test(arena_does_not_waste_blocks_on_large_requests),
        cmocka_unit_test(arena_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
