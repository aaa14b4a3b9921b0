#pragma once
/// One function a reader; run by libFuzzer (preset fuzz) or by replay.cpp over the corpus.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace sluice {

/// Defined by each target. Must not throw, crash, hang or break a promise of its reader.
void fuzz_one(std::string_view input);

inline void fuzz_check(bool promise_kept) {
    if (!promise_kept) std::abort();
}

}  // namespace sluice
