/* SPDX-License-Identifier: Apache-2.0 */
/* Bit fields in strips: the worked example of the format, every width and small shape against the definition
 * bit by bit, folding, waste, overflow. */
#include "vecq_test.h"

#include "base/rng.h"
#include "coding/strips.h"

#define CODES_MAX (1u << 20)
#define GUARD     32u

static uint8_t codes[CODES_MAX], back[CODES_MAX + 2 * GUARD];
static uint8_t fields[VECQ_FIELDS_MAX][CODES_MAX + 2 * GUARD];

static void pack_all(const vecq_strips *layout, const uint8_t *from)
{
    unsigned i;
    size_t g;

    for (i = 0; i < layout->n_fields; i++) {
        size_t n = layout->field[i].n_bytes;

        assert_true(n <= CODES_MAX);
        memset(fields[i], 0xc3, n + 2 * GUARD);
        vecq_strips_pack(layout, i, from, fields[i] + GUARD);
        for (g = 0; g < GUARD; g++)
            assert_true(fields[i][g] == 0xc3 && fields[i][GUARD + n + g] == 0xc3);
    }
}

static void assert_round_trip(const vecq_strips *layout, const uint8_t *from)
{
    const uint8_t *packed[VECQ_FIELDS_MAX] = {fields[0] + GUARD, fields[1] + GUARD, fields[2] + GUARD};
    size_t n = layout->rows * layout->cols, g;

    memset(back, 0xc3, n + 2 * GUARD);
    vecq_strips_unpack(layout, packed, back + GUARD);
    if (n > 0 && memcmp(back + GUARD, from, n) != 0)
        fail_msg("%u bits, %zu x %zu does not come back", layout->bits, layout->rows, layout->cols);
    for (g = 0; g < GUARD; g++)
        assert_true(back[g] == 0xc3 && back[GUARD + n + g] == 0xc3);
}

/* The definition, element by element: bits [s*f, s*f+f) of byte (q, c) are the field of row s*Q + q, column
 * c. */
static void assert_definition(const vecq_strips *layout, const uint8_t *from)
{
    unsigned i, s, shift = layout->bits;
    size_t q, c;

    for (i = 0; i < layout->n_fields; i++) {
        const vecq_field_layout *f = &layout->field[i];
        unsigned n = 8u / f->bits;

        shift -= f->bits; /* top bits first */
        assert_int_equal(f->shift, shift);
        assert_int_equal(f->rows, (layout->rows + n - 1) / n);
        assert_int_equal(f->cols, layout->cols);
        assert_int_equal(f->n_bytes, f->rows * f->cols);
        for (q = 0; q < f->rows; q++)
            for (c = 0; c < f->cols; c++) {
                unsigned byte = 0;

                for (s = 0; s < n; s++) {
                    size_t row = s * f->rows + q;
                    if (row < layout->rows)
                        byte |= ((unsigned)from[row * layout->cols + c] >> shift & ((1u << f->bits) - 1u))
                                << (s * f->bits);
                }
                if (fields[i][GUARD + q * f->cols + c] != byte)
                    fail_msg("%u bits, %zu x %zu, field %u byte (%zu, %zu) is %02x, expected %02x",
                             layout->bits, layout->rows, layout->cols, i, q, c,
                             fields[i][GUARD + q * f->cols + c], byte);
            }
    }
    assert_int_equal(shift, 0);
}

static void test_worked_example(void **state)
{
    static const uint8_t u[6] = {0, 5, 7, 2, 3, 6};
    vecq_strips layout;

    (void)state;
    assert_true(vecq_strips_layout(3, 3, 2, &layout));
    assert_int_equal(layout.rows, 3);
    assert_int_equal(layout.cols, 2);
    assert_int_equal(layout.n_fields, 2);
    assert_int_equal(layout.n_bytes, 4);
    assert_int_equal(layout.field[0].bits, 2);
    assert_int_equal(layout.field[0].shift, 1);
    assert_int_equal(layout.field[0].rows, 1);
    assert_int_equal(layout.field[1].bits, 1);
    assert_int_equal(layout.field[1].shift, 0);
    assert_int_equal(layout.field[1].rows, 1);
    pack_all(&layout, u);
    assert_memory_equal(fields[0] + GUARD, "\x1c\x36", 2);
    assert_memory_equal(fields[1] + GUARD, "\x06\x01", 2);
    assert_round_trip(&layout, u);
}

static void test_field_widths(void **state)
{
    static const unsigned widths[9][3] = {{0},       {1, 0, 0}, {2, 0, 0}, {2, 1, 0}, {4, 0, 0},
                                          {4, 1, 0}, {4, 2, 0}, {4, 2, 1}, {8, 0, 0}};
    vecq_strips layout;
    unsigned bits, i;

    (void)state;
    for (bits = 1; bits <= 8; bits++) {
        assert_true(vecq_strips_layout(bits, 64, 3, &layout));
        assert_int_equal(layout.bits, bits);
        assert_int_equal(layout.n_bytes, 64 * 3 * bits / 8);
        for (i = 0; i < VECQ_FIELDS_MAX; i++)
            assert_int_equal(layout.field[i].bits, widths[bits][i]);
    }
}

static void fill(size_t n, unsigned bits, vecq_rng *rng)
{
    size_t i;

    for (i = 0; i < n; i++)
        codes[i] = (uint8_t)vecq_rng_below(rng, (uint64_t)1 << bits);
}

static void test_every_small_shape(void **state)
{
    static const size_t cols[] = {1, 2, 3, 9, 16, 37, 64, 147, 512, 513, 576, 1031, 4608};
    vecq_strips layout;
    vecq_rng rng;
    unsigned bits;
    size_t rows, c;

    (void)state;
    vecq_rng_seed(&rng, 5);
    for (bits = 1; bits <= 8; bits++)
        for (rows = 1; rows <= 40; rows++)
            for (c = 0; c < sizeof cols / sizeof *cols; c++) {
                if (cols[c] > 200 && (rows + bits) % 8 != 0 && rows > 8)
                    continue;
                assert_true(vecq_strips_layout(bits, rows, cols[c], &layout));
                assert_int_equal(layout.rows * layout.cols, rows * cols[c]);
                fill(rows * cols[c], bits, &rng);
                pack_all(&layout, codes);
                assert_definition(&layout, codes);
                assert_round_trip(&layout, codes);
            }
}

/* Bytes of a field beyond what its bits need. */
static int waste_fits(unsigned bits, size_t rows, size_t cols)
{
    static const unsigned widths[] = {8, 4, 2, 1};
    size_t i;

    for (i = 0; i < 4; i++) {
        size_t n = 8 / widths[i], q = (rows + n - 1) / n;
        if ((bits & widths[i]) != 0 && q * cols * 8 - rows * cols * widths[i] > 64 * 8)
            return 0;
    }
    return 1;
}

/* The smallest divisor that will do, found by trying all. */
static void test_folding(void **state)
{
    static const size_t cols[] = {1,   7,   64,   127,  128,  129,  171,  172,  512,
                                  513, 514, 1000, 1021, 4096, 6400, 9999, 65536};
    vecq_strips layout;
    unsigned bits;
    size_t rows, c, g;

    (void)state;
    for (bits = 1; bits <= 8; bits++)
        for (rows = 1; rows <= 17; rows++)
            for (c = 0; c < sizeof cols / sizeof *cols; c++) {
                for (g = 1; cols[c] % g != 0 || !waste_fits(bits, rows * g, cols[c] / g); g++)
                    ;
                assert_true(vecq_strips_layout(bits, rows, cols[c], &layout));
                if (layout.rows != rows * g || layout.cols != cols[c] / g)
                    fail_msg("%u bits, %zu x %zu: %zu x %zu, expected a fold by %zu", bits, rows, cols[c],
                             layout.rows, layout.cols, g);
                assert_true(layout.n_bytes * 8 <= rows * cols[c] * bits + layout.n_fields * 512);
            }
    /* one row of a prime length: everything becomes rows; a long one must not take long */
    assert_true(vecq_strips_layout(1, 1, 1000003, &layout));
    assert_int_equal(layout.rows, 1000003);
    assert_int_equal(layout.n_bytes, 125001);
    assert_true(vecq_strips_layout(4, 1, (size_t)999999000001, &layout));
    assert_int_equal(layout.cols, 1);
    /* twice a prime: the smallest divisor that fills the strips is 2 at 4 bits */
    assert_true(vecq_strips_layout(4, 1, 2000006, &layout));
    assert_int_equal(layout.rows, 2);
    assert_int_equal(layout.n_bytes, 1000003);
}

static void test_chunks(void **state)
{
    static const size_t shapes[][2] = {{1, 1048576}, {1048576, 1}, {333, 3000},
                                       {8, 131071},  {1000, 1000}, {5, 4099}};
    vecq_strips layout;
    vecq_rng rng;
    unsigned bits;
    size_t i;

    (void)state;
    vecq_rng_seed(&rng, 6);
    for (bits = 1; bits <= 8; bits++)
        for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            assert_true(vecq_strips_layout(bits, shapes[i][0], shapes[i][1], &layout));
            fill(shapes[i][0] * shapes[i][1], bits, &rng);
            pack_all(&layout, codes);
            if (i >= 2)
                assert_definition(&layout, codes);
            assert_round_trip(&layout, codes);
        }
}

/* Dropping the low field leaves the top bits as they are: the coarser model. */
static void test_top_field_alone(void **state)
{
    const uint8_t *packed[VECQ_FIELDS_MAX] = {fields[0] + GUARD, NULL, NULL};
    vecq_strips layout, top;
    vecq_rng rng;
    size_t i;

    (void)state;
    vecq_rng_seed(&rng, 7);
    assert_true(vecq_strips_layout(6, 48, 100, &layout));
    assert_true(vecq_strips_layout(4, 48, 100, &top));
    fill(4800, 6, &rng);
    pack_all(&layout, codes);
    vecq_strips_unpack(&top, packed, back);
    for (i = 0; i < 4800; i++)
        assert_int_equal(back[i], codes[i] >> 2);
}

static void test_empty_and_overflow(void **state)
{
    vecq_strips layout;
    unsigned bits;

    (void)state;
    for (bits = 1; bits <= 8; bits++) {
        assert_true(vecq_strips_layout(bits, 0, 5, &layout));
        assert_int_equal(layout.n_bytes, 0);
        pack_all(&layout, codes);
        assert_round_trip(&layout, codes);
        assert_true(vecq_strips_layout(bits, 5, 0, &layout));
        assert_int_equal(layout.n_bytes, 0);
        pack_all(&layout, codes);
        assert_round_trip(&layout, codes);
    }
    assert_false(vecq_strips_layout(0, 1, 1, &layout));
    assert_false(vecq_strips_layout(9, 1, 1, &layout));
    assert_false(vecq_strips_layout(4, (size_t)1 << 33, (size_t)1 << 33, &layout));
    assert_false(vecq_strips_layout(4, SIZE_MAX, 2, &layout));
    assert_true(vecq_strips_layout(8, SIZE_MAX, 1, &layout));
    assert_true(layout.n_bytes == SIZE_MAX);
    assert_true(vecq_strips_layout(7, SIZE_MAX / 8, 8, &layout));
    assert_true(layout.field[0].n_bytes == SIZE_MAX / 16 * 8 + 8); /* the rows are odd: one is added */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_field_widths),
        cmocka_unit_test(test_every_small_shape),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_top_field_alone),
        cmocka_unit_test(test_empty_and_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
