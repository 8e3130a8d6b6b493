#include "json/internal/structure.h"

#include <simdjson.h>

#include <algorithm>

namespace vestige::json {

namespace {

static_assert(padding_bytes >= simdjson::SIMDJSON_PADDING,
              "simdjson reads further; make padding_bytes larger");

constexpr std::size_t capacity_step = 4096;
// The index of a larger text (four bytes for each of its bytes) is given back when the next small one comes.
constexpr std::size_t capacity_kept = 1 << 20;

}  // namespace

// Only simdjson's first stage is used, through the interface that picks the implementation for the processor
// it runs on. The On-Demand interface is compiled for the processor of the build, which for a portable
// binary means without vector instructions, and its lazy walk would be repeated here anyway to see every
// token, its position and the digits of numbers.
struct Structure::State {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
};

Structure::Structure() : state_(std::make_unique<State>()) {}
Structure::~Structure() = default;
Structure::Structure(Structure&&) noexcept = default;
Structure& Structure::operator=(Structure&&) noexcept = default;

Indexing Structure::index(const char* text, std::size_t size) {
  auto& parser = state_->parser;
  if (parser == nullptr || parser->capacity() < size ||
      (parser->capacity() > capacity_kept && size <= capacity_kept)) {
    const auto capacity = std::max(capacity_step, size + size / 2);
    const simdjson::implementation& implementation = *simdjson::get_active_implementation();
    if (implementation.create_dom_parser_implementation(capacity, 1, parser) != simdjson::SUCCESS) {
      parser.reset();
      return Indexing::no_memory;
    }
  }
  const auto error =
      parser->stage1(reinterpret_cast<const std::uint8_t*>(text), size, simdjson::stage1_mode::regular);
  if (error == simdjson::SUCCESS) return Indexing::done;
  return error == simdjson::EMPTY ? Indexing::empty : Indexing::malformed;
}

std::span<const std::uint32_t> Structure::positions() const {
  return {state_->parser->structural_indexes.get(), state_->parser->n_structural_indexes};
}

}  // namespace vestige::json
