/* SPDX-License-Identifier: Apache-2.0 */
/* Detection asks the processor and the operating system: an AVX-512 bit in CPUID is worth nothing when the
 * kernel does not save the registers (XCR0). __builtin_cpu_supports() checks both. On AArch64 the kernel
 * tells what programs may use (AT_HWCAP). */
#include "vecq/cpu.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

static const char *const cpu_names[VECQ_CPU_LEVELS] = {"ref",        "avx2", "avxvnni", "avx512",
                                                       "avx512vnni", "neon", "neondot"};

/* -1: not asked yet. Written with the same value by whoever comes first, hence the relaxed atomics. */
static int cpu_mask_highest = -1;
static unsigned cpu_found; /* bit l: level l; 0: not asked yet, for the lowest is always there */

const char *vecq_cpu_level_name(vecq_cpu_level level)
{
    return (unsigned)level < VECQ_CPU_LEVELS ? cpu_names[level] : NULL;
}

#if defined(__x86_64__)
/* Not every compiler knows "f16c" in __builtin_cpu_supports(); the registers it needs are those of AVX. */
static int cpu_has_f16c(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}

/* Nor "avxvnni": leaf 7, subleaf 1 (if subleaf 0 says that there is one), EAX bit 4. */
static int cpu_has_avxvnni(void)
{
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
           (a >> 4 & 1u) != 0;
}
#elif defined(__aarch64__)
/* Dot products, and what Armv8.2 always has for programs: HWCAP_ASIMDDP, _ASIMDRDM, _ATOMICS, _CRC32 (older
 * headers of the C library lack some). Other systems are not asked. */
static int cpu_has_neondot(void)
{
#if defined(__linux__)
    const unsigned long needed = 1ul << 20 | 1ul << 12 | 1ul << 8 | 1ul << 7;

    return (getauxval(AT_HWCAP) & needed) == needed;
#else
    return 0;
#endif
}
#endif

/* Exactly what the files of a level are compiled for (CMakeLists.txt). */
static int cpu_detect(vecq_cpu_level level)
{
    switch (level) {
    case VECQ_CPU_REF:
        return 1;
#if defined(__x86_64__)
    case VECQ_CPU_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
               __builtin_cpu_supports("popcnt") && cpu_has_f16c();
    case VECQ_CPU_AVXVNNI:
        return cpu_has_avxvnni() && cpu_detect(VECQ_CPU_AVX2);
    case VECQ_CPU_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512cd") && cpu_detect(VECQ_CPU_AVX2);
    case VECQ_CPU_AVX512VNNI:
        return __builtin_cpu_supports("avx512vnni") && cpu_detect(VECQ_CPU_AVX512);
#elif defined(__aarch64__)
    case VECQ_CPU_NEON:
        return 1;
    case VECQ_CPU_NEONDOT:
        return cpu_has_neondot();
#endif
    default:
        return 0;
    }
}

/* Asked once: in a virtual machine each CPUID is a trip to the host, longer than quantizing a small group. */
int vecq_cpu_has(vecq_cpu_level level)
{
    unsigned found = __atomic_load_n(&cpu_found, __ATOMIC_RELAXED), l;

    if (found == 0) {
        for (l = 0; l < VECQ_CPU_LEVELS; l++)
            found |= cpu_detect((vecq_cpu_level)l) ? 1u << l : 0u;
        __atomic_store_n(&cpu_found, found, __ATOMIC_RELAXED);
    }
    return (unsigned)level < VECQ_CPU_LEVELS && (found >> level & 1u) != 0;
}

static vecq_cpu_level cpu_highest(void)
{
    int level;

    for (level = VECQ_CPU_LEVELS - 1; level > 0; level--)
        if (vecq_cpu_has((vecq_cpu_level)level))
            break;
    return (vecq_cpu_level)level;
}

static vecq_cpu_level cpu_from_environment(void)
{
    const char *text = getenv("VECQ_CPU_MASK");
    int level;

    if (text != NULL)
        for (level = 0; level < VECQ_CPU_LEVELS; level++)
            if (strcmp(text, cpu_names[level]) == 0)
                return (vecq_cpu_level)level;
    return (vecq_cpu_level)(VECQ_CPU_LEVELS - 1);
}

vecq_cpu_level vecq_cpu_active(void)
{
    int mask = __atomic_load_n(&cpu_mask_highest, __ATOMIC_RELAXED);
    int level;

    if (mask < 0) {
        mask = (int)cpu_from_environment();
        __atomic_store_n(&cpu_mask_highest, mask, __ATOMIC_RELAXED);
    }
    for (level = (int)cpu_highest(); level > mask || !vecq_cpu_has((vecq_cpu_level)level); level--)
        ;
    return (vecq_cpu_level)level;
}

void vecq_cpu_set_mask(vecq_cpu_level highest)
{
    __atomic_store_n(&cpu_mask_highest, (int)highest, __ATOMIC_RELAXED);
}
