/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <math.h>

#include "data/dataset_private.h"
#include "data/loader.h"
#include "data_files.h"
#include "fail_alloc.h"

static vecq_dataset_options defaults(vecq_split split)
{
    vecq_dataset_options o;

    vecq_dataset_defaults(&o);
    o.split = split;
    return o;
}

static vecq_dataset *open_set(const char *spec, const vecq_dataset_options *options)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_dataset *dataset;

    assert_ok(vecq_dataset_open(spec, options, &dataset, &err), &err);
    assert_string_equal(vecq_dataset_describe(dataset)->spec, spec);
    return dataset;
}

#define expect_refused(spec, options, status, ...)                                                           \
    do {                                                                                                     \
        vecq_error refused_;                                                                                 \
        vecq_dataset *none_;                                                                                 \
        expect_error(vecq_dataset_open(spec, options, &none_, &refused_), status, &refused_, __VA_ARGS__);   \
        assert_null(none_);                                                                                  \
    } while (0)

/* ---- specs ---- */

static void specs(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);

    (void)state;
    expect_refused("cifar:x", &o, VECQ_ERR_UNSUPPORTED, "'cifar:x'", "did you mean cifar10:?", "idx:DIR",
                   "images:DIR");
    expect_refused("image:x", &o, VECQ_ERR_UNSUPPORTED, "did you mean images:?");
    expect_refused("idx", &o, VECQ_ERR_UNSUPPORTED, "names no layout", "idx:DIR");
    expect_refused("", &o, VECQ_ERR_UNSUPPORTED, "names no layout");
    expect_refused(":", &o, VECQ_ERR_UNSUPPORTED, "unknown layout");
    expect_refused("parquet:x", &o, VECQ_ERR_UNSUPPORTED, "unknown layout 'parquet'; there are");
    expect_refused("cifar10:", &o, VECQ_ERR_UNSUPPORTED, "no default place", "cifar10:DIR");
    expect_refused("text:", &o, VECQ_ERR_UNSUPPORTED, "no default place");
    expect_refused("idx:missing", &o, VECQ_ERR_IO, "missing: no such folder");
    expect_refused("cifar10:missing", &o, VECQ_ERR_IO, "missing: no such folder");
    expect_refused("images:missing", &o, VECQ_ERR_IO, "missing: no such folder");
    expect_refused("text:missing", &o, VECQ_ERR_IO, "missing: no such file or folder");
    o.height = 5;
    expect_refused("idx:x", &o, VECQ_ERR_USAGE, "together");
    o.width = 6;
    o.resize = 4;
    expect_refused("idx:x", &o, VECQ_ERR_USAGE, "less than the target");
    o = defaults(VECQ_SPLIT_TEST);
    o.random_crop = 1;
    expect_refused("idx:x", &o, VECQ_ERR_USAGE, "random crops");
    o = defaults((vecq_split)7);
    expect_refused("idx:x", &o, VECQ_ERR_USAGE, "out of its range");
    vecq_dataset_close(NULL);
}

/* ---- idx ---- */

static void idx_splits(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *train, *held, *test, *all;
    const vecq_dataset_info *info;
    int seen[100] = {0}, compressed;
    size_t i, p;

    (void)state;
    for (compressed = 0; compressed < 2; compressed++) {
        const char *spec = compressed ? "idx:zipped" : "idx:plain";

        data_write_idx(spec + 4, 100, 30, 7, 5, compressed);
        o = defaults(VECQ_SPLIT_TRAIN);
        all = open_set(spec, &o);
        info = vecq_dataset_describe(all);
        assert_int_equal(info->kind, VECQ_DATASET_IMAGES);
        assert_true(info->n == 100 && info->n_classes == 10 && info->class_names == NULL && !info->undivided);
        assert_true(info->channels == 1 && info->height == 7 && info->width == 5);
        for (i = 0; i < 100; i++) {
            assert_int_equal(vecq_dataset_label(all, i), i % 10);
            for (p = 0; p < 35; p++)
                assert_int_equal(all->pixels[i * 35 + p], data_pixel(i, 0, p / 5, p % 5));
        }
        o.split = VECQ_SPLIT_TEST;
        test = open_set(spec, &o);
        assert_int_equal(vecq_dataset_describe(test)->n, 30);
        vecq_dataset_close(test);

        o.holdout = 30;
        o.split = VECQ_SPLIT_TRAIN;
        train = open_set(spec, &o);
        o.split = VECQ_SPLIT_VALIDATION;
        held = open_set(spec, &o);
        assert_int_equal(vecq_dataset_describe(train)->n, 70);
        assert_int_equal(vecq_dataset_describe(held)->n, 30);
        memset(seen, 0, sizeof seen);
        for (i = 0; i < 100; i++) { /* each sample in one of the two: pixel 0 is 53 i mod 256, unique */
            const vecq_dataset *d = i < 70 ? train : held;
            size_t at = i < 70 ? i : i - 70, k;

            for (k = 0; k < 100 && data_pixel(k, 0, 0, 0) != d->pixels[at * 35]; k++)
                ;
            assert_true(k < 100 && !seen[k]);
            seen[k] = 1;
            assert_int_equal(vecq_dataset_label(d, at), k % 10);
        }
        vecq_dataset_close(held);
        o.holdout_seed = 2; /* another draw */
        held = open_set(spec, &o);
        for (i = 0, p = 0; i < 30; i++)
            p += seen[i] && held->pixels[i * 35] == train->pixels[i * 35];
        assert_true(p < 25);
        vecq_dataset_close(held);
        vecq_dataset_close(train);
        vecq_dataset_close(all);
    }
}

static void idx_refused(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    data_bytes bytes;

    (void)state;
    mkdir("empty", 0700);
    expect_refused("idx:empty", &o, VECQ_ERR_IO, "empty: has no train-images-idx3-ubyte",
                   "t10k-labels-idx1-ubyte", ".gz");
    data_write_idx("bad", 20, 5, 4, 4, 0);
    o.split = VECQ_SPLIT_VALIDATION;
    expect_refused("idx:bad", &o, VECQ_ERR_UNSUPPORTED, "no validation part", "holdout");
    o.holdout = 20;
    expect_refused("idx:bad", &o, VECQ_ERR_UNSUPPORTED, "cannot hold back 20 of 20");
    o = defaults(VECQ_SPLIT_TRAIN);
    data_write("bad/train-labels-idx1-ubyte", data_idx_labels(21, 10));
    expect_refused("idx:bad", &o, VECQ_ERR_FORMAT,
                   "bad/train-labels-idx1-ubyte: holds 21 labels for the 20 images");
    data_write("bad/train-labels-idx1-ubyte", data_idx_labels(20, 4));
    o.split = VECQ_SPLIT_TEST; /* t10k has labels up to 4, training up to 3 */
    expect_refused("idx:bad", &o, VECQ_ERR_FORMAT, "bad/t10k-labels-idx1-ubyte: label 4 is 4",
                   "4 classes (0..3)");
    data_write_text("bad/class.txt", "zero\none\ntwo\n");
    o.split = VECQ_SPLIT_TRAIN;
    expect_refused("idx:bad", &o, VECQ_ERR_FORMAT, "bad/train-labels-idx1-ubyte: label 3 is 3", "3 classes");
    data_write_text("bad/class.txt", "\n");
    expect_refused("idx:bad", &o, VECQ_ERR_FORMAT, "bad/class.txt: holds no names");
    data_write_text("bad/class.txt", "zero\none\xff\n");
    expect_refused("idx:bad", &o, VECQ_ERR_FORMAT, "bad/class.txt: line 2", "UTF-8");
    data_write_text("bad/class.txt", "zero\none\ntwo\nthree\n");
    bytes = data_idx_images(20, 4, 4);
    bytes.n -= 3;
    data_write("bad/train-images-idx3-ubyte", bytes);
    expect_refused("idx:bad", &o, VECQ_ERR_FORMAT, "bad/train-images-idx3-ubyte: ", "truncated");
    unlink("bad/train-labels-idx1-ubyte");
    expect_refused("idx:bad", &o, VECQ_ERR_IO, "bad: has no train-labels-idx1-ubyte");
}

/* ---- cifar10 ---- */

static void cifar10_splits(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *dataset;
    const vecq_dataset_info *info;
    size_t i, c;

    (void)state;
    mkdir("outer", 0700);
    data_write_cifar10("outer/cifar-10-batches-bin", 7);
    dataset = open_set("cifar10:outer", &o); /* the folder above will do */
    info = vecq_dataset_describe(dataset);
    assert_true(info->n == 35 && info->n_classes == 10 && info->channels == 3 && info->height == 32);
    assert_string_equal(info->class_names[9], "truck");
    for (i = 0; i < 35; i++) {
        assert_int_equal(vecq_dataset_label(dataset, i), i % 10);
        for (c = 0; c < 3; c++)
            assert_int_equal(dataset->pixels[(i * 3 + c) * 1024 + 33], data_pixel(i, c, 1, 1));
    }
    vecq_dataset_close(dataset);
    o.split = VECQ_SPLIT_TEST;
    dataset = open_set("cifar10:outer/cifar-10-batches-bin", &o);
    assert_int_equal(vecq_dataset_describe(dataset)->n, 7);
    assert_int_equal(vecq_dataset_label(dataset, 0), 5);
    vecq_dataset_close(dataset);
    o.split = VECQ_SPLIT_VALIDATION; /* taken from all five files */
    o.holdout = 34;
    dataset = open_set("cifar10:outer", &o);
    assert_int_equal(vecq_dataset_describe(dataset)->n, 34);
    for (i = 0; i < 34; i++) {
        size_t k = i;

        if (dataset->pixels[i * 3072] != data_pixel(k, 0, 0, 0))
            k++; /* behind the one that is left out */
        assert_int_equal(dataset->pixels[i * 3072 + 40], data_pixel(k, 0, 1, 8));
        assert_int_equal(vecq_dataset_label(dataset, i), k % 10);
    }
    vecq_dataset_close(dataset);
    o = defaults(VECQ_SPLIT_TEST); /* other sizes and colours, if somebody asks for them */
    o.height = o.width = 16;
    o.grayscale = 1;
    dataset = open_set("cifar10:outer", &o);
    info = vecq_dataset_describe(dataset);
    assert_true(info->channels == 1 && info->height == 16 && info->width == 16);
    vecq_dataset_close(dataset);
}

static void cifar10_refused(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    data_bytes bytes;

    (void)state;
    data_write_cifar10("cifar", 3);
    bytes = data_cifar10(0, 3);
    bytes.data[3073 * 2] = 10;
    data_write("cifar/data_batch_4.bin", bytes);
    expect_refused("cifar10:cifar", &o, VECQ_ERR_FORMAT, "cifar/data_batch_4.bin: record 2 has label 10",
                   "0..9");
    bytes = data_cifar10(0, 3);
    bytes.n--;
    data_write("cifar/data_batch_4.bin", bytes);
    expect_refused("cifar10:cifar", &o, VECQ_ERR_FORMAT, "cifar/data_batch_4.bin: 9218 bytes", "3073");
    data_write("cifar/data_batch_4.bin", data_gzip(data_cifar10(0, 3)));
    expect_refused("cifar10:cifar", &o, VECQ_ERR_FORMAT, "cifar/data_batch_4.bin: is compressed");
    data_write_text("cifar/data_batch_4.bin", "");
    expect_refused("cifar10:cifar", &o, VECQ_ERR_FORMAT, "cifar/data_batch_4.bin: is empty");
    unlink("cifar/data_batch_4.bin");
    expect_refused("cifar10:cifar", &o, VECQ_ERR_IO, "cifar: has no data_batch_4.bin", "test_batch.bin");
    o.split = VECQ_SPLIT_TEST;
    data_write_text("cifar/batches.meta.txt", "a\nb\n");
    expect_refused("cifar10:cifar", &o, VECQ_ERR_FORMAT, "cifar/batches.meta.txt: has 2 names");
    o.split = VECQ_SPLIT_VALIDATION;
    expect_refused("cifar10:cifar", &o, VECQ_ERR_UNSUPPORTED, "no validation part");
}

/* ---- images ---- */

/* DIR/<class>/<i>.png, n of each class, 10 x 8; samples numbered through. */
static void write_classes(const char *dir, const char *const *classes, size_t n_classes, size_t n)
{
    size_t c, i;
    char path[300];

    mkdir(dir, 0700);
    for (c = 0; c < n_classes; c++) {
        snprintf(path, sizeof path, "%s/%s", dir, classes[c]);
        mkdir(path, 0700);
        for (i = 0; i < n; i++) {
            snprintf(path, sizeof path, "%s/%s/%zu.png", dir, classes[c], i);
            data_write(path, data_png_sample(c * n + i, 10, 8));
        }
    }
}

static void images_by_folder(void **state)
{
    static const char *const train[] = {"ant", "bee", "cat"}, *const test[] = {"ant", "cat"},
                             *const odd[] = {"bat"};
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *dataset;
    const vecq_dataset_info *info;
    size_t i, c, p;

    (void)state;
    mkdir("pets", 0700);
    write_classes("pets/train", train, 3, 4);
    write_classes("pets/test", test, 2, 2);
    dataset = open_set("images:pets", &o);
    info = vecq_dataset_describe(dataset);
    assert_true(info->n == 12 && info->n_classes == 3 && !info->undivided);
    assert_true(info->channels == 3 && info->height == 10 && info->width == 8);
    assert_string_equal(info->class_names[1], "bee");
    for (i = 0; i < 12; i++) {
        assert_int_equal(vecq_dataset_label(dataset, i), i / 4);
        for (c = 0; c < 3; c++)
            for (p = 0; p < 80; p++)
                assert_int_equal(dataset->pixels[(i * 3 + c) * 80 + p], data_pixel(i, c, p / 8, p % 8));
    }
    vecq_dataset_close(dataset);
    o.split = VECQ_SPLIT_TEST; /* numbers of classes are those of training */
    dataset = open_set("images:pets", &o);
    info = vecq_dataset_describe(dataset);
    assert_true(info->n == 4 && info->n_classes == 3);
    assert_int_equal(vecq_dataset_label(dataset, 1), 0);
    assert_int_equal(vecq_dataset_label(dataset, 3), 2);
    vecq_dataset_close(dataset);
    o.split = VECQ_SPLIT_VALIDATION;
    expect_refused("images:pets", &o, VECQ_ERR_UNSUPPORTED, "pets: has no folder val", "holdout");
    write_classes("pets/val", test + 1, 1, 1);
    dataset = open_set("images:pets", &o);
    assert_int_equal(vecq_dataset_describe(dataset)->n, 1);
    assert_int_equal(vecq_dataset_label(dataset, 0), 2);
    vecq_dataset_close(dataset);
    o.split = VECQ_SPLIT_TEST;
    write_classes("pets/test", odd, 1, 1);
    expect_refused("images:pets", &o, VECQ_ERR_FORMAT, "pets/test/bat: there is no such class in pets/train");
    o = defaults(VECQ_SPLIT_TEST); /* not divided: all of it, for training and for tests, and it says so */
    dataset = open_set("images:pets/train", &o);
    info = vecq_dataset_describe(dataset);
    assert_true(info->n == 12 && info->undivided);
    vecq_dataset_close(dataset);
}

static void images_by_list(void **state)
{
    static const uint8_t red[] = {250, 10, 20};
    vecq_dataset_options o = defaults(VECQ_SPLIT_TEST);
    vecq_dataset *dataset;
    const vecq_dataset_info *info;
    size_t p;

    (void)state;
    mkdir("list", 0700);
    mkdir("list/images", 0700);
    data_write("list/images/a.jpg", data_jpeg(30, 20, 3, red, NULL, 0));
    data_write("list/images/b.png", data_png_sample(0, 20, 30));
    data_write_text("list/labels.tsv", "a.jpg\t4\tn4\tfish\nb.png\t0\tn0\tbird\n");
    expect_refused("images:list", &o, VECQ_ERR_FORMAT,
                   "list/images/b.png: is 20 x 30 pixels, others are 30 x 20", "give the height and width");
    o.height = o.width = 12;
    o.resize = 16;
    dataset = open_set("images:list", &o);
    info = vecq_dataset_describe(dataset);
    assert_true(info->n == 2 && info->n_classes == 5 && info->height == 12 && info->width == 12);
    assert_string_equal(info->class_names[4], "fish");
    assert_string_equal(info->class_names[3], "");
    for (p = 0; p < 144; p++)
        assert_true(dataset->pixels[p] > 245 && dataset->pixels[144 + p] < 15 &&
                    dataset->pixels[288 + p] < 25);
    vecq_dataset_close(dataset);
    data_write_text("list/synsets.tsv", "0\tn0\tx\n1\tn1\ty\n2\tn2\tz\n3\tn3\tu\n4\tn4\tv\n5\tn5\tw\n");
    dataset = open_set("images:list", &o); /* all classes there are, not just those seen */
    info = vecq_dataset_describe(dataset);
    assert_int_equal(info->n_classes, 6);
    assert_string_equal(info->class_names[5], "w");
    vecq_dataset_close(dataset);
    data_write_text("list/synsets.tsv", "0\tn0\tx\n2\tn1\ty\n");
    expect_refused("images:list", &o, VECQ_ERR_FORMAT, "list/synsets.tsv: line 2: should be 1<TAB>");
    data_write_text("list/class.txt", "bird\nfish\n");
    expect_refused("images:list", &o, VECQ_ERR_FORMAT, "list/labels.tsv: a.jpg has class 4",
                   "there are 2 (0..1)");
    unlink("list/class.txt");
    unlink("list/synsets.tsv");
    data_write_text("list/labels.tsv", "a.jpg\t0\nmissing.jpg\t1\n");
    expect_refused("images:list", &o, VECQ_ERR_IO, "list/images/missing.jpg: cannot open");
    data_write_text("list/labels.tsv", "a.jpg\t0\nb.png\t1\n");
    data_write_text("list/images/b.png", "no picture");
    expect_refused("images:list", &o, VECQ_ERR_FORMAT, "list/images/b.png: is neither JPEG nor PNG");
    data_write_text("list/labels.tsv", "../list/images/a.jpg\t0\n");
    expect_refused("images:list", &o, VECQ_ERR_FORMAT, "list/labels.tsv: line 1");
    mkdir("none", 0700);
    expect_refused("images:none", &o, VECQ_ERR_FORMAT,
                   "none: has neither a folder for each class nor labels.tsv");
}

/* What does not fit in memory is decoded batch by batch, to the same batches; a file that goes away is an
 * error of its batch, and named. */
static void images_on_demand(void **state)
{
    static const char *const classes[] = {"x", "y"};
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *here, *later;
    vecq_loader_options l;
    vecq_loader *a, *b;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_batch batch_a, batch_b;
    uint64_t s;
    size_t c;

    (void)state;
    write_classes("demand", classes, 2, 9);
    o.height = 6;
    o.width = 5;
    o.resize = 8;
    o.random_crop = 1;
    o.statistics = 1;
    here = open_set("images:demand", &o);
    o.memory_limit = 100;
    later = open_set("images:demand", &o);
    assert_non_null(here->pixels);
    assert_null(later->pixels);
    assert_true(here->stored_height == 9 && here->stored_width == 8); /* 6 : 5, shorter side 8 */
    for (c = 0; c < 3; c++) {
        assert_true(here->info.mean[c] == later->info.mean[c] && here->info.std[c] == later->info.std[c]);
        assert_true(here->info.mean[c] > 0.3 && here->info.std[c] > 0.1);
    }
    vecq_loader_defaults(&l);
    l.batch = 4;
    l.shuffle = 1;
    l.augment = 1;
    l.augmentation.random_crop = l.augmentation.flip = 1;
    l.augmentation.rotate = 20;
    assert_ok(vecq_loader_create(here, &l, &a, &err), &err);
    l.threads = 2;
    l.prefetch = 3;
    assert_ok(vecq_loader_create(later, &l, &b, &err), &err);
    for (s = 0; s < 12; s++) {
        assert_ok(vecq_loader_next(a, s, &batch_a, &err), &err);
        assert_ok(vecq_loader_next(b, s, &batch_b, &err), &err);
        assert_true(batch_a.height == 6 && batch_a.width == 5);
        assert_memory_equal(batch_a.images, batch_b.images, 4 * 3 * 6 * 5 * sizeof(float));
        assert_memory_equal(batch_a.labels, batch_b.labels, 4 * sizeof(int32_t));
    }
    assert_int_equal(rename("demand/y/3.png", "demand/y/3.away"), 0);
    for (s = 20; s < 25; s++) { /* one epoch: one of its batches fails */
        err.status = VECQ_OK;
        if (vecq_loader_next(b, s, &batch_b, &err) != VECQ_OK)
            break;
    }
    data_expect("next", err.status, VECQ_ERR_IO, &err, "demand/y/3.png: cannot open", NULL);
    assert_int_equal(rename("demand/y/3.away", "demand/y/3.png"), 0);
    err.status = VECQ_OK;
    assert_ok(vecq_loader_next(b, s, &batch_b, &err), &err);
    assert_ok(vecq_loader_next(a, s, &batch_a, &err), &err);
    assert_memory_equal(batch_a.images, batch_b.images, 4 * 3 * 6 * 5 * sizeof(float));
    vecq_loader_destroy(a);
    vecq_loader_destroy(b);
    vecq_dataset_close(here);
    vecq_dataset_close(later);
}

/* ---- text ---- */

static void expect_tokens(const vecq_dataset *dataset, size_t i, const char *want)
{
    const vecq_dataset_info *info = vecq_dataset_describe(dataset);
    char got[300] = "";
    size_t k;

    for (k = 0; k < info->length; k++) {
        strcat(got, k > 0 ? " " : "");
        strcat(got, info->vocabulary[dataset->tokens16[i * info->length + k]]);
    }
    assert_string_equal(got, want);
}

static void write_reviews(void)
{
    mkdir("reviews", 0700);
    data_write_text("reviews/train.txt", "1\tgood good film\n0\tbad bad bad film\n1\tgood\n");
    data_write_text("reviews/test.txt", "0\tBad, odd film!\n");
    data_write_text("reviews/class.txt", "negative\npositive\n");
}

static void text_splits(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *train, *test;
    const vecq_dataset_info *info;

    (void)state;
    write_reviews();
    train = open_set("text:reviews", &o);
    info = vecq_dataset_describe(train);
    assert_int_equal(info->kind, VECQ_DATASET_TEXT);
    assert_true(info->n == 3 && info->n_classes == 2 && info->length == 4 && info->n_vocabulary == 5);
    assert_string_equal(info->class_names[0], "negative");
    assert_string_equal(info->vocabulary[2], "good"); /* 3 good and 3 bad: good is first */
    expect_tokens(train, 0, "<pad> good good film");
    expect_tokens(train, 1, "bad bad bad film");
    expect_tokens(train, 2, "<pad> <pad> <pad> good");
    o.split = VECQ_SPLIT_TEST;
    o.length = 4;
    test = open_set("text:reviews", &o); /* the vocabulary of training */
    expect_tokens(test, 0, "<pad> bad <unk> film");
    vecq_dataset_close(test);
    o.vocabulary = vecq_dataset_describe(train)->vocabulary;
    o.n_vocabulary = vecq_dataset_describe(train)->n_vocabulary;
    unlink("reviews/train.txt"); /* not needed any more */
    test = open_set("text:reviews", &o);
    vecq_dataset_close(train); /* and copied */
    expect_tokens(test, 0, "<pad> bad <unk> film");
    vecq_dataset_close(test);
    o.vocabulary = NULL;
    o.n_vocabulary = 0;
    o.split = VECQ_SPLIT_VALIDATION;
    expect_refused("text:reviews", &o, VECQ_ERR_IO, "reviews: has no train.txt");
    write_reviews();
    expect_refused("text:reviews", &o, VECQ_ERR_UNSUPPORTED, "reviews: has neither dev.txt nor val.txt",
                   "holdout");
    data_write_text("reviews/val.txt", "positive\tgood bad ugly\n");
    test = open_set("text:reviews", &o);
    expect_tokens(test, 0, "<pad> good bad <unk>");
    assert_int_equal(vecq_dataset_label(test, 0), 1);
    vecq_dataset_close(test);
}

static void text_sides(void **state)
{
    static const struct {
        vecq_side pad, truncate;
        const char *short_text, *long_text;
    } cases[] = {
        {VECQ_SIDE_FRONT, VECQ_SIDE_FRONT, "<pad> a b", "c d e"},
        {VECQ_SIDE_BACK, VECQ_SIDE_FRONT, "a b <pad>", "c d e"},
        {VECQ_SIDE_FRONT, VECQ_SIDE_BACK, "<pad> a b", "a b c"},
        {VECQ_SIDE_BACK, VECQ_SIDE_BACK, "a b <pad>", "a b c"},
    };
    size_t i;

    (void)state;
    data_write_text("sides.txt", "0\ta b\n1\ta b c d e\n");
    for (i = 0; i < 4; i++) {
        vecq_dataset_options o = defaults(VECQ_SPLIT_TEST);
        vecq_dataset *dataset;

        o.pad_side = cases[i].pad;
        o.truncate_side = cases[i].truncate;
        o.length = 3;
        dataset = open_set("text:sides.txt", &o);
        expect_tokens(dataset, 0, cases[i].short_text);
        expect_tokens(dataset, 1, cases[i].long_text);
        assert_true(vecq_dataset_describe(dataset)->undivided);
        vecq_dataset_close(dataset);
    }
}

/* The vocabulary does not see what is held back, whichever of the two splits is opened. */
static void text_holdout(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *train, *held;
    data_bytes bytes = {0};
    size_t i;

    (void)state;
    for (i = 0; i < 40; i++) {
        char line[60];

        sprintf(line, "%zu\tsame word%zu\n", i % 2, i);
        data_put(&bytes, line, strlen(line));
    }
    data_write("forty.txt", bytes);
    o.holdout = 10;
    o.start_token = 1;
    train = open_set("text:forty.txt", &o);
    o.split = VECQ_SPLIT_VALIDATION;
    held = open_set("text:forty.txt", &o);
    assert_int_equal(vecq_dataset_describe(train)->n, 30);
    assert_int_equal(vecq_dataset_describe(held)->n, 10);
    assert_int_equal(vecq_dataset_describe(train)->n_vocabulary, 3 + 1 + 30);
    assert_int_equal(vecq_dataset_describe(held)->n_vocabulary, 3 + 1 + 30);
    for (i = 0; i < 34; i++)
        assert_string_equal(vecq_dataset_describe(held)->vocabulary[i],
                            vecq_dataset_describe(train)->vocabulary[i]);
    for (i = 0; i < 10; i++)
        expect_tokens(held, i, "<start> same <unk>");
    vecq_dataset_close(train);
    vecq_dataset_close(held);
}

/* More than 65536 tokens need wider ids. */
static void text_wide(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *dataset;
    vecq_loader *loader;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_batch batch;
    data_bytes bytes = {0};
    size_t i;

    (void)state;
    for (i = 0; i < 70000; i++) {
        char word[30];

        sprintf(word, i % 10 == 0 ? "\n1\tw%zu" : " w%zu", i);
        data_put(&bytes, word, strlen(word));
    }
    data_write("wide.txt", bytes);
    o.vocabulary_size = 0;
    dataset = open_set("text:wide.txt", &o);
    assert_int_equal(vecq_dataset_describe(dataset)->n_vocabulary, 70002);
    assert_null(dataset->tokens16);
    assert_ok(vecq_loader_create(dataset, NULL, &loader, &err), &err);
    assert_ok(vecq_loader_next(loader, 54, &batch, &err), &err);
    assert_int_equal(batch.tokens[10 * 3 + 7], 2 + (54 * 128 + 3) * 10 + 7);
    vecq_loader_destroy(loader);
    vecq_dataset_close(dataset);
}

static void text_refused(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    static const char *const vocabulary[] = {"x", "x"};
    static const char *const others[] = {"q"};

    (void)state;
    data_write_text("bad.txt", "good film\t1\n");
    expect_refused("text:bad.txt", &o, VECQ_ERR_FORMAT, "bad.txt: line 1", "label comes last");
    data_write_text("bad.txt", "1\tgood\n0\t\xc3(\n");
    expect_refused("text:bad.txt", &o, VECQ_ERR_FORMAT, "bad.txt: line 2: byte 3 (0xc3) is not UTF-8");
    data_write_text("bad.txt", "");
    expect_refused("text:bad.txt", &o, VECQ_ERR_FORMAT, "bad.txt: holds no lines");
    data_write_text("bad.txt", "1\t \n0\t...\n");
    expect_refused("text:bad.txt", &o, VECQ_ERR_FORMAT, "bad.txt: no text has a token");
    data_write_text("bad.txt", "1\ta\n0\tb\n");
    o.vocabulary = vocabulary;
    o.n_vocabulary = 2;
    expect_refused("text:bad.txt", &o, VECQ_ERR_FORMAT, "tokens 0 and 1");
    o.vocabulary = others;
    o.n_vocabulary = 1;
    expect_refused("text:bad.txt", &o, VECQ_ERR_FORMAT, "no text has a token that is in the vocabulary");
    o = defaults(VECQ_SPLIT_VALIDATION);
    expect_refused("text:bad.txt", &o, VECQ_ERR_UNSUPPORTED, "bad.txt: one file has no validation part");
    o = defaults(VECQ_SPLIT_TRAIN);
    o.statistics = 1;
    expect_refused("text:bad.txt", &o, VECQ_ERR_UNSUPPORTED, "texts have no pixels");
    mkdir("notext", 0700);
    o = defaults(VECQ_SPLIT_TRAIN);
    expect_refused("text:notext", &o, VECQ_ERR_IO, "notext: has no train.txt", "test.txt");
}

/* ---- statistics ---- */

static void statistics(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *dataset;
    const vecq_dataset_info *info;
    size_t c, i, p;

    (void)state;
    data_write_cifar10("stats", 4);
    o.statistics = 1;
    dataset = open_set("cifar10:stats", &o);
    info = vecq_dataset_describe(dataset);
    assert_true(info->has_statistics);
    for (c = 0; c < 3; c++) {
        double mean = 0, square = 0;

        for (i = 0; i < 20; i++)
            for (p = 0; p < 1024; p++) {
                double x = data_pixel(i, c, p / 32, p % 32) / 255.0;

                mean += x / (20 * 1024);
                square += x * x / (20 * 1024);
            }
        assert_true(fabs(info->mean[c] - mean) < 1e-9);
        assert_true(fabs(info->std[c] - sqrt(square - mean * mean)) < 1e-9);
    }
    vecq_dataset_close(dataset);
    o.split = VECQ_SPLIT_TEST;
    expect_refused("cifar10:stats", &o, VECQ_ERR_UNSUPPORTED, "training split");
}

/* ---- allocation ---- */

static vecq_status open_and_close(void *context, vecq_error *err)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *dataset;
    vecq_status status;

    o.threads = 1;
    if (strncmp(context, "text", 4) != 0) {
        o.height = o.width = 6;
        o.statistics = 1;
    }
    o.holdout = 2;
    status = vecq_dataset_open(context, &o, &dataset, err);
    assert_true((dataset != NULL) == (status == VECQ_OK));
    vecq_dataset_close(dataset);
    o.split = VECQ_SPLIT_TEST;
    o.statistics = 0;
    if (status == VECQ_OK)
        status = vecq_dataset_open(context, &o, &dataset, err);
    vecq_dataset_close(dataset);
    return status;
}

static void out_of_memory(void **state)
{
    static const char *const classes[] = {"x", "y"};
    static const char *const specs[] = {"idx:few", "cifar10:few", "images:few", "text:few"};
    int open_files, i;

    (void)state;
    data_write_idx("few", 5, 3, 4, 4, 1);
    data_write_text("few/class.txt", "a\nb\nc\nd\ne\n");
    data_write_cifar10("few", 1);
    write_classes("few/train", classes, 2, 2);
    write_classes("few/test", classes, 2, 1);
    data_write_text("few/train.txt", "0\tone two\n1\tthree\n2\tthree\n");
    data_write_text("few/test.txt", "a\tone two\n");
    open_files = count_open_files();
    for (i = 0; i < 4; i++)
        assert_true(vecq_fail_every_alloc(open_and_close, (void *)(uintptr_t)specs[i]) > 5);
    assert_int_equal(count_open_files(), open_files);
}

/* ---- real data ---- */

static void real_mnist(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TRAIN);
    vecq_dataset *dataset;
    const vecq_dataset_info *info;
    char spec[600];

    (void)state;
    if (vecq_test_data() == NULL)
        skip();
    snprintf(spec, sizeof spec, "idx:%.500s/data/mnist", vecq_test_data());
    o.statistics = 1;
    dataset = open_set(spec, &o);
    info = vecq_dataset_describe(dataset);
    assert_true(info->n == 60000 && info->n_classes == 10 && info->height == 28 && info->width == 28);
    assert_true(fabs(info->mean[0] - 0.1307) < 1e-4 &&
                fabs(info->std[0] - 0.3081) < 1e-4); /* as everybody has */
    assert_int_equal(vecq_dataset_label(dataset, 0), 5);
    vecq_dataset_close(dataset);
}

static void real_images(void **state)
{
    vecq_dataset_options o = defaults(VECQ_SPLIT_TEST);
    vecq_dataset *dataset;
    const vecq_dataset_info *info;
    char spec[600];

    (void)state;
    if (vecq_test_data() == NULL)
        skip();
    snprintf(spec, sizeof spec, "images:%.500s/data/imagenet-sample", vecq_test_data());
    o.height = o.width = 64;
    o.resize = 72;
    dataset = open_set(spec, &o);
    info = vecq_dataset_describe(dataset);
    assert_true(info->n == 400 && info->n_classes == 1000);
    assert_string_equal(info->class_names[0], "tench");
    assert_int_equal(vecq_dataset_label(dataset, 2), 5);
    vecq_dataset_close(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specs),           cmocka_unit_test(idx_splits),
        cmocka_unit_test(idx_refused),     cmocka_unit_test(cifar10_splits),
        cmocka_unit_test(cifar10_refused), cmocka_unit_test(images_by_folder),
        cmocka_unit_test(images_by_list),  cmocka_unit_test(images_on_demand),
        cmocka_unit_test(text_splits),     cmocka_unit_test(text_sides),
        cmocka_unit_test(text_holdout),    cmocka_unit_test(text_wide),
        cmocka_unit_test(text_refused),    cmocka_unit_test(statistics),
        cmocka_unit_test(out_of_memory),   cmocka_unit_test(real_mnist),
        cmocka_unit_test(real_images),
    };

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
