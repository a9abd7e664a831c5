/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the constant evaluator: what an operator function sees, and the helpers it is written with.
 *
 * Tensors in here are wide: an element of a type below 8 bits takes a byte of its own (int4 and int2
 * sign-extended), so that n_bytes = count * vecq_fold_size(dtype). Constants are widened when they are loaded
 * and the result is packed again at the end.
 */
#ifndef VECQ_GRAPH_FOLD_CALL_H
#define VECQ_GRAPH_FOLD_CALL_H

#include "base/status.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

typedef struct vecq_fold_call {
    const vecq_node *node;
    int variant;                 /* last column of fold_ops.def */
    vecq_tensor **in;            /* NULL entries: omitted */
    size_t n_in;                 /* node->n_inputs */
    const unsigned char *last;   /* last[i]: nobody reads in[i] after this call, it may be taken */
    vecq_tensor *out;            /* to be created; empty at entry */
    const unsigned char *wanted; /* wanted[i]: somebody reads out[i] */
    size_t n_out;                /* node->n_outputs */
    size_t limit_bytes;          /* of one tensor */
    size_t held_bytes;           /* of all computed tensors alive at entry */
    uint64_t *work;              /* bytes that may still be read and written, over the whole evaluation */
    vecq_error *err;
} vecq_fold_call;

typedef vecq_status (*vecq_fold_fn)(vecq_fold_call *call);

/* Sets "<op> '<node>': <text>" and returns the status. */
vecq_status vecq_fold_fail(const vecq_fold_call *call, vecq_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Takes from the work that is left; VECQ_ERR_UNSUPPORTED when there is not enough. */
vecq_status vecq_fold_charge(const vecq_fold_call *call, uint64_t n_bytes);

size_t vecq_fold_size(vecq_dtype dtype); /* bytes of a wide element; 0 for strings and unknown types */
/* A constant of the document as a wide tensor. */
vecq_status vecq_fold_const(const vecq_const *constant, vecq_tensor *out, vecq_error *err);
/* Packs a wide tensor in place (types below 8 bits). */
void vecq_fold_pack(vecq_tensor *tensor);

/* A wide tensor, uninitialised, after its size was checked against the limits. */
vecq_status vecq_fold_create(vecq_fold_call *call, vecq_tensor *out, vecq_dtype dtype, unsigned rank,
                             const int64_t *dims);
/* Output 0 is input i under another shape with as many elements: taken when that is its last use, else
 * copied. */
vecq_status vecq_fold_pass(vecq_fold_call *call, size_t i, unsigned rank, const int64_t *dims);

const vecq_tensor *vecq_fold_optional(const vecq_fold_call *call, size_t i); /* NULL when omitted */
vecq_status vecq_fold_input(const vecq_fold_call *call, size_t i, const vecq_tensor **out);

/* Attributes with their default; one of another type is VECQ_ERR_FORMAT. */
vecq_status vecq_fold_int(const vecq_fold_call *call, const char *name, int64_t missing, int64_t *out);
vecq_status vecq_fold_float(const vecq_fold_call *call, const char *name, float missing, float *out);
/* Index of a string attribute in `names` (NULL-terminated); the first one when the attribute is absent. */
vecq_status vecq_fold_string(const vecq_fold_call *call, const char *name, const char *const *names,
                             int *out);

/* A short list of integers: axes, pads, a shape. */
#define VECQ_FOLD_LIST_MAX (2 * VECQ_MAX_RANK)
typedef struct vecq_fold_list {
    int given;
    size_t n;
    int64_t v[VECQ_FOLD_LIST_MAX];
} vecq_fold_list;

/* From an attribute; or from an int32/int64 input of rank 0 or 1. A longer list is VECQ_ERR_FORMAT. */
vecq_status vecq_fold_list_attr(const vecq_fold_call *call, const char *name, vecq_fold_list *out);
vecq_status vecq_fold_list_input(const vecq_fold_call *call, size_t i, vecq_fold_list *out);
/* From input i since version `moved`, from the attribute before. */
vecq_status vecq_fold_list_moved(const vecq_fold_call *call, const char *name, size_t i, int64_t moved,
                                 vecq_fold_list *out);
/* Integers of any count from an int32 or int64 tensor. */
vecq_status vecq_fold_index(const vecq_fold_call *call, const vecq_tensor *tensor, size_t i, int64_t *out);

/* 0 <= *out < rank from -rank <= axis < rank. */
vecq_status vecq_fold_axis(const vecq_fold_call *call, int64_t axis, unsigned rank, unsigned *out);
/* Marks of the axes of a list; VECQ_ERR_FORMAT when one is out of range or repeated. */
vecq_status vecq_fold_axes(const vecq_fold_call *call, const vecq_fold_list *axes, unsigned rank,
                           unsigned char marks[VECQ_MAX_RANK]);

/* Product of dims[from..to), known not to overflow because a tensor has them. */
size_t vecq_fold_span(const int64_t *dims, unsigned from, unsigned to);

/*
 * Strided copy of prod(dims) elements: dst[dst_first + sum i_a * dst_stride_a] = src[...]. Strides may be 0
 * or negative in src; rank <= VECQ_FOLD_LIST_MAX.
 */
typedef struct vecq_fold_stride {
    size_t n;
    ptrdiff_t dst, src;
} vecq_fold_stride;
void vecq_fold_copy(void *dst, const void *src, size_t size, const vecq_fold_stride *axes, unsigned rank);

/* Row-major strides. */
void vecq_fold_strides(const int64_t *dims, unsigned rank, ptrdiff_t *strides);

/* Shape of numpy broadcasting; VECQ_ERR_FORMAT when the shapes do not go together. */
vecq_status vecq_fold_broadcast(const vecq_fold_call *call, const vecq_tensor *const *tensors, size_t n,
                                unsigned *rank, int64_t dims[VECQ_MAX_RANK]);

/* Walk over a broadcast shape in runs where every operand has stride 0 or 1. */
#define VECQ_FOLD_OPERANDS 3
typedef struct vecq_fold_walk {
    unsigned rank, n;
    size_t dims[VECQ_MAX_RANK], index[VECQ_MAX_RANK];
    size_t strides[VECQ_FOLD_OPERANDS][VECQ_MAX_RANK];
    size_t row[VECQ_FOLD_OPERANDS]; /* start of the current row in each operand */
    size_t done_in_row, next, count;
    /* the run: output elements [first, first + run) and where each operand begins */
    size_t first, run, at[VECQ_FOLD_OPERANDS], step[VECQ_FOLD_OPERANDS];
} vecq_fold_walk;

void vecq_fold_walk_start(vecq_fold_walk *walk, const vecq_tensor *const *operands, unsigned n, unsigned rank,
                          const int64_t *dims);
int vecq_fold_walk_next(vecq_fold_walk *walk, size_t longest); /* 0 when done */

/* Operator functions, by file. */
vecq_status vecq_fold_op_identity(vecq_fold_call *call);
vecq_status vecq_fold_op_dropout(vecq_fold_call *call);
vecq_status vecq_fold_op_reshape(vecq_fold_call *call);
vecq_status vecq_fold_op_flatten(vecq_fold_call *call);
vecq_status vecq_fold_op_squeeze(vecq_fold_call *call);
vecq_status vecq_fold_op_unsqueeze(vecq_fold_call *call);
vecq_status vecq_fold_op_transpose(vecq_fold_call *call);
vecq_status vecq_fold_op_depth_space(vecq_fold_call *call);

vecq_status vecq_fold_op_concat(vecq_fold_call *call);
vecq_status vecq_fold_op_split(vecq_fold_call *call);
vecq_status vecq_fold_op_slice(vecq_fold_call *call);
vecq_status vecq_fold_op_expand(vecq_fold_call *call);
vecq_status vecq_fold_op_tile(vecq_fold_call *call);
vecq_status vecq_fold_op_pad(vecq_fold_call *call);

vecq_status vecq_fold_op_gather(vecq_fold_call *call);
vecq_status vecq_fold_op_gather_elements(vecq_fold_call *call);
vecq_status vecq_fold_op_gather_nd(vecq_fold_call *call);

vecq_status vecq_fold_op_constant(vecq_fold_call *call);
vecq_status vecq_fold_op_constant_of_shape(vecq_fold_call *call);
vecq_status vecq_fold_op_shape(vecq_fold_call *call);
vecq_status vecq_fold_op_size(vecq_fold_call *call);
vecq_status vecq_fold_op_range(vecq_fold_call *call);
vecq_status vecq_fold_op_eye_like(vecq_fold_call *call);

vecq_status vecq_fold_op_binary(vecq_fold_call *call);
vecq_status vecq_fold_op_compare(vecq_fold_call *call);
vecq_status vecq_fold_op_variadic(vecq_fold_call *call);
vecq_status vecq_fold_op_where(vecq_fold_call *call);

vecq_status vecq_fold_op_unary(vecq_fold_call *call);
vecq_status vecq_fold_op_clip(vecq_fold_call *call);
vecq_status vecq_fold_op_cast(vecq_fold_call *call);

vecq_status vecq_fold_op_reduce(vecq_fold_call *call);
vecq_status vecq_fold_op_matmul(vecq_fold_call *call);
vecq_status vecq_fold_op_gemm(vecq_fold_call *call);

vecq_status vecq_fold_op_quantize(vecq_fold_call *call);
vecq_status vecq_fold_op_dequantize(vecq_fold_call *call);

/* Variants: the operators that share a function. */
enum {
    VECQ_FOLD_ADD,
    VECQ_FOLD_SUB,
    VECQ_FOLD_MUL,
    VECQ_FOLD_DIV,
    VECQ_FOLD_MOD,
    VECQ_FOLD_POW,
    VECQ_FOLD_MIN,
    VECQ_FOLD_MAX,
    VECQ_FOLD_SUM,
    VECQ_FOLD_MEAN,
    VECQ_FOLD_AND,
    VECQ_FOLD_OR,
    VECQ_FOLD_XOR,
    VECQ_FOLD_BIT_AND,
    VECQ_FOLD_BIT_OR,
    VECQ_FOLD_BIT_XOR,
    VECQ_FOLD_SHIFT
};
enum { VECQ_FOLD_EQUAL, VECQ_FOLD_LESS, VECQ_FOLD_LESS_EQUAL, VECQ_FOLD_GREATER, VECQ_FOLD_GREATER_EQUAL };
enum {
    VECQ_FOLD_ABS,
    VECQ_FOLD_BIT_NOT,
    VECQ_FOLD_CEIL,
    VECQ_FOLD_COS,
    VECQ_FOLD_ERF,
    VECQ_FOLD_EXP,
    VECQ_FOLD_FLOOR,
    VECQ_FOLD_LOG,
    VECQ_FOLD_NEG,
    VECQ_FOLD_NOT,
    VECQ_FOLD_RECIPROCAL,
    VECQ_FOLD_RELU,
    VECQ_FOLD_ROUND,
    VECQ_FOLD_SIGMOID,
    VECQ_FOLD_SIGN,
    VECQ_FOLD_SIN,
    VECQ_FOLD_SQRT,
    VECQ_FOLD_TANH
};
enum {
    VECQ_FOLD_REDUCE_L1,
    VECQ_FOLD_REDUCE_L2,
    VECQ_FOLD_REDUCE_MAX,
    VECQ_FOLD_REDUCE_MEAN,
    VECQ_FOLD_REDUCE_MIN,
    VECQ_FOLD_REDUCE_PROD,
    VECQ_FOLD_REDUCE_SUM,
    VECQ_FOLD_REDUCE_SUM_SQUARE
};
enum { VECQ_FOLD_CAST, VECQ_FOLD_CAST_LIKE };
enum { VECQ_FOLD_DEPTH_TO_SPACE, VECQ_FOLD_SPACE_TO_DEPTH };

#endif
