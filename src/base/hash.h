/* SPDX-License-Identifier: Apache-2.0 */
/* 64-bit fingerprint of bytes, to compare what was meant with what was written. Not cryptographic. */
#ifndef VECQ_BASE_HASH_H
#define VECQ_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Continue with `hash` from an earlier call, 0 to begin; the cut between calls matters. */
uint64_t vecq_hash(uint64_t hash, const void *data, size_t n);

#endif
