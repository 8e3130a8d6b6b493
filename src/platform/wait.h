// Waiting for a descriptor that a library owns, where the library reads and writes it by itself (libpq).
#pragma once

#include <chrono>

namespace vestige::platform {

// True where it can be read, or has an error to tell; false where `patience` passed first.
bool wait_until_readable(int descriptor, std::chrono::milliseconds patience);
bool wait_until_writable(int descriptor, std::chrono::milliseconds patience);

}  // namespace vestige::platform
