// Tokens: 256 random bits that open something, of which only the SHA-256 is kept. So much entropy needs no
// slow hash, and where a hash stands in an index tells nothing about a token.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "platform/entropy.h"

namespace vestige::access {

// `prefix` and 43 characters of base64url, so that a leaked one is recognised for what it is.
std::string make_token(std::string_view prefix, platform::Entropy& entropy);
Hash token_digest(std::string_view token);

}  // namespace vestige::access
