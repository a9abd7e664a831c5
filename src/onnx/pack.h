/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a quantized plan into changes of the document. */
#ifndef VECQ_ONNX_PACK_H
#define VECQ_ONNX_PACK_H

#include "graph/plan.h"
#include "onnx/edit.h"

/* Writes the results of the quantize pass (spool: all its bytes) into the document, in the plan's format. The
 * edit collects what to expect of the written file. */
vecq_status vecq_pack_document(vecq_edit *edit, const vecq_plan *plan, const vecq_quantize_options *options,
                               vecq_span spool);

#define VECQ_METADATA_KEY "ai.vecq"

#endif
