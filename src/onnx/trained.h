/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VECQ_ONNX_TRAINED_H
#define VECQ_ONNX_TRAINED_H
#include "onnx/document.h"
#include "vecq/model.h"
vecq_ir *vecq_model_graph(vecq_model *model);
vecq_span vecq_model_metadata(const vecq_model *model, const char *key);
#endif
