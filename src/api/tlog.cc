#include "api/internal/impl.h"
#include "trail/format/note.h"

namespace vestige::api {
namespace {

constexpr std::string_view checkpoint_cache = "public, max-age=1";
constexpr std::string_view tile_cache = "public, max-age=31536000, immutable";

}  // namespace

// Only the audit log is served to everybody; how often somebody looked at it is nobody's business.
bool Api::Impl::is_public_log(const http::Request& request) const {
  const auto tenant = request.captures.find("tenant");
  const auto stream = request.captures.find("stream");
  return tenant->second == parts_.stream.tenant() && stream->second == parts_.stream.name();
}

void Api::Impl::get_checkpoint(http::Request request, http::Responder responder) {
  if (!is_public_log(request)) return responder.respond(no_such("log"));
  query(std::move(responder), [self = shared_from_this()] {
    auto note = self->parts_.reader.checkpoint();
    return note ? text_response(*std::move(note), std::string(checkpoint_cache))
                : http::problem(note.error());
  });
}

void Api::Impl::get_verifier_key(http::Request request, http::Responder responder) {
  if (!is_public_log(request)) return responder.respond(no_such("log"));
  responder.respond(text_response(parts_.signer.verifier_key().text() + "\n", "public, max-age=3600"));
}

void Api::Impl::get_tile(http::Request request, http::Responder responder) {
  const auto name = trail::parse_tile_path(request.captures["path"]);
  if (!is_public_log(request) || !name) return responder.respond(no_such("tile"));
  query(std::move(responder), [self = shared_from_this(), name = *name] {
    // Nothing is shown that no checkpoint commits to yet.
    const auto size = self->parts_.signer.signed_size();
    const auto shift = name.level * trail::tile_height;
    const auto nodes = shift >= 64 ? 0 : size >> shift;
    if (name.number > nodes / trail::tile_leaves || name.number * trail::tile_leaves + name.width > nodes)
      return no_such("tile");
    const auto hashes = self->parts_.stream.snapshot().tile(name.level, name.number, name.width);
    if (!hashes) return http::problem(hashes.error());
    http::Response response{
        .status = 200, .content_type = "application/octet-stream", .body = {}, .headers = {}};
    for (const auto& hash : *hashes) response.body.append(text(hash));
    response.headers.emplace_back("Cache-Control", tile_cache);
    return response;
  });
}

}  // namespace vestige::api
