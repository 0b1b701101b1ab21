# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` installs, by component: core (the C library), systemc (the TLM-2.0 modules)
# and tools (the programs, their configurations and the scripts that draw). The tree may be moved.
include(CMakePackageConfigHelpers)
set(TS_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/tlbstorm")
set(pkgconfig "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "/p" OUTPUT_VARIABLE from)
cmake_path(APPEND from "pkgconfig")
cmake_path(RELATIVE_PATH from BASE_DIRECTORY "/p" OUTPUT_VARIABLE depth)
string(REGEX REPLACE "[^/]+" ".." TS_PREFIX_FROM_PC "${depth}")

function(ts_install_component component target)
    install(TARGETS ${target} EXPORT tlbstorm-${component}
        LIBRARY COMPONENT ${component} ARCHIVE COMPONENT ${component})
    install(EXPORT tlbstorm-${component} NAMESPACE tlbstorm:: COMPONENT ${component}
        FILE tlbstorm-${component}.cmake DESTINATION "${TS_CMAKE_DIR}")
endfunction()
function(ts_install_pc name component)
    configure_file("${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in"
        "${PROJECT_BINARY_DIR}/package/${name}.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/package/${name}.pc" DESTINATION "${pkgconfig}"
        COMPONENT ${component})
endfunction()

ts_install_component(core tlbstorm_core)
ts_install_pc(tlbstorm core)
install(FILES sim/api/tlbstorm.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT core)
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT core)
if(SYSTEMC_FOUND)
    ts_install_component(systemc tlbstorm_systemc)
    ts_install_pc(tlbstorm-systemc systemc)
    install(DIRECTORY sim/systemc/tlbstorm DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        COMPONENT systemc FILES_MATCHING PATTERN "*.hpp")
endif()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/tlbstormConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/package/tlbstormConfig.cmake" INSTALL_DESTINATION "${TS_CMAKE_DIR}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/tlbstormConfigVersion.cmake"
    COMPATIBILITY ${TS_COMPATIBILITY})
install(FILES "${PROJECT_BINARY_DIR}/package/tlbstormConfig.cmake"
    "${PROJECT_BINARY_DIR}/package/tlbstormConfigVersion.cmake"
    DESTINATION "${TS_CMAKE_DIR}" COMPONENT core)

# The configurations go with the library too: it reads them by the same names.
install(DIRECTORY configs DESTINATION "${TS_DATA_DIR}" COMPONENT core)
install(DIRECTORY workloads/traces DESTINATION "${TS_DATA_DIR}/workloads" COMPONENT core)
if(TS_TOOLS)
    install(TARGETS tlbstorm RUNTIME COMPONENT tools)
    if(SYSTEMC_FOUND)
        install(TARGETS tlbstorm-systemc RUNTIME COMPONENT tools)
    endif()
    file(GLOB plots CONFIGURE_DEPENDS scripts/*.py)
    install(FILES ${plots} DESTINATION "${TS_DATA_DIR}/scripts" COMPONENT tools)
    install(DIRECTORY scripts/python DESTINATION "${TS_DATA_DIR}/scripts" COMPONENT tools
        PATTERN "__pycache__" EXCLUDE)
    # Of the program itself, so that they know its options.
    foreach(kind bash man)
        add_custom_command(OUTPUT "${PROJECT_BINARY_DIR}/package/completion.${kind}"
            COMMAND tlbstorm completion ${kind} > "${PROJECT_BINARY_DIR}/package/completion.${kind}"
            DEPENDS tlbstorm VERBATIM)
    endforeach()
    add_custom_target(ts_manual ALL DEPENDS "${PROJECT_BINARY_DIR}/package/completion.bash"
        "${PROJECT_BINARY_DIR}/package/completion.man")
    install(FILES "${PROJECT_BINARY_DIR}/package/completion.man" RENAME tlbstorm.1
        DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT tools)
    install(FILES "${PROJECT_BINARY_DIR}/package/completion.bash" RENAME tlbstorm
        DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" COMPONENT tools)
endif()
