#include "report/sort_report.hpp"

#include <gtest/gtest.h>

#include "report/straggler_report.hpp"
#include "runtime/packing.hpp"

namespace sluice {
namespace {

/// Every figure of a stage another number.
StageReport filled_stage() {
    StageReport stage;
    stage.stage = StageKind::logical_disk_distributor;
    stage.workers = 1;
    stage.input_bytes = 2;
    stage.output_bytes = 3;
    stage.records = 4;
    stage.units = 5;
    stage.total_ns = 6;
    stage.busy_ns = 7;
    stage.wait_input_ns = 8;
    stage.wait_memory_ns = 9;
    stage.wait_output_ns = 10;
    stage.wait_io_ns = 11;
    stage.cpu_ns = 12;
    stage.first_done_ns = 1'300'000'000;
    stage.last_done_ns = 1'400'000'000;
    return stage;
}

IoCounters filled_counters(std::uint64_t first) {
    IoCounters io;
    io.read_bytes = first;
    io.written_bytes = first + 1;
    io.read_requests = first + 2;
    io.write_requests = first + 3;
    io.submit_ns = first + 4;
    io.short_transfers = first + 5;
    io.max_in_flight = static_cast<unsigned>(first) + 6;
    io.busy_ns = first + 7;
    return io;
}

PhaseReport phase_of(const char* name, std::uint64_t elapsed_ns) {
    PhaseReport phase;
    phase.phase = name;
    phase.elapsed_ns = elapsed_ns;
    return phase;
}

RankReport filled_rank() {
    RankReport rank;
    rank.host = "n\"1";
    rank.placement = "cores 0-3";
    rank.memory_pages = "4 KiB pages";
    rank.zero = phase_of("phase zero", 31);
    rank.one = phase_of("phase one", 1'500'000'000);
    rank.one.stages = {filled_stage()};
    rank.one.io = filled_counters(40);
    rank.one.disks = {{"/d/0", DiskUse::writes, 51, 52}};
    rank.one.planned_depth = 53;
    rank.one.kernel_read_bytes = 54;
    rank.one.kernel_written_bytes = 55;
    rank.overflow = phase_of("overflow", 32);
    rank.two = phase_of("phase two", 1'600'000'000);
    rank.two.io = filled_counters(60);
    rank.exceeded = phase_of("phase one", 33);
    rank.split_partitions = 1;
    rank.cpu_user_s = 0.25;
    rank.cpu_system_s = 0.5;
    rank.elapsed_s = 3.5;
    rank.peak_resident_bytes = 71;
    rank.budget_bytes = 72;
    rank.switches = 73;
    rank.padding_bytes = 74;
    rank.extents = 75;
    rank.sent_bytes = 76;
    rank.received_bytes = 77;
    rank.first_arrival_input_fraction = 0.75;
    rank.startup_s = 0.125;
    rank.boundary_s = 0.0625;
    rank.links = {{81, 82}, {83, 84}};
    rank.cached_disks = {"/d/0", "/d/1"};
    return rank;
}

const char* const kResult = R"({
 "balance": {
  "mean_partition_bytes": 0.0,
  "output_disks": [],
  "partition_bytes": [],
  "ranks": [],
  "worst_partition_of_mean": 1.0
 },
 "cached": true,
 "checksum": "ff",
 "elapsed_s": 4.0,
 "input": {
  "files": 0,
  "hosts": []
 },
 "input_bytes": 1000,
 "kernel_reads_per_tuple": 0.054,
 "kernel_writes_per_tuple": 0.055,
 "limit": {
  "cached": true,
  "kind": "two-pass-copy",
  "pass_one_s": 1.25,
  "pass_two_s": 1.75
 },
 "mean_partition_bytes": 250,
 "mpi_library": "Open MPI",
 "one_pass_attempts_exceeded": 22,
 "partitions": 4,
 "passes": 2,
 "passes_exceeded": true,
 "passes_reason": "two passes: passes = \"two\"",
 "ranks": [
  {
   "budget_bytes": 72,
   "cached_disks": [
    "/d/0",
    "/d/1"
   ],
   "context_switches": 73,
   "cpu_system_s": 0.5,
   "cpu_user_s": 0.25,
   "elapsed_s": 3.5,
   "exceeded": {
    "disks": [],
    "elapsed_ns": 33,
    "io": {
     "busy_ns": 0,
     "max_in_flight": 0,
     "read_bytes": 0,
     "read_requests": 0,
     "short_transfers": 0,
     "submit_ns": 0,
     "write_requests": 0,
     "written_bytes": 0
    },
    "kernel_read_bytes": 0,
    "kernel_written_bytes": 0,
    "phase": "phase one",
    "planned_depth": 0,
    "stages": []
   },
   "extents": 75,
   "first_arrival_input_fraction": 0.75,
   "host": "n\"1",
   "links_sent_bytes_busy_ns": [
    [
     81,
     82
    ],
    [
     83,
     84
    ]
   ],
   "memory_pages": "4 KiB pages",
   "overflow": {
    "disks": [],
    "elapsed_ns": 32,
    "io": {
     "busy_ns": 0,
     "max_in_flight": 0,
     "read_bytes": 0,
     "read_requests": 0,
     "short_transfers": 0,
     "submit_ns": 0,
     "write_requests": 0,
     "written_bytes": 0
    },
    "kernel_read_bytes": 0,
    "kernel_written_bytes": 0,
    "phase": "overflow",
    "planned_depth": 0,
    "stages": []
   },
   "padding_bytes": 74,
   "peak_resident_bytes": 71,
   "phase_boundary_s": 0.0625,
   "phase_one": {
    "disks": [
     {
      "busy_ns": 52,
      "bytes": 51,
      "path": "/d/0",
      "use": "writes"
     }
    ],
    "elapsed_ns": 1500000000,
    "io": {
     "busy_ns": 47,
     "max_in_flight": 46,
     "read_bytes": 40,
     "read_requests": 42,
     "short_transfers": 45,
     "submit_ns": 44,
     "write_requests": 43,
     "written_bytes": 41
    },
    "kernel_read_bytes": 54,
    "kernel_written_bytes": 55,
    "phase": "phase one",
    "planned_depth": 53,
    "stages": [
     {
      "busy_ns": 7,
      "cpu_ns": 12,
      "first_done_ns": 1300000000,
      "input_bytes": 2,
      "last_done_ns": 1400000000,
      "output_bytes": 3,
      "records": 4,
      "stage": "logical-disk distributor",
      "total_ns": 6,
      "units": 5,
      "wait_input_ns": 8,
      "wait_io_ns": 11,
      "wait_memory_ns": 9,
      "wait_output_ns": 10,
      "workers": 1
     }
    ]
   },
   "phase_two": {
    "disks": [],
    "elapsed_ns": 1600000000,
    "io": {
     "busy_ns": 67,
     "max_in_flight": 66,
     "read_bytes": 60,
     "read_requests": 62,
     "short_transfers": 65,
     "submit_ns": 64,
     "write_requests": 63,
     "written_bytes": 61
    },
    "kernel_read_bytes": 0,
    "kernel_written_bytes": 0,
    "phase": "phase two",
    "planned_depth": 0,
    "stages": []
   },
   "phase_zero": {
    "disks": [],
    "elapsed_ns": 31,
    "io": {
     "busy_ns": 0,
     "max_in_flight": 0,
     "read_bytes": 0,
     "read_requests": 0,
     "short_transfers": 0,
     "submit_ns": 0,
     "write_requests": 0,
     "written_bytes": 0
    },
    "kernel_read_bytes": 0,
    "kernel_written_bytes": 0,
    "phase": "phase zero",
    "planned_depth": 0,
    "stages": []
   },
   "placement": "cores 0-3",
   "received_bytes": 77,
   "sent_bytes": 76,
   "split_partitions": 1,
   "startup_s": 0.125
  }
 ],
 "reads_per_tuple": 0.1,
 "records": 10,
 "run_id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
 "sampled_share": 0.0,
 "samples": 21,
 "schema_version": 1,
 "sort_bytes_per_second": 250.0,
 "split_partitions": 1,
 "startup_s": 0.125,
 "status": "VALID",
 "stragglers": {
  "disk": null,
  "host": null,
  "link": null
 },
 "writes_per_tuple": 0.102
}
)";

TEST(SortReport, ResultJsonOfAFilledReportIsThisToTheByte) {
    PreparedSort prepared;
    prepared.plan.format = {100, 0, 10};
    prepared.plan.ownership.first_partition = {0, 4};
    prepared.plan.ranks.resize(1);
    prepared.plan.mean_partition_bytes = 250;
    prepared.plan.passes_reason = "two passes: passes = \"two\"";
    SortResult result;
    result.verified = true;
    result.run_id = std::string(32, 'a');
    result.input = {10, 255};
    result.output = {10, 255};
    result.samples = 21;
    result.exceeded_attempts = 22;
    RunReport report;
    report.prepared = &prepared;
    report.result = &result;
    report.ranks = {unpack<RankReport>(pack(filled_rank()))};  // as it comes from another rank
    report.elapsed_s = 4;
    report.copy = CopyResult{2, 1.25, 1.75, 1000};
    report.mpi_library = "Open MPI";
    EXPECT_EQ(result_json(report), kResult);
}

TEST(SortReport, RanksCsvOfAFilledReportIsThisToTheByte) {
    auto ranks = std::vector{filled_rank(), filled_rank()};
    ranks[1].host = "n2";
    ranks[1].one.stages.push_back(filled_stage());
    ranks[1].one.stages.back().first_done_ns = 1'200'000'000;
    ranks[1].one.stages.back().last_done_ns = 1'350'000'000;
    EXPECT_EQ(ranks_csv(ranks),
              R"(rank,host,phase,first_done_s,last_done_s,elapsed_s,read_bytes,written_bytes
0,n"1,phase one,1.300000,1.400000,1.500000,40,41
0,n"1,phase two,0.000000,0.000000,1.600000,60,61
1,n2,phase one,1.200000,1.400000,1.500000,40,41
1,n2,phase two,0.000000,0.000000,1.600000,60,61
)");
}

}  // namespace
}  // namespace sluice
