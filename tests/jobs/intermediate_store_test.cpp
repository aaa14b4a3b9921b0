#include "jobs/intermediate_store.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "jobs/log_store.hpp"
#include "jobs/memory_store.hpp"
#include "plan/one_rank_job.hpp"
#include "runtime/rng.hpp"
#include "sort/chunked_records.hpp"

namespace sluice {
namespace {

/// One store of either kind, as the two phases use it; the parameter says of how many passes.
class Stores : public ::testing::TestWithParam<Passes> {
protected:
    static constexpr std::uint32_t kRecord = 128;
    Stores() {
        owner_.config.passes = GetParam();
        owner_.config.partitions.count = 5;
        rank_.host = "here";
        rank_.budget_bytes = 64 * kMiB;
        rank_.input_bytes = 8 * kMiB;
        plan_ = plan_sort(owner_.config, format_, {rank_});
        arena_ = job_.make_arena(mine().mapped_bytes());
        store_ = plan_.passes == 1
                     ? make_memory_store(job_, *arena_, plan_, rank_)
                     : make_log_store({job_, *arena_, plan_, rank_,
                                       std::make_shared<Logs>(job_, "0123456789abcdef0123456789abcdef", "sort"), 1024});
    }
    const RankPlan& mine() const { return plan_.ranks.front(); }

    /// Full chunks and one short one for each partition but the last, of random records.
    void fill() {
        arena_->reset();
        const PhaseOnePlan& one = mine().one;
        std::optional<BufferPool> own;
        if (store_->chunks() == nullptr)
            own.emplace(job_.executor, "chunks", arena_->take(one.chunk_memory_bytes(), kDirectIoAlign, "chunks"),
                        one.chunk_bytes, one.chunks);
        BufferPool& pool = own ? *own : *store_->chunks();
        Coalescer chains(job_.executor, pool, kRecord, {mine().partitions, one.target_chunks, one.max_chunks, 0, false},
                         1);
        const auto sink = store_->make_sink(chains, one);
        Pipeline pipeline(job_.executor, job_.bind);
        sink->add_workers(pipeline);
        pipeline.guard(chains);
        pipeline.start();
        for (std::uint32_t partition = 0; partition + 1 < mine().partitions; ++partition) {
            for (std::uint32_t chunk = 0; chunk < partition; ++chunk)
                chains.add(partition, filled(pool, partition, pool.buffer_bytes() / kRecord));
            chains.add_partial(partition, filled(pool, partition, 1 + partition));
        }
        chains.producer_done();
        pipeline.join();
        store_->seal();
    }
    Buffer filled(BufferPool& pool, std::uint32_t partition, std::uint64_t records) {
        Buffer buffer = pool.take();
        for (std::uint64_t i = 0; i < records * kRecord; i += sizeof(std::uint64_t)) {
            const std::uint64_t word = rng_.next();
            std::memcpy(buffer.storage().data() + i, &word, sizeof word);
        }
        buffer.set_size(records * kRecord);
        for (std::uint64_t i = 0; i < records; ++i)
            put_[partition].push_back(text_of(buffer.data().data() + i * kRecord));
        return buffer;
    }
    static std::string text_of(const std::byte* record) {
        return std::string(reinterpret_cast<const char*>(record), kRecord);
    }

    /// What phase two would get, by part; each part's records sorted.
    std::map<std::uint32_t, std::vector<std::string>> empty() {
        arena_->reset();
        const auto two = store_->plan_phase_two();
        EXPECT_TRUE(two);
        const auto source = store_->make_source(*arena_, *two);
        Pipeline pipeline(job_.executor, job_.bind);
        source->add_workers(pipeline);
        std::map<std::uint32_t, std::vector<std::string>> got;
        pipeline.start();
        std::uint32_t parts = 0;
        while (auto loaded = source->loaded().pop()) {
            ++parts;
            EXPECT_EQ(got.count(loaded->partition), 0u);
            auto& records = got[loaded->partition];
            for (std::uint64_t i = 0; i < loaded->bytes() / kRecord; ++i)
                records.push_back(text_of(loaded->kept ? loaded->kept->records.at(i, kRecord)
                                                       : loaded->records.data().data() + i * kRecord));
            std::sort(records.begin(), records.end());
            if (loaded->kept) loaded->kept->give_back();
        }
        pipeline.join();
        EXPECT_EQ(parts, store_->parts());
        return got;
    }

    testing::OneRankJob owner_;
    JobContext job_ = owner_.job();
    RecordFormat format_{kRecord, 0, 10};
    RankResources rank_;
    SortPlan plan_;
    std::unique_ptr<Arena> arena_;
    std::unique_ptr<IntermediateStore> store_;
    Rng rng_{7};
    std::map<std::uint32_t, std::vector<std::string>> put_;
};

TEST_P(Stores, GiveBackWhatPhaseOnePutIn) {
    fill();
    std::uint64_t bytes = 0, largest = 0;
    for (auto& [partition, records] : put_) {
        std::sort(records.begin(), records.end());
        bytes += records.size() * kRecord;
        largest = std::max<std::uint64_t>(largest, records.size() * kRecord);
    }
    ASSERT_GT(put_[3].size(), put_[1].size());
    put_[mine().partitions - 1];  // nothing, and still a part
    EXPECT_EQ(store_->parts(), mine().partitions);
    EXPECT_EQ(store_->total_bytes(), bytes);
    EXPECT_GE(store_->largest_bytes(), largest);
    EXPECT_LT(store_->largest_bytes() - largest, kDirectIoAlign) << "padded to the block at most";
    EXPECT_EQ(store_->excess().of_plan, 0);
    EXPECT_EQ(empty(), put_);
}

TEST_P(Stores, LeaveNothingOnTheDisk) {
    fill();
    EXPECT_EQ(owner_.names().size(), plan_.passes == 1 ? 0u : 1u);
    store_.reset();
    EXPECT_TRUE(owner_.names().empty()) << owner_.names().front();
}

TEST_P(Stores, SayWhoGotMoreThanWasPlannedWhereThatCannotBeSplit) {
    store_->on_pressure();  // nobody has a chunk left
    store_->seal();
    const Excess excess = store_->excess();
    EXPECT_EQ(excess.of_plan > 0, plan_.passes == 1);
    if (excess.of_plan == 0) return;
    EXPECT_NE(excess.text.find("rank 0 of host here got 0 B where memory for "), std::string::npos) << excess.text;
}

INSTANTIATE_TEST_SUITE_P(Of, Stores, ::testing::Values(Passes::two, Passes::one),
                         [](const auto& passes) { return word_of(passes.param) + "_passes"; });

}  // namespace
}  // namespace sluice
