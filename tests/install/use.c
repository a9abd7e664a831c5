/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled as C and as C++ against an installed library. */
#include <stdio.h>
#include <string.h>

#include <vecq/vecq.h>

int main(void)
{
    vecq_cpu_level level = vecq_cpu_active();

    if (strcmp(vecq_version(), VECQ_VERSION_STRING) != 0) {
        fprintf(stderr, "header %s, library %s\n", VECQ_VERSION_STRING, vecq_version());
        return 1;
    }
    printf("vecq %s on %s, %s\n", vecq_version(), vecq_cpu_level_name(level), vecq_status_name(VECQ_OK));
    return vecq_cpu_has(level) ? 0 : 1;
}
