# Files as constants of the program, so that the server is one file and cannot lose its pages or schemas.
#
#   vestige_embed(vestige_api vestige::api::assets src/api/assets/index.html ...)
#
# gives the target a header <generated/api_assets.h> (the namespace less "vestige::", "_" for "::") with, in that
# namespace, one `std::string_view` a file, named after it ("index.html" is index_html), and `files`, an array of
# {name, content} in the order given. Any bytes are safe; a changed file is embedded again by the next build.
#
# The same file, run as a script (cmake -P), writes header and source.

function(vestige_embed target namespace)
  get_target_property(type ${target} TYPE)
  # A module without sources yet has nothing to compile into.
  if(type STREQUAL "INTERFACE_LIBRARY")
    return()
  endif()
  string(REGEX REPLACE "^vestige::" "" stem ${namespace})
  string(REPLACE "::" "_" stem ${stem})
  set(folder ${PROJECT_BINARY_DIR}/generated/${target})
  set(paths "")
  foreach(file IN LISTS ARGN)
    get_filename_component(path ${file} ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
    list(APPEND paths ${path})
  endforeach()
  string(REPLACE ";" "|" joined "${paths}")
  add_custom_command(
    OUTPUT ${folder}/generated/${stem}.h ${folder}/generated/${stem}.cc
    COMMAND ${CMAKE_COMMAND} -D STEM=${stem} -D NAMESPACE=${namespace} -D FOLDER=${folder}/generated
            -D FILES=${joined} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${paths} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Embedding ${namespace}"
    VERBATIM)
  target_sources(${target} PRIVATE ${folder}/generated/${stem}.cc ${folder}/generated/${stem}.h)
  # All of them by one name, for who reads the sources and compiles nothing.
  if(NOT TARGET vestige_embedded)
    add_custom_target(vestige_embedded)
  endif()
  add_custom_target(vestige_embedded_${stem} DEPENDS ${folder}/generated/${stem}.h)
  add_dependencies(vestige_embedded vestige_embedded_${stem})
  target_include_directories(${target} PUBLIC ${folder})
endfunction()

# Lines of 16 characters; each an escape of its own, so that no byte can end the literal or join its neighbour.
function(vestige_embed_bytes path result)
  file(READ ${path} hex HEX)
  string(REPEAT "." 32 line)
  string(REGEX REPLACE "(${line})" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
  set(${result} "${bytes}" PARENT_SCOPE)
endfunction()

function(vestige_embed_write)
  string(REPLACE "|" ";" paths "${FILES}")
  list(LENGTH paths count)
  set(declarations "")
  set(definitions "")
  set(constants "")
  set(rows "")
  foreach(path IN LISTS paths)
    get_filename_component(name ${path} NAME)
    string(MAKE_C_IDENTIFIER ${name} constant)
    file(SIZE ${path} size)
    vestige_embed_bytes(${path} bytes)
    string(APPEND declarations "extern const std::string_view ${constant};\n")
    # The zero behind the content keeps an empty file from being an array of no elements.
    string(APPEND definitions "constexpr char ${constant}_bytes[] = {\n${bytes}'\\0'};\n")
    string(APPEND constants "constinit const std::string_view ${constant}(${constant}_bytes, ${size});\n")
    string(APPEND rows "  File{\"${name}\", std::string_view(${constant}_bytes, ${size})},\n")
  endforeach()
  file(WRITE ${FOLDER}/${STEM}.h
    "#pragma once\n\n#include <array>\n#include <string_view>\n\nnamespace ${NAMESPACE} {\n\n"
    "struct File {\n  std::string_view name;\n  std::string_view content;\n};\n\n"
    "${declarations}extern const std::array<File, ${count}> files;\n\n}  // namespace ${NAMESPACE}\n")
  file(WRITE ${FOLDER}/${STEM}.cc
    "#include <generated/${STEM}.h>\n\nnamespace ${NAMESPACE} {\nnamespace {\n\n${definitions}\n}  // namespace\n\n"
    "${constants}\nconstinit const std::array<File, ${count}> files = {\n${rows}};\n\n}  // namespace ${NAMESPACE}\n")
endfunction()

if(CMAKE_SCRIPT_MODE_FILE)
  vestige_embed_write()
endif()
