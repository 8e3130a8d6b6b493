// CHECK: an invariant of our own that must hold, in every build. It ends the process, because going on
// with a broken invariant would write a wrong trail. Nothing that a client, a file or a disk can cause
// may reach a CHECK: those are Results. DCHECK is for costly checks and is compiled in debug builds only.
#pragma once

namespace vestige {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}  // namespace vestige

#define CHECK(condition)                                       \
  do {                                                         \
    if (!(condition)) [[unlikely]]                             \
      ::vestige::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)

#ifdef NDEBUG
#define DCHECK(condition) \
  do {                    \
  } while (false)
#else
#define DCHECK(condition) CHECK(condition)
#endif
