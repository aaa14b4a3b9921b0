// Any bytes as summaries of partitions: each is itself again, and they combine.
#include <cstring>

#include "fuzz.hpp"
#include "record/valsort_summary.hpp"

namespace sluice {

void fuzz_one(std::string_view input) {
    SortSummary total;
    for (; input.size() >= kSummaryBytes; input.remove_prefix(kSummaryBytes)) {
        std::array<std::byte, kSummaryBytes> bytes;
        std::memcpy(bytes.data(), input.data(), bytes.size());
        const SortSummary summary = decode_summary(bytes);
        fuzz_check(encode_summary(summary) == bytes);
        combine(total, summary, kGensortFormat, KeyOrder::bytes);
    }
}

}  // namespace sluice
