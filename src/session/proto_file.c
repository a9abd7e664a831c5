/* SPDX-License-Identifier: Apache-2.0 */
/* Files with one TensorProto. */
#include <string.h>

#include "base/file.h"
#include "base/status.h"
#include "onnx/tensor_proto.h"
#include "vecq/run.h"

static vecq_status proto_read(vecq_span bytes, vecq_arena *arena, vecq_tensor *out, vecq_error *err)
{
    vecq_external external;
    vecq_tensor_proto proto;
    vecq_status status;

    vecq_external_init(&external, NULL);
    status = vecq_tensor_proto_parse(arena, &external, bytes, &proto, err);
    if (status == VECQ_OK && proto.encoding == VECQ_ENC_OPAQUE)
        status = vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a tensor of %s cannot be read",
                                vecq_dtype_name(proto.dtype));
    if (status == VECQ_OK)
        status = vecq_tensor_create(proto.dtype, proto.rank, proto.dims, out, err);
    if (status == VECQ_OK)
        status = vecq_tensor_proto_read(&proto, out->data, err);
    if (status != VECQ_OK)
        vecq_tensor_destroy(out);
    vecq_external_clear(&external);
    return status;
}

vecq_status vecq_proto_load(const char *path, vecq_tensor *out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_arena arena = {0};
    vecq_mapping mapping;
    vecq_status status;

    memset(out, 0, sizeof *out);
    VECQ_TRY(vecq_mapping_open(path, &mapping, err));
    status = proto_read(mapping.bytes, &arena, out, &why);
    vecq_arena_clear(&arena);
    vecq_mapping_close(&mapping);
    return status == VECQ_OK ? status : vecq_error_set(err, status, "%s: %s", path, why.message);
}
