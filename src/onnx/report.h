/* SPDX-License-Identifier: Apache-2.0 */
/* vecq_report: what a plan says, in public terms. */
#ifndef VECQ_ONNX_REPORT_H
#define VECQ_ONNX_REPORT_H

#include "graph/plan.h"
#include "onnx/document.h"
#include "vecq/model.h"

typedef enum vecq_report_depth {
    VECQ_REPORT_PLAN,   /* shapes and settings */
    VECQ_REPORT_RESULT, /* and the results of the quantize pass */
    VECQ_REPORT_INSPECT /* and the distribution of every float constant */
} vecq_report_depth;

vecq_status vecq_report_make(const vecq_document *doc, const vecq_plan *plan, vecq_report_depth depth,
                             double seconds, vecq_report **out, vecq_error *err);

#endif
