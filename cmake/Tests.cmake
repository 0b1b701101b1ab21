# SPDX-License-Identifier: Apache-2.0
# One ctest entry per test program or script, labelled by its folder: `ctest -L timing`.
set(TS_TEST_TIMEOUT 300)
set(core_libraries ts_models ts_workloads ts_sim)

function(ts_test_properties name label)
    set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${TS_TEST_TIMEOUT}
        ENVIRONMENT "TLBSTORM=$<TARGET_FILE:tlbstorm>;TS_SOURCE_DIR=${PROJECT_SOURCE_DIR};TS_PYTHON=${TS_PYTHON};SYSTEMC_DISABLE_COPYRIGHT_MESSAGE=1;PYTHONDONTWRITEBYTECODE=1")
endfunction()

# ts_test_program(<folder> <source> <libraries...>)
function(ts_test_program folder source)
    cmake_path(GET source STEM LAST_ONLY stem)
    set(target ${folder}_${stem})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE ${ARGN})
    target_compile_definitions(${target} PRIVATE TS_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    set_target_properties(${target} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
    add_test(NAME ${folder}/${stem} COMMAND ${target})
    ts_test_properties(${folder}/${stem} ${folder})
endfunction()

foreach(folder unit timing formula diff swarm)
    file(GLOB sources CONFIGURE_DEPENDS tests/${folder}/*_test.cpp)
    foreach(source IN LISTS sources)
        ts_test_program(${folder} ${source} ts_front ts_kernel_none ${core_libraries}
            GTest::gtest GTest::gtest_main Boost::iostreams)
    endforeach()
endforeach()

# The C core's memory in this program is tests/support/failing_memory.hpp.
target_link_options(unit_memory_test PRIVATE -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc)

# libsystemc exports main and wants sc_main, so these programs bring both and no gtest_main.
if(SYSTEMC_FOUND)
    file(GLOB sources CONFIGURE_DEPENDS tests/sysc/*_test.cpp)
    foreach(source IN LISTS sources)
        ts_test_program(sysc ${source} ts_front ts_systemc ${core_libraries} GTest::gtest)
    endforeach()
endif()

# A fuzz target is LLVMFuzzerTestOneInput in *_fuzz.cpp: with libFuzzer where TS_FUZZ is on, else
# with a driver that takes the same options and mutates at random.
file(GLOB sources CONFIGURE_DEPENDS tests/fuzz/*_fuzz.cpp)
foreach(source IN LISTS sources)
    cmake_path(GET source STEM LAST_ONLY stem)
    add_executable(${stem} ${source})
    set_target_properties(${stem} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
    target_link_libraries(${stem} PRIVATE ts_front ts_kernel_none ${core_libraries})
    if(TS_FUZZ)
        target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(${stem} PRIVATE tests/fuzz/standalone_main.cpp)
    endif()
    string(REGEX REPLACE "_fuzz$" "" corpus "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${stem}")
    if(NOT EXISTS "${corpus}")
        set(corpus "")
    endif()
    # -runs counts inputs; a seed makes the run repeatable. The copy keeps libFuzzer's finds out of
    # the source tree.
    set(finds "${PROJECT_BINARY_DIR}/fuzz/${stem}")
    file(MAKE_DIRECTORY "${finds}")
    add_test(NAME fuzz/${stem} WORKING_DIRECTORY "${finds}"
        COMMAND ${stem} -runs=2000 -seed=1 -max_total_time=20 "${finds}" ${corpus})
    ts_test_properties(fuzz/${stem} fuzz)
endforeach()

file(GLOB scripts CONFIGURE_DEPENDS tests/cli/*.sh)
foreach(script IN LISTS scripts)
    cmake_path(GET script STEM LAST_ONLY stem)
    add_test(NAME cli/${stem} COMMAND bash "${script}")
    ts_test_properties(cli/${stem} cli)
endforeach()

# --- checks of the tree itself, and the tests that each of them can fail ---------------------------
function(ts_check name)
    add_test(NAME checks/${name} COMMAND "${TS_PYTHON}"
        "${PROJECT_SOURCE_DIR}/scripts/checks/${name}.py" --root "${PROJECT_SOURCE_DIR}" ${ARGN})
    ts_test_properties(checks/${name} checks)
    set_tests_properties(checks/${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()
ts_check(layers)
ts_check(tidy)
ts_check(links)
ts_check(format)
ts_check(headers --include "${PROJECT_BINARY_DIR}/generated")

file(GLOB scripts CONFIGURE_DEPENDS tests/checks/*_test.py)
foreach(script IN LISTS scripts)
    cmake_path(GET script STEM LAST_ONLY stem)
    add_test(NAME checks/${stem} COMMAND "${TS_PYTHON}" "${script}")
    ts_test_properties(checks/${stem} checks)
    set_tests_properties(checks/${stem} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()

# --- mutants: rules broken on purpose (docs/testing.md) ---------------------------------------------
# All blocks are looked at. The dozen of ci.list is built where TS_MUTANTS is on: it takes minutes, in a
# copy of the tree that all presets share.
set(mutants "${TS_PYTHON}" "${PROJECT_SOURCE_DIR}/scripts/mutants")
add_test(NAME mutants/list COMMAND ${mutants} --list)
ts_test_properties(mutants/list mutants)
if(TS_MUTANTS)
    add_test(NAME mutants/slice
        COMMAND ${mutants} --names "${PROJECT_SOURCE_DIR}/tests/mutants/ci.list")
    ts_test_properties(mutants/slice mutants)
    # The first run builds the copy.
    set_tests_properties(mutants/slice PROPERTIES TIMEOUT 1800)
endif()
