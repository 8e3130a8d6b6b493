#include "base/result.h"

namespace vestige {

const char* name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::denied:
      return "denied";
    case ErrorKind::invalid:
      return "invalid";
    case ErrorKind::exhausted:
      return "exhausted";
    case ErrorKind::unavailable:
      return "unavailable";
    case ErrorKind::corrupt:
      return "corrupt";
    case ErrorKind::io:
      return "io";
  }
  return "unknown";
}

}  // namespace vestige
