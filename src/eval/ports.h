/* SPDX-License-Identifier: Apache-2.0 */
/* Where data enters a classifier and where its logits are: names and shapes, found in the model's graph. */
#ifndef VECQ_EVAL_PORTS_H
#define VECQ_EVAL_PORTS_H

#include "data/dataset.h"
#include "graph/graph.h"

typedef enum vecq_ports_layout {
    VECQ_PORTS_NCHW, /* [N, C, H, W], or any shape with as many elements a sample in that order */
    VECQ_PORTS_NHWC,
    VECQ_PORTS_TOKENS /* [N, length], int64 or int32 */
} vecq_ports_layout;

/* What the loss or the accuracy is taken of. A Softmax, LogSoftmax or Sigmoid at the end of the model is left
 * out: losses work on logits. */
typedef struct vecq_ports {
    const char *input;
    vecq_dtype dtype; /* float32, int64 or int32 */
    vecq_ports_layout layout;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];    /* dims[0]: batch, to be filled in; the others > 0 */
    size_t channels, height, width; /* images; 0: not told by the model */
    size_t length;                  /* texts; 0: not told */
    const char *logits;
} vecq_ports;

/*
 * From the model's declared input and outputs. `input`, `output`: names, or NULL for the only input and the
 * first output. Sizes that the model leaves open stay 0 here and -1 in dims; vecq_ports_fit() fills them in.
 */
vecq_status vecq_ports_find(const vecq_ir *ir, const char *input, const char *output, vecq_ports *out,
                            vecq_error *err);

/* Checks the ports against a data set, fills in what the model leaves open. Errors name the model's shape,
 * the data's shape and the settings that bring them together. */
vecq_status vecq_ports_fit(vecq_ports *ports, const vecq_dataset_info *data, vecq_error *err);

#endif
