// TLS as this project speaks it: 1.2 and later, forward-secret AEAD ciphers, no renegotiation or compression.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

#include "base/result.h"

namespace vestige::http::internal {

Result<boost::asio::ssl::context> server_tls(const std::string& certificate_file,
                                             const std::string& key_file);
// Verifies the server against `ca_file`, or against the system's authorities where that is empty.
Result<boost::asio::ssl::context> client_tls(const std::string& ca_file);

}  // namespace vestige::http::internal
