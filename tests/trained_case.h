/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a small network: made, lowered with quantizers, "trained" (other weights, activations
 * measured), evaluated, written. For the unit test that loads the file again, and for the one that asks
 * onnxruntime. Include after vecq_test.h.
 */
#ifndef VECQ_TESTS_TRAINED_CASE_H
#define VECQ_TESTS_TRAINED_CASE_H

#include <math.h>

#include "backend/exec.h"
#include "base/rng.h"
#include "onnx/trained.h"
#include "onnx_model.h"

typedef struct trained_case {
    const char *name;
    int is_recurrent;
    int64_t ir, opset;
    unsigned bits; /* 0: weights stay float */
    vecq_format format;
    vecq_granularity granularity;
    vecq_lambda_mode lambda;
    int learned_steps;
    int biases;
    unsigned act_bits;
} trained_case;

enum { CASE_BATCH = 6, CASE_IN = 20, CASE_HIDDEN = 32, CASE_OUT = 10, CASE_TIME = 5 };
#define CASE_X_MAX ((size_t)CASE_BATCH * CASE_IN * CASE_TIME)
#define CASE_Y_MAX ((size_t)CASE_BATCH * CASE_OUT * CASE_TIME)

/* x [B, 20] -> MatMul 32, Add, Relu -> Gemm 10; the Relu is read by two operators. */
static inline void case_make_dense(model_build *b)
{
    const int64_t x[2] = {-1, CASE_IN}, y[2] = {-1, CASE_OUT}, hidden = CASE_HIDDEN, out = CASE_OUT;
    vecq_message *node;

    model_formal_of(b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 2, x);
    model_formal_of(b, ONNX_GRAPH_OUTPUT, "y", VECQ_DT_FLOAT, 2, y);
    model_matrix(b, "w1", CASE_IN, CASE_HIDDEN);
    model_weight(b, "b1", 1, &hidden);
    model_matrix(b, "w2", CASE_OUT, CASE_HIDDEN);
    model_weight(b, "b2", 1, &out);
    model_matrix(b, "w3", CASE_HIDDEN, CASE_OUT);
    model_node(b, "MatMul", "x w1", "a");
    model_node(b, "Add", "a b1", "b");
    model_node(b, "Relu", "b", "h");
    node = model_node(b, "Gemm", "h w2 b2", "g");
    assert_true(vecq_onnx_node_int(node, "transB", 1));
    model_node(b, "MatMul", "h w3", "m");
    model_node(b, "Add", "g m", "y");
}

/* x [T, B, 20] -> LSTM 32 -> MatMul 10 */
static inline void case_make_recurrent(model_build *b)
{
    const int64_t x[3] = {CASE_TIME, -1, CASE_IN}, w[3] = {1, 4 * CASE_HIDDEN, CASE_IN};
    const int64_t r[3] = {1, 4 * CASE_HIDDEN, CASE_HIDDEN}, bias[2] = {1, 8 * CASE_HIDDEN};
    const int64_t y[4] = {CASE_TIME, 1, -1, CASE_OUT};
    vecq_message *node;

    model_formal_of(b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 3, x);
    model_formal_of(b, ONNX_GRAPH_OUTPUT, "y", VECQ_DT_FLOAT, 4, y);
    model_weight(b, "w", 3, w);
    model_weight(b, "r", 3, r);
    model_weight(b, "bias", 2, bias);
    model_matrix(b, "w3", CASE_HIDDEN, CASE_OUT);
    node = model_node(b, "LSTM", "x w r bias", "states");
    assert_true(vecq_onnx_node_int(node, "hidden_size", CASE_HIDDEN));
    model_node(b, "MatMul", "states w3", "y");
}

static inline uint8_t *case_make(const trained_case *c, size_t *n)
{
    model_build b;

    model_begin(&b, c->ir, c->opset);
    assert_true(vecq_message_insert_string(b.graph, SIZE_MAX, ONNX_GRAPH_NAME, c->name));
    if (c->is_recurrent)
        case_make_recurrent(&b);
    else
        case_make_dense(&b);
    return model_bytes(&b, n);
}

typedef struct case_program {
    vecq_program program;
    vecq_exec *exec;
    vecq_var *x, *y;
} case_program;

static inline void case_lower(vecq_document *doc, vecq_store *store, const trained_case *c,
                              const vecq_lower_options *options, case_program *p)
{
    const int64_t dense[2] = {CASE_BATCH, CASE_IN}, steps[3] = {CASE_TIME, CASE_BATCH, CASE_IN};
    vecq_exec_options exec = {.threads = 1, .is_training = options->is_training};
    vecq_lower_input input = {.name = "x"};
    vecq_error err = VECQ_ERROR_INIT;
    const char *output = NULL;

    memset(p, 0, sizeof *p);
    assert_ok(vecq_program_input(&p->program, "x", VECQ_DT_FLOAT, c->is_recurrent ? 3 : 2,
                                 c->is_recurrent ? steps : dense, &p->x, &err),
              &err);
    input.var = p->x;
    assert_ok(vecq_lower_graph(&p->program, store, &doc->ir, options, &input, 1, &output, 1, &p->y, &err),
              &err);
    p->y->is_output = 1;
    vecq_program_prune(&p->program);
    assert_ok(vecq_exec_create(&p->program, &exec, &p->exec, &err), &err);
}

static inline void case_run(case_program *p, const float *x, uint64_t step, float *y)
{
    vecq_run run = {.step = step, .threads = 1};
    vecq_error err = VECQ_ERROR_INIT;

    vecq_exec_bind(p->exec, p->x, x);
    assert_ok(vecq_exec_run(p->exec, &run, &err), &err);
    if (y != NULL)
        memcpy(y, vecq_exec_data(p->exec, p->y), p->y->count * sizeof *y);
}

static inline void case_program_end(case_program *p)
{
    vecq_exec_destroy(p->exec);
    vecq_program_clear(&p->program);
}

static inline vecq_quantize_options case_options(const trained_case *c)
{
    vecq_quantize_options o = model_options(c->bits > 0 ? c->bits : 4, c->format, 0);

    o.granularity = c->granularity;
    o.lambda = c->lambda;
    o.biases = c->biases;
    return o;
}

static inline void case_data(float *x, size_t n, uint64_t seed)
{
    vecq_rng rng;
    size_t i;

    vecq_rng_seed(&rng, seed);
    for (i = 0; i < n; i++)
        x[i] = (float)vecq_rng_gaussian(&rng);
}

/* Weights as after some training: all of them are others. */
static inline void case_train(vecq_store *store, case_program *p)
{
    static float x[CASE_X_MAX];
    vecq_rng rng;
    size_t i, k;
    uint64_t step;

    vecq_rng_seed(&rng, 77);
    for (step = 1; step < 6; step++) {
        case_data(x, CASE_X_MAX, step);
        case_run(p, x, step, NULL);
        for (i = 0; i < store->n; i++)
            for (k = 0; store->items[i]->is_trained && k < store->items[i]->tensor.count; k++) {
                float *value = (float *)store->items[i]->tensor.data + k;

                *value *= (float)(1.0 + 0.05 * vecq_rng_gaussian(&rng));
            }
    }
}

/* Everything up to the written file; y: what the evaluation gave for x (of seed 1000). */
static inline void case_write(const trained_case *c, const char *path, float *x, size_t *n_x, float *y,
                              size_t *n_y)
{
    const vecq_trained_entry notes[] = {{"vocabulary", "the quick\nbrown \xc3\xa4"}, {"empty", ""}};
    vecq_quantize_options quantize = case_options(c);
    vecq_lower_options lowering = {.is_training = 1,
                                   .learned_steps = c->learned_steps,
                                   .search_every = 3,
                                   .act = {.bits = c->act_bits, .momentum = 0.9}};
    vecq_trained_options options = {.learned_steps = c->learned_steps,
                                    .quantize = c->bits > 0 ? &quantize : NULL,
                                    .metadata = notes,
                                    .n_metadata = 2};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_store store = {0};
    vecq_plan plan = {0};
    case_program train, eval;
    vecq_model *model;
    uint8_t *bytes;
    size_t n;

    bytes = case_make(c, &n);
    assert_ok(vecq_model_load_memory(bytes, n, c->name, NULL, &model, &err), &err);
    if (c->bits > 0) {
        assert_ok(vecq_plan_make(&vecq_model_document(model)->ir, &quantize, &plan, &err), &err);
        lowering.plan = &plan;
    }
    case_lower(vecq_model_document(model), &store, c, &lowering, &train);
    case_train(&store, &train);
    lowering.is_training = 0;
    case_lower(vecq_model_document(model), &store, c, &lowering, &eval);
    *n_x = eval.x->count;
    *n_y = eval.y->count;
    assert_true(*n_x <= CASE_X_MAX && *n_y <= CASE_Y_MAX);
    case_data(x, *n_x, 1000);
    case_run(&eval, x, 0, y);
    options.store = &store;
    options.activations = vecq_program_act_sites(&eval.program);
    assert_true((options.activations != NULL) == (c->act_bits > 0));
    assert_ok(vecq_model_write_trained(model, &options, NULL, &err), &err);
    assert_ok(vecq_model_save(model, path, NULL, NULL, &err), &err);
    case_program_end(&train);
    case_program_end(&eval);
    vecq_plan_clear(&plan);
    vecq_store_clear(&store);
    vecq_model_close(model);
    free(bytes);
}

static const trained_case trained_cases[] = {
    {"float", 0, 8, 17, 0, VECQ_FORMAT_FLOAT, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 0, 0},
    {"two_bits", 0, 8, 17, 2, VECQ_FORMAT_PACKED, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 0, 0},
    {"paper", 0, 8, 17, 2, VECQ_FORMAT_PACKED, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 1, 8},
    {"search", 0, 8, 17, 3, VECQ_FORMAT_PACKED, VECQ_PER_CHANNEL, VECQ_LAMBDA_SEARCH, 0, 1, 0},
    {"search_qdq", 0, 8, 17, 3, VECQ_FORMAT_QDQ, VECQ_PER_CHANNEL, VECQ_LAMBDA_SEARCH, 0, 0, 8},
    {"search_float", 0, 8, 17, 9, VECQ_FORMAT_FLOAT, VECQ_PER_CHANNEL, VECQ_LAMBDA_SEARCH, 0, 1, 0},
    {"steps", 0, 8, 17, 2, VECQ_FORMAT_PACKED, VECQ_PER_CHANNEL, VECQ_LAMBDA_TEMPLATE, 1, 1, 8},
    {"steps_qdq", 0, 8, 17, 4, VECQ_FORMAT_QDQ, VECQ_PER_TENSOR, VECQ_LAMBDA_TEMPLATE, 1, 0, 4},
    {"one_bit", 0, 8, 13, 1, VECQ_FORMAT_PACKED, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 0, 2},
    {"activations", 0, 10, 21, 0, VECQ_FORMAT_FLOAT, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 0, 8},
    {"opset10", 0, 5, 10, 0, VECQ_FORMAT_FLOAT, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 0, 6},
    {"lstm", 1, 8, 17, 2, VECQ_FORMAT_PACKED, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 1, 8},
    {"lstm_qdq", 1, 8, 17, 4, VECQ_FORMAT_QDQ, VECQ_PER_TENSOR, VECQ_LAMBDA_SEARCH, 0, 0, 8},
};

#define N_TRAINED_CASES (sizeof trained_cases / sizeof *trained_cases)

#endif
