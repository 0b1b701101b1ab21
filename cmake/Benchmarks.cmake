# SPDX-License-Identifier: Apache-2.0
# `ninja bench` builds them all into bench/. ctest runs each one briefly, so that none rots.
add_custom_target(bench)
file(GLOB sources CONFIGURE_DEPENDS bench/*_bench.cpp)
foreach(source IN LISTS sources)
    cmake_path(GET source STEM LAST_ONLY stem)
    add_executable(${stem} ${source})
    target_link_libraries(${stem} PRIVATE ts_front ts_kernel_none
        ts_models ts_workloads ts_sim benchmark::benchmark benchmark::benchmark_main)
    set_target_properties(${stem} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bench")
    add_dependencies(bench ${stem})
    if(TS_TESTS)
        add_test(NAME bench/${stem} COMMAND ${stem} --benchmark_min_time=0.001)
        ts_test_properties(bench/${stem} bench)
    endif()
endforeach()
