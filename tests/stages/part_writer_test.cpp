#include "stages/part_writer.hpp"

#include <gtest/gtest.h>

#include "simulated/fault_backend.hpp"
#include "simulated/memory_backend.hpp"
#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

constexpr std::size_t kPiece = 8192;

class Parts : public ::testing::Test {
protected:
    Parts() { disk_.directories["/d"] = true; }

    /// Pieces of all parts, turn and turn about, through the writer and then the finisher.
    void write(const std::vector<std::vector<std::byte>>& parts, IoFault fault = {IoFault::Operation::read},
               bool sync = true) {
        const auto io = make_fault_backend(make_memory_backend(executor_, disk_, 3, 0), fault,
                                           [this](const std::string& what) { fired_ = what; });
        OwnPool pool(executor_, "write", kPiece, 64);
        WorkQueue<SortedPiece> input(executor_, 64, 1);
        WorkQueue<WrittenPart> written(executor_, 64, 1);
        PartWriter writer(
            *io, {4, true}, [](std::uint32_t part) { return "/d/part-" + std::to_string(part); }, input, written);
        for (std::size_t at = 0, left = 1; left > 0; at += kPiece) {
            left = 0;
            for (std::uint32_t part = 0; part < parts.size(); ++part) {
                const auto& bytes = parts[part];
                if (bytes.empty() && at == 0) input.push({part, 0, 0, Buffer()});
                if (at >= bytes.size()) continue;
                ++left;
                const auto piece = std::span(bytes).subspan(at, std::min(kPiece, bytes.size() - at));
                input.push({part, at, bytes.size(), filled(pool.pool, piece)});
            }
        }
        input.producer_done();
        writer.run();
        counters_ = writer.counters();
        PartFinisher(sync, written).run();
    }
    std::vector<std::byte> content(std::uint32_t part) {
        return disk_.files.at("/d/part-" + std::to_string(part))->bytes;
    }

    ThreadExecutor executor_;
    MemoryDisk disk_{executor_};
    IoCounters counters_;
    std::string fired_;
};

TEST_F(Parts, EachBecomesAFileOfItsOwnCutToItsSize) {
    const std::vector<std::vector<std::byte>> parts = {
        random_records(300, 1), {}, random_records(64, 2), random_records(129, 3)};
    write(parts);
    for (std::uint32_t part = 0; part < parts.size(); ++part) EXPECT_EQ(content(part), parts[part]) << part;
    EXPECT_EQ(counters_.written_bytes, 10u * 4096 + 2 * 4096 + 5 * 4096) << "whole blocks, each once";
    EXPECT_EQ(counters_.write_requests, 5u + 1 + 3);
}

TEST_F(Parts, AFileIsNeverOverwritten) {
    write({random_records(10, 1)});
    EXPECT_EQ(error_of([&] { write({random_records(10, 2)}); }).code, 2);
    EXPECT_EQ(content(0), random_records(10, 1));
}

/// Any of them may be where a disk says that it lost what it had taken.
TEST_F(Parts, EveryCallOnAPartCounts) {
    using Operation = IoFault::Operation;
    for (const Operation operation : {Operation::write, Operation::sync, Operation::close, Operation::preallocate}) {
        IoFault fault;
        fault.operation = operation;
        fault.nth = 1;
        fired_.clear();
        disk_.files.clear();
        const Caught caught = error_of([&] { write({random_records(200, 1), random_records(200, 2)}, fault); });
        EXPECT_FALSE(fired_.empty()) << "the fault has not happened";
        EXPECT_EQ(caught.code, 5) << fired_;
        EXPECT_TRUE(caught.mentions("/d/part-")) << caught.text;
    }
    IoFault fault;
    fault.operation = Operation::sync;
    fired_.clear();
    disk_.files.clear();
    write({random_records(200, 1)}, fault, false);
    EXPECT_EQ(fired_, "") << "io.fsync = false";
}

TEST(CountFinishers, SeveralOnlyWhereSyncsOfSmallPartsCanBeCommittedTogether) {
    EXPECT_EQ(count_finishers(0, 0), 1U);
    EXPECT_EQ(count_finishers(1, 100), 1U);  // no more than there are parts
    EXPECT_EQ(count_finishers(3, 300), 3U);
    EXPECT_EQ(count_finishers(100'000, 12'800'000), kFinishers);
    EXPECT_EQ(count_finishers(100, 100 * kOneFinisherBytes - 100), kFinishers);
    EXPECT_EQ(count_finishers(100, 100 * kOneFinisherBytes), 1U);
}

}  // namespace
}  // namespace sluice::testing
