# shellcheck shell=bash
# Shared by ./run, ./test, ./dev and .ci/run; sourced, never run. Finds out what is missing on this machine,
# installs it from Debian's packages, and builds. Everything is quiet unless it takes long or fails.
#
# The sourcing script stands in the root of the repository and has set -euo pipefail.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
packages_file="$root/tools/packages.txt"

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }

# The packages of the groups given.
packages_of() {
  local group
  for group in "$@"; do
    awk -v group="$group" '$1 == group { print $2 }' "$packages_file"
  done
}

# Those of the packages given that are not installed.
missing_of() {
  local installed package
  installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "$@" 2>/dev/null || true)"
  for package in "$@"; do
    # A newer Node.js than Debian's brings its own npm, and Debian's cannot be installed beside it.
    [[ "$package" == npm ]] && command -v npm >/dev/null && continue
    [[ "$installed" == *" installed:$package "* ]] || printf '%s\n' "$package"
  done
}

# On a system other than Debian 12 nothing is installed: what is there has to do, and CMake names the
# libraries that are not.
set_up_elsewhere() {
  local found="$1" tool missing=()
  local tools=(clang++-19 ld.lld-19 llvm-ar-19 cmake ninja pkg-config)
  [[ " $2 " == *" test "* ]] && tools+=(python3 curl)
  [[ " $2 " == *" check "* ]] && tools+=(clang-format-19 clang-tidy-19)
  for tool in "${tools[@]}"; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  if ((${#missing[@]})); then
    complain "This system is $found. Vestige is built for Debian 12 and installs what it needs there by itself."
    complain "Here these tools are missing: ${missing[*]}"
    complain "Install them and the libraries that tools/packages.txt names, or use a Debian 12 machine."
    exit 2
  fi
  complain "This system is $found, not Debian 12; all tools are present, so going on with them."
}

# set_up GROUP...: makes sure that the packages of these groups are installed.
set_up() {
  local system="an unknown system" id="" version="" missing=() as_root=() log="$root/build/packages.log"
  if [[ -r /etc/os-release ]]; then
    # shellcheck disable=SC1091
    { read -r id && read -r version && read -r system; } < <(
      . /etc/os-release && printf '%s\n%s\n%s\n' "${ID:-}" "${VERSION_ID:-}" "${PRETTY_NAME:-unknown}")
  fi
  if [[ "$id" != debian || "$version" != 12 ]] || ! command -v dpkg-query >/dev/null; then
    set_up_elsewhere "$system" "$*"
    return
  fi
  mapfile -t missing < <(packages_of "$@")
  mapfile -t missing < <(missing_of "${missing[@]}")
  ((${#missing[@]})) || return 0

  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      complain "These Debian packages are missing, and installing them needs root, which neither you nor sudo give:"
      complain ""
      complain "  apt-get update && apt-get install --no-install-recommends ${missing[*]}"
      complain ""
      complain "Run that line as root, then this command again."
      exit 2
    fi
    as_root=(sudo)
  fi
  say "Installing Debian packages (missing: ${#missing[@]}; log: build/packages.log) ..."
  mkdir -p "$root/build"
  if ! { "${as_root[@]}" apt-get update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    complain ""
    complain "Installing packages failed; the lines above are the end of build/packages.log."
    complain "Check the network and the package sources of this machine, then run this command again."
    exit 2
  fi
}

# As many compilers as there are cores, fewer where memory is short: one takes up to 1.2 GB.
build_jobs() {
  local cores memory_kib jobs
  cores="$(nproc)"
  memory_kib="$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)"
  jobs=$((${memory_kib:-4000000} / 1200000))
  ((jobs < 1)) && jobs=1
  ((jobs > cores)) && jobs="$cores"
  printf '%s\n' "$jobs"
}

# build PRESET TARGET...: configures where that was not done yet, then builds into build/PRESET.
# Progress is shown on a terminal; elsewhere only a failure is.
build() {
  local preset="$1" directory="$root/build/$1" log="$root/build/$1.log" status=0
  shift
  mkdir -p "$root/build"
  # A checkout that was moved or copied carries a cache which names another folder; CMake refuses it.
  if [[ -f "$directory/CMakeCache.txt" ]] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$directory/CMakeCache.txt"; then
    rm -rf "$directory"
  fi
  if [[ ! -f "$directory/build.ninja" ]]; then
    (cd "$root" && cmake --preset "$preset") >"$log" 2>&1 || status=$?
    if ((status)); then
      tail -n 40 "$log" >&2
      complain ""
      complain "Configuring the build failed; the whole text is in build/$preset.log."
      exit 1
    fi
  fi
  if [[ -t 1 ]]; then
    NINJA_STATUS="Building $preset: %f of %t, %es  " \
      ninja -C "$directory" -j "$(build_jobs)" "$@" </dev/null || status=$?
  else
    ninja -C "$directory" -j "$(build_jobs)" "$@" </dev/null >"$log" 2>&1 || status=$?
    if ((status)); then
      grep -v '^\[[0-9]*/[0-9]*\] ' "$log" | tail -n 60 >&2 || true
    fi
  fi
  if ((status)); then
    complain ""
    complain "Building ${*:-everything} in build/$preset failed."
    exit 1
  fi
}

# Debian's own interpreter, which sees Debian's python3-* packages even where another one comes first on PATH.
python() {
  if [[ -x /usr/bin/python3 ]]; then
    /usr/bin/python3 "$@"
  else
    python3 "$@"
  fi
}

# The checks that need no build, as arguments of tools/suite.py. Each proves itself on a planted offence too.
quick_checks() {
  local name
  printf '%s\n' "--check=suite-self-test=tools/suite.py --self-test"
  for name in edges banned sizes documents requirements; do
    printf '%s\n' "--check=$name=tools/check_$name.py" "--check=$name-self-test=tools/check_$name.py --self-test"
  done
}

is_module() { grep -q "^$1:" "$root/src/edges.txt" 2>/dev/null; }

has_unit_tests() { [[ -n "$(find "$root/src/$1" -name '*_test.cc' -print -quit)" ]]; }

# As build, for callers that promise a count as their last line.
must_build() {
  if ! (build "$@"); then
    say ""
    say "0 passed, 1 failed, 0 skipped"
    exit 1
  fi
}

# run_tests FILTER: what ./test does after the set-up.
run_tests() {
  local filter="$1" checks=()
  mapfile -t checks < <(quick_checks)
  if [[ -n "$filter" ]] && is_module "$filter" && has_unit_tests "$filter"; then
    must_build dev "${filter}_test"
    python "$root/tools/suite.py" --units build/dev --filter "$filter"
    return
  fi
  must_build dev tests
  must_build e2e vestige
  python "$root/tools/suite.py" "${checks[@]}" --units build/dev --e2e --filter "$filter"
}
