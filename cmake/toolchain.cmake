# Compiler and linker settings that every target shares.

find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(MAXMINDDB REQUIRED IMPORTED_TARGET libmaxminddb)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(SIMDJSON REQUIRED IMPORTED_TARGET simdjson)
find_package(SQLite3 REQUIRED)
# The archives: the shared libraries keep type information back that UBSan needs.
find_library(SOCI_CORE libsoci_core.a REQUIRED)
find_library(SOCI_SQLITE3 libsoci_sqlite3.a REQUIRED)
find_package(PostgreSQL REQUIRED)
pkg_check_modules(RDKAFKA REQUIRED IMPORTED_TARGET rdkafka)
pkg_check_modules(ARGON2 REQUIRED IMPORTED_TARGET libargon2)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS url json)
find_package(CLI11 REQUIRED)
pkg_check_modules(TOMLPLUSPLUS REQUIRED IMPORTED_TARGET tomlplusplus)

find_program(CCACHE ccache)
if(CCACHE)
  # Without these ccache takes nothing that uses the precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

add_library(vestige_options INTERFACE)
target_compile_options(vestige_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Werror=return-type -fno-omit-frame-pointer)
target_include_directories(vestige_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(vestige_options INTERFACE FMT_ENFORCE_COMPILE_STRING=0)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(vestige_options INTERFACE -Wthread-safety -Werror "SHELL:-Xclang -fno-pch-timestamp")
  target_link_options(vestige_options INTERFACE -fuse-ld=lld)
endif()
if(VESTIGE_SANITIZE)
  target_compile_options(vestige_options INTERFACE -fsanitize=${VESTIGE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(vestige_options INTERFACE -fsanitize=${VESTIGE_SANITIZE})
endif()
target_link_libraries(vestige_options INTERFACE Threads::Threads fmt::fmt)
