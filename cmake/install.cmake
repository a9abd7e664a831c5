# SPDX-License-Identifier: Apache-2.0
# make install: libraries, headers, pkg-config file, CMake package, command, man pages, completions.
include(CMakePackageConfigHelpers)

install(TARGETS vecq_shared vecq_static EXPORT vecqTargets
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
set_target_properties(vecq_shared PROPERTIES EXPORT_NAME vecq)
if(TARGET vecq)
    install(TARGETS vecq RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/vecq DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# The files below find the prefix from their own place, so a moved or staged (DESTDIR) tree works too.
set(VECQ_PC_FOLDER ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH VECQ_PC_TO_PREFIX ${VECQ_PC_FOLDER} ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" VECQ_PC_TO_PREFIX "${VECQ_PC_TO_PREFIX}")
if(OpenMP_C_FOUND)
    set(VECQ_PC_LIBS_PRIVATE "${OpenMP_C_FLAGS} -lm")
else()
    set(VECQ_PC_LIBS_PRIVATE "-pthread -lm")
endif()
list(TRANSFORM YAML_LIBRARIES PREPEND "-l" OUTPUT_VARIABLE yaml_flags)
list(JOIN yaml_flags " " yaml_flags)
string(PREPEND VECQ_PC_LIBS_PRIVATE "${yaml_flags} ")
configure_file(${CMAKE_SOURCE_DIR}/cmake/vecq.pc.in ${CMAKE_BINARY_DIR}/vecq.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/vecq.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(VECQ_CMAKE_FOLDER ${CMAKE_INSTALL_LIBDIR}/cmake/vecq)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/vecqConfig.cmake.in ${CMAKE_BINARY_DIR}/vecqConfig.cmake
                              INSTALL_DESTINATION ${VECQ_CMAKE_FOLDER})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/vecqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/vecqConfig.cmake ${CMAKE_BINARY_DIR}/vecqConfigVersion.cmake
        DESTINATION ${VECQ_CMAKE_FOLDER})
install(EXPORT vecqTargets NAMESPACE vecq:: DESTINATION ${VECQ_CMAKE_FOLDER})

install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
file(GLOB man_pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*.1)
if(man_pages)
    install(FILES ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
foreach(row IN ITEMS "vecq.bash|bash-completion/completions|vecq" "_vecq|zsh/site-functions|_vecq"
                     "vecq.fish|fish/vendor_completions.d|vecq.fish")
    string(REPLACE "|" ";" row "${row}")
    list(GET row 0 source)
    list(GET row 1 folder)
    list(GET row 2 name)
    if(EXISTS ${CMAKE_SOURCE_DIR}/completions/${source})
        install(FILES ${CMAKE_SOURCE_DIR}/completions/${source} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder}
                RENAME ${name})
    endif()
endforeach()
