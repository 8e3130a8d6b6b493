#include "sources/postgres/pgoutput.h"

#include <fmt/format.h>

#include <charconv>
#include <concepts>

namespace vestige::sources::postgres {
namespace {

// PostgreSQL counts microseconds since 2000-01-01.
constexpr std::int64_t epoch_ms = 946'684'800'000;
constexpr std::int64_t micros_of_ms = 1'000;

UnixMs time_of(std::uint64_t micros) {
  const auto since = static_cast<std::int64_t>(micros);
  // Towards the past, also before the epoch.
  const auto ms = since / micros_of_ms - (since % micros_of_ms < 0 ? 1 : 0);
  return UnixMs{ms + epoch_ms};
}

// Numbers are sent in network order, texts end with a zero byte. Reading past the end gives zeros and is
// remembered, so that a message is looked at whole and judged once.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  template <std::unsigned_integral Number>
  Number number() {
    Number value = 0;
    for (const auto byte : take(sizeof(Number))) value = static_cast<Number>(value << 8 | byte);
    return value;
  }
  std::uint8_t u8() { return number<std::uint8_t>(); }
  Lsn lsn() { return Lsn{number<std::uint64_t>()}; }
  UnixMs time() { return time_of(number<std::uint64_t>()); }
  ObjectId object() { return ObjectId{number<std::uint32_t>()}; }
  TransactionId transaction() { return TransactionId{number<std::uint32_t>()}; }
  std::string_view text() {
    const auto rest = vestige::text(bytes_.subspan(at_));
    const auto end = rest.find('\0');
    if (end == std::string_view::npos) {
      refuse();
      return {};
    }
    at_ += end + 1;
    return rest.substr(0, end);
  }
  ByteView take(std::size_t count) {
    if (count > bytes_.size() - at_) {
      refuse();
      return {};
    }
    const auto taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }
  ByteView rest() { return take(bytes_.size() - at_); }

  void refuse() {
    if (!refused_at_) refused_at_ = at_;
    at_ = bytes_.size();
  }
  bool ok() const { return !refused_at_; }
  bool at_end() const { return at_ == bytes_.size(); }
  std::size_t place() const { return refused_at_.value_or(at_); }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
  std::optional<std::size_t> refused_at_;
};

Value read_value(Reader& reader) {
  switch (reader.u8()) {
    case 'n':
      return {};
    case 'u':
      return {.state = Value::State::unchanged};
    case 't': {
      const auto bytes = reader.number<std::uint32_t>();
      return {.state = Value::State::text, .text = text(reader.take(bytes))};
    }
    default:  // binary values are sent to whoever asks for them, which is not us
      reader.refuse();
      return {};
  }
}

Row read_row(Reader& reader) {
  const auto columns = reader.number<std::uint16_t>();
  Row row;
  for (unsigned i = 0; i < columns && reader.ok(); ++i) row.push_back(read_value(reader));
  return row;
}

Relation read_relation(Reader& reader) {
  Relation relation;
  relation.id = reader.object();
  relation.schema = reader.text();
  // The catalogue's own schema is sent as nothing.
  if (relation.schema.empty()) relation.schema = "pg_catalog";
  relation.name = reader.text();
  const auto identity = static_cast<char>(reader.u8());
  if (std::string_view("dnfi").find(identity) == std::string_view::npos) reader.refuse();
  relation.identity = static_cast<ReplicaIdentity>(identity);
  const auto columns = reader.number<std::uint16_t>();
  for (unsigned i = 0; i < columns && reader.ok(); ++i) {
    Column column;
    column.key = (reader.u8() & 1) != 0;
    column.name = reader.text();
    column.type = reader.object();
    column.modifier = static_cast<std::int32_t>(reader.number<std::uint32_t>());
    relation.columns.push_back(std::move(column));
  }
  return relation;
}

// The old row, where one is told, stands before the new one.
template <typename Change>
void read_old(Reader& reader, std::uint8_t form, Change& change) {
  if (form == 'K')
    change.key = read_row(reader);
  else if (form == 'O')
    change.old = read_row(reader);
  else
    reader.refuse();
}

Update read_update(Reader& reader) {
  Update update{.relation = reader.object(), .key = {}, .old = {}, .row = {}};
  auto form = reader.u8();
  if (form != 'N') {
    read_old(reader, form, update);
    form = reader.u8();
  }
  if (form != 'N') reader.refuse();
  update.row = read_row(reader);
  return update;
}

Delete read_delete(Reader& reader) {
  Delete gone{.relation = reader.object(), .key = {}, .old = {}};
  read_old(reader, reader.u8(), gone);
  return gone;
}

Insert read_insert(Reader& reader) {
  Insert insert{.relation = reader.object(), .row = {}};
  if (reader.u8() != 'N') reader.refuse();
  insert.row = read_row(reader);
  return insert;
}

Truncate read_truncate(Reader& reader) {
  Truncate truncate;
  const auto count = reader.number<std::uint32_t>();
  const auto options = reader.u8();
  truncate.cascade = (options & 1) != 0;
  truncate.restart_identity = (options & 2) != 0;
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) truncate.relations.push_back(reader.object());
  return truncate;
}

Commit read_commit(Reader& reader) {
  static_cast<void>(reader.u8());  // flags, none of which is in use
  Commit commit;
  commit.lsn = reader.lsn();
  commit.end = reader.lsn();
  commit.committed = reader.time();
  return commit;
}

LogicalMessage read_message(Reader& reader) {
  LogicalMessage message;
  message.transactional = (reader.u8() & 1) != 0;
  message.lsn = reader.lsn();
  message.prefix = reader.text();
  message.content = reader.take(reader.number<std::uint32_t>());
  return message;
}

std::optional<Message> read(Reader& reader, std::uint8_t kind) {
  switch (kind) {
    case 'B': {
      Begin begin;
      begin.final_lsn = reader.lsn();
      begin.committed = reader.time();
      begin.transaction = reader.transaction();
      return begin;
    }
    case 'C':
      return read_commit(reader);
    case 'O': {
      Origin origin;
      origin.lsn = reader.lsn();
      origin.name = reader.text();
      return origin;
    }
    case 'R':
      return read_relation(reader);
    case 'Y': {
      Type type;
      type.id = reader.object();
      type.schema = reader.text();
      type.name = reader.text();
      return type;
    }
    case 'I':
      return read_insert(reader);
    case 'U':
      return read_update(reader);
    case 'D':
      return read_delete(reader);
    case 'T':
      return read_truncate(reader);
    case 'M':
      return read_message(reader);
    case 'S': {
      StreamStart start;
      start.transaction = reader.transaction();
      start.first = reader.u8() == 1;
      return start;
    }
    case 'E':
      return StreamStop{};
    case 'c': {
      StreamCommit commit;
      commit.transaction = reader.transaction();
      commit.commit = read_commit(reader);
      return commit;
    }
    case 'A': {
      StreamAbort abort;
      abort.transaction = reader.transaction();
      abort.part = reader.transaction();
      return abort;
    }
    default:
      return std::nullopt;
  }
}

std::unexpected<Error> damaged(std::string_view what, std::uint8_t kind, std::size_t at) {
  return corrupt(
      "", at,
      fmt::format("{} of PostgreSQL's replication, kind 0x{:02x}, does not read at byte {}", what, kind, at));
}

template <std::unsigned_integral Number>
void put(std::string& out, Number value) {
  for (int shift = static_cast<int>(sizeof(Number)) * 8 - 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(value >> shift & 0xff));
}

}  // namespace

std::string format_lsn(Lsn lsn) { return fmt::format("{:X}/{:X}", lsn.value >> 32, lsn.value & 0xffff'ffff); }

std::optional<Lsn> parse_lsn(std::string_view text) {
  const auto half = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint32_t value = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.empty() || failed != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto high = half(text.substr(0, slash)), low = half(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return Lsn{*high << 32 | *low};
}

Result<Decoded> Decoder::decode(ByteView message) {
  Reader reader(message);
  const auto kind = reader.u8();
  Decoded decoded;
  // In a piece of a streamed transaction everything but its end says whose it is.
  const bool of_piece =
      streaming_ && std::string_view("RYIUDTM").find(static_cast<char>(kind)) != std::string_view::npos;
  if (of_piece) decoded.part = reader.transaction();
  auto read_one = read(reader, kind);
  if (!read_one || !reader.ok() || !reader.at_end()) return damaged("a message", kind, reader.place());
  decoded.message = *std::move(read_one);
  const bool starts = std::holds_alternative<StreamStart>(decoded.message);
  const bool stops = std::holds_alternative<StreamStop>(decoded.message);
  if (starts == streaming_ && (starts || stops)) return damaged("a message out of turn", kind, 0);
  if (stops && !streaming_) return damaged("a message out of turn", kind, 0);
  if (starts || stops) streaming_ = starts;
  return decoded;
}

Result<std::variant<WalData, Keepalive>> decode_copy_data(ByteView data) {
  Reader reader(data);
  const auto kind = reader.u8();
  std::variant<WalData, Keepalive> decoded;
  if (kind == 'w') {
    WalData wal;
    wal.start = reader.lsn();
    wal.server_end = reader.lsn();
    static_cast<void>(reader.time());  // the server's clock, when it was sent
    wal.message = reader.rest();
    decoded = wal;
  } else if (kind == 'k') {
    Keepalive keepalive;
    keepalive.server_end = reader.lsn();
    static_cast<void>(reader.time());
    keepalive.reply_wanted = reader.u8() == 1;
    decoded = keepalive;
  } else {
    reader.refuse();
  }
  if (!reader.ok() || !reader.at_end()) return damaged("a packet", kind, reader.place());
  return decoded;
}

std::string status_update(Lsn durable, UnixMs now, bool reply_wanted) {
  std::string out = "r";
  for (int i = 0; i < 3; ++i) put(out, durable.value);  // written, flushed, applied
  put(out, static_cast<std::uint64_t>((now.value - epoch_ms) * micros_of_ms));
  out.push_back(reply_wanted ? '\1' : '\0');
  return out;
}

}  // namespace vestige::sources::postgres
