# SPDX-License-Identifier: Apache-2.0
# Warnings, by what the compilers share and what each has alone. C++ (header test only) takes the shared ones.
set(VECQ_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wpointer-arith -Wwrite-strings -Wcast-qual)
set(VECQ_WARNINGS_C -Wstrict-prototypes -Wmissing-prototypes -Wvla)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # snprintf() is used where cutting off is meant; which cases gcc can see changes with every version.
    list(APPEND VECQ_WARNINGS_C -Wlogical-op -Wduplicated-cond -Wno-format-truncation)
    if(CMAKE_C_COMPILER_VERSION VERSION_LESS 12)
        list(APPEND VECQ_WARNINGS_C -Wno-array-bounds) # fires on guard bytes before a pointer into an array
    endif()
    if(VECQ_SANITIZE)
        # Instrumented code defeats gcc's flow analysis: these two then fire on sound code. Plain builds keep them.
        list(APPEND VECQ_WARNINGS_C -Wno-maybe-uninitialized -Wno-stringop-overflow)
    endif()
elseif(CMAKE_C_COMPILER_ID MATCHES "Clang")
    # What gcc has in -Wextra, or cannot see.
    list(APPEND VECQ_WARNINGS_C -Wimplicit-fallthrough -Wunreachable-code -Wextra-semi)
endif()
if(VECQ_WERROR)
    list(APPEND VECQ_WARNINGS -Werror)
endif()
