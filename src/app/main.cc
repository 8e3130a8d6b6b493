// The vestige binary: one program, its command line in cli, its server here.

#include "app/server.h"
#include "cli/cli.h"

int main(int argc, char** argv) {
  return vestige::cli::run(argc, argv, {.serve = vestige::app::serve, .reindex = vestige::app::reindex});
}
