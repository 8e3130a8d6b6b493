// Reads the sources of one import and sends their records.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/import/occurrences.h"
#include "cli/internal/import.h"
#include "cli/internal/import_progress_file.h"
#include "cli/internal/progress.h"

namespace vestige::cli {

// Not thread-safe. What is handed in outlives it.
class Importer {
 public:
  // `connection` is null where events are to be printed.
  Importer(const ImportArguments& arguments, const importing::ReaderOptions& options, Connection* connection,
           Surroundings& surroundings);

  Status run();
  const std::vector<ImportedFile>& files() const { return files_; }

 private:
  struct Batch {
    std::string target;  // path of the request
    std::string body;
    std::vector<std::string> wheres;
    ImportPosition end;  // behind its last record; index is not known before the answer

    bool has_room_for(std::size_t bytes) const {
      return wheres.empty() ||
             (wheres.size() < batch_events_max && body.size() + bytes + 1 <= batch_bytes_max);
    }
    void clear() {
      body.clear();
      wheres.clear();
    }
  };

  Status import_all();
  Status import_path(const std::string& path);
  Status add(const importing::ImportedEvent& event, const std::string& format);
  Status send_batch();
  // Of the answer to the batch: how many were new, and where the last one stands.
  Status take_answer(const std::string& body);
  std::unexpected<Error> other_import(std::string_view what) const;
  Status save_position();
  // Every event has an id, so a batch whose answer was lost may be sent again.
  Result<http::ClientResponse> post();
  Error refused(const http::ClientResponse& response) const;
  std::optional<double> overall(std::optional<double> share) const;

  const ImportArguments& arguments_;
  const importing::ReaderOptions& options_;
  Connection* const connection_;
  Surroundings& surroundings_;
  Progress progress_;
  const std::vector<std::string> paths_;
  importing::Occurrences occurrences_;
  std::vector<ImportedFile> files_;
  Batch batch_;
  ImportPosition read_;  // what was read; index unused
  ImportPosition sent_;  // what the server has for certain
  std::uint64_t batches_unsaved_ = 0;
  std::optional<ImportPosition> start_{};  // where an earlier run stopped
  bool reached_ = false;
};

}  // namespace vestige::cli
