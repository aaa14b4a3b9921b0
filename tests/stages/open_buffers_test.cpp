#include "stages/open_buffers.hpp"

#include <gtest/gtest.h>

#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

constexpr std::size_t kBuffer = 64 + 10 * 128 + 100;  // a header, ten records, and less than one more

/// What came out of each slot, in order; buffers that were full, and those that were not.
struct Out {
    std::vector<std::vector<std::byte>> bytes = std::vector<std::vector<std::byte>>(3);
    std::size_t full = 0, partial = 0, short_ones = 0;
};

Out append_all(OpenBuffers& open, std::span<const std::byte> records, std::span<const std::uint32_t> slots) {
    Out out;
    const auto keep = [&out](std::uint32_t slot, const Buffer& buffer) {
        const auto data = buffer.data().subspan(64);
        out.bytes[slot].insert(out.bytes[slot].end(), data.begin(), data.end());
        out.short_ones += data.size() < 10 * 128;
    };
    for (std::size_t at = 0; at < slots.size();) {  // in blocks of any size
        const std::size_t count = std::min<std::size_t>(at % 7 + 1, slots.size() - at);
        open.append(records.subspan(at * 128, count * 128), slots.subspan(at, count),
                    records.subspan((at + count) * 128), [&](std::uint32_t slot, const Buffer& buffer) {
                        ++out.full;
                        keep(slot, buffer);
                    });
        at += count;
    }
    EXPECT_EQ(out.short_ones, 0u) << "what is handed on as full";
    open.drain([&](std::uint32_t slot, const Buffer& buffer) {
        ++out.partial;
        keep(slot, buffer);
    });
    return out;
}

TEST(OpenBuffers, EachSlotGetsItsRecordsInOrderInFullBuffersAndOneMore) {
    ThreadExecutor executor;
    AlignedMemory memory(4096 * 3);
    BufferPool small(executor, "small", memory.all(), kBuffer, 3);
    OpenBuffers open(128);
    EXPECT_EQ(open.add_slots(2, {&small, 64, true, {}}), 0u);
    std::size_t lent = 0;
    const auto lend = [&]() -> std::optional<Buffer> { return ++lent % 2 == 1 ? small.try_take() : std::nullopt; };
    EXPECT_EQ(open.add_slots(1, {&small, 64, false, lend}), 2u);
    const auto records = random_records(200, 4);
    std::vector<std::uint32_t> slots(200);
    std::vector<std::vector<std::byte>> expected(3);
    Rng rng(8);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        slots[i] = static_cast<std::uint32_t>(rng.below(3));
        expected[slots[i]].insert(expected[slots[i]].end(), &records[i * 128], &records[i * 128] + 128);
    }
    const Out out = append_all(open, records, slots);
    EXPECT_EQ(out.bytes, expected);
    std::size_t full = 0;
    for (const auto& bytes : expected) full += (bytes.size() / 128 - 1) / 10;
    EXPECT_EQ(out.full, full);
    EXPECT_EQ(out.partial, 3u);
    EXPECT_GT(lent, 3u) << "the lender is asked first";
    EXPECT_EQ(small.free_buffers(), 3u);
}

TEST(OpenBuffers, ASlotWithoutRecordsTakesNoBuffer) {
    ThreadExecutor executor;
    OwnPool pool(executor, "pool", kBuffer, 1);
    OpenBuffers open(128);
    open.add_slots(3, {&pool.pool, 64, true, {}});
    const auto records = random_records(1, 4);
    const std::uint32_t slot = 1;
    const Out out = append_all(open, records, {&slot, 1});
    EXPECT_EQ(out.partial, 1u);
    EXPECT_EQ(out.bytes[1], records);
}

}  // namespace
}  // namespace sluice::testing
