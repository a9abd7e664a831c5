/* SPDX-License-Identifier: Apache-2.0 */
/* How much arithmetic an op asks for. */
#ifndef VECQ_GRAPH_WORK_H
#define VECQ_GRAPH_WORK_H

#include "graph/program.h"

/* Multiply-adds of matrix products, convolutions and recurrent layers; 0 for all others. */
uint64_t vecq_op_macs(const vecq_op *op);

#endif
