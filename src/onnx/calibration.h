/* SPDX-License-Identifier: Apache-2.0 */
/* Scales for the activations of a loaded model, chosen from what was observed. The inside of
 * vecq_calibration. */
#ifndef VECQ_ONNX_CALIBRATION_H
#define VECQ_ONNX_CALIBRATION_H

#include "graph/ops/quantized.h"
#include "vecq/model.h"

struct vecq_calibration {
    vecq_arena arena;
    const vecq_model *model;
    const vecq_act_site *sites; /* linked; as vecq_trained_activations() takes them */
    const vecq_activation_info *infos;
    size_t n;
    uint64_t samples;
};

/*
 * Chooses a scale for every site with a histogram (lowered with act.is_observed). Keeps nothing of the
 * program and its store, values and nodes of the model's graph excepted. VECQ_ERR_VALUE names a value that
 * held NaN or infinity; VECQ_ERR_UNSUPPORTED when there is no site.
 */
vecq_status vecq_calibration_make(const vecq_model *model, const vecq_act_site *observed, vecq_act_rule rule,
                                  uint64_t samples, vecq_calibration **out, vecq_error *err);

#endif
