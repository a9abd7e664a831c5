/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <sys/wait.h>
#include <unistd.h>

#include "vecq/cpu.h"

static void names(void **state)
{
    (void)state;
    assert_string_equal(vecq_cpu_level_name(VECQ_CPU_REF), "ref");
    assert_string_equal(vecq_cpu_level_name(VECQ_CPU_AVX2), "avx2");
    assert_string_equal(vecq_cpu_level_name(VECQ_CPU_AVXVNNI), "avxvnni");
    assert_string_equal(vecq_cpu_level_name(VECQ_CPU_AVX512), "avx512");
    assert_string_equal(vecq_cpu_level_name(VECQ_CPU_AVX512VNNI), "avx512vnni");
    assert_string_equal(vecq_cpu_level_name(VECQ_CPU_NEON), "neon");
    assert_string_equal(vecq_cpu_level_name(VECQ_CPU_NEONDOT), "neondot");
    assert_null(vecq_cpu_level_name(VECQ_CPU_LEVELS));
    assert_null(vecq_cpu_level_name((vecq_cpu_level)-1));
}

static void families_do_not_mix(void **state)
{
    (void)state;
    assert_true(vecq_cpu_has(VECQ_CPU_REF));
    assert_false(vecq_cpu_has(VECQ_CPU_LEVELS));
    if (vecq_cpu_has(VECQ_CPU_AVX512) || vecq_cpu_has(VECQ_CPU_AVXVNNI))
        assert_true(vecq_cpu_has(VECQ_CPU_AVX2));
    if (vecq_cpu_has(VECQ_CPU_AVX512VNNI))
        assert_true(vecq_cpu_has(VECQ_CPU_AVX512));
    assert_false(vecq_cpu_has(VECQ_CPU_AVX2) && vecq_cpu_has(VECQ_CPU_NEON));
    if (vecq_cpu_has(VECQ_CPU_NEONDOT))
        assert_true(vecq_cpu_has(VECQ_CPU_NEON));
#if defined(__aarch64__)
    assert_true(vecq_cpu_has(VECQ_CPU_NEON));
#elif defined(__x86_64__)
    assert_false(vecq_cpu_has(VECQ_CPU_NEON));
#endif
}

#if defined(__aarch64__)
/* What the operating system says about the processor, against what we say. Under QEMU the file is that of the
 * machine below, and has no such line. */
static void agrees_with_the_kernel(void **state)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[8192];
    int found = 0, neondot = 0;

    (void)state;
    if (file == NULL)
        skip();
    while (!found && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Features", 8) == 0) {
            found = 1;
            neondot = strstr(line, " asimddp") != NULL;
        }
    fclose(file);
    if (!found)
        skip();
    assert_int_equal(!!vecq_cpu_has(VECQ_CPU_NEONDOT), neondot);
}
#else
/* The same on x86. */
static void agrees_with_the_kernel(void **state)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[8192];
    int found = 0, avx2 = 0, avx512 = 0, avxvnni = 0, avx512vnni = 0;

    (void)state;
    if (file == NULL)
        skip();
    while (!found && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "flags", 5) == 0) {
            found = 1;
            avx2 = strstr(line, " avx2") != NULL && strstr(line, " fma") != NULL &&
                   strstr(line, " f16c") != NULL;
            avx512 = avx2 && strstr(line, " avx512f") != NULL && strstr(line, " avx512bw") != NULL &&
                     strstr(line, " avx512dq") != NULL && strstr(line, " avx512vl") != NULL;
            avxvnni = avx2 && strstr(line, " avx_vnni") != NULL;
            avx512vnni = avx512 && strstr(line, " avx512_vnni") != NULL;
        }
    fclose(file);
    if (!found)
        skip();
    assert_int_equal(!!vecq_cpu_has(VECQ_CPU_AVX2), avx2);
    assert_int_equal(!!vecq_cpu_has(VECQ_CPU_AVXVNNI), avxvnni);
    assert_int_equal(!!vecq_cpu_has(VECQ_CPU_AVX512), avx512);
    assert_int_equal(!!vecq_cpu_has(VECQ_CPU_AVX512VNNI), avx512vnni);
}
#endif

static void mask_limits(void **state)
{
    int level, has, highest = 0;

    (void)state;
    for (level = 0; level < VECQ_CPU_LEVELS; level++) {
        has = vecq_cpu_has((vecq_cpu_level)level);
        if (has)
            highest = level;
        vecq_cpu_set_mask((vecq_cpu_level)level);
        assert_int_equal(vecq_cpu_active(), highest);
    }
    vecq_cpu_set_mask(VECQ_CPU_REF);
    assert_int_equal(vecq_cpu_active(), VECQ_CPU_REF);
}

/* The variable is read at the first use, so each value needs a process of its own. */
static int active_with(const char *mask)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        if (mask != NULL)
            setenv("VECQ_CPU_MASK", mask, 1);
        else
            unsetenv("VECQ_CPU_MASK");
        _exit((int)vecq_cpu_active());
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void environment_masks(void **state)
{
    int all = active_with(NULL);

    (void)state;
    assert_true(vecq_cpu_has((vecq_cpu_level)all));
    assert_int_equal(active_with("ref"), VECQ_CPU_REF);
    assert_int_equal(active_with("avx2"), vecq_cpu_has(VECQ_CPU_AVX2) ? VECQ_CPU_AVX2 : VECQ_CPU_REF);
    assert_int_equal(active_with("neon"), vecq_cpu_has(VECQ_CPU_NEON) ? (int)VECQ_CPU_NEON : all);
    assert_int_equal(active_with("neondot"), all);
    assert_int_equal(active_with("no such level"), all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_masks), /* before anything else asks */
        cmocka_unit_test(names),
        cmocka_unit_test(families_do_not_mix),
        cmocka_unit_test(agrees_with_the_kernel),
        cmocka_unit_test(mask_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
