#include "http/internal/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>

namespace vestige::http::internal {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr const char* tls_1_2_ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

Result<ssl::context> modern(ssl::context::method method) {
  try {
    ssl::context context(method);
    const bool set = SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION) == 1 &&
                     SSL_CTX_set_cipher_list(context.native_handle(), tls_1_2_ciphers) == 1;
    if (!set)
      return fail(ErrorKind::io,
                  "OpenSSL refuses TLS 1.2 with forward-secret ciphers; its configuration "
                  "forbids them.");
    SSL_CTX_set_options(context.native_handle(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);
    return context;
  } catch (const boost::system::system_error& error) {
    return fail(ErrorKind::io, fmt::format("OpenSSL could not be set up for TLS: {}.", error.what()));
  }
}

// OpenSSL compares a key with the certificate as it is loaded.
bool is_mismatch(error_code error) {
  const auto code = static_cast<unsigned long>(error.value());
  return ERR_GET_LIB(code) == ERR_LIB_X509 && (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH ||
                                               ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH);
}

}  // namespace

Result<ssl::context> server_tls(const std::string& certificate_file, const std::string& key_file) {
  if (certificate_file.empty() || key_file.empty())
    return fail(ErrorKind::invalid,
                fmt::format("TLS needs a certificate and its key, and only the {} file is set; set "
                            "both, or none for plain HTTP.",
                            certificate_file.empty() ? "key" : "certificate"));
  VESTIGE_TRY(auto context, modern(ssl::context::tls_server));
  error_code error;
  context.use_certificate_chain_file(certificate_file, error);
  if (error)
    return fail(ErrorKind::invalid,
                fmt::format("The TLS certificate {} cannot be used: {}. It must be a readable PEM "
                            "file with the server's certificate first and its chain after it.",
                            certificate_file, error.message()));
  context.use_private_key_file(key_file, ssl::context::pem, error);
  if (is_mismatch(error))
    return fail(ErrorKind::invalid,
                fmt::format("The TLS key {} does not belong to the certificate {}; name the pair "
                            "that was made together.",
                            key_file, certificate_file));
  if (error)
    return fail(ErrorKind::invalid,
                fmt::format("The TLS key {} cannot be used: {}. It must be a readable PEM file "
                            "without a pass phrase.",
                            key_file, error.message()));
  return context;
}

Result<ssl::context> client_tls(const std::string& ca_file) {
  VESTIGE_TRY(auto context, modern(ssl::context::tls_client));
  error_code error;
  if (ca_file.empty()) {
    context.set_default_verify_paths(error);
    if (error)
      return fail(ErrorKind::invalid,
                  fmt::format("The system's certificate authorities cannot be read: {}. Name a PEM "
                              "file of your own.",
                              error.message()));
  } else {
    context.load_verify_file(ca_file, error);
    if (error)
      return fail(ErrorKind::invalid,
                  fmt::format("The certificate authorities in {} cannot be used: {}. It must be a "
                              "readable PEM file.",
                              ca_file, error.message()));
  }
  context.set_verify_mode(ssl::verify_peer, error);
  if (error) return fail(ErrorKind::io, fmt::format("OpenSSL refuses to verify: {}.", error.message()));
  return context;
}

}  // namespace vestige::http::internal
