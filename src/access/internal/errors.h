// Errors that several parts of this module give in the same words.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace vestige::access {

// Of input, by JSON pointer; `limit` is the name and value of one that was hit.
std::unexpected<Error> invalid_at(std::string path, std::string what, std::string limit = {});
std::unexpected<Error> exhausted(std::string what, std::string limit);

// Where whoever asks is to learn nothing else.
std::unexpected<Error> not_let_in();
std::unexpected<Error> wrong_link();

}  // namespace vestige::access
