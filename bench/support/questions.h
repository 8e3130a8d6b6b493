// The questions that each store is asked, and how SQL says them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/support/series.h"

namespace vestige::bench {

enum class Question { target, word, hour, count, facet };

inline constexpr Question questions[] = {Question::target, Question::word, Question::hour, Question::count,
                                         Question::facet};
inline constexpr std::size_t lookups_asked = 200;
inline constexpr std::size_t counts_asked = 5;  // of count and facet, which look at very many events

std::string_view name_of(Question question);
std::size_t asked(Question question);

enum class Dialect { sqlite, postgres };
std::string sql_of(Question question, const Probe& probe, Dialect dialect);

}  // namespace vestige::bench
