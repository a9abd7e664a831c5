/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from a shape: runs, panels, steps, blocks. Shared by prepacking and by every level. */
#ifndef VECQ_KERNELS_IGEMM_PLAN_H
#define VECQ_KERNELS_IGEMM_PLAN_H

#include "kernels/igemm/igemm.h"

#define IGEMM_VECTOR      16u /* output channels of a vector */
#define IGEMM_PANEL       4u  /* vectors of a panel, at most */
#define IGEMM_CHANNELS    (IGEMM_VECTOR * IGEMM_PANEL)
#define IGEMM_BLOCK       512u         /* pixels of a block, at most */
#define IGEMM_BLOCK_LEAST 48u          /* at least */
#define IGEMM_BLOCK_BYTES (256u << 10) /* of input that a block should take: a part of the second cache */
#define IGEMM_CHUNK                                                                                          \
    512u /* rows of K that are decoded at once when pixels are few: a part of the first cache */
#define IGEMM_FEW   64u /* pixels */
#define IGEMM_SLACK 64u /* bytes that may be read behind a padded input */
/* Bytes of scratch about the pixels of a block (igemm_block), a multiple of 64. */
#define IGEMM_BLOCK_SCRATCH (IGEMM_BLOCK * (4 * sizeof(ptrdiff_t) + sizeof(int32_t) + sizeof(uint32_t)))

typedef struct igemm_plan {
    int is_depthwise;
    size_t in, out;         /* channels of a group */
    size_t vectors, panels; /* of a group; depthwise: of all */
    /* K = outer x inner runs of `run` bytes, contiguous in the input and padded to a multiple of 4 */
    size_t outer, inner, run, run_padded, k_padded;
    size_t taps, quads;                         /* depthwise: kh kw, and fours of them */
    size_t height, width;                       /* of the padded input */
    ptrdiff_t outer_step, inner_step;           /* bytes from run to run */
    ptrdiff_t pixel_step, row_step, image_step; /* bytes of input from output pixel to output pixel */
    size_t block;                               /* pixels */
} igemm_plan;

static inline size_t igemm_divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Kernel columns follow each other in memory when nothing lies between them. */
static inline void igemm_plan_runs(const vecq_igemm_shape *s, igemm_plan *p)
{
    int is_joined = s->groups == 1 && (s->dilation_w == 1 || s->kw == 1);

    p->outer = s->kh;
    p->inner = is_joined ? 1 : s->kw;
    p->run = is_joined ? s->kw * p->in : p->in;
    if (is_joined && s->kw == s->w + s->left + s->right &&
        s->dilation_h == 1) { /* rows follow each other too */
        p->outer = 1;
        p->run *= s->kh;
    }
    p->run_padded = igemm_divide_up(p->run, 4) * 4;
    p->k_padded = p->outer * p->inner * p->run_padded;
}

static inline igemm_plan igemm_plan_of(const vecq_igemm_shape *s)
{
    igemm_plan p = {0};
    size_t step = s->stride_h * s->stride_w * s->c;

    p.is_depthwise = s->groups > 1 && s->groups == s->c && s->oc == s->c;
    p.in = s->c / s->groups;
    p.out = s->oc / s->groups;
    p.height = s->top + s->h + s->bottom;
    p.width = s->left + s->w + s->right;
    igemm_plan_runs(s, &p);
    if (p.is_depthwise) {
        p.taps = s->kh * s->kw;
        p.quads = igemm_divide_up(p.taps, 4);
        p.vectors = igemm_divide_up(s->c, IGEMM_VECTOR);
    } else {
        p.vectors = igemm_divide_up(p.out, IGEMM_VECTOR);
    }
    p.panels = igemm_divide_up(p.vectors, IGEMM_PANEL);
    p.outer_step = (ptrdiff_t)(s->dilation_h * p.width * s->c);
    p.inner_step = (ptrdiff_t)(s->dilation_w * s->c);
    p.pixel_step = (ptrdiff_t)(s->stride_w * s->c);
    p.row_step = (ptrdiff_t)(s->stride_h * p.width * s->c);
    p.image_step = (ptrdiff_t)(p.height * p.width * s->c);
    p.block = IGEMM_BLOCK_BYTES / (step > 0 ? step : 1);
    p.block = p.block > IGEMM_BLOCK ? IGEMM_BLOCK : p.block < IGEMM_BLOCK_LEAST ? IGEMM_BLOCK_LEAST : p.block;
    return p;
}

/* Panels are as even as can be: vectors [first, end) of panel i of a group. Depthwise panels are of four
 * vectors. */
static inline size_t igemm_panel_vector(const igemm_plan *p, size_t i)
{
    if (p->is_depthwise)
        return i * IGEMM_PANEL < p->vectors ? i * IGEMM_PANEL : p->vectors;
    return i * p->vectors / p->panels;
}

/* Elements of the weight, padding included. */
static inline size_t igemm_plan_elements(const vecq_igemm_shape *s, const igemm_plan *p)
{
    if (p->is_depthwise)
        return p->vectors * IGEMM_VECTOR * 4 * p->quads;
    return s->groups * p->vectors * IGEMM_VECTOR * p->k_padded;
}

static inline size_t igemm_plan_sums(const vecq_igemm_shape *s, const igemm_plan *p)
{
    return (p->is_depthwise ? 1 : s->groups) * p->vectors * IGEMM_VECTOR;
}

static inline size_t igemm_round64(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* ---- depthwise, flat (igemm_flat_avx512.h) ---- */

#define IGEMM_FLAT_TABLE (3u * 64u * 4u) /* bytes in front of the weights of a phase */
#define IGEMM_FLAT_MOST  16u             /* phases that are worth their tables */

/* Chunks of 64 bytes until weights repeat, or, when a row is not flat, of a pixel. */
static inline size_t igemm_flat_phases(const vecq_igemm_shape *s, int *is_flat)
{
    size_t whole = igemm_divide_up(s->c, 64), phases = s->c;

    while (phases % 2 == 0 && phases * 64 > s->c) /* c / gcd(c, 64) */
        phases /= 2;
    *is_flat = s->stride_w == 1 && (phases <= IGEMM_FLAT_MOST || phases == whole);
    return *is_flat ? phases : whole;
}

static inline size_t igemm_flat_table_bytes(const igemm_plan *p)
{
    return IGEMM_FLAT_TABLE + 256 * p->quads;
}

static inline size_t igemm_flat_bytes_needed(const vecq_igemm_shape *s, const igemm_plan *p)
{
    int is_flat;

    return igemm_flat_phases(s, &is_flat) * igemm_flat_table_bytes(p);
}

#endif
