# SPDX-License-Identifier: Apache-2.0
# tlbstorm::core, the shared library behind tlbstorm.h, and tlbstorm::systemc, the TLM-2.0 modules.
# They carry include folders and nothing else to those who link them.
set(TS_EXPORTS "${PROJECT_SOURCE_DIR}/sim/api/exports.map")
file(GLOB api_sources CONFIGURE_DEPENDS sim/api/*.cpp)
add_library(tlbstorm_core SHARED ${api_sources})
add_library(tlbstorm::core ALIAS tlbstorm_core)
target_include_directories(tlbstorm_core INTERFACE
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/sim/api>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
target_link_libraries(tlbstorm_core PRIVATE ts_front)
# All of the models, whatever of them the API itself uses: the SystemC modules stand on them.
set(whole ts_models ts_workloads ts_sim)
list(TRANSFORM whole REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE archives)
list(JOIN archives "," joined)
target_link_options(tlbstorm_core PRIVATE
    "LINKER:--whole-archive,${joined},--no-whole-archive"
    "LINKER:--version-script=${TS_EXPORTS}")
if(NOT TS_SANITIZE AND NOT TS_FUZZ)
    target_link_options(tlbstorm_core PRIVATE "LINKER:-z,defs")
endif()
add_dependencies(tlbstorm_core ${whole})
# Before 1.0 a new minor version may change the interface (semver.org, 4), so it is in the soname.
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(TS_SOVERSION "0.${PROJECT_VERSION_MINOR}")
    set(TS_COMPATIBILITY SameMinorVersion)
else()
    set(TS_SOVERSION "${PROJECT_VERSION_MAJOR}")
    set(TS_COMPATIBILITY SameMajorVersion)
endif()
set_target_properties(tlbstorm_core PROPERTIES OUTPUT_NAME tlbstorm EXPORT_NAME core
    VERSION "${PROJECT_VERSION}" SOVERSION "${TS_SOVERSION}"
    LINK_DEPENDS "${TS_EXPORTS};${archives}")

if(SYSTEMC_FOUND)
    file(GLOB module_sources CONFIGURE_DEPENDS sim/systemc/modules/*.cpp)
    add_library(tlbstorm_systemc STATIC sim/systemc/host.cpp ${module_sources})
    add_library(tlbstorm::systemc ALIAS tlbstorm_systemc)
    target_include_directories(tlbstorm_systemc PUBLIC
        "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/sim/systemc>"
        "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    target_include_directories(tlbstorm_systemc PRIVATE "${PROJECT_BINARY_DIR}/generated")
    target_link_libraries(tlbstorm_systemc PUBLIC tlbstorm_core PkgConfig::SYSTEMC
        PRIVATE $<BUILD_INTERFACE:ts_compile>)
    target_compile_definitions(tlbstorm_systemc PRIVATE SC_INCLUDE_DYNAMIC_PROCESSES)
    # Debian's libsystemc is built as C++17 and links with nothing else.
    target_compile_features(tlbstorm_systemc PUBLIC cxx_std_17)
    set_target_properties(tlbstorm_systemc PROPERTIES OUTPUT_NAME tlbstorm-systemc
        EXPORT_NAME systemc)
endif()
