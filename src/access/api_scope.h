// What an API key may be used for at all, whatever its role allows.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace vestige::access {

enum class Scope : std::uint8_t { ingest = 1, read = 2, admin = 4 };
std::string_view name_of(Scope scope);
std::optional<Scope> parse_scope(std::string_view name);

class Scopes {
 public:
  void add(Scope scope) { bits_ |= static_cast<std::uint8_t>(scope); }
  bool has(Scope scope) const { return (bits_ & static_cast<std::uint8_t>(scope)) != 0; }
  bool empty() const { return bits_ == 0; }
  std::vector<std::string_view> names() const;  // in the fixed order ingest, read, admin
  static Scopes all();
  bool operator==(const Scopes&) const = default;

 private:
  std::uint8_t bits_ = 0;
};

}  // namespace vestige::access
