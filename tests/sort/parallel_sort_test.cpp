#include "sort/parallel_sort.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "record/compare.hpp"
#include "runtime/arena.hpp"
#include "runtime/on_threads.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

using Records = std::vector<std::vector<std::byte>>;

enum class Keys { random, few, one };

std::vector<std::byte> make_records(RecordFormat format, std::size_t count, Keys keys) {
    std::vector<std::byte> data(count * format.record_bytes);
    Rng rng(count + format.record_bytes);
    for (std::size_t i = 0; i < count; ++i) {
        std::byte* const record = data.data() + i * format.record_bytes;
        const std::uint64_t kind = keys == Keys::random ? rng.next() : keys == Keys::few ? rng.below(5) : 7;
        Rng bytes(kind);
        for (std::uint32_t at = 0; at < format.record_bytes; ++at) record[at] = static_cast<std::byte>(bytes.next());
    }
    return data;
}

/// By std::sort on whole copies.
std::vector<std::byte> sorted_copy(RecordFormat format, const std::vector<std::byte>& data) {
    Records records;
    for (std::size_t at = 0; at < data.size(); at += format.record_bytes)
        records.emplace_back(data.begin() + static_cast<std::ptrdiff_t>(at),
                             data.begin() + static_cast<std::ptrdiff_t>(at + format.record_bytes));
    std::sort(records.begin(), records.end(),
              [&](const auto& a, const auto& b) { return compare_records(format, a.data(), b.data()) < 0; });
    std::vector<std::byte> sorted;
    for (const auto& record : records) sorted.insert(sorted.end(), record.begin(), record.end());
    return sorted;
}

/// Scratch for a sorter, aligned as it wants it.
class Scratch {
public:
    explicit Scratch(std::uint64_t bytes) : arena_(bytes, {HugePages::off, nullptr, -1, 1, false}), bytes_(bytes) {}
    std::span<std::byte> take() {
        arena_.reset();
        return arena_.take(bytes_, 64, "scratch");
    }

private:
    Arena arena_;
    std::uint64_t bytes_;
};

class ParallelSort : public ::testing::TestWithParam<unsigned> {
protected:
    std::vector<std::byte> sorted(RecordFormat format, std::vector<std::byte> data) const {
        const ParallelSorter sorter(format, GetParam(), on_threads);
        std::vector<std::byte> spare(data.size());
        Scratch scratch(sorter.scratch_bytes(data.size() / format.record_bytes));
        const auto result = sorter.sort(data, spare, scratch.take());
        return {result.begin(), result.end()};
    }
    /// Of `data` whose runs are put in order first.
    std::vector<std::byte> merged(RecordFormat format, std::vector<std::byte> data,
                                  const std::vector<std::uint64_t>& ends) const {
        std::uint64_t begin = 0;
        for (const std::uint64_t end : ends) {
            const auto at = [&](std::uint64_t i) {
                return data.begin() + static_cast<std::ptrdiff_t>(i * format.record_bytes);
            };
            const auto run = sorted_copy(format, {at(begin), at(end)});
            std::copy(run.begin(), run.end(), at(begin));
            begin = end;
        }
        const ParallelSorter sorter(format, GetParam(), on_threads);
        std::vector<std::byte> spare(data.size());
        Scratch scratch(sorter.scratch_bytes(data.size() / format.record_bytes));
        const auto result = sorter.merge({data, ends}, spare, scratch.take());
        return {result.begin(), result.end()};
    }
};

TEST_P(ParallelSort, GivesTheBytesOfAnIndependentSort) {
    for (const Keys keys : {Keys::random, Keys::few, Keys::one}) {
        for (const std::size_t count : {0u, 1u, 4095u, 8192u, 30'000u}) {
            const auto data = make_records({20, 5, 6}, count, keys);
            EXPECT_TRUE(sorted({20, 5, 6}, data) == sorted_copy({20, 5, 6}, data)) << count;
        }
    }
}

TEST_P(ParallelSort, MergesRunsOfAnySize) {
    const std::vector<std::vector<std::uint64_t>> divisions = {
        {20'000}, {0, 20'000}, {5000, 10'000, 15'000, 20'000}, {1, 2, 3, 19'999, 20'000}, {20'000, 20'000}};
    for (const Keys keys : {Keys::random, Keys::few, Keys::one}) {
        const auto data = make_records({20, 5, 6}, 20'000, keys);
        for (const auto& ends : divisions)
            EXPECT_TRUE(merged({20, 5, 6}, data, ends) == sorted_copy({20, 5, 6}, data)) << ends.size() << " runs";
    }
}

INSTANTIATE_TEST_SUITE_P(Workers, ParallelSort, ::testing::Values(1u, 2u, 3u, 64u, 1000u));

TEST(ParallelSorter, GivesAllWorkersATurnWhereThereIsEnoughForThem) {
    const RecordFormat format{20, 0, 10};
    const auto workers_of = [&](std::size_t records) {
        auto data = make_records(format, records, Keys::random);
        std::vector<std::uint64_t> counts;
        const ParallelSorter sorter(format, 8, [&](std::uint64_t count, const auto& work) {
            counts.push_back(count);
            on_threads(count, work);
        });
        std::vector<std::byte> spare(data.size());
        Scratch scratch(sorter.scratch_bytes(records));
        sorter.sort(data, spare, scratch.take());
        return counts;
    };
    EXPECT_EQ(workers_of(80'000), (std::vector<std::uint64_t>{8, 8, 8})) << "runs, copies, slices";
    EXPECT_EQ(workers_of(8000), std::vector<std::uint64_t>{1}) << "a thread would cost more than it helps";
}

}  // namespace
}  // namespace sluice
