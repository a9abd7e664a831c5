# SPDX-License-Identifier: Apache-2.0
# oneDNN (Debian: libdnnl-dev, 2.6; or 3.x), for src/backend/onednn. Sets VECQ_HAVE_ONEDNN, and makes VecQ::dnnl.
# Debian's package has no CMake or pkg-config file: header and library are looked for. -DVECQ_ONEDNN_ROOT=DIR: another
# place (DIR/include, DIR/lib).
set(VECQ_HAVE_ONEDNN OFF)
set(VECQ_ONEDNN_LINK "") # what users of the installed static library link
set(VECQ_ONEDNN_ROOT "" CACHE PATH "Folder with include/ and lib/ of oneDNN, when not the system's")
if(VECQ_ONEDNN AND VECQ_SANITIZE MATCHES "thread")
    message(STATUS "oneDNN is left out: the thread sanitizer misreads its OpenMP runtime")
elseif(VECQ_ONEDNN)
    set(where "")
    if(VECQ_ONEDNN_ROOT)
        set(where PATHS ${VECQ_ONEDNN_ROOT}/include ${VECQ_ONEDNN_ROOT}/lib NO_DEFAULT_PATH)
    endif()
    find_path(VECQ_ONEDNN_INCLUDE NAMES oneapi/dnnl/dnnl.h ${where})
    find_library(VECQ_ONEDNN_LIBRARY NAMES dnnl ${where})
    mark_as_advanced(VECQ_ONEDNN_INCLUDE VECQ_ONEDNN_LIBRARY)
    if(VECQ_ONEDNN_INCLUDE AND VECQ_ONEDNN_LIBRARY)
        set(VECQ_HAVE_ONEDNN ON)
        set(VECQ_ONEDNN_LINK dnnl)
        add_library(VecQ::dnnl UNKNOWN IMPORTED)
        set_target_properties(VecQ::dnnl PROPERTIES IMPORTED_LOCATION ${VECQ_ONEDNN_LIBRARY}
                                                    INTERFACE_INCLUDE_DIRECTORIES ${VECQ_ONEDNN_INCLUDE})
        if(VECQ_OPENMP AND CMAKE_C_COMPILER_ID MATCHES "Clang")
            # Ours would be libomp, oneDNN's is libgomp: two runtimes that answer to the same names.
            message(STATUS "clang with oneDNN: our loops use POSIX threads (its OpenMP runtime and oneDNN's do not mix)")
            set(VECQ_OPENMP OFF)
        endif()
    else()
        message(STATUS "No oneDNN (Debian: libdnnl-dev): everything runs on the plain C backend, training slowly")
    endif()
endif()
