/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a document: complete, read back and compared, or not at all. */
#ifndef VECQ_ONNX_SAVE_H
#define VECQ_ONNX_SAVE_H

#include "onnx/edit.h"
#include "vecq/model.h"

/* `expectations`: tensors that the written file must decode to (see onnx/edit.h). */
vecq_status vecq_document_save(vecq_document *doc, const char *path, const vecq_save_options *options,
                               const vecq_expectation *expectations, size_t n_expectations,
                               vecq_save_result *out, vecq_error *err);

#endif
