/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oneDNN backend: float32 forward and backward on CPUs (oneDNN 2.6 or 3.x, C API). Takes what the library
 * does well and leaves the rest, every op in double included, to the next backend.
 */
#ifndef VECQ_BACKEND_ONEDNN_ONEDNN_H
#define VECQ_BACKEND_ONEDNN_ONEDNN_H

#include "backend/exec.h"

extern const vecq_backend vecq_backend_onednn;

/* "oneDNN 2.6.3", the library that runs. */
const char *vecq_onednn_version(char text[32]);

#endif
