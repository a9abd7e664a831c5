/* SPDX-License-Identifier: Apache-2.0 */
/* Optimizers against their formulas written out in double, and what must not matter: threads, cuts, order. */
#include "vecq_test.h"

#include <float.h>
#include <math.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "fail_alloc.h"
#include "train/optimizer.h"

/* Sizes around lanes, blocks and chunks; an empty one too. */
static const size_t sizes[] = {1, 15, 16, 17, 0, 4095, 4097, 16384, 16385, 40000};

enum { N = sizeof sizes / sizeof *sizes, TOTAL = 85006 };

typedef struct set {
    float *w, *g;
    vecq_parameter p[N];
    char names[N][8];
} set;

static void fill(vecq_rng *rng, float *x, size_t n, double size)
{
    size_t i;

    for (i = 0; i < n; i++)
        x[i] = (float)(size * vecq_rng_gaussian(rng));
}

static void make(set *s, uint64_t seed)
{
    vecq_rng rng;
    size_t i, at = 0;

    s->w = malloc(TOTAL * sizeof(float));
    s->g = malloc(TOTAL * sizeof(float));
    assert_true(s->w != NULL && s->g != NULL);
    vecq_rng_seed(&rng, seed);
    fill(&rng, s->w, TOTAL, 0.1);
    fill(&rng, s->g, TOTAL, 0.01);
    for (i = 0; i < N; i++) {
        vecq_parameter p = {s->names[i], s->w + at, s->g + at, sizes[i], i % 2 == 0, i == 3 ? 0.5 : 1};

        snprintf(s->names[i], sizeof s->names[i], "p%zu", i);
        s->p[i] = p;
        at += sizes[i];
    }
    assert_true(at <= TOTAL);
}

static void drop(set *s)
{
    free(s->w);
    free(s->g);
}

static vecq_optimizer *create(const vecq_optimizer_options *options, set *s)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_optimizer *o;

    assert_ok(vecq_optimizer_create(options, s->p, N, &o, &err), &err);
    return o;
}

/* One element, in double. */
typedef struct reference {
    double w, a, b; /* a: momentum or mean; b: square */
} reference;

static void reference_step(reference *r, const vecq_optimizer_options *o, double g, double lr, int decays,
                           unsigned t)
{
    double decay = decays ? o->weight_decay : 0;

    if (o->name == VECQ_RECIPE_SGD) {
        g += decay * r->w;
        r->a = o->momentum * r->a + g;
        r->w -= lr * (o->nesterov ? g + o->momentum * r->a : r->a);
        return;
    }
    if (o->name == VECQ_RECIPE_ADAM)
        g += decay * r->w;
    else
        r->w *= 1 - lr * decay;
    r->a = o->beta1 * r->a + (1 - o->beta1) * g;
    r->b = o->beta2 * r->b + (1 - o->beta2) * g * g;
    r->w -= lr * (r->a / (1 - pow(o->beta1, t))) / (sqrt(r->b / (1 - pow(o->beta2, t))) + o->eps);
}

static void follows_its_formula(const vecq_optimizer_options *options)
{
    vecq_error err = VECQ_ERROR_INIT;
    reference *r = calloc(TOTAL, sizeof *r);
    vecq_rng rng;
    set s;
    vecq_optimizer *o;
    unsigned t;
    size_t i, j, at;
    double worst = 0;

    make(&s, 3);
    o = create(options, &s);
    vecq_rng_seed(&rng, 4);
    for (i = 0; i < TOTAL; i++)
        r[i].w = (double)s.w[i];
    for (t = 1; t <= 12; t++) {
        double lr = 0.02 / t, norm, sum = 0, scale = 1;

        fill(&rng, s.g, TOTAL, 0.01);
        for (at = 0, i = 0; i < N; at += sizes[i++])
            for (j = 0; j < sizes[i]; j++)
                sum += (double)s.g[at + j] * (double)s.g[at + j];
        if (options->clip_norm > 0 && sqrt(sum) > options->clip_norm)
            scale = options->clip_norm / sqrt(sum);
        for (at = 0, i = 0; i < N; at += sizes[i++])
            for (j = 0; j < sizes[i]; j++)
                reference_step(&r[at + j], options, scale * (double)s.g[at + j], lr * s.p[i].lr_scale,
                               s.p[i].decay, t);
        assert_ok(vecq_optimizer_step(o, lr, &norm, &err), &err);
        assert_true(fabs(norm - sqrt(sum)) < 1e-12 * norm);
    }
    for (at = 0, i = 0; i < N; at += sizes[i++]) {
        for (j = 0; j < sizes[i]; j++) {
            double off = fabs(r[at + j].w - (double)s.p[i].value[j]);

            worst = off > worst ? off : worst;
        }
    }
    /* Weights below 1: each step rounds a few times by at most 2^-24 relative. */
    if (!(worst < 12 * 4 * ldexp(1, -24)))
        fail_msg("optimizer %d: off by %g", (int)options->name, worst);
    assert_int_equal(vecq_optimizer_steps(o), 12);
    vecq_optimizer_destroy(o);
    drop(&s);
    free(r);
}

static const vecq_optimizer_options cases[] = {
    {VECQ_RECIPE_SGD, 0, 0, 0, 0.9, 0.999, 1e-8, 0, 1},
    {VECQ_RECIPE_SGD, 0, 0, 0.1, 0.9, 0.999, 1e-8, 0, 1},
    {VECQ_RECIPE_SGD, 0.9, 0, 0, 0.9, 0.999, 1e-8, 0, 1},
    {VECQ_RECIPE_SGD, 0.9, 0, 0.1, 0.9, 0.999, 1e-8, 0.5, 1},
    {VECQ_RECIPE_SGD, 0.8, 1, 0.1, 0.9, 0.999, 1e-8, 0, 1},
    {VECQ_RECIPE_ADAM, 0, 0, 0.1, 0.9, 0.999, 1e-3, 0,
     1}, /* a small eps magnifies the rounding of g + decay w */
    {VECQ_RECIPE_ADAM, 0, 0, 0, 0.8, 0.99, 1e-4, 1e-3, 1},
    {VECQ_RECIPE_ADAMW, 0, 0, 0.1, 0.9, 0.999, 1e-8, 0, 1},
};

enum { CASES = sizeof cases / sizeof *cases };

static void formulas(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < CASES; i++)
        follows_its_formula(&cases[i]);
}

/* Numbers anybody can check: w = 1, g = 0.5, lr = 0.1. */
static void by_hand(void **state)
{
    static const struct {
        vecq_optimizer_options options;
        double after[3];
    } known[] = {
        /* v = 0.5, 0.95, 1.355 */
        {{VECQ_RECIPE_SGD, 0.9, 0, 0, 0, 0, 0, 0, 1}, {0.95, 0.855, 0.7195}},
        /* g + 0.9 v = 0.95, 1.355, 1.7195 */
        {{VECQ_RECIPE_SGD, 0.9, 1, 0, 0, 0, 0, 0, 1}, {0.905, 0.7695, 0.59755}},
        /* g = 0.5 + 0.1 w: 0.6, 0.594, 0.58806 */
        {{VECQ_RECIPE_SGD, 0, 0, 0.1, 0, 0, 0, 0, 1}, {0.94, 0.8806, 0.821794}},
        /* constant gradient: each step is lr */
        {{VECQ_RECIPE_ADAM, 0, 0, 0, 0.9, 0.999, 1e-12, 0, 1}, {0.9, 0.8, 0.7}},
        /* w 0.99 - 0.1 */
        {{VECQ_RECIPE_ADAMW, 0, 0, 0.1, 0.9, 0.999, 1e-12, 0, 1}, {0.89, 0.7811, 0.673289}},
        /* clipped to 0.25 */
        {{VECQ_RECIPE_SGD, 0, 0, 0, 0, 0, 0, 0.25, 1}, {0.975, 0.95, 0.925}},
    };
    size_t i, t;

    (void)state;
    for (i = 0; i < sizeof known / sizeof *known; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        float w = 1, g = 0.5f;
        vecq_parameter p = {"w", &w, &g, 1, 1, 1};
        vecq_optimizer *o;

        assert_ok(vecq_optimizer_create(&known[i].options, &p, 1, &o, &err), &err);
        for (t = 0; t < 3; t++) {
            assert_ok(vecq_optimizer_step(o, 0.1, NULL, &err), &err);
            if (fabs((double)w - known[i].after[t]) > 1e-6)
                fail_msg("case %zu, step %zu: %.9g, not %.9g", i, t, (double)w, known[i].after[t]);
        }
        vecq_optimizer_destroy(o);
    }
}

static void threads_do_not_matter(void **state)
{
    size_t i;
    int t;

    (void)state;
    for (i = 0; i < CASES; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_optimizer_options several = cases[i];
        set a, b;
        vecq_optimizer *one, *four;

        several.threads = 4;
        make(&a, 7);
        make(&b, 7);
        one = create(&cases[i], &a);
        four = create(&several, &b);
        for (t = 0; t < 5; t++) {
            double x, y;

            assert_ok(vecq_optimizer_step(one, 0.1, &x, &err), &err);
            assert_ok(vecq_optimizer_step(four, 0.1, &y, &err), &err);
            assert_true(x == y);
        }
        assert_memory_equal(a.w, b.w, TOTAL * sizeof(float));
        vecq_optimizer_destroy(one);
        vecq_optimizer_destroy(four);
        drop(&a);
        drop(&b);
    }
}

/* Gradients that stay away leave zeros, not denormal numbers. */
static void state_dies_out(void **state)
{
    size_t i, j, t;

    (void)state;
    for (i = 2; i < CASES; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_optimizer_options options = cases[i];
        float w[20] = {0}, g[20];
        vecq_parameter p = {"w", w, g, 20, 0, 1};
        vecq_optimizer *o;

        options.beta1 = 0.5;
        options.beta2 = 0.5;
        for (j = 0; j < 20; j++)
            g[j] = 1e-3f * ((float)j - 10);
        assert_ok(vecq_optimizer_create(&options, &p, 1, &o, &err), &err);
        for (t = 0; t < 1500; t++) {
            assert_ok(vecq_optimizer_step(o, 0.1, NULL, &err), &err);
            memset(g, 0, sizeof g);
        }
        for (j = 0; j < vecq_optimizer_state_count(o); j++)
            for (t = 0; t < 20; t++)
                assert_true(vecq_optimizer_state_at(o, j).data[t] == 0);
        for (t = 0; t < 20; t++)
            assert_true(isfinite(w[t]));
        vecq_optimizer_destroy(o);
    }
}

static void bad_gradients_are_named(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    set s;
    vecq_optimizer *o;
    double norm;
    float before;
    size_t element = 0;

    (void)state;
    make(&s, 1);
    o = create(&cases[3], &s);
    assert_int_equal(vecq_optimizer_find_bad(o, 0, NULL), SIZE_MAX);
    s.g[1 + 15 + 16 + 5] = NAN;
    s.g[1 + 15 + 16 + 9] = INFINITY;
    before = s.w[0];
    assert_int_equal(vecq_optimizer_step(o, 0.1, &norm, &err), VECQ_ERR_VALUE);
    assert_string_equal(err.message, "the gradient of 'p3' has a NaN or infinity (element 5)");
    assert_true(isnan(norm) && s.w[0] == before);
    assert_int_equal(vecq_optimizer_steps(o), 0);
    assert_int_equal(vecq_optimizer_find_bad(o, 0, &element), 3);
    assert_int_equal(element, 5);
    assert_int_equal(vecq_optimizer_find_bad(o, 1, NULL), SIZE_MAX);
    s.w[0] = -INFINITY;
    assert_int_equal(vecq_optimizer_find_bad(o, 1, &element), 0);
    assert_int_equal(element, 0);
    vecq_optimizer_destroy(o);
    drop(&s);
}

/* Three steps, a checkpoint, three more: the same as six. */
static void goes_on_from_a_checkpoint(void **state)
{
    size_t i;
    char path[] = "/tmp/vecq-optimizer-XXXXXX";
    int t, fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    for (i = 0; i < CASES; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_checkpoint_writer *writer;
        vecq_checkpoint *checkpoint;
        set a, b;
        vecq_optimizer *o;

        make(&a, 11);
        o = create(&cases[i], &a);
        for (t = 0; t < 3; t++)
            assert_ok(vecq_optimizer_step(o, 0.1, NULL, &err), &err);
        assert_ok(vecq_checkpoint_create(path, &writer, &err), &err);
        assert_ok(vecq_optimizer_save(o, writer, &err), &err);
        assert_ok(vecq_checkpoint_commit(writer, &err), &err);
        make(&b, 11);
        memcpy(b.w, a.w, TOTAL * sizeof(float));
        for (t = 0; t < 3; t++)
            assert_ok(vecq_optimizer_step(o, 0.1, NULL, &err), &err);
        vecq_optimizer_destroy(o);

        o = create(&cases[i], &b);
        assert_ok(vecq_checkpoint_open(path, &checkpoint, &err), &err);
        assert_ok(vecq_optimizer_load(o, checkpoint, &err), &err);
        assert_int_equal(vecq_optimizer_steps(o), 3);
        for (t = 0; t < 3; t++)
            assert_ok(vecq_optimizer_step(o, 0.1, NULL, &err), &err);
        assert_memory_equal(a.w, b.w, TOTAL * sizeof(float));
        vecq_optimizer_reset(o);
        assert_int_equal(vecq_optimizer_steps(o), 0);
        vecq_optimizer_destroy(o);

        /* another kind, or another model, is refused */
        o = create(&cases[cases[i].name == VECQ_RECIPE_SGD ? 5 : 2], &b);
        assert_int_equal(vecq_optimizer_load(o, checkpoint, &err), VECQ_ERR_FORMAT);
        assert_non_null(strstr(err.message, "of another optimizer or model"));
        vecq_optimizer_destroy(o);
        if (cases[i].momentum != 0 || cases[i].name != VECQ_RECIPE_SGD) {
            memset(&err, 0, sizeof err);
            b.p[0].n = 2;
            o = create(&cases[i], &b);
            assert_int_equal(vecq_optimizer_load(o, checkpoint, &err), VECQ_ERR_FORMAT);
            assert_non_null(strstr(err.message, "has 1 values in the checkpoint, 2 are needed"));
            vecq_optimizer_destroy(o);
        }
        vecq_checkpoint_close(checkpoint);
        drop(&a);
        drop(&b);
    }
    unlink(path);
}

static void state_is_named(void **state)
{
    set s;
    vecq_optimizer *o;
    vecq_recipe recipe;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_optimizer_options options;

    (void)state;
    assert_ok(vecq_recipe_defaults(&recipe, &err), &err);
    assert_ok(vecq_recipe_set(&recipe, "optimizer.name=adamw", &err), &err);
    assert_ok(vecq_recipe_set(&recipe, "train.clip_grad_norm=5", &err), &err);
    vecq_optimizer_options_of(&recipe, &options);
    assert_true(options.beta2 == 0.999 && options.clip_norm == 5);
    vecq_recipe_clear(&recipe);
    make(&s, 1);
    o = create(&options, &s);
    assert_int_equal(vecq_optimizer_state_count(o), 2 * N);
    assert_string_equal(vecq_optimizer_state_at(o, 1).parameter, "p1");
    assert_string_equal(vecq_optimizer_state_at(o, 1).slot, "mean");
    assert_string_equal(vecq_optimizer_state_at(o, N + 9).slot, "square");
    assert_int_equal(vecq_optimizer_state_at(o, N + 9).n, 40000);
    assert_int_equal((uintptr_t)vecq_optimizer_state_at(o, 2).data % 64, 0);
    assert_true(vecq_optimizer_state_bytes(o) >= 2 * 77000 * sizeof(float));
    assert_string_equal(vecq_optimizer_parameter(o, 3)->name, "p3");
    assert_null(vecq_optimizer_parameter(o, N));
    vecq_optimizer_destroy(o);
    vecq_optimizer_destroy(NULL);
    drop(&s);
}

static vecq_status whole_life(void *context, vecq_error *err)
{
    set *s = context;
    vecq_optimizer *o;
    vecq_checkpoint_writer *writer;
    vecq_status status;

    VECQ_TRY(vecq_optimizer_create(&cases[7], s->p, N, &o, err));
    status = vecq_optimizer_step(o, 0.1, NULL, err);
    if (status == VECQ_OK)
        status = vecq_checkpoint_create("/dev/null", &writer, err);
    if (status == VECQ_OK) {
        status = vecq_optimizer_save(o, writer, err);
        if (status == VECQ_OK)
            status = vecq_checkpoint_commit(writer, err);
        else
            vecq_checkpoint_discard(writer);
    }
    vecq_optimizer_destroy(o);
    return status;
}

static void out_of_memory(void **state)
{
    set s;

    (void)state;
    make(&s, 1);
    assert_true(vecq_fail_every_alloc(whole_life, &s) > 10);
    drop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(state_dies_out),
        cmocka_unit_test(bad_gradients_are_named),
        cmocka_unit_test(goes_on_from_a_checkpoint),
        cmocka_unit_test(state_is_named),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
