#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace vestige {

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr,
               "vestige: internal invariant broken: %s (%s:%d).\n"
               "The process stops rather than write a wrong trail. Please report this line.\n",
               expression, file, line);
  std::abort();
}

}  // namespace vestige
