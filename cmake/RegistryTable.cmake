# SPDX-License-Identifier: Apache-2.0
# ts_registry_table(OUT TABLE <array> TYPE <struct> FILES <glob> SYMBOL <prefix> HEADER <header>
#                   [STRIP <file prefix>] [EXCLUDE <regex of names>])
#
# Writes generated/<array>.c: the table of every implementation found in the folder, sorted by name,
# so that adding one is adding its file. A generated table and not self-registering constructors,
# because a static library drops objects that nothing names. OUT is the path of the source.
function(ts_registry_table out)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TABLE;TYPE;FILES;SYMBOL;HEADER;STRIP;EXCLUDE" "")
    file(GLOB paths CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${arg_FILES}")
    set(names "")
    foreach(path IN LISTS paths)
        cmake_path(GET path STEM LAST_ONLY name)
        if(arg_EXCLUDE AND name MATCHES "${arg_EXCLUDE}")
            continue()
        endif()
        if(arg_STRIP)
            string(REGEX REPLACE "^${arg_STRIP}" "" name "${name}")
        endif()
        if(NOT name MATCHES "^[a-z][a-z0-9_]*$")
            message(FATAL_ERROR "${path}: the file name must be a lower-case C identifier")
        endif()
        list(APPEND names "${name}")
    endforeach()
    list(SORT names COMPARE STRING)
    list(LENGTH names count)

    set(externs "")
    set(rows "")
    foreach(name IN LISTS names)
        string(APPEND externs "extern const struct ${arg_TYPE} ${arg_SYMBOL}${name};\n")
        string(APPEND rows "    &${arg_SYMBOL}${name},\n")
    endforeach()
    # The NULL at the end is not counted; it keeps an empty table legal C.
    cmake_path(GET arg_FILES PARENT_PATH folder)
    set(text "/* Generated from the files of ${folder} by cmake/RegistryTable.cmake. */
#include \"${arg_HEADER}\"

${externs}
extern const struct ${arg_TYPE} *const ${arg_TABLE}[];
extern const size_t ${arg_TABLE}_count;

const struct ${arg_TYPE} *const ${arg_TABLE}[] = {
${rows}    NULL,
};
const size_t ${arg_TABLE}_count = ${count};
")
    set(file "${PROJECT_BINARY_DIR}/generated/${arg_TABLE}.c")
    file(CONFIGURE OUTPUT "${file}" CONTENT "${text}" @ONLY) # untouched when nothing changed
    set(${out} "${file}" PARENT_SCOPE)
endfunction()
