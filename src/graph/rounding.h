/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activations rounded to 8 bits in each run, where weights are packed: a QuantizeDynamic op in front of every
 *
 *   - Conv whose weight comes from a Decode op with one scale, or one for each output channel: each image of
 *     the batch is a group with a range of its own, so that what one image gives does not depend on others;
 *   - Gemm (A not transposed) and MatMul with such a matrix B, scales by group too: each row is a group;
 *
 * unless a QuantizePair (scales from the file) stands there already. Layers that read the same value share
 * the op. Which layers these are does not depend on backends or on the batch: every plan of a model computes
 * the same, and `ref` is the oracle for whoever multiplies the integers.
 */
#ifndef VECQ_GRAPH_ROUNDING_H
#define VECQ_GRAPH_ROUNDING_H

#include "graph/program.h"

/*
 * With act_bits 8, rounds activations as said above. With any, where such a layer reads 8-bit activations,
 * those of a QuantizePair too: an activation function in its post that is no comparison or product (Sigmoid,
 * Tanh, HardSigmoid, Silu, Gelu) becomes an op of its own again, because kernels for integers have the others
 * only.
 *
 * After simplifying, with the outputs marked, before a plan is made. The program must not have a backward
 * pass. `rounded` (may be NULL): layers that read 8-bit activations now. On failure (memory) the program must
 * be given up.
 */
vecq_status vecq_program_round_activations(vecq_program *program, unsigned act_bits, size_t *rounded,
                                           vecq_error *err);

/* VECQ_ERR_UNSUPPORTED for other widths than 0 (no rounding) and 8: of options. */
vecq_status vecq_rounding_check(unsigned act_bits, vecq_error *err);

/* What a run says when the values of a group cannot be rounded. */
#define VECQ_NOT_ROUNDED "NaN, infinity, or a range beyond the largest float cannot be rounded to 8 bits"

/* A QuantizePair (NULL: no) of 8 bits with one scale: others are floats to everybody. */
int vecq_is_byte_pair(const vecq_op *op);

/* The Decode op that a variable comes from by way of Reshape and Transpose ops, or NULL. */
const vecq_op *vecq_packed_source(const vecq_var *var);

#endif
