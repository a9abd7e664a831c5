/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/calibration.h"

#include <math.h>
#include <string.h>

#include "base/status.h"
#include "quant/act_histogram.h"

/* ---- scales ---- */

static double choose(const vecq_act_histogram *h, unsigned bits, int is_unsigned, vecq_act_rule rule)
{
    vecq_moments moments;
    double low, high;

    vecq_act_range(bits, is_unsigned, &low, &high);
    if (rule == VECQ_ACT_BEST)
        return vecq_act_histogram_best(h, low, high);
    if (rule == VECQ_ACT_MAX)
        return fmax(-h->min, h->max) / high;
    vecq_act_histogram_moments(h, &moments);
    return (double)vecq_act_scale(bits, is_unsigned, &moments, (size_t)h->n);
}

/* A tensor of one float for the site. */
static const vecq_stored *store_scale(vecq_arena *arena, double scale)
{
    vecq_stored *stored = vecq_arena_alloc(arena, 1, sizeof *stored);
    float *value = vecq_arena_alloc(arena, 1, sizeof *value);

    if (stored == NULL || value == NULL)
        return NULL;
    *value = scale > 0 ? (float)fmax(scale, 0x1p-100) : 0.0f;
    stored->tensor.dtype = VECQ_DT_FLOAT;
    stored->tensor.count = 1;
    stored->tensor.n_bytes = sizeof *value;
    stored->tensor.data = value;
    return stored;
}

/* How many of one sign lie beyond the limit, by whole bins. */
static double clipped_of_sign(const double *counts, double unit, double limit)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < VECQ_ACT_BINS; i++)
        if ((double)i * unit > limit)
            sum += counts[i];
    return sum;
}

static void measure(const vecq_act_histogram *h, double scale, vecq_activation_info *info)
{
    vecq_moments moments;
    double low, high, error;

    vecq_act_range(info->bits, info->is_unsigned, &low, &high);
    vecq_act_histogram_moments(h, &moments);
    error = h->n * vecq_act_histogram_error(h, scale, low, high);
    info->min = h->min;
    info->max = h->max;
    info->zeros = h->n > 0 ? h->zeros / h->n : 0;
    info->sqnr_db = scale > 0 ? 10 * log10(moments.sum_squares / error) : NAN;
    if (scale > 0)
        info->clipped = (clipped_of_sign(h->counts[0], h->unit, (high + 0.5) * scale) +
                         clipped_of_sign(h->counts[1], h->unit, (0.5 - low) * scale)) /
                        h->n;
}

/* ---- sites ---- */

static vecq_act_use *copy_uses(vecq_arena *arena, const vecq_act_use *uses, unsigned *n)
{
    vecq_act_use *first = NULL, **at = &first;

    for (*n = 0; uses != NULL; uses = uses->next, ++*n) {
        *at = vecq_arena_alloc(arena, 1, sizeof **at);
        if (*at == NULL)
            return NULL;
        (*at)->node = uses->node;
        (*at)->input = uses->input;
        at = &(*at)->next;
    }
    return first;
}

/* Reports may outlive the model. */
static const char *copy_text(vecq_arena *arena, const char *text)
{
    return vecq_arena_string(arena, text, strlen(text));
}

static vecq_status add_site(vecq_calibration *c, const vecq_act_site *from, vecq_act_rule rule,
                            vecq_act_site *site, vecq_activation_info *info, vecq_error *err)
{
    const vecq_act_histogram *h = from->observed;
    const vecq_node *node = from->is_output ? from->value->producer : from->uses->node;

    if (h->n_bad > 0)
        return vecq_error_set(err, VECQ_ERR_VALUE, "activation '%s' held NaN or infinity %.0f times",
                              from->value->name, h->n_bad);
    *site = *from;
    site->next = NULL;
    site->observed = NULL;
    site->is_unsigned = h->min >= 0; /* the graph may not know it: images of 0..1, squares */
    site->scale = store_scale(&c->arena, choose(h, site->bits, site->is_unsigned, rule));
    site->uses = copy_uses(&c->arena, from->uses, &info->n_uses);
    if (site->scale == NULL || (site->uses == NULL && from->uses != NULL))
        return vecq_error_memory(err, sizeof *site);
    info->name = copy_text(&c->arena, from->value->name);
    info->node = copy_text(&c->arena, vecq_node_label(node));
    info->op_type = copy_text(&c->arena, node->op_type);
    if (info->name == NULL || info->node == NULL || info->op_type == NULL)
        return vecq_error_memory(err, strlen(from->value->name));
    info->is_output = from->is_output;
    info->n_uses = from->is_output ? (unsigned)from->value->n_uses : info->n_uses;
    info->bits = site->bits;
    info->is_unsigned = site->is_unsigned;
    info->scale = *(const float *)site->scale->tensor.data;
    measure(h, (double)info->scale, info);
    return VECQ_OK;
}

static vecq_status add_sites(vecq_calibration *c, const vecq_act_site *observed, vecq_act_rule rule,
                             vecq_error *err)
{
    vecq_activation_info *infos;
    const vecq_act_site *from;
    vecq_act_site *sites;
    size_t i = 0;

    for (from = observed; from != NULL; from = from->next)
        c->n++;
    sites = vecq_arena_alloc(&c->arena, c->n, sizeof *sites);
    infos = vecq_arena_alloc(&c->arena, c->n, sizeof *infos);
    if (sites == NULL || infos == NULL)
        return vecq_error_memory(err, c->n * (sizeof *sites + sizeof *infos));
    for (from = observed; from != NULL; from = from->next, i++) {
        VECQ_TRY(add_site(c, from, rule, &sites[i], &infos[i], err));
        if (i > 0)
            sites[i - 1].next = &sites[i];
    }
    c->sites = sites;
    c->infos = infos;
    return VECQ_OK;
}

vecq_status vecq_calibration_make(const vecq_model *model, const vecq_act_site *observed, vecq_act_rule rule,
                                  uint64_t samples, vecq_calibration **out, vecq_error *err)
{
    vecq_calibration *c;
    vecq_status status;

    *out = NULL;
    if (observed == NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "no activation to quantize: no operator with weights reads one that is float "
                              "and was chosen");
    c = vecq_calloc(1, sizeof *c);
    if (c == NULL)
        return vecq_error_memory(err, sizeof *c);
    c->model = model;
    c->samples = samples;
    status = add_sites(c, observed, rule, err);
    if (status != VECQ_OK) {
        vecq_calibration_free(c);
        return status;
    }
    *out = c;
    return VECQ_OK;
}

void vecq_calibration_free(vecq_calibration *calibration)
{
    if (calibration == NULL)
        return;
    vecq_arena_clear(&calibration->arena);
    vecq_free(calibration);
}

size_t vecq_calibration_count(const vecq_calibration *calibration)
{
    return calibration->n;
}

const vecq_activation_info *vecq_calibration_at(const vecq_calibration *calibration, size_t index)
{
    return index < calibration->n ? &calibration->infos[index] : NULL;
}

uint64_t vecq_calibration_samples(const vecq_calibration *calibration)
{
    return calibration->samples;
}
