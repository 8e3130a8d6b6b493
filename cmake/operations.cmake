# Holds openapi.json against the rows of authority (src/access/assets/operations.json), and writes the list of
# operations that routes are made from: <generated/operations.h>. An operation that needs a caller and has no row fails
# the build, and so does a row without an operation: what nobody decided about cannot be served.

function(vestige_operations target openapi rows)
  foreach(file ${openapi} ${rows})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${file})
  endforeach()
  file(READ ${openapi} description)
  file(READ ${rows} row_text)
  string(JSON paths GET "${description}" paths)
  set(closed "")
  set(lines "")
  string(JSON path_count LENGTH "${paths}")
  math(EXPR path_last "${path_count} - 1")
  foreach(i RANGE ${path_last})
    string(JSON path MEMBER "${paths}" ${i})
    string(JSON methods GET "${paths}" "${path}")
    string(JSON method_count LENGTH "${methods}")
    math(EXPR method_last "${method_count} - 1")
    foreach(j RANGE ${method_last})
      string(JSON method MEMBER "${methods}" ${j})
      string(JSON operation GET "${methods}" "${method}")
      string(JSON name GET "${operation}" operationId)
      string(JSON security LENGTH "${operation}" security)
      if(security GREATER 0)
        list(APPEND closed ${name})
        set(needs_caller true)
      else()
        set(needs_caller false)
      endif()
      string(TOUPPER ${method} method)
      string(APPEND lines "    {\"${name}\", \"${method}\", \"${path}\", ${needs_caller}},\n")
    endforeach()
  endforeach()
  string(JSON row_count LENGTH "${row_text}")
  math(EXPR row_last "${row_count} - 1")
  set(known "")
  foreach(i RANGE ${row_last})
    string(JSON name MEMBER "${row_text}" ${i})
    list(APPEND known ${name})
    if(NOT name IN_LIST closed)
      message(FATAL_ERROR "${rows} has a row for ${name}, which is no operation of ${openapi} that needs a caller. "
        "Take the row out, or describe the operation.")
    endif()
  endforeach()
  foreach(name IN LISTS closed)
    if(NOT name IN_LIST known)
      message(FATAL_ERROR "The operation ${name} of ${openapi} has no row in ${rows}: nobody has decided who may do it. "
        "Add the row, and grant it in src/access/assets/policy.json to the roles that may.")
    endif()
  endforeach()
  set(folder ${PROJECT_BINARY_DIR}/generated/operations)
  file(CONFIGURE OUTPUT ${folder}/generated/operations.h @ONLY CONTENT
"#pragma once

#include <string_view>

namespace vestige::api {

struct DescribedOperation {
  std::string_view name;
  std::string_view method;
  std::string_view path;
  bool needs_caller;
};
inline constexpr DescribedOperation described_operations[] = {
@lines@};

}  // namespace vestige::api
")
  target_include_directories(${target} PUBLIC ${folder})
endfunction()
