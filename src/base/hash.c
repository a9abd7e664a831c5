/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <string.h>

/* Multiply and fold, as in wyhash: every input word is mixed through a full 64 x 64 -> 128 bit product. */
static uint64_t hash_mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t vecq_hash(uint64_t hash, const void *data, size_t n)
{
    static const uint64_t k0 = 0xa0761d6478bd642fu, k1 = 0xe7037ed1a0b428dbu;
    const unsigned char *p = data;
    uint64_t word = 0;
    size_t left = n;

    hash ^= k0;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        hash = hash_mix(hash ^ word, k1);
    }
    word = 0;
    if (left > 0)
        memcpy(&word, p, left);
    return hash_mix(hash_mix(hash ^ word, k1) ^ n, k0);
}
