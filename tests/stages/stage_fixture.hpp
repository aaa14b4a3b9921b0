#pragma once
/// Records and pools for tests of single stages, which run on the test's own thread.

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "io/io_fixture.hpp"
#include "record/record_format.hpp"
#include "runtime/buffer_pool.hpp"
#include "runtime/rng.hpp"

namespace sluice::testing {

/// 32 of them fill a device block.
inline constexpr RecordFormat kBlockFormat{128, 0, 10};

inline std::vector<std::byte> random_records(std::size_t count, std::uint64_t seed,
                                             const RecordFormat& format = kBlockFormat) {
    std::vector<std::byte> records(count * format.record_bytes);
    Rng rng(seed);
    for (std::byte& byte : records) byte = static_cast<std::byte>(rng.next() >> 32);
    return records;
}

/// Each record as a text, sorted: equal for equal sets of records.
inline std::vector<std::string> sorted_texts(std::span<const std::byte> records,
                                             const RecordFormat& format = kBlockFormat) {
    std::vector<std::string> texts;
    for (std::size_t at = 0; at + format.record_bytes <= records.size(); at += format.record_bytes)
        texts.emplace_back(reinterpret_cast<const char*>(records.data()) + at, format.record_bytes);
    std::sort(texts.begin(), texts.end());
    return texts;
}

/// A pool with memory of its own.
class OwnPool {
public:
    OwnPool(Executor& executor, const char* name, std::size_t buffer_bytes, std::size_t count)
        : memory_(buffer_bytes * count), pool(executor, name, memory_.all(), buffer_bytes, count) {}

private:
    AlignedMemory memory_;

public:
    BufferPool pool;
};

inline Buffer filled(BufferPool& pool, std::span<const std::byte> bytes, std::uint32_t source = 0) {
    Buffer buffer = pool.take();
    std::copy(bytes.begin(), bytes.end(), buffer.free_space().begin());
    buffer.commit(bytes.size());
    buffer.set_source(source);
    return buffer;
}

}  // namespace sluice::testing
