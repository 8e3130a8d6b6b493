#include "audit/search/tokens.h"

#include <algorithm>

#include "base/time_text.h"
#include "seal/tokens.h"
#include "trail/format/members.h"

namespace vestige::audit {
namespace {

using seal::content_of;
using seal::token;
using seal::TokenKind;
using trail::Token;

void add_refs(std::string_view sealed, std::vector<Token>& to) {
  // Every string of this member is a ref or a root; roots are told by their length.
  constexpr std::size_t ref_text_bytes = 24;
  for (std::size_t at = 0; (at = sealed.find('"', at)) != std::string_view::npos;) {
    const auto end = sealed.find('"', at + 1);
    if (end == std::string_view::npos) return;
    if (end - at - 1 == ref_text_bytes) to.push_back(ref_token(sealed.substr(at + 1, ref_text_bytes)));
    at = end + 1;
  }
}

// Of one value that a field is to equal: empty where nothing can be told.
std::vector<Token> tokens_of(const FieldPath& field, const Operand& operand) {
  if (operand.type != json::Type::string && operand.type != json::Type::number) return {};
  if (operand.text == "true" || operand.text == "false") return {};  // also equals a boolean
  const bool source = field.keys == std::vector<std::string>{"sourceId"};
  if (source || field.keys == std::vector<std::string>{"targetId"}) {
    std::string written;
    json::append_quoted(written, operand.text);
    return {token(source ? TokenKind::source_id : TokenKind::target_id, content_of(written))};
  }
  // Control characters are not indexed as they are.
  if (std::ranges::any_of(operand.text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return {};
  std::vector<Token> words;
  const auto shape = seal::add_words(operand.text, words);
  if (seal::is_found_whole(shape, operand.text)) return {token(TokenKind::whole, operand.text)};
  return words;
}

bool is_always_clear(const FieldPath& field) {
  constexpr std::string_view clear[] = {"action", "kind", "sourceType", "targetType"};
  return field.keys.size() == 1 && std::ranges::find(clear, field.keys.front()) != std::end(clear);
}

void add_field_tokens(const Condition& condition, std::vector<trail::RowTest::Tokens>& to, bool sees_sealed) {
  if (condition.test != Condition::Test::in || condition.ignore_case || !condition.expected ||
      condition.operands.empty() || !seal::is_searched_as_text(condition.field.keys.front()))
    return;
  const bool may_be_sealed = sees_sealed && !is_always_clear(condition.field);
  trail::RowTest::Tokens any{{}, may_be_sealed};
  for (const auto& operand : condition.operands) {
    const auto tokens = tokens_of(condition.field, operand);
    if (tokens.empty()) return;
    if (condition.operands.size() == 1) {
      for (const auto one : tokens) to.push_back({{one}, may_be_sealed});
      return;
    }
    any.any_of.push_back(tokens.front());
  }
  to.push_back(std::move(any));
}

}  // namespace

Token ref_token(std::string_view base64) { return token(TokenKind::ref, base64); }

std::int64_t EntryTokeniser::describe(std::string_view entry, std::vector<Token>& tokens) const {
  std::int64_t time = INT64_MIN;
  trail::MemberScanner members(entry);
  while (const auto member = members.next()) {
    if (member->key == "time") {
      if (const auto parsed = parse_time(content_of(member->value))) time = parsed->value;
    } else if (member->key == "sealed") {
      add_refs(member->value, tokens);
    } else {
      seal::add_value_tokens(member->key, member->value, tokens);
    }
  }
  return time;
}

Status SealedTokeniser::describe(std::string_view stream, std::string_view entry,
                                 const std::vector<Bytes>& blobs, std::vector<Token>& tokens) {
  Unsealer unsealer(vault_, std::string(stream));
  VESTIGE_TRY(const auto opened, unsealer.open(entry, [&]() -> Result<std::vector<Bytes>> { return blobs; }));
  for (const auto& pairs : opened.pairs) seal::add_pair_tokens(pairs, tokens);
  return {};
}

void add_tokens(const Condition& condition, std::vector<trail::RowTest::Tokens>& to, bool sees_sealed) {
  switch (condition.kind) {
    case Condition::Kind::all:
      for (const auto& part : condition.parts) add_tokens(part, to, sees_sealed);
      break;
    case Condition::Kind::any: {
      // Of each part one thing that it needs; a part that needs nothing leaves all possible.
      trail::RowTest::Tokens any;
      for (const auto& part : condition.parts) {
        std::vector<trail::RowTest::Tokens> needed;
        add_tokens(part, needed, sees_sealed);
        if (needed.empty()) return;
        any.may_be_sealed = any.may_be_sealed || needed.front().may_be_sealed;
        any.any_of.insert(any.any_of.end(), needed.front().any_of.begin(), needed.front().any_of.end());
      }
      to.push_back(std::move(any));
      break;
    }
    case Condition::Kind::none:
      break;
    case Condition::Kind::text:
      for (const auto& term : condition.text.terms) {
        if (term.negated) continue;
        for (const auto& word : term.words)
          if (word.find('*') == std::string::npos)
            to.push_back({{token(TokenKind::word, word)}, sees_sealed});
      }
      break;
    case Condition::Kind::field:
      add_field_tokens(condition, to, sees_sealed);
      break;
  }
}

}  // namespace vestige::audit
