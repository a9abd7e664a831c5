/* SPDX-License-Identifier: Apache-2.0 */
#include "train/subject.h"

#include <string.h>

#include "base/status.h"
#include "train/preprocessing.h"
#include "train/training.h"

vecq_status vecq_subject_blame(const vecq_subject *s, vecq_status status, vecq_error *err)
{
    if (status != VECQ_OK && err != NULL && s->name != NULL)
        vecq_error_prefix(err, "%s", s->name);
    return status;
}

vecq_status vecq_subject_open(vecq_subject *s, vecq_model *model, const char *name, const vecq_recipe *given,
                              vecq_error *err)
{
    memset(s, 0, sizeof *s);
    s->name = name;
    s->model = model;
    s->ir = &vecq_model_document(model)->ir;
    return vecq_subject_blame(
        s,
        vecq_preprocessing_merge(model, given, &s->arena, &s->recipe, &s->vocabulary, &s->n_vocabulary, err),
        err);
}

vecq_status vecq_subject_open_data(vecq_subject *s, vecq_split split, vecq_error *err)
{
    const vecq_recipe *r = &s->recipe;
    const char *spec = split == VECQ_SPLIT_TEST && r->data.test != NULL ? r->data.test : r->data.train;
    const vecq_dataset_info *info;
    vecq_dataset_options options;

    VECQ_TRY(
        vecq_subject_blame(s, vecq_ports_find(s->ir, r->model.input, r->model.output, &s->ports, err), err));
    if (spec == NULL)
        spec = r->data.test;
    if (spec == NULL)
        return vecq_error_set(err, VECQ_ERR_VALUE, "there are no data: give --data KIND:PLACE");
    vecq_training_data_options(r, &s->ports, &options);
    options.split = split;
    if (s->n_vocabulary > 0) {
        options.vocabulary = s->vocabulary;
        options.n_vocabulary = s->n_vocabulary;
    }
    VECQ_TRY(vecq_dataset_open(spec, &options, &s->data, err));
    info = vecq_dataset_describe(s->data);
    VECQ_TRY(vecq_subject_blame(s, vecq_ports_fit(&s->ports, info, err), err));
    if (info->kind == VECQ_DATASET_IMAGES)
        VECQ_TRY(vecq_training_normalisation(r, info, info->channels, s->mean, s->std, err));
    return VECQ_OK;
}

void vecq_subject_close(vecq_subject *s)
{
    vecq_dataset_close(s->data);
    vecq_arena_clear(&s->arena);
    vecq_recipe_clear(&s->recipe);
    memset(s, 0, sizeof *s);
}
