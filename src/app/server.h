// `vestige serve`: the trail service behind HTTP, until a signal comes.
#pragma once

#include "cli/cli.h"
#include "cli/serve_arguments.h"

namespace vestige::app {

// Gives the process's exit code.
int serve(const cli::ServeArguments& arguments);

// Builds all sidecars of a directory that is not served anew.
Result<cli::ReindexSummary> reindex(const cli::ReindexArguments& arguments,
                                    const cli::ReindexProgress& progress);

}  // namespace vestige::app
