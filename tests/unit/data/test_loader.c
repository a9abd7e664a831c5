/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "data/dataset.h"
#include "data/loader.h"
#include "data_files.h"
#include "fail_alloc.h"

/* Sets written once: "digits" (idx, 103 samples of 12 x 9), "cifar" (15 a file), "words". */
static int make_sets(void **state)
{
    data_bytes words = {0};
    int i;

    if (temp_folder_enter(state) != 0)
        return 1;
    data_write_idx("digits", 103, 20, 12, 9, 0);
    data_write_cifar10("cifar", 15);
    for (i = 0; i < 57; i++) {
        char line[200];

        sprintf(line, "%d\tw%d w%d common w%d\n", i % 3, i, i % 5, i % 7);
        data_put(&words, line, strlen(line));
    }
    data_write("words.txt", words);
    return 0;
}

static vecq_dataset *open_set(const char *spec)
{
    vecq_dataset_options options;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_dataset *dataset;

    vecq_dataset_defaults(&options);
    options.length = strncmp(spec, "text:", 5) == 0 ? 6 : 0;
    assert_ok(vecq_dataset_open(spec, &options, &dataset, &err), &err);
    return dataset;
}

static vecq_loader *make_loader(const vecq_dataset *dataset, const vecq_loader_options *options)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_loader *loader;

    assert_ok(vecq_loader_create(dataset, options, &loader, &err), &err);
    return loader;
}

static vecq_batch next(vecq_loader *loader, uint64_t step)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_batch batch;

    assert_ok(vecq_loader_next(loader, step, &batch, &err), &err);
    assert_int_equal(batch.step, step);
    return batch;
}

/* In order, normalised, the last batch short and the rest of it zero. */
static void plain_batches(void **state)
{
    vecq_dataset *dataset = open_set("cifar10:cifar");
    vecq_loader_options o;
    vecq_loader *loader;
    int nhwc;

    (void)state;
    vecq_loader_defaults(&o);
    o.batch = 20;
    for (nhwc = 0; nhwc < 2; nhwc++) {
        size_t s, i, c, y, x;

        o.layout = nhwc ? VECQ_LAYOUT_NHWC : VECQ_LAYOUT_NCHW;
        for (c = 0; c < 3; c++) {
            o.mean[c] = 0.4 + 0.05 * (double)c;
            o.std[c] = 0.2 + 0.1 * (double)c;
        }
        loader = make_loader(dataset, &o);
        assert_int_equal(vecq_loader_batches(loader), 4);
        for (s = 0; s < 8; s++) { /* two epochs: the same without shuffling */
            vecq_batch b = next(loader, s);

            assert_int_equal(b.batch, 20);
            assert_int_equal(b.n, s % 4 == 3 ? 15 : 20);
            assert_true(b.channels == 3 && b.height == 32 && b.width == 32 && b.tokens == NULL);
            for (i = 0; i < 20; i++) {
                size_t sample = s % 4 * 20 + i;

                assert_int_equal(b.labels[i], i < b.n ? sample % 10 : 0);
                assert_true(i >= b.n || b.samples[i] == sample);
                for (c = 0; c < 3; c++)
                    for (y = 0; y < 32; y += 7)
                        for (x = 0; x < 32; x += 5) {
                            size_t at =
                                nhwc ? ((i * 32 + y) * 32 + x) * 3 + c : ((i * 3 + c) * 32 + y) * 32 + x;
                            double want =
                                (data_pixel(sample, c, y, x) * (1.0 / 255.0) - o.mean[c]) / o.std[c];

                            assert_true(b.images[at] == (i < b.n ? (float)want : 0.0f));
                        }
            }
        }
        vecq_loader_destroy(loader);
    }
    vecq_dataset_close(dataset);
}

static void texts(void **state)
{
    vecq_dataset *dataset = open_set("text:words.txt");
    vecq_loader_options o;
    vecq_loader *loader;
    size_t s, i, k;

    (void)state;
    vecq_loader_defaults(&o);
    o.batch = 10;
    loader = make_loader(dataset, &o);
    assert_int_equal(vecq_loader_batches(loader), 6);
    for (s = 0; s < 6; s++) {
        vecq_batch b = next(loader, s);

        assert_int_equal(b.n, s == 5 ? 7 : 10);
        assert_true(b.length == 6 && b.images == NULL);
        for (i = 0; i < 10; i++) {
            const int64_t *row = b.tokens + i * 6;
            const vecq_dataset_info *info = vecq_dataset_describe(dataset);
            char word[20];

            if (i >= b.n) {
                for (k = 0; k < 6; k++)
                    assert_int_equal(row[k], 0);
                continue;
            }
            assert_true(row[0] == 0 && row[1] == 0); /* padded in front */
            assert_string_equal(info->vocabulary[row[4]], "common");
            sprintf(word, "w%zu", (s * 10 + i) % 7);
            assert_string_equal(info->vocabulary[row[5]], word);
            assert_int_equal(b.labels[i], (s * 10 + i) % 3);
        }
    }
    vecq_loader_destroy(loader);
    vecq_dataset_close(dataset);
}

/* An epoch has each sample once (less those dropped), in another order each time. */
static void epochs_are_permutations(void **state)
{
    vecq_dataset *dataset = open_set("idx:digits");
    vecq_loader_options o;
    uint32_t orders[4][103];
    int drop;
    size_t e, s, i;

    (void)state;
    vecq_loader_defaults(&o);
    o.batch = 10;
    o.shuffle = 1;
    for (drop = 0; drop < 2; drop++) {
        vecq_loader *loader;
        size_t batches = drop ? 10 : 11, fixed = 0;

        o.drop_last = drop;
        loader = make_loader(dataset, &o);
        assert_int_equal(vecq_loader_batches(loader), batches);
        for (e = 0; e < 4; e++) {
            int seen[103] = {0};
            size_t n = 0;

            for (s = 0; s < batches; s++) {
                vecq_batch b = next(loader, e * batches + s);

                for (i = 0; i < b.n; i++) {
                    assert_true(b.samples[i] < 103 && !seen[b.samples[i]]);
                    seen[b.samples[i]] = 1;
                    assert_int_equal(b.labels[i], b.samples[i] % 10);
                    orders[e][n++] = b.samples[i];
                }
            }
            assert_int_equal(n, drop ? 100 : 103);
            for (i = 0; e > 0 && i < n; i++)
                fixed += orders[e][i] == orders[e - 1][i];
        }
        assert_true(fixed < 15); /* about 1 an epoch by chance */
        vecq_loader_destroy(loader);
    }
    vecq_dataset_close(dataset);
}

static void all_changes(vecq_loader_options *o)
{
    vecq_loader_defaults(o);
    o->batch = 16;
    o->shuffle = 1;
    o->seed = 77;
    o->augment = 1;
    o->augmentation = (vecq_augment){.pad = 2,
                                     .random_crop = 1,
                                     .flip = 1,
                                     .rotate = 10,
                                     .translate = 0.1,
                                     .scale_min = 0.9,
                                     .scale_max = 1.1,
                                     .shear = 5,
                                     .cutout = 4};
}

static uint64_t batch_sum(const vecq_batch *b)
{
    const unsigned char *p =
        b->images != NULL ? (const unsigned char *)b->images : (const unsigned char *)b->tokens;
    size_t n = b->images != NULL ? b->batch * b->channels * b->height * b->width * sizeof(float)
                                 : b->batch * b->length * sizeof(int64_t);
    uint64_t h = 14695981039346656037u;
    size_t i;

    for (i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211u;
    for (i = 0; i < b->batch; i++)
        h = (h ^ (uint64_t)b->labels[i]) * 1099511628211u;
    return h;
}

#define STEPS 30

/* Same bytes for any number of threads and batches ahead, in any order of steps. */
static void same_bytes_however_prepared(void **state)
{
    static const char *const specs[] = {"idx:digits", "cifar10:cifar", "text:words.txt"};
    static const unsigned prefetch[] = {0, 0, 1, 2, 5, 8, 64}, threads[] = {1, 3, 1, 1, 2, 0, 4};
    static const uint64_t jumps[] = {0, 1, 2, 17, 18, 18, 3, 29, 28, 27, 0, 1, 9, 9, 10, 5, 25, 26};
    size_t k, t, s;

    (void)state;
    for (k = 0; k < 3; k++) {
        vecq_dataset *dataset = open_set(specs[k]);
        uint64_t want[STEPS];

        for (t = 0; t < sizeof prefetch / sizeof *prefetch; t++) {
            vecq_loader_options o;
            vecq_loader *loader;

            all_changes(&o);
            o.augment = k < 2;
            o.prefetch = prefetch[t];
            o.threads = threads[t];
            loader = make_loader(dataset, &o);
            for (s = 0; s < STEPS; s++) {
                vecq_batch b = next(loader, s);

                if (t == 0)
                    want[s] = batch_sum(&b);
                assert_true(batch_sum(&b) == want[s]);
            }
            for (s = 0; s < sizeof jumps / sizeof *jumps; s++) {
                vecq_batch b = next(loader, jumps[s]);

                assert_true(batch_sum(&b) == want[jumps[s]]);
            }
            next(loader, UINT64_MAX - 1); /* nothing breaks at the end of numbers */
            next(loader, UINT64_MAX);
            vecq_loader_destroy(loader);
            loader = make_loader(dataset, &o); /* begin in the middle, leave while batches are prepared */
            assert_true((batch_sum(&(vecq_batch[]){next(loader, 21)}[0])) == want[21]);
            vecq_loader_destroy(loader);
        }
        for (s = 1; s < STEPS; s++)
            assert_true(want[s] != want[s - 1]);
        vecq_dataset_close(dataset);
    }
}

static void seeds_differ(void **state)
{
    vecq_dataset *dataset = open_set("idx:digits");
    vecq_loader_options o;
    uint64_t sums[3];
    size_t i;

    (void)state;
    all_changes(&o);
    for (i = 0; i < 3; i++) {
        vecq_loader *loader;
        vecq_batch b;

        o.seed = i == 2 ? 0 : i; /* 0, 1, 0 */
        loader = make_loader(dataset, &o);
        b = next(loader, 4);
        sums[i] = batch_sum(&b);
        vecq_loader_destroy(loader);
    }
    assert_true(sums[0] != sums[1] && sums[0] == sums[2]);
    vecq_dataset_close(dataset);
}

/* Two loaders on one set; one set open twice. */
static void loaders_share_a_set(void **state)
{
    vecq_dataset *dataset = open_set("idx:digits");
    vecq_loader_options o;
    vecq_loader *a, *b;
    uint64_t s;

    (void)state;
    all_changes(&o);
    a = make_loader(dataset, &o);
    b = make_loader(dataset, &o);
    for (s = 0; s < 20; s++) {
        vecq_batch x = next(a, s), y = next(b, s);

        assert_true(batch_sum(&x) == batch_sum(&y));
    }
    vecq_loader_destroy(a);
    vecq_loader_destroy(b);
    vecq_dataset_close(dataset);
}

static void refused(void **state)
{
    vecq_dataset *digits = open_set("idx:digits"), *words = open_set("text:words.txt");
    vecq_loader_options o;
    vecq_loader *loader;
    vecq_error err;

    (void)state;
    vecq_loader_defaults(&o);
    o.batch = 0;
    expect_error(vecq_loader_create(digits, &o, &loader, &err), VECQ_ERR_USAGE, &err, "idx:digits");
    o.batch = 104;
    o.drop_last = 1;
    expect_error(vecq_loader_create(digits, &o, &loader, &err), VECQ_ERR_UNSUPPORTED, &err, "104", "103");
    o.drop_last = 0;
    loader = make_loader(digits, &o);
    assert_int_equal(vecq_loader_batches(loader), 1);
    vecq_loader_destroy(loader);
    o.std[0] = 0;
    expect_error(vecq_loader_create(digits, &o, &loader, &err), VECQ_ERR_USAGE, &err, "std 0");
    vecq_loader_defaults(&o);
    o.prefetch = 65;
    expect_error(vecq_loader_create(digits, &o, &loader, &err), VECQ_ERR_USAGE, &err, "65");
    o.prefetch = 1;
    o.augment = 1;
    expect_error(vecq_loader_create(words, &o, &loader, &err), VECQ_ERR_UNSUPPORTED, &err, "texts");
    o.augmentation.rotate = 200;
    expect_error(vecq_loader_create(digits, &o, &loader, &err), VECQ_ERR_USAGE, &err, "rotation");
    assert_null(loader);
    vecq_loader_destroy(NULL);
    vecq_dataset_close(digits);
    vecq_dataset_close(words);
}

static vecq_status whole_life(void *context, vecq_error *err)
{
    const vecq_dataset *dataset = context;
    vecq_loader_options o;
    vecq_loader *loader;
    vecq_batch batch;
    vecq_status status;
    uint64_t s;

    all_changes(&o);
    o.augment = vecq_dataset_describe(dataset)->kind == VECQ_DATASET_IMAGES;
    status = vecq_loader_create(dataset, &o, &loader, err);
    for (s = 0; s < 4 && status == VECQ_OK; s++)
        status = vecq_loader_next(loader, s, &batch, err);
    vecq_loader_destroy(loader);
    return status;
}

static void out_of_memory(void **state)
{
    vecq_dataset *digits = open_set("idx:digits"), *words = open_set("text:words.txt");

    (void)state;
    assert_true(vecq_fail_every_alloc(whole_life, digits) > 10);
    assert_true(vecq_fail_every_alloc(whole_life, words) > 10);
    vecq_dataset_close(digits);
    vecq_dataset_close(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_batches),
        cmocka_unit_test(texts),
        cmocka_unit_test(epochs_are_permutations),
        cmocka_unit_test(same_bytes_however_prepared),
        cmocka_unit_test(seeds_differ),
        cmocka_unit_test(loaders_share_a_set),
        cmocka_unit_test(refused),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, make_sets, temp_folder_leave);
}
