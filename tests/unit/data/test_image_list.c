/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "data/image_list.h"
#include "data_files.h"
#include "fail_alloc.h"

static vecq_span span_of(const char *text)
{
    vecq_span span = {(const uint8_t *)text, strlen(text)};

    return span;
}

static void lists(void **state)
{
    vecq_arena arena = {0};
    vecq_image_list list = {0};
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(
        vecq_image_list_parse(&arena, span_of("b.jpg\t3\nsub/a.png\t0\r\n\nc.jpeg\t3"), "l", &list, &err),
        &err);
    assert_int_equal(list.n, 3);
    assert_int_equal(list.n_classes, 4);
    assert_null(list.names);
    assert_string_equal(list.entries[0].file, "b.jpg");
    assert_int_equal(list.entries[0].label, 3);
    assert_string_equal(list.entries[1].file, "sub/a.png");
    assert_int_equal(list.entries[1].label, 0);
    assert_string_equal(list.entries[2].file, "c.jpeg");
    vecq_image_list_free(&list);

    assert_ok(
        vecq_image_list_parse(&arena,
                              span_of("file\tclass\tid\tname\na.jpg\t2\tn02\tshark\nb.jpg\t0\tn00\ttench\n"
                                      "c.jpg\t2\tn02\tother\nd.jpg\t90\n"),
                              "l", &list, &err),
        &err);
    assert_int_equal(list.n, 4); /* the line of titles is none */
    assert_int_equal(list.n_classes, 91);
    assert_string_equal(list.names[0], "tench");
    assert_string_equal(list.names[1], "");
    assert_string_equal(list.names[2], "shark");
    assert_string_equal(list.names[90], "");
    vecq_image_list_free(&list);
    vecq_arena_clear(&arena);
}

static void refused(void **state)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "l.tsv: lists no images"},
        {"\n\n", "lists no images"},
        {"file\tclass\n", "lists no images"},
        {"a.jpg\n", "line 1: lines are file<TAB>class index"},
        {"a.jpg\t0\nb.jpg\n", "line 2: lines are"},
        {"a.jpg\tcat\n", "line 1: class 'cat' is not a number"},
        {"x\ty\nx\ty\n", "line 2: class 'y' is not a number"},
        {"a.jpg\t-1\n", "line 1: class '-1'"},
        {"a.jpg\t\n", "line 1: lines are"},
        {"a.jpg\t1000000\n", "line 1: class 1000000 is over the limit of 999999"},
        {"a.jpg\t99999999999999999999\n", "over the limit"},
        {"a.jpg\t0\n../a.jpg\t0\n", "line 2: '../a.jpg' is no name"},
        {"a/../../b.jpg\t0\n", "line 1: 'a/../../b.jpg'"},
        {"a/..\t0\n", "line 1: 'a/..'"},
        {"/etc/a.jpg\t0\n", "line 1: '/etc/a.jpg'"},
        {"\t0\n", "line 1: ''"},
        {"a\xff.jpg\t0\n", "line 1: byte 2 (0xff) is not UTF-8"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        vecq_arena arena = {0};
        vecq_image_list list = {0};
        vecq_error err;

        expect_error(vecq_image_list_parse(&arena, span_of(cases[i].text), "l.tsv", &list, &err),
                     VECQ_ERR_FORMAT, &err, "l.tsv: ", cases[i].word);
        vecq_image_list_free(&list);
        vecq_arena_clear(&arena);
    }
}

static void make_folders(const char *dir)
{
    static const char *const files[] = {"dog/b.png", "dog/a.JPG", "dog/notes.txt", "dog/.hidden.png",
                                        "cat/z.jpeg"};
    char path[200];
    size_t i;

    mkdir(dir, 0700);
    snprintf(path, sizeof path, "%s/dog", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/cat", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/.git", dir);
    mkdir(path, 0700);
    for (i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        data_write_text(path, "x");
    }
}

static void folders(void **state)
{
    vecq_arena arena = {0};
    vecq_image_list list = {0};
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    make_folders("pets");
    assert_ok(vecq_image_list_folders(&arena, "pets", &list, &err), &err);
    assert_int_equal(list.n, 3);
    assert_int_equal(list.n_classes, 2);
    assert_string_equal(list.names[0], "cat");
    assert_string_equal(list.names[1], "dog");
    assert_string_equal(list.entries[0].file, "cat/z.jpeg");
    assert_int_equal(list.entries[0].label, 0);
    assert_string_equal(list.entries[1].file, "dog/a.JPG");
    assert_string_equal(list.entries[2].file, "dog/b.png");
    assert_int_equal(list.entries[2].label, 1);
    vecq_image_list_free(&list);

    mkdir("pets/bird", 0700);
    expect_error(vecq_image_list_folders(&arena, "pets", &list, &err), VECQ_ERR_FORMAT, &err,
                 "pets/bird: ", "without");
    vecq_image_list_free(&list);
    mkdir("nothing", 0700);
    expect_error(vecq_image_list_folders(&arena, "nothing", &list, &err), VECQ_ERR_FORMAT, &err,
                 "nothing: ", "neither a folder for each class nor labels.tsv");
    vecq_image_list_free(&list);
    expect_error(vecq_image_list_folders(&arena, "missing", &list, &err), VECQ_ERR_IO, &err, "missing: ");
    vecq_image_list_free(&list);
    vecq_arena_clear(&arena);
}

static vecq_status list_folders(void *context, vecq_error *err)
{
    vecq_arena arena = {0};
    vecq_image_list list = {0};
    vecq_status status = vecq_image_list_folders(&arena, context, &list, err);

    vecq_image_list_free(&list);
    vecq_arena_clear(&arena);
    return status;
}

static vecq_status parse_list(void *context, vecq_error *err)
{
    vecq_arena arena = {0};
    vecq_image_list list = {0};
    vecq_status status = vecq_image_list_parse(&arena, span_of(context), "l", &list, err);

    vecq_image_list_free(&list);
    vecq_arena_clear(&arena);
    return status;
}

static void out_of_memory(void **state)
{
    char text[8000] = "";
    int open_files = count_open_files(), i;

    (void)state;
    make_folders("more");
    assert_true(vecq_fail_every_alloc(list_folders, (void *)(uintptr_t) "more") > 3);
    assert_int_equal(count_open_files(), open_files);
    for (i = 0; i < 200; i++)
        sprintf(text + strlen(text), "a.jpg\t%d\tname\n", i);
    assert_true(vecq_fail_every_alloc(parse_list, text) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(refused),
        cmocka_unit_test(folders),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
