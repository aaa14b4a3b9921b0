#include "sort/parallel_sort.hpp"

#include <algorithm>
#include <cstring>

#include "record/compare.hpp"
#include "runtime/error.hpp"
#include "sort/sort_partition.hpp"

namespace sluice {
namespace {

constexpr unsigned kMostWorkers = 64;
constexpr std::uint64_t kLeastRecords = 4096;  // a worker: a tenth of a millisecond, what starting it costs
constexpr std::uint64_t kPicks = 64;           // a slice: its share is then right within an eighth, and more in runs
// What the scratch of one slice is rounded up by, in two halves of tags and behind them.
constexpr std::uint64_t kScratchSlack = 3 * 64;

}  // namespace

unsigned ParallelSorter::workers_for(std::uint64_t records) const {
    return static_cast<unsigned>(
        std::clamp<std::uint64_t>(records / kLeastRecords, 1, std::clamp(workers_, 1u, kMostWorkers)));
}

std::uint64_t ParallelSorter::scratch_bytes(std::uint64_t records) const {
    return sort_scratch_bytes(records, format_) + workers_for(records) * kScratchSlack;
}

std::span<std::byte> ParallelSorter::sort(std::span<std::byte> records, std::span<std::byte> spare,
                                          std::span<std::byte> scratch) const {
    const std::uint64_t count = records.size() / format_.record_bytes;
    const unsigned slices = workers_for(count);
    SortedRuns runs{spare, {}};
    for (unsigned slice = 1; slice <= slices; ++slice) runs.ends.push_back(count * slice / slices);
    sort_slices(records, runs.ends, spare, scratch);
    return merge(runs, records, scratch);
}

std::span<std::byte> ParallelSorter::merge(const SortedRuns& runs, std::span<std::byte> spare,
                                           std::span<std::byte> scratch) const {
    const std::uint64_t record_bytes = format_.record_bytes, count = runs.records.size() / record_bytes;
    SLUICE_CHECK(spare.size() == runs.records.size() && !runs.ends.empty() && runs.ends.back() == count);
    if (runs.ends.front() == count) return runs.records;
    const unsigned slices = workers_for(count);
    if (slices == 1) {
        sort_slices(runs.records, {count}, spare, scratch);
        return spare;
    }
    const auto borders = choose_borders(runs.records, slices);
    std::vector<std::uint64_t> ends(slices, count);
    on_workers_(slices, [&](std::uint64_t slice) {
        std::vector<std::uint64_t> firsts;  // by run: of this slice's records
        std::uint64_t to = 0, begin = 0;    // all that comes before this slice; where the run begins
        for (const std::uint64_t end : runs.ends) {
            firsts.push_back(slice == 0 ? begin : begin + before(runs, begin, end, borders[slice - 1]));
            to += firsts.back() - begin;
            begin = end;
        }
        for (std::size_t run = 0; run < runs.ends.size(); ++run) {
            const std::uint64_t end = runs.ends[run], first = firsts[run];
            const std::uint64_t here = slice + 1 == slices ? end - first : before(runs, first, end, borders[slice]);
            if (here == 0) continue;
            std::memcpy(spare.data() + to * record_bytes, runs.records.data() + first * record_bytes,
                        here * record_bytes);
            to += here;
        }
        ends[slice] = to;
    });
    SLUICE_CHECK(std::is_sorted(ends.begin(), ends.end()) && ends.back() == count);
    sort_slices(spare, ends, runs.records, scratch);
    return runs.records;
}

std::vector<const std::byte*> ParallelSorter::choose_borders(std::span<const std::byte> records,
                                                             unsigned slices) const {
    const std::uint64_t count = records.size() / format_.record_bytes, picks = std::min(count, kPicks * slices);
    std::vector<const std::byte*> picked, borders;
    for (std::uint64_t pick = 0; pick < picks; ++pick)
        picked.push_back(records.data() + pick * count / picks * format_.record_bytes);
    std::sort(picked.begin(), picked.end(),
              [&](const std::byte* a, const std::byte* b) { return compare_records(format_, a, b) < 0; });
    for (unsigned slice = 1; slice < slices; ++slice) borders.push_back(picked[picks * slice / slices]);
    return borders;
}

std::uint64_t ParallelSorter::before(const SortedRuns& runs, std::uint64_t first, std::uint64_t last,
                                     const std::byte* border) const {
    std::uint64_t low = first, high = last;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        const bool below = compare_records(format_, runs.records.data() + middle * format_.record_bytes, border) < 0;
        (below ? low : high) = below ? middle + 1 : middle;
    }
    return low - first;
}

void ParallelSorter::sort_slices(std::span<const std::byte> from, const std::vector<std::uint64_t>& ends,
                                 std::span<std::byte> to, std::span<std::byte> scratch) const {
    std::vector<std::uint64_t> scratch_from{0};
    for (std::size_t slice = 0; slice < ends.size(); ++slice)
        scratch_from.push_back(scratch_from.back() +
                               sort_scratch_bytes(ends[slice] - (slice == 0 ? 0 : ends[slice - 1]), format_));
    SLUICE_CHECK(scratch_from.back() <= scratch.size() && from.size() == to.size());
    on_workers_(ends.size(), [&](std::uint64_t slice) {
        const std::uint64_t begin = (slice == 0 ? 0 : ends[slice - 1]) * format_.record_bytes;
        const std::uint64_t bytes = ends[slice] * format_.record_bytes - begin;
        PartitionSorter sorter(format_,
                               scratch.subspan(scratch_from[slice], scratch_from[slice + 1] - scratch_from[slice]));
        sorter.sort(from.subspan(begin, bytes), {});
        sorter.gather(0, to.subspan(begin, bytes));
    });
}

}  // namespace sluice
