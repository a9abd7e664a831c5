/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolutions as flat rows (igemm_flat_avx512.h): when, tables, rows. Part of igemm_body.h. */
#ifndef VECQ_KERNELS_IGEMM_FLAT_H
#define VECQ_KERNELS_IGEMM_FLAT_H

/* Bytes of one zero point to bytes, all channels; four of them are always of one vector. */
static int igemm_flat_serves(const vecq_igemm_job *job, const igemm_plan *p, const igemm_plain *plain)
{
    return p->is_depthwise && plain->serves && job->zeros == NULL && job->shape.c % 4 == 0 &&
           (job->out.q_stride.pixel == 0 || job->out.q_stride.pixel == job->shape.c);
}

/* Bytes [4 g, 4 g + 4) of a phase belong to the channels from c on: registers g % 4, piece g / 4. */
static void igemm_flat_fill(const vecq_igemm_job *job, const igemm_plan *p, const int8_t *w, size_t c,
                            size_t g, igemm_flat_table *t)
{
    size_t at = 16 * (g % 4) + 4 * (g / 4), quad, i;
    int8_t *to = (int8_t *)(t + 1);

    memcpy(t->scale + at, job->out.scale + c, 4 * sizeof(float));
    if (job->out.bias != NULL)
        memcpy(t->bias + at, job->out.bias + c, 4 * sizeof(float));
    for (i = 0; i < 4; i++)
        t->init[at + i] = (int32_t)((uint32_t)-job->zero * (uint32_t)job->weight.sums[c + i]);
    for (quad = 0; quad < p->quads; quad++)
        memcpy(to + 64 * (4 * quad + g % 4) + 16 * (g / 4),
               w + (c / IGEMM_VECTOR * p->quads + quad) * 64 + c % IGEMM_VECTOR * 4, 16);
}

static void igemm_flat_tables(const vecq_igemm_job *job, const igemm_plan *p, size_t phases, int is_flat,
                              uint8_t *tables, int8_t *decoded)
{
    const int8_t *w = igemm_depthwise_weight(job, p, 0, p->vectors, decoded);
    size_t bytes = igemm_flat_table_bytes(p), k, g;

    memset(tables, 0, phases * bytes);
    for (k = 0; k < phases; k++)
        for (g = 0; g < 16; g++) {
            size_t c = 64 * k + 4 * g;

            if (is_flat)
                c %= job->shape.c;
            if (c < job->shape.c)
                igemm_flat_fill(job, p, w, c, g, (igemm_flat_table *)(void *)(tables + k * bytes));
        }
}

/* `pixels` of a row, from x to q. */
static void igemm_flat_row(const vecq_igemm_job *job, const igemm_plan *p, const igemm_flat *f, size_t phases,
                           int is_flat, const uint8_t *tables, const uint8_t *x, uint8_t *q, size_t pixels)
{
    size_t c = job->shape.c, length = pixels * c, k;

    for (k = 0; k < phases && 64 * k < length; k++) {
        const void *table = tables + k * igemm_flat_table_bytes(p);
        igemm_flat_chunks chunks = {.x = x + 64 * k, .q = q + 64 * k, .count = pixels, .n = 64};
        size_t left = length - 64 * k;

        if (is_flat) {
            chunks.x_step = chunks.q_step = (ptrdiff_t)(64 * phases);
            chunks.count = igemm_divide_up(left, 64 * phases);
            left -= (chunks.count - 1) * 64 * phases;
            chunks.n_last = left < 64 ? left : 64;
        } else {
            chunks.x_step = p->pixel_step;
            chunks.q_step = (ptrdiff_t)c;
            chunks.n = chunks.n_last = c - 64 * k < 64 ? c - 64 * k : 64;
        }
        igemm_flat_chunks_run(f, table, &chunks, job->weight.bits, igemm_is_twice(&job->weight));
    }
}

static void igemm_flat_run(const vecq_igemm_job *job, const igemm_plan *p, const igemm_plain *plain,
                           size_t pixel0, size_t pixel1, uint8_t *scratch)
{
    const vecq_igemm_shape *s = &job->shape;
    ptrdiff_t *taps = (ptrdiff_t *)(void *)scratch;
    uint8_t *tables = scratch + igemm_round64(4 * p->quads * sizeof *taps);
    igemm_flat f = {&job->out, plain, taps, p->quads, p->taps};
    size_t first, n;
    int is_flat;
    size_t phases = igemm_flat_phases(s, &is_flat);

    igemm_depthwise_taps(s, p, taps);
    igemm_flat_tables(job, p, phases, is_flat, tables, (int8_t *)tables + phases * igemm_flat_table_bytes(p));
    for (first = pixel0; first < pixel1; first += n) {
        size_t column = first % s->ow, row = first / s->ow % s->oh, image = first / s->ow / s->oh;

        n = s->ow - column < pixel1 - first ? s->ow - column : pixel1 - first;
        igemm_flat_row(job, p, &f, phases, is_flat, tables,
                       job->x + (ptrdiff_t)image * p->image_step + (ptrdiff_t)row * p->row_step +
                           (ptrdiff_t)column * p->pixel_step,
                       job->out.q + igemm_offset(&job->out.q_stride, s, image, row, column), n);
    }
}

#endif
