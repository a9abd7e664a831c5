/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "data/text_lines.h"
#include "data_files.h"
#include "fail_alloc.h"

static vecq_span span_of(const char *text)
{
    vecq_span span = {(const uint8_t *)text, strlen(text)};

    return span;
}

static void expect_line(const vecq_text_table *table, size_t i, int label, const char *text)
{
    assert_true(i < table->n);
    assert_int_equal(table->lines[i].label, label);
    assert_int_equal(table->lines[i].text.n, strlen(text));
    assert_memory_equal(table->lines[i].text.data, text, strlen(text));
}

typedef struct parse {
    vecq_arena arena;
    vecq_text_classes classes;
    vecq_text_table table;
} parse;

static vecq_status parse_text(parse *p, const char *text, vecq_error *err)
{
    vecq_free(p->table.lines);
    return vecq_text_parse(&p->arena, span_of(text), "f.txt", &p->classes, &p->table, err);
}

static void parse_clear(parse *p)
{
    vecq_free(p->table.lines);
    vecq_text_classes_clear(&p->classes);
    vecq_arena_clear(&p->arena);
    memset(p, 0, sizeof *p);
}

static void numbers(void **state)
{
    parse p = {{0}, {0}, {0}};
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(parse_text(&p, "1\tgood film\n0\tbad\tfilm\r\n\n2\t\n07\tlast", &err), &err);
    assert_int_equal(p.table.n, 4);
    assert_int_equal(p.classes.n, 8);
    assert_null(p.classes.names);
    expect_line(&p.table, 0, 1, "good film");
    expect_line(&p.table, 1, 0, "bad\tfilm");
    expect_line(&p.table, 2, 2, "");
    expect_line(&p.table, 3, 7, "last");
    expect_error(parse_text(&p, "1\tx\n8\ty\n", &err), VECQ_ERR_FORMAT, &err, "f.txt: line 2: label 8",
                 "8 classes");
    parse_clear(&p);
}

static void names(void **state)
{
    parse p = {{0}, {0}, {0}};
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(parse_text(&p, "spam\tbuy\nham\thello\nspam\t2 for 1\n", &err), &err);
    assert_int_equal(p.classes.n, 2);
    assert_string_equal(p.classes.names[0], "ham"); /* in the order of their bytes */
    assert_string_equal(p.classes.names[1], "spam");
    expect_line(&p.table, 0, 1, "buy");
    expect_line(&p.table, 1, 0, "hello");
    expect_line(&p.table, 2, 1, "2 for 1");
    assert_ok(parse_text(&p, "ham\tx\n1\ty\n", &err), &err); /* fixed now: name or number */
    expect_line(&p.table, 0, 0, "x");
    expect_line(&p.table, 1, 1, "y");
    expect_error(parse_text(&p, "ham\tx\neggs\ty\n", &err), VECQ_ERR_FORMAT, &err, "f.txt: line 2", "'eggs'",
                 "none of the 2 classes");
    expect_error(parse_text(&p, "ham\tx\nsome text\tspam\n", &err), VECQ_ERR_FORMAT, &err, "f.txt: line 2",
                 "label comes last");
    parse_clear(&p);
}

static void given_classes(void **state)
{
    static const char *given[] = {"finance", "7", "stocks"};
    parse p = {{0}, {0}, {0}};
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(vecq_text_classes_set(&p.classes, given, 3, &err), &err);
    assert_ok(parse_text(&p, "2\ta\nfinance\tb\n7\tc\n", &err), &err); /* a name that is a number is a name */
    expect_line(&p.table, 0, 2, "a");
    expect_line(&p.table, 1, 0, "b");
    expect_line(&p.table, 2, 1, "c");
    expect_error(parse_text(&p, "3\ta\n", &err), VECQ_ERR_FORMAT, &err, "label 3", "3 classes (0..2)");
    parse_clear(&p);
}

static void columns_swapped(void **state)
{
    parse p = {{0}, {0}, {0}};
    vecq_error err = VECQ_ERROR_INIT;
    char text[400] = "";
    int i;

    (void)state;
    expect_error(parse_text(&p, "a good film\t1\nbad\t0\n", &err), VECQ_ERR_FORMAT, &err, "f.txt: line 1",
                 "label comes last", "awk");
    expect_error(parse_text(&p, "1\tgood\n\na good film\t1\n", &err), VECQ_ERR_FORMAT, &err, "f.txt: line 3",
                 "label comes last");
    for (i = 0; i < 10; i++) /* words in both columns: every text has a label of its own then */
        sprintf(text + strlen(text), "text %d\t%s\n", i, i % 2 ? "good" : "bad");
    expect_error(parse_text(&p, text, &err), VECQ_ERR_FORMAT, &err, "10 different labels in 10 lines");
    assert_int_equal(p.classes.n, 0);
    assert_null(p.table.lines);
    parse_clear(&p);
}

static void refused(void **state)
{
    parse p = {{0}, {0}, {0}};
    vecq_error err = VECQ_ERROR_INIT;
    char longer[600];

    (void)state;
    expect_error(parse_text(&p, "", &err), VECQ_ERR_FORMAT, &err, "f.txt: holds no lines");
    expect_error(parse_text(&p, "\n\r\n", &err), VECQ_ERR_FORMAT, &err, "f.txt: holds no lines");
    expect_error(parse_text(&p, "1\ta\nno tab\n", &err), VECQ_ERR_FORMAT, &err, "line 2", "no tab");
    expect_error(parse_text(&p, "\ta\n", &err), VECQ_ERR_FORMAT, &err, "line 1", "no label");
    expect_error(parse_text(&p, "1\ta\n-1\tb\n", &err), VECQ_ERR_FORMAT, &err, "line 2",
                 "'-1' is not a number");
    expect_error(parse_text(&p, "1\ta\n1000000\tb\n", &err), VECQ_ERR_FORMAT, &err, "line 2", "1000000",
                 "limit");
    expect_error(parse_text(&p, "1\ta\n99999999999\tb\n", &err), VECQ_ERR_FORMAT, &err, "line 2",
                 "not a number");
    expect_error(parse_text(&p, "1\ta\n1\tb\xff\n", &err), VECQ_ERR_FORMAT, &err, "line 2", "UTF-8");
    memset(longer, 'x', sizeof longer);
    strcpy(longer + 500, "\ttext\n");
    expect_error(parse_text(&p, longer, &err), VECQ_ERR_FORMAT, &err, "line 1", "500 bytes");
    parse_clear(&p);
}

static vecq_status whole_life(void *context, vecq_error *err)
{
    parse p = {{0}, {0}, {0}};
    vecq_status status = parse_text(&p, context, err);

    parse_clear(&p);
    return status;
}

static void out_of_memory(void **state)
{
    char text[20000] = "";
    size_t used = 0;
    int i;

    (void)state;
    for (i = 0; i < 300; i++)
        used += (size_t)sprintf(text + used, "class%d\tsome text\n", i % 100);
    assert_true(vecq_fail_every_alloc(whole_life, text) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),         cmocka_unit_test(names),   cmocka_unit_test(given_classes),
        cmocka_unit_test(columns_swapped), cmocka_unit_test(refused), cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
