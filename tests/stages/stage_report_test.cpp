#include "stages/stage_report.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(StageReport, WorkersOfAStageAddUpAndBusyIsWhatIsLeft) {
    ThreadExecutor executor;
    Pipeline pipeline(executor, {});
    for (unsigned worker = 0; worker < 2; ++worker) pipeline.add(StageKind::reader, worker, [] {});
    pipeline.add(StageKind::writer, 0, [] {});
    pipeline.start();
    pipeline.join();
    for (const Worker& worker : pipeline.workers()) {
        WorkerMetrics& m = *worker.metrics;
        const std::uint64_t end_ns = worker.index == 0 ? 2000 : 1500;
        m.start_ns.set(1000);
        m.end_ns.set(end_ns);
        m.cpu_ns.set(70);
        m.input_bytes.set(10 + worker.index);
        m.output_bytes.set(20);
        m.records.set(3);
        m.units.set(1);
        m.wait_input_ns.set(100);
        m.wait_memory_ns.set(50);
        m.wait_output_ns.set(20);
        m.wait_io_ns.set(worker.index == 0 ? 30 : 900);  // more than it lived: a clock that was read late
    }
    const auto reports = report_stages(pipeline, 500);
    ASSERT_EQ(reports.size(), 2u);
    const StageReport& reader = reports[0];
    EXPECT_EQ(word_of(reader.stage), "reader");
    EXPECT_EQ(reader.workers, 2u);
    EXPECT_EQ(reader.input_bytes, 21u);
    EXPECT_EQ(reader.output_bytes, 40u);
    EXPECT_EQ(reader.total_ns, 1500u);
    EXPECT_EQ(reader.busy_ns, 800u);
    EXPECT_EQ(reader.wait_input_ns + reader.wait_memory_ns + reader.wait_output_ns, 340u);
    EXPECT_EQ(reader.wait_io_ns, 930u);
    EXPECT_EQ(reader.cpu_ns, 140u);
    EXPECT_EQ(reader.first_done_ns, 1000u);
    EXPECT_EQ(reader.last_done_ns, 1500u);
    EXPECT_EQ(word_of(reports[1].stage), "writer");
    EXPECT_EQ(reports[1].workers, 1u);
}

TEST(StageReport, QueuesOfADiskAreOneDiskAndItsBusyTimeIsTheLongest) {
    PhaseReport report;
    IoCounters reads, writes;
    reads.read_bytes = 100;
    reads.busy_ns = 7;
    reads.max_in_flight = 3;
    writes.written_bytes = 50;
    writes.busy_ns = 4;
    add_disk(report, "/a", reads);
    reads.busy_ns = 9;
    reads.max_in_flight = 2;
    add_disk(report, "/a", reads);
    add_disk(report, "/a", writes);
    add_disk(report, "/b", {});
    ASSERT_EQ(report.disks.size(), 2u) << "a disk that did nothing is none";
    EXPECT_EQ(report.disks[0].use, DiskUse::reads);
    EXPECT_EQ(report.disks[0].bytes, 200u);
    EXPECT_EQ(report.disks[0].busy_ns, 9u);
    EXPECT_EQ(report.disks[1].use, DiskUse::writes);
    EXPECT_EQ(report.disks[1].bytes, 50u);
    EXPECT_EQ(report.io.read_bytes, 200u);
    EXPECT_EQ(report.io.max_in_flight, 3u);
    PhaseReport total;
    add_up(total, report);
    add_up(total, report);
    EXPECT_EQ(total.io.read_bytes, 400u);
    EXPECT_EQ(total.io.written_bytes, 100u);
}

TEST(StageReport, TheTotalOfStagesBeginsWithTheFirstThatHasWorkers) {
    StageReport reader, nobody, writer;
    reader.stage = StageKind::reader;
    writer.stage = StageKind::writer;
    reader.workers = writer.workers = 2;
    reader.first_done_ns = 30;
    reader.last_done_ns = 40;
    writer.first_done_ns = 35;
    writer.last_done_ns = 60;
    const StageReport total = total_of({nobody, reader, writer});
    EXPECT_EQ(total.workers, 4u);
    EXPECT_EQ(total.first_done_ns, 30u) << "not 0, which nobody says";
    EXPECT_EQ(total.last_done_ns, 60u);
    std::vector<StageReport> stages;
    for (const StageReport& part : {reader, writer, reader}) add_stage(stages, part);
    ASSERT_EQ(stages.size(), 2u);
    EXPECT_EQ(stages[0].workers, 4u);
}

TEST(StageReport, ALivePhaseIsSeenWhileItLives) {
    ThreadExecutor executor;
    Pipeline pipeline(executor, {});
    pipeline.add(StageKind::reader, 0, [] { this_worker().input_bytes.add(10); });
    pipeline.add(StageKind::writer, 0, [] { this_worker().output_bytes.add(5); });
    pipeline.start();
    pipeline.join();
    LiveCounters live;
    WorkerMetrics sender;
    sender.output_bytes.set(3);
    {
        const LivePhase shown(&live, "phase one", pipeline, 100, &sender);
        const auto now = live.read();
        EXPECT_EQ(now.phase, "phase one");
        EXPECT_EQ(now.done_bytes, 10u);
        EXPECT_EQ(now.goal_bytes, 100u);
        EXPECT_EQ(now.disk_bytes, 15u);
        EXPECT_EQ(now.network_bytes, 3u);
    }
    EXPECT_EQ(live.read().phase, "");
    const LivePhase nobody_looks(nullptr, "phase one", pipeline, 100);
}

TEST(StageReport, EarliestIgnoresTimesThatAreNone) {
    std::uint64_t earliest_ns = 0;
    for (const std::uint64_t at_ns : {0, 9, 4, 0, 7}) keep_earliest(earliest_ns, at_ns);
    EXPECT_EQ(earliest_ns, 4u);
}

}  // namespace
}  // namespace sluice
