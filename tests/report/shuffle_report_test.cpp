#include "report/shuffle_report.hpp"

#include <gtest/gtest.h>

#include "jobs/bench_net.hpp"
#include "runtime/packing.hpp"

namespace sluice {
namespace {

ShuffleRankReport filled_rank() {
    ShuffleRankReport rank;
    rank.host = "n1";
    rank.placement = "cores 0-3";
    rank.memory_pages = "4 KiB pages";
    rank.phase.phase = "shuffle";
    rank.phase.elapsed_ns = 2'000'000'000;
    rank.peers = {{1, 2, 3, 4, 5, 6, 7}};
    rank.interfaces = {11, 12, true};
    rank.cpu_user_s = 0.25;
    rank.cpu_system_s = 0.5;
    rank.peak_resident_bytes = 21;
    rank.budget_bytes = 22;
    return rank;
}

const char* const kResult = R"({
 "bytes": 1000,
 "checksum": "ff",
 "elapsed_s": 2.0,
 "hosts": [
  {
   "host": "n1",
   "interfaces": {
    "known": true,
    "received": 11,
    "sent": 12
   },
   "received_bytes": 193,
   "sent_bytes": 193
  }
 ],
 "kind": "shuffle",
 "message_bytes": 31,
 "mpi_library": "Open MPI",
 "pairs": [
  {
   "bytes": 1000,
   "checksum": "ff",
   "from": 0,
   "messages": 3,
   "records": 10,
   "to": 0
  }
 ],
 "partitions": 4,
 "pattern": "all-to-all",
 "ranks": [
  {
   "budget_bytes": 22,
   "cpu_system_s": 0.5,
   "cpu_user_s": 0.25,
   "host": "n1",
   "interfaces": {
    "known": true,
    "received": 11,
    "sent": 12
   },
   "memory_pages": "4 KiB pages",
   "peak_resident_bytes": 21,
   "peers": [
    {
     "received_bytes": 4,
     "received_messages": 6,
     "received_records": 5,
     "send_busy_ns": 7,
     "sent_bytes": 1,
     "sent_messages": 3,
     "sent_records": 2
    }
   ],
   "phase": {
    "disks": [],
    "elapsed_ns": 2000000000,
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
    "phase": "shuffle",
    "planned_depth": 0,
    "stages": []
   },
   "placement": "cores 0-3"
  }
 ],
 "receive_buffers": 33,
 "records": 10,
 "run_id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
 "schema_version": 1,
 "send_buffers": 32,
 "send_groups": 0,
 "shuffle_mb_per_s": 0.0005,
 "status": "VALID",
 "stragglers": {
  "disk": null,
  "host": null,
  "link": null
 },
 "transport": "p2p",
 "wire_mb_per_s_per_host": 9.65e-05
}
)";

TEST(ShuffleReport, ResultJsonOfAFilledReportIsThisToTheByte) {
    PreparedShuffle prepared;
    prepared.plan.format = {100, 0, 10};
    prepared.plan.ownership.first_partition = {0, 4};
    prepared.plan.ranks.resize(1);
    prepared.plan.ranks[0].one.message_bytes = 31;
    prepared.plan.ranks[0].one.send_buffers = 32;
    prepared.plan.ranks[0].one.receive_buffers = 33;
    ShuffleResult result;
    result.verified = true;
    result.run_id = std::string(32, 'a');
    result.pairs = {{{10, 255}}};
    ShuffleReport report;
    report.prepared = &prepared;
    report.result = &result;
    report.ranks = {unpack<ShuffleRankReport>(pack(filled_rank()))};  // as it comes from another rank
    report.transport = "p2p";
    report.mpi_library = "Open MPI";
    EXPECT_EQ(result_json(report), kResult);
}

BenchNetResult bench_result() {
    BenchNetResult result;
    result.run_id = "ab";
    result.hosts = {"n1", "n2"};
    BenchNetRow row;
    row.transport = "p2p";
    row.pattern = "stride 3";
    row.message_bytes = 1;
    row.pairs = 2;
    row.messages = 3;
    row.elapsed_s = {0.5, 0.75, 1.5};
    row.rank_mb_per_s = {4, 5, 6.25};
    row.algorithm_mb_per_s = {7, 8, 9.125};
    row.wire_mb_per_s = 1234567.5;
    row.latency_us = {10, 11, 12};
    row.verified = 13;
    row.wrong = 14;
    result.rows = {row};
    return result;
}

const char* const kBench = R"({
 "hosts_by_rank": [
  "n1",
  "n2"
 ],
 "kind": "bench-net",
 "net_poll": "spin",
 "ranks": 2,
 "rows": [
  {
   "algorithm_mb_per_s": {
    "max": 9.125,
    "median": 8.0,
    "min": 7.0
   },
   "elapsed_s": {
    "max": 1.5,
    "median": 0.75,
    "min": 0.5
   },
   "latency_us": {
    "max": 12.0,
    "median": 11.0,
    "min": 10.0
   },
   "message_bytes": 1,
   "messages": 3,
   "pairs": 2,
   "pattern": "stride 3",
   "rank_mb_per_s": {
    "max": 6.25,
    "median": 5.0,
    "min": 4.0
   },
   "transport": "p2p",
   "verified": 13,
   "wire_mb_per_s": 1234567.5,
   "wrong": 14
  }
 ],
 "run_id": "ab",
 "schema_version": 1,
 "wrong": 14
}
)";

TEST(BenchNetReport, JsonAndCsvOfAFilledRowAreTheseToTheByte) {
    EXPECT_EQ(bench_net_json(bench_result(), R"({"net_poll": "spin"})"), kBench);
    EXPECT_EQ(
        bench_net_csv(bench_result()),
        R"(transport,pattern,message_bytes,pairs,messages,elapsed_min_s,elapsed_median_s,elapsed_max_s,rank_min_mb_per_s,rank_median_mb_per_s,rank_max_mb_per_s,algorithm_min_mb_per_s,algorithm_median_mb_per_s,algorithm_max_mb_per_s,wire_mb_per_s,latency_min_us,latency_median_us,latency_max_us,verified,wrong
p2p,stride 3,1,2,3,0.5,0.75,1.5,4,5,6.25,7,8,9.125,1.23457e+06,10,11,12,13,14
)");
}

}  // namespace
}  // namespace sluice
