# SPDX-License-Identifier: Apache-2.0
# ts_registry_table(OUT TABLE <array> TYPE <struct> FILES <glob> SYMBOL <prefix> HEADER <header>
#                   [STRIP <file prefix>] [EXCLUDE <regex of names>] [NAMES])
#
# Writes generated/<array>.c: the table of every implementation found in the folder, sorted by name,
# so that adding one is adding its file. A generated table and not self-registering constructors,
# because a static library drops objects that nothing names. OUT is the path of the source.
#
# With NAMES it also writes generated/<folder of HEADER>/<array without ts_>.h, for a parameter that
# is an index into the table: <array>_names in the table's order, and an index for each name
# (<ARRAY>_<NAME>, <ARRAY>_LAST), so that a default is told by name whatever files come and go.
function(ts_registry_table out)
    cmake_parse_arguments(PARSE_ARGV 1 arg "NAMES"
        "TABLE;TYPE;FILES;SYMBOL;HEADER;STRIP;EXCLUDE" "")
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

    string(TOUPPER "${arg_TABLE}" upper)
    set(externs "")
    set(rows "")
    set(words "")
    set(indices "")
    foreach(name IN LISTS names)
        string(APPEND externs "extern const struct ${arg_TYPE} ${arg_SYMBOL}${name};\n")
        string(APPEND rows "    &${arg_SYMBOL}${name},\n")
        string(APPEND words "    \"${name}\",\n")
        string(TOUPPER "${upper}_${name}" last)
        string(APPEND indices "    ${last},\n")
    endforeach()
    # The NULL at the end is not counted; it keeps an empty table legal C.
    cmake_path(GET arg_FILES PARENT_PATH folder)
    set(include "#include \"${arg_HEADER}\"\n")
    if(arg_NAMES)
        cmake_path(GET arg_HEADER PARENT_PATH header)
        string(REGEX REPLACE "^ts_" "" stem "${arg_TABLE}")
        string(APPEND header "/${stem}.h")
        string(APPEND include "#include \"${header}\"\n")
    endif()
    set(text "/* Generated from the files of ${folder} by cmake/RegistryTable.cmake. */
${include}
${externs}
extern const struct ${arg_TYPE} *const ${arg_TABLE}[];
extern const size_t ${arg_TABLE}_count;

const struct ${arg_TYPE} *const ${arg_TABLE}[] = {
${rows}    NULL,
};
const size_t ${arg_TABLE}_count = ${count};
")
    if(arg_NAMES)
        if(count EQUAL 0)
            message(FATAL_ERROR "${arg_FILES}: nothing to choose from")
        endif()
        string(APPEND text "
const char *const ${arg_TABLE}_names[] = {
${words}    NULL,
};
")
        file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/generated/${header}" @ONLY CONTENT
"/* Generated from the files of ${folder} by cmake/RegistryTable.cmake: ${arg_TABLE} by name. */
#ifndef ${upper}_NAMES
#define ${upper}_NAMES

#ifdef __cplusplus
extern \"C\" {
#endif

enum ${arg_TABLE}_index {
${indices}    ${upper}_LAST = ${last}
};
extern const char *const ${arg_TABLE}_names[]; /* NULL-ended */

#ifdef __cplusplus
}
#endif
#endif
")
    endif()
    set(file "${PROJECT_BINARY_DIR}/generated/${arg_TABLE}.c")
    file(CONFIGURE OUTPUT "${file}" CONTENT "${text}" @ONLY) # untouched when nothing changed
    set(${out} "${file}" PARENT_SCOPE)
endfunction()
