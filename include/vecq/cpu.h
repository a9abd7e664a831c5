/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instruction sets in use. Results never depend on them: every kernel gives the same bytes at every level.
 * The mask is read from the environment variable VECQ_CPU_MASK (a name of a level, the highest one allowed:
 * "ref", "avx2", "avxvnni", "avx512", "avx512vnni", "neon", "neondot") at the first use, and can be set here.
 *
 * Levels of a family are ordered, but a processor may have a level without having all below it: AVX-512 VNNI
 * came years before AVX-VNNI. Kernels that gain nothing from a level have no code for it; there the
 * next lower level that they and the processor have is used.
 */
#ifndef VECQ_CPU_H
#define VECQ_CPU_H

#include "vecq/api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vecq_cpu_level {
    VECQ_CPU_REF = 0,    /* plain C, defines the results */
    VECQ_CPU_AVX2,       /* AVX2 + FMA + F16C */
    VECQ_CPU_AVXVNNI,    /* AVX2 and AVX-VNNI: dot products of bytes in 256 bits */
    VECQ_CPU_AVX512,     /* AVX-512 F, BW, DQ, VL, and the operating system saves the registers */
    VECQ_CPU_AVX512VNNI, /* AVX-512 and its VNNI: dot products of bytes in 512 bits */
    VECQ_CPU_NEON,       /* AArch64 Advanced SIMD */
    VECQ_CPU_NEONDOT,    /* and its dot products of bytes (FEAT_DotProd) */
    VECQ_CPU_LEVELS
} vecq_cpu_level;

/* Name of a level, "ref", "avx2", "avxvnni", "avx512", "avx512vnni", "neon", "neondot"; NULL for a value out
 * of range. */
VECQ_API const char *vecq_cpu_level_name(vecq_cpu_level level);

/* Non-zero if this processor and operating system can run `level`, whatever the mask says. */
VECQ_API int vecq_cpu_has(vecq_cpu_level level);

/* The level in use: the highest one that the processor has and the mask allows. */
VECQ_API vecq_cpu_level vecq_cpu_active(void);

/* Allow levels up to `highest` (of this processor's family). Not while other threads are inside the library.
 */
VECQ_API void vecq_cpu_set_mask(vecq_cpu_level highest);

#ifdef __cplusplus
}
#endif
#endif
