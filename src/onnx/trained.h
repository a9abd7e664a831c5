/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back from training: new values for the constants of a model, activation quantizers as nodes, notes
 * in metadata_props. The inside of what src/train writes.
 */
#ifndef VECQ_ONNX_TRAINED_H
#define VECQ_ONNX_TRAINED_H

#include "graph/ops/quantized.h"
#include "graph/program.h"
#include "onnx/edit.h"
#include "vecq/model.h"

/* The document of a model: valid until the model is closed, changed by what is written into it. */
vecq_document *vecq_model_document(vecq_model *model);

/* vecq_model_quantize() with a plan that `give` may add to before it is carried out: codebooks of its items,
 * which must live until the call returns. */
typedef vecq_status (*vecq_plan_fn)(void *context, vecq_plan *plan, vecq_error *err);
vecq_status vecq_model_quantize_given(vecq_model *model, const vecq_quantize_options *options,
                                      vecq_plan_fn give, void *context, vecq_report **out, vecq_error *err);

/*
 * Lets the constants of the main graph have the values of the store (items whose key is a vecq_value):
 * whoever reads them from then on, the plan, reports, the quantize pass and lowering, sees those. The store
 * must outlive the model. Values that did not change are left alone. VECQ_ERR_USAGE for an item that is no
 * constant of floats with that many elements, VECQ_ERR_UNSUPPORTED for a packed weight.
 */
vecq_status vecq_trained_apply(vecq_document *doc, const vecq_store *store, vecq_error *err);

/* Rounds trained tensors to what the file holds of them (float16, bfloat16), so that a last evaluation gives
 * what the file will give. Weights that get quantized are left alone: quantizers round what they make. */
void vecq_trained_round(const vecq_store *store, const vecq_plan *plan);

typedef struct vecq_trained_entry {
    const char *key, *value; /* value NULL: the entry is removed */
} vecq_trained_entry;

typedef struct vecq_trained_options {
    const vecq_store *store;               /* trained values, ratios and steps of quantizers */
    const vecq_quantize_options *quantize; /* NULL: weights stay float */
    int learned_steps;                     /* the steps of the store are the scales */
    const vecq_act_site *activations;      /* quantizers to write (vecq_program_act_sites()); NULL: none */
    const vecq_trained_entry *metadata;
    size_t n_metadata;
    const char *scratch; /* folder for temporary bulk data; NULL: $TMPDIR or /tmp */
} vecq_trained_options;

/*
 * vecq_trained_apply(), then the quantize pass as vecq_model_quantize() does it, with what training found
 * given to it, then the changes of the file; the model then saves as the new file. Once per loaded model. On
 * failure it can only be closed. `out` may be NULL; without quantize options it stays NULL.
 */
vecq_status vecq_model_write_trained(vecq_model *model, const vecq_trained_options *options,
                                     vecq_report **out, vecq_error *err);

/* ---- its parts, for vecq_model_write_trained() ---- */

/* A trained tensor that is not quantized: its new bytes lie in a spool. */
typedef struct vecq_trained_tensor {
    vecq_value *value;
    uint64_t at;
    size_t n_bytes;
} vecq_trained_tensor;

typedef struct vecq_trained_list {
    vecq_trained_tensor *items;
    size_t n, capacity;
} vecq_trained_list;

/* New bytes of all constants that were changed and that the plan (NULL: none) does not quantize. */
vecq_status vecq_trained_collect(vecq_document *doc, const vecq_plan *plan, vecq_spool *spool,
                                 vecq_trained_list *out, vecq_error *err);
void vecq_trained_list_clear(vecq_trained_list *list);
/* Before anything is inserted: puts them into the document. `spool`: all its bytes. */
vecq_status vecq_trained_store(vecq_edit *edit, const vecq_trained_list *list, vecq_span spool);
/* Before anything is inserted: QuantizeLinear and DequantizeLinear at the sites. VECQ_ERR_UNSUPPORTED below
 * opset 10. */
vecq_status vecq_trained_activations(vecq_edit *edit, const vecq_act_site *sites);

#endif
