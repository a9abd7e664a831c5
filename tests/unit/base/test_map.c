/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "base/alloc.h"
#include "base/map.h"

#define MAP_KEYS 200000

static void empty_map(void **state)
{
    vecq_map map = {0};

    (void)state;
    assert_null(vecq_map_get(&map, ""));
    assert_null(vecq_map_get(&map, "x"));
    vecq_map_clear(&map);
    vecq_map_clear(&map);
}

/* So many keys in a table at most twice as large: most share their first slot with another. */
static void many_keys(void **state)
{
    char(*key)[24] = test_malloc(MAP_KEYS * sizeof *key);
    vecq_map map = {0};
    size_t i;

    (void)state;
    for (i = 0; i < MAP_KEYS; i++) {
        snprintf(key[i], sizeof key[i], i % 2 ? "layer%zu.weight" : "%zu", i);
        assert_true(vecq_map_put(&map, key[i], key[i]));
    }
    assert_int_equal(map.count, MAP_KEYS);
    assert_true(map.capacity < 4 * (size_t)MAP_KEYS);
    for (i = 0; i < MAP_KEYS; i++) {
        char same[24];

        memcpy(same, key[i], sizeof same);
        assert_ptr_equal(vecq_map_get(&map, same), key[i]); /* by content, not by address */
    }
    assert_null(vecq_map_get(&map, "layer2.weight"));
    assert_null(vecq_map_get(&map, ""));
    vecq_map_clear(&map);
    assert_null(vecq_map_get(&map, key[0]));
    test_free(key);
}

static void put_replaces(void **state)
{
    vecq_map map = {0};
    int a, b;

    (void)state;
    assert_true(vecq_map_put(&map, "w", &a));
    assert_true(vecq_map_put(&map, "", &a));
    assert_true(vecq_map_put(&map, "w", &b));
    assert_ptr_equal(vecq_map_get(&map, "w"), &b);
    assert_ptr_equal(vecq_map_get(&map, ""), &a);
    assert_int_equal(map.count, 2);
    vecq_map_clear(&map);
}

static void *allocate_nothing(void *context, size_t n_bytes)
{
    (void)context;
    (void)n_bytes;
    return NULL;
}

static void release_something(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static void out_of_memory_changes_nothing(void **state)
{
    const vecq_allocator none = {allocate_nothing, release_something, NULL};
    vecq_map map = {0};
    char key[40][4];
    int i, full = 0;

    (void)state;
    for (i = 0; i < 40; i++)
        snprintf(key[i], sizeof key[i], "%d", i);
    for (i = 0; i < 20; i++)
        assert_true(vecq_map_put(&map, key[i], key[i]));
    vecq_set_allocator(&none);
    for (i = 20; i < 40 && !full; i++)
        full = !vecq_map_put(&map, key[i], key[i]);
    assert_true(full); /* it wanted to grow */
    for (i = 0; i < (int)map.count; i++)
        assert_ptr_equal(vecq_map_get(&map, key[i]), key[i]);
    vecq_map_clear(&map);
    assert_false(vecq_map_put(&map, "w", key));
    assert_null(vecq_map_get(&map, "w"));
    vecq_set_allocator(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_map),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(put_replaces),
        cmocka_unit_test(out_of_memory_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
