#include "sort/scatter.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "runtime/rng.hpp"

namespace sluice {
namespace {

using Bytes = std::vector<std::byte>;

std::vector<RecordScatter::Kernel> kernels_for(std::uint32_t record_bytes) {
    std::vector<RecordScatter::Kernel> kernels{RecordScatter::Kernel::plain};
    if (RecordScatter::best_kernel(record_bytes) != RecordScatter::Kernel::plain)
        kernels.push_back(RecordScatter::best_kernel(record_bytes));
    return kernels;
}

/// Scatters `count` random records to destinations whose buffers begin at `skew_bytes` behind a cache line, and
/// compares what every destination got, over all its buffers, with records handed out one by one.
void expect_all_arrive(std::uint32_t record_bytes, RecordScatter::Kernel kernel, std::uint32_t slots, std::size_t count,
                       std::size_t skew_bytes, bool streaming) {
    Rng rng(slots * 31 + count + skew_bytes);
    Bytes records(count * record_bytes);
    for (std::byte& b : records) b = static_cast<std::byte>(rng.next());
    std::vector<std::uint32_t> slot(count);
    for (std::uint32_t& s : slot) s = static_cast<std::uint32_t>(rng.below(slots));
    std::vector<Bytes> expected(slots), got(slots);
    for (std::size_t i = 0; i < count; ++i) {
        const auto record = std::span(records).subspan(i * record_bytes, record_bytes);
        expected[slot[i]].insert(expected[slot[i]].end(), record.begin(), record.end());
    }

    constexpr std::byte kGuard{0xA5};
    std::vector<Bytes> memory(slots);
    std::vector<std::byte*> room(slots, nullptr);
    std::vector<std::size_t> room_bytes(slots);
    RecordScatter scatter(record_bytes, kernel);
    scatter.add_slots(slots / 2);
    scatter.add_slots(slots - slots / 2);
    const auto close = [&](std::uint32_t s) {
        std::byte* const end = scatter.close(s);
        if (room[s] == nullptr) {
            EXPECT_EQ(end, nullptr);
            return;
        }
        got[s].insert(got[s].end(), room[s], end);
        for (const std::byte* b = memory[s].data(); b < room[s]; ++b) ASSERT_EQ(*b, kGuard) << "in front of the room";
        for (const std::byte* b = end; b < memory[s].data() + memory[s].size(); ++b)
            ASSERT_EQ(*b, kGuard) << "behind the last record";
        room[s] = nullptr;
    };
    for (std::size_t next = 0; next < count;) {
        // Blocks of odd lengths; a destination without room stops one, as does the end of the block.
        const std::size_t block = std::min<std::size_t>(count - next, 1 + rng.below(97));
        const std::size_t copied =
            scatter.append(records.data() + next * record_bytes, std::span(slot).subspan(next, block));
        next += copied;
        if (copied == block) continue;
        const std::uint32_t stuck = slot[next];
        close(stuck);
        room_bytes[stuck] = record_bytes * (1 + rng.below(40)) + rng.below(record_bytes);
        memory[stuck].assign(room_bytes[stuck] + skew_bytes + 2048, kGuard);
        const auto address = reinterpret_cast<std::uintptr_t>(memory[stuck].data());
        room[stuck] = memory[stuck].data() + (64 - address % 64) % 64 + skew_bytes + 512;
        scatter.open(stuck, {room[stuck], room_bytes[stuck]}, (stuck < slots / 2) == streaming);
    }
    for (std::uint32_t s = 0; s < slots; ++s) close(s);
    for (std::uint32_t s = 0; s < slots; ++s) EXPECT_TRUE(got[s] == expected[s]) << "destination " << s;
}

TEST(RecordScatter, EveryRecordArrivesInOrderAndNothingElseIsWritten) {
    for (const std::uint32_t record_bytes : {100u, 8u, 64u, 512u, 1000u}) {
        for (const auto kernel : kernels_for(record_bytes)) {
            for (const std::uint32_t slots : {1u, 2u, 7u, 100u}) {
                for (const std::size_t skew_bytes : {0, 64, 4, 1, 33}) {
                    SCOPED_TRACE(testing::Message() << record_bytes << "-byte records, " << slots << " destinations, +"
                                                    << skew_bytes << ", kernel " << static_cast<int>(kernel));
                    expect_all_arrive(record_bytes, kernel, slots, 3001, skew_bytes, slots % 2 == 0);
                }
            }
        }
    }
}

TEST(RecordScatter, DestinationWithoutRoomStopsAtItsFirstRecord) {
    for (const auto kernel : kernels_for(100)) {
        RecordScatter scatter(100, kernel);
        scatter.add_slots(2);
        Bytes memory(1000), records(300, std::byte{1});
        scatter.open(0, memory, true);
        const std::uint32_t slot[] = {0, 0, 1};
        EXPECT_EQ(scatter.append(records.data(), slot), 2u);
        EXPECT_EQ(scatter.close(1), nullptr);
        EXPECT_EQ(scatter.close(0), memory.data() + 200);
    }
}

}  // namespace
}  // namespace sluice
