/* SPDX-License-Identifier: Apache-2.0 */
/* Export marker and version of the VecQ library. */
#ifndef VECQ_API_H
#define VECQ_API_H

#define VECQ_VERSION_MAJOR  0
#define VECQ_VERSION_MINOR  1
#define VECQ_VERSION_PATCH  0
#define VECQ_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define VECQ_API __attribute__((visibility("default")))
#else
#define VECQ_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the library that is running, "major.minor.patch"; static storage. */
VECQ_API const char *vecq_version(void);

#ifdef __cplusplus
}
#endif
#endif
