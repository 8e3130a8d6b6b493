// The process around us: environment, host name, local time zone, terminal, signals, child processes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/strong.h"

namespace vestige::platform {

std::optional<std::string> environment(const std::string& name);
std::string host_name();  // "localhost" where the machine has none
bool is_terminal(int descriptor);
unsigned terminal_columns();  // of standard output; 80 where it is no terminal

// A local wall-clock time ("2026-11-25 14:36:01") of this machine's time zone as an instant. A time that
// occurs twice is read as its first occurrence; one that the zone skips as the moment of the change.
std::optional<UnixMs> local_time(std::string_view text);

// Runs a program (argv[0] found on PATH, no shell) and hands over its standard output in pieces as they
// come; standard error goes to ours. Gives the exit status. `on_output` returning an error ends the child.
Result<int> run_program(const std::vector<std::string>& argv,
                        const std::function<Status(std::string_view)>& on_output);

// Blocks until SIGINT or SIGTERM comes. Call block_stop_signals() before the first thread starts.
void block_stop_signals();
int wait_for_stop_signal();

// The same as a terminal prompt would show: the resident memory of this process in bytes.
std::uint64_t resident_bytes();

}  // namespace vestige::platform
