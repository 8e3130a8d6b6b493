// What the programs of bench/ print: one JSON object a line and figure, read by bench/report.py.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vestige::bench {

[[noreturn]] void give_up(const std::string& what);

// Which store a figure is of, in every line.
struct Subject {
  std::string store;
  std::uint64_t events = 0;
  bool sealed = false;
};

class Line {
 public:
  explicit Line(std::string_view measure);
  Line(std::string_view measure, const Subject& subject);
  ~Line();  // prints it
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  Line& text(std::string_view name, std::string_view value);
  Line& number(std::string_view name, double value);

 private:
  std::string text_;
};

double wall_seconds();
double
cpu_seconds();  // of this process, all threads; true also where the machine is busy with something else

// The most memory that this process had at once, in bytes, and what it has now.
std::uint64_t peak_bytes();

// The times of one question, asked many times.
class Times {
 public:
  struct Answer {
    std::uint64_t rows = 0;
    bool finished = true;  // false: it was given up after a while; it takes longer than the time says
  };
  void ask(const std::function<Answer()>& question);
  double seconds() const { return seconds_; }  // of all together
  void print(const Subject& subject, std::string_view question) const;

 private:
  std::vector<double> ms_;
  std::vector<double> cpu_ms_;
  double seconds_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t unfinished_ = 0;
};

}  // namespace vestige::bench
