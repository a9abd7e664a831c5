/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain C implementation of every canonical operator: the oracle, and what runs where no other backend takes
 * an op. Each works in float32 and in double (sums in double), as the variables say. One function
 * vecq_ref_<stem> for each row of graph/ops.def.
 */
#ifndef VECQ_BACKEND_REF_REF_H
#define VECQ_BACKEND_REF_REF_H

#include "backend/exec.h"
#include "graph/post.h"

typedef struct vecq_ref_call {
    const vecq_op *op;
    const void *const *in; /* NULL: omitted */
    void *const *out;      /* NULL: output that nobody reads (n_uses 0 and no output of the program) */
    void *scratch;         /* vecq_ref_scratch_bytes(op) of it; NULL: none */
    void *const *state;    /* state[i]: writable memory of in[i] when it is a parameter or state, else NULL;
                              only for ops with VECQ_OPF_EFFECT */
    const vecq_run *run;
    vecq_error *err;
} vecq_ref_call;

/* The op, and its post. */
vecq_status vecq_ref_call_run(const vecq_ref_call *call);

/* Bytes that an op needs while it runs. */
size_t vecq_ref_scratch_bytes(const vecq_op *op);

/* What op->post (not NULL) says, on the first output, which the function of the op has just made. */
vecq_status vecq_ref_post(const vecq_ref_call *call);
/* The same for a row of n; residual NULL: none. For the ends of other backends' loops. */
void vecq_ref_post_f32(const vecq_post *post, float *y, const float *residual, size_t n);
void vecq_ref_post_f64(const vecq_post *post, double *y, const double *residual, size_t n);

/* rows[i]: element i of the indices (inputs[1]) of a Gather op as a row of [0, limit). VECQ_ERR_VALUE when
 * one is not in [-limit, limit). */
vecq_status vecq_ref_gather_rows(const vecq_op *op, const void *indices, int64_t limit, size_t *rows,
                                 vecq_error *err);

#define VECQ_OP(symbol, title, stem, n_in_min, n_in_max, n_out, flags)                                       \
    vecq_status vecq_ref_##stem(const vecq_ref_call *call);
#include "graph/ops.def"
#undef VECQ_OP

extern const vecq_backend vecq_backend_ref;

#endif
