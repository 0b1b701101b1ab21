# SPDX-License-Identifier: Apache-2.0
# Language level, warnings and sanitizers, carried by the target ts_compile. The libraries for users
# (cmake/Library.cmake) link it privately, so that none of it reaches their sources.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
# Everything may go into the shared library; without interposition it is as fast as without PIC.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# With the root as its base directory a second copy of the tree (another checkout, build/mutants)
# finds what the first one has compiled: it makes paths relative.
find_program(TS_CCACHE ccache)
if(TS_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(launcher "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" "${TS_CCACHE}")
    set(CMAKE_C_COMPILER_LAUNCHER "${launcher}")
    set(CMAKE_CXX_COMPILER_LAUNCHER "${launcher}")
endif()
file(RELATIVE_PATH up "${PROJECT_BINARY_DIR}" "${PROJECT_SOURCE_DIR}")

add_library(ts_compile INTERFACE)
target_include_directories(ts_compile INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(ts_compile INTERFACE
    -fno-semantic-interposition
    -Wall -Wextra -Wconversion
    # A newer compiler's new warning is no reason for another project's build to fail.
    $<$<BOOL:${PROJECT_IS_TOP_LEVEL}>:-Werror>
    $<$<COMPILE_LANGUAGE:C>:-Wshadow;-Wstrict-prototypes;-Wmissing-prototypes;-Wvla>
    # g++'s full -Wshadow refuses a C function that is named as a struct, which is good C.
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wshadow=local>
    # g++'s -Wconversion leaves the signs out, clang's does not.
    $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wshadow;-Wno-sign-conversion>
    # __FILE__ is relative to the root: messages and binaries do not depend on where it is.
    -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/= -fmacro-prefix-map=${up}=)

if(TS_SANITIZE)
    target_compile_options(ts_compile INTERFACE -fsanitize=${TS_SANITIZE}
        -fno-sanitize-recover=all -fno-omit-frame-pointer
        # The models under sanitizers take most of a test's time; without -O1 twice as much.
        $<$<COMPILE_LANGUAGE:C>:-O1>)
    target_link_options(ts_compile INTERFACE -fsanitize=${TS_SANITIZE})
endif()
if(TS_FUZZ)
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "TS_FUZZ needs clang: cmake --preset fuzz")
    endif()
    target_compile_options(ts_compile INTERFACE -fsanitize=fuzzer-no-link)
endif()
