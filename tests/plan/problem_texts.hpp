#pragma once
/// Problems as one text each, code first, for tests that compare with words.

#include <string>
#include <vector>

#include "runtime/error.hpp"

namespace sluice::testing {

/// "[3] disk ..."; "" where there is none.
inline std::string text_of(const Problem& problem) {
    return problem.empty() ? "" : "[" + std::to_string(static_cast<int>(problem.code)) + "] " + problem.text;
}

inline std::vector<std::string> texts_of(const Problems& problems) {
    std::vector<std::string> texts;
    for (const Problem& problem : problems) texts.push_back(text_of(problem));
    return texts;
}

}  // namespace sluice::testing
