/* SPDX-License-Identifier: Apache-2.0 */
/* Common head of the unit tests: cmocka in its required include order, and the way to the test data. */
#ifndef VECQ_TEST_H
#define VECQ_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Asserts that a call succeeds and shows the library's own message when it does not. */
#define assert_ok(call, err)                                                                                 \
    do {                                                                                                     \
        if ((call) != VECQ_OK)                                                                               \
            fail_msg("%s: %s", #call, (err)->message);                                                       \
    } while (0)

/* $VECQ_TEST_DATA, or ../shared beside the source tree; NULL when there is none: skip() with a message then.
 */
static inline const char *vecq_test_data(void)
{
    const char *folder = getenv("VECQ_TEST_DATA");

#ifdef VECQ_SOURCE_DIR
    if (folder == NULL && access(VECQ_SOURCE_DIR "/../shared/models", R_OK) == 0)
        return VECQ_SOURCE_DIR "/../shared";
#endif
    return folder != NULL && *folder != '\0' ? folder : NULL;
}

#endif
