/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trained model remembers of its data, in metadata_props: "ai.vecq.data", settings of a recipe (one
 * "data.key=value" a line: sizes, scale, mean, std, tokens, ...; no places), and "ai.vecq.vocabulary", one
 * token a line (vecq_vocabulary_join()). docs/format/packed.md lists them.
 */
#ifndef VECQ_TRAIN_PREPROCESSING_H
#define VECQ_TRAIN_PREPROCESSING_H

#include "base/alloc.h"
#include "base/span.h"
#include "data/dataset.h"
#include "train/recipe.h"

#define VECQ_METADATA_DATA       "ai.vecq.data"
#define VECQ_METADATA_VOCABULARY "ai.vecq.vocabulary"

/* The settings as text, with measured normalisation resolved; freed by vecq_free(). */
vecq_status vecq_preprocessing_text(const vecq_recipe *recipe, const vecq_dataset_info *data,
                                    const double *mean, const double *std, char **out, vecq_error *err);
/* Applies the settings of such a text, which nobody vouches for: VECQ_ERR_FORMAT for anything else. */
vecq_status vecq_preprocessing_apply(vecq_span text, vecq_recipe *recipe, vecq_error *err);

/*
 * The settings of a run that begins with a model: defaults, then what the model remembers, then what the
 * caller gave. `out` is to be cleared by the caller, also on failure. The vocabulary lies in the arena; NULL,
 * 0 when the model remembers none.
 */
vecq_status vecq_preprocessing_merge(vecq_model *model, const vecq_recipe *given, vecq_arena *arena,
                                     vecq_recipe *out, const char ***vocabulary, size_t *n_vocabulary,
                                     vecq_error *err);

#endif
