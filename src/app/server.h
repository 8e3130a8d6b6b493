// `vestige serve`: the trail service behind HTTP, until a signal comes.
#pragma once

#include "cli/serve_arguments.h"

namespace vestige::app {

// Gives the process's exit code.
int serve(const cli::ServeArguments& arguments);

}  // namespace vestige::app
