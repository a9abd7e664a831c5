/* SPDX-License-Identifier: Apache-2.0 */
/* What `run` and `bench` have in common: options of a session, its inputs, steps and memory for people and
 * machines. */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include "cli.h"
#include "json.h"

#define CLI_ENGINE_LIST_MAX 64u

/* Ids of the options that both have, above those of the commands. */
enum { CLI_ENGINE_PREFER = 1000, CLI_ENGINE_ACT_BITS, CLI_ENGINE_BACKEND, CLI_ENGINE_DIM, CLI_ENGINE_CPU };

#define CLI_ENGINE_OPTIONS                                                                                   \
    {CLI_ENGINE_PREFER, "prefer", "WHAT",                                                                    \
     "what packed weights may be traded for: speed, memory\n(default speed)"},                               \
        {CLI_ENGINE_ACT_BITS, "act-bits", "K",                                                               \
         "8: round activations in front of packed weights to 8 bits, by\nranges found in each run "          \
         "(default: "                                                                                        \
         "float)"},                                                                                          \
        {CLI_ENGINE_DIM, "dim", "NAME=N", "size of a symbolic dimension of the inputs; repeatable"},         \
        {CLI_ENGINE_BACKEND, "backend", "LIST",                                                              \
         "backends to use, best first: lowbit, onednn, ref (default:\nall that the build has)"},             \
    {                                                                                                        \
        CLI_ENGINE_CPU, "cpu", "LEVEL",                                                                      \
            "highest instruction set of our own kernels: ref, avx2, avxvnni,\navx512, avx512vnni, neon, "    \
            "neondot "                                                                                       \
            "(default: the best there is)"                                                                   \
    }

typedef struct cli_engine {
    const cli_command *command;
    vecq_session_options options;
    const char *backends[CLI_ENGINE_LIST_MAX];
    vecq_dim_value dims[CLI_ENGINE_LIST_MAX];
    char *texts[2 * CLI_ENGINE_LIST_MAX]; /* copies that the lists point into */
    size_t n_texts;
} cli_engine;

void cli_engine_init(cli_engine *engine, const cli_command *command);
void cli_engine_clear(cli_engine *engine);
/* Takes an option of CLI_ENGINE_OPTIONS. */
int cli_engine_option(cli_engine *engine, int id, const char *value);

/* ---- tensors ---- */

/* "1x3x224x224" or "1,3,224,224"; "" or "scalar" is rank 0. 0 when it is none. */
int cli_shape_parse(const char *text, vecq_tensor *out);
/* Random numbers of a type: floats N(0, 1), integers 0 or 1 (safe as indices, true and false). */
int cli_tensor_random(vecq_tensor *tensor, uint64_t seed, vecq_error *err);
/* Element as a double; `i` < count. */
double cli_tensor_get(vecq_dtype dtype, const void *data, size_t i);

/* ---- looking ---- */

/* With --act-bits: a line on standard error when no layer of the model reads rounded activations. 0: the plan
 * failed. */
int cli_engine_note_rounded(const cli_engine *engine, const char *model, vecq_runner *runner,
                            vecq_error *err);

/* The plan's steps; seconds are printed when timed. */
int cli_engine_print_steps(FILE *out, vecq_runner *runner, vecq_error *err);
int cli_engine_json_steps(cJSON *object, vecq_runner *runner, const double *seconds, vecq_error *err);
void cli_engine_json_memory(cJSON *object, const vecq_session *session, const vecq_runner *runner);
void cli_engine_json_io(cJSON *object, const char *name, vecq_dtype dtype, unsigned rank,
                        const int64_t *dims);
/* Largest resident size of this process so far, in bytes; 0: unknown. */
uint64_t cli_peak_memory(void);

#endif
