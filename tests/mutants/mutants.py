"""Small faults in a copy of the sources, one switched on at a time: the tests named with each must fail.

    python3 tests/mutants/mutants.py [NUMBER...]      by scripts/mutants.sh, into build/mutants

What a fault survives nobody guards. All are in one build, chosen by the environment's MUTANT, so that each costs only its
tests; the sources that are built and released know nothing of them. A line that is not there any more, or twice, is an
error: then the fault belongs elsewhere.
"""

import os
import pathlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

REPO = pathlib.Path(__file__).resolve().parents[2]
OUT = REPO / "build" / "mutants"

SWITCH = """#pragma once
#include <cstdlib>
namespace sluice {
inline bool mutant(int number) {
    static const int on = [] {
        const char* text = std::getenv("MUTANT");
        return text == nullptr ? 0 : std::atoi(text);
    }();
    return on == number;
}
}  // namespace sluice
"""

# (file below src, what is right, what is wrong, the program and the tests that must notice). A right side that ends in ';'
# is a statement, and goes; any other is an expression.
MUTANTS = [
    ("runtime/watch_rules.cpp", "std::max(last_progress_ns_, now_ns - beat.quiet_ns)", "now_ns - beat.quiet_ns", "runtime_tests WatchRules*"),
    ("runtime/watch_rules.cpp", "silent == peers_.size() && silent > 1", "silent == peers_.size()", "runtime_tests WatchRules*"),
    ("runtime/watch_rules.cpp", "if (idle && thread.wait.kind != WaitKind::disk && threads.size() > 1) continue;", "", "runtime_tests WatchRules*"),
    ("runtime/watch_rules.cpp", "pulse_required_ && now_ns - last_pulse_ns_ >= limit_ns_", "false", "runtime_tests WatchRules*"),
    ("runtime/watch_rules.cpp", "now.turn == before.turn && now.cpu_ns > before.cpu_ns", "now.turn == before.turn", "runtime_tests WatchRules*"),
    ("runtime/pipeline.cpp", "if (cause_) return;", "", "runtime_tests Pipeline*"),
    ("runtime/pipeline.cpp", "for (const auto& abort : guarded_) abort(cause);", "", "runtime_tests Pipeline*"),
    ("runtime/pipeline.cpp", "if (cause_) std::rethrow_exception(cause_);", "", "runtime_tests Pipeline*"),
    ("record/record_checker.cpp", "total.unordered += next.unordered", "total.unordered += 0", "record_tests RecordChecker*"),
    ("io/extent_log.cpp", "if (a_padded != b_padded) return b_padded;", "", "io_tests Extent*:IndexFile*"),
    ("io/extent_log.cpp", "bytes > capacity_ - used_", "false", "io_tests Extent*:IndexFile*"),
    ("io/owner_record.cpp", "if (!lock_taken) return {false, pid + \" on host \" + owner.host + \" holds its lock\"};", "", "io_tests OwnerLife*"),
    ("io/owner_record.cpp", "here.lives(owner.pid, owner.start_ticks)", "false", "io_tests OwnerLife*"),
    ("io/owner_record.cpp", "!same_boot && same_machine && !owner.boot.empty() && !self.boot.empty()", "same_machine", "io_tests OwnerLife*"),
    ("io/data_set.cpp", "!(total == set.total)", "false", "io_tests Manifest*"),
    ("io/data_set.cpp", "number_from(document, \"crc32\") != crc_of(document.at(\"manifest\").dump())", "false", "io_tests Manifest*"),
    ("io/data_set.cpp", "file.disk >= set.disks.size()", "false", "io_tests Manifest*"),
    ("io/data_set.cpp", "!is_bare_name(file.name)", "false", "io_tests Manifest*"),
    ("net/message_ledger.cpp", "header.run_id != run_id_", "false", "net_tests Ledgers*"),
    ("net/message_ledger.cpp", "header.source != source || header.destination != rank_", "header.source != source", "net_tests Ledgers*"),
    ("net/message_ledger.cpp", "header.sequence != next_received_[source]", "false", "net_tests Ledgers*"),
    ("net/news_tree.hpp", "std::min<std::uint64_t>(first + fan_out, ranks)", "std::min<std::uint64_t>(first + fan_out - 1, ranks)", "net_tests NewsTree*"),
    ("stages/coalescer.cpp", "pool_.free_buffers() < options_.low_water_chunks || pool_.under_pressure()", "pool_.under_pressure()", "stages_tests Coalescer*"),
    ("stages/node_distributor.cpp", "if (verify_) header.payload_crc32c = crc32c(records);", "", "stages_tests NodeDistributor*"),
    ("stages/node_distributor.cpp", "input_sum_.count - before.count", "input_sum_.count", "stages_tests NodeDistributor*"),
    ("stages/shared_open_buffers.cpp", "(!to.buffer && !to.opening)", "!to.buffer", "stages_tests SharedOpenBuffers*"),
    ("stages/logical_disk_distributor.cpp", "crc32c(rest, crc) != arrived.header.payload_crc32c", "false", "stages_tests LogicalDisk*"),
    ("stages/log_writer.cpp", "!slots_.all_taken() && bytes_in_flight_ < most_bytes_", "!slots_.all_taken()", "stages_tests Logs*"),
    ("stages/partition_reader.cpp", "completion.bytes != request.bytes", "false", "stages_tests Logs*"),
    ("stages/partition_reader.cpp", "queue_->in_flight() == queue_->depth() || bytes_in_flight_ >= most_bytes_", "queue_->in_flight() == queue_->depth()", "stages_tests Logs*"),
    ("stages/sorter.cpp", "verify_ && summary.unordered != 0", "false", "stages_tests Sorter*"),
    ("stages/reader.cpp", "completion.bytes < wanted_bytes", "false", "stages_tests Reader*"),
    ("stages/reader.cpp", "range.expected != nullptr && !file->identity().same_content(*range.expected)", "false", "stages_tests Reader*"),
    ("stages/part_writer.cpp", "part->file->truncate(part->bytes);", "", "stages_tests Parts*"),
    ("stages/part_writer.cpp", "if (sync_) part->file->sync_data();", "", "stages_tests Parts*"),
    ("stages/part_writer.cpp", "part->file->close_checked();", "", "stages_tests Parts*"),
    ("stages/record_sink.cpp", "low <= prefix && prefix <= high", "true", "stages_tests RecordSink*"),
    ("stages/stage_report.cpp", "total_ns - std::min(total_ns, waits_ns)", "total_ns - waits_ns", "stages_tests StageReport*"),
    ("plan/plan_partitions.cpp", "std::llround(std::min(1.0, weight / total) * partitions)", "std::min(1.0, weight / total) * partitions", "plan_tests PlanOwnership*:PlanBudget*"),
    ("plan/plan_partitions.cpp", "return host[a] < host[b];", "return a < b;", "plan_tests PlanOwnership*"),
    ("plan/table_bytes.cpp", "return std::max(total(), kFreeTableBytes) - kFreeTableBytes;", "return 0;", "plan_tests PlanTables*"),
    ("plan/balance.cpp", "next = (next + rank.partitions) % disks;", "", "plan_tests OutputDiskShares*"),
    ("plan/plan.cpp", "!given && one->window_bytes() > budget_bytes / 2", "false", "plan_tests PlanBudget*:HostPlan*:PlanPools*"),
    ("plan/plan_messages.cpp", "own_bytes <= budget_bytes / kSendPoolPart", "true", "plan_tests PlanMessages*"),
    ("plan/plan_messages.cpp", "std::min<std::size_t>(each * peers, kLinkBytes / message_bytes)", "each * peers", "plan_tests PlanMessages*"),
    ("plan/input_proof.cpp", "!fresh && !job.config.run.allow_duplicate_input", "false", "plan_tests InputOfRanks*:InputPaths*"),
    ("plan/input_proof.cpp", "!other_boot && first.device == other.device && first.inode == other.inode", "!other_boot", "plan_tests InputOfRanks*:InputPaths*"),
    ("plan/input_proof.cpp", "by_host.size() > 1 && !all_shared", "false", "plan_tests InputOfRanks*:InputPaths*"),
    ("plan/directory_tree.cpp", "std::pair(info->device, info->inode)", "std::pair<std::uint64_t, std::uint64_t>(count_, 0)", "plan_tests Paths*"),
    ("plan/preflight_paths.cpp", "!entry || entry->kind == EntryInfo::Kind::link", "!entry", "plan_tests Paths*"),
    ("plan/disk_space.cpp", "same.bytes += part.bytes;", "", "plan_tests DiskSpace*"),
    ("plan/run_directory.cpp", "lock->info().links > 1", "false", "plan_tests MarkRemoving*"),
    ("jobs/output_set.cpp", "    place.parent->sync();\n    directory.renamed(name);", "    directory.renamed(name);", "jobs_tests *PowerLoss*"),
    ("jobs/output_set.cpp", "if (manifest_) manifest_->sync();", "", "jobs_tests *PowerLoss*"),
    ("jobs/output_set.cpp", "job_.rank() != 0", "true", "jobs_tests *CrashSweep*"),
    ("jobs/conservation.cpp", "read.count != written.count || (verified && !(read == written))", "false", "jobs_tests Conservation*"),
    ("jobs/conservation.cpp", "input.total.count != read.count || (verified && !(input.total == read))", "false", "jobs_tests Conservation*"),
    ("jobs/conservation.cpp", "problem_.empty() && next.first_key < whole_.last_key", "false", "jobs_tests Conservation*"),
    ("jobs/conservation.cpp", "order.add(rank.keys);", "", "jobs_tests TwoAccounts*"),
    ("jobs/conservation.cpp", "if (!lost.empty()) own.insert(own.begin(), lost);", "", "jobs_tests TwoAccounts*"),
    ("jobs/conservation.cpp", "sent == received", "true", "jobs_tests PairCheck*"),
    ("jobs/conservation.cpp", "fail_if_any(all_of(all, &PhaseOneFacts::pairs));", "", "jobs_tests PhaseOneCheck*"),
    ("jobs/conservation.cpp", "fail_if_any(all_of(all, &PhaseOneFacts::changes));", "", "jobs_tests PhaseOneCheck*"),
    ("jobs/conservation.cpp", "fail_if_any(all_of(all, &PhaseOneFacts::files));", "", "jobs_tests PhaseOneCheck*"),
    ("jobs/last_word.cpp", "word.refusal = as_one(problems);", "", "jobs_tests LastWord*"),
    ("plan/input_set.cpp", "sum == file.sum", "true", "jobs_tests PhaseOneCheck*"),
    ("io/data_set.cpp", "piece_.size() == piece_bytes_", "piece_.size() + 1 >= piece_bytes_", "io_tests Manifest*"),
    ("jobs/part_check.cpp", "file->size_bytes() != written.bytes", "false", "jobs_tests *PartCheck*"),
    ("jobs/part_check.cpp", "completion.bytes < skip + bytes || !std::equal(key.begin(), key.end(), written.last_key.begin())", "false", "jobs_tests *PartCheck*"),
    ("report/straggler_report.cpp", "all.size() < 2", "false", "report_tests Stragglers*"),
]


def tree():
    """A copy of the project with all faults in it, each behind its number."""
    copy = OUT / "tree"
    listed = subprocess.run(["git", "-C", REPO, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True).stdout.split("\n")
    texts = {}
    for number, (name, right, wrong, _) in enumerate(MUTANTS, 1):
        path = "src/" + name
        text = texts.get(path) or (REPO / path).read_text()
        if text.count(right) != 1:
            raise SystemExit(f"mutant {number}: {path} has {text.count(right)} times: {right}")
        if right.endswith(";"):
            texts[path] = text.replace(right, f"if (::sluice::mutant({number})) {{ {wrong} }} else {{ {right} }}")
        else:
            texts[path] = text.replace(right, f"(::sluice::mutant({number}) ? ({wrong}) : ({right}))")
    for name in filter(None, listed):
        if not (REPO / name).is_file():
            continue
        new = texts[name].encode() if name in texts else (REPO / name).read_bytes()
        to = copy / name
        if not to.exists() or to.read_bytes() != new:   # what is as it was is not built again
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(new)
            shutil.copymode(REPO / name, to)
    switch = copy / "mutant.hpp"
    if not switch.exists() or switch.read_text() != SWITCH:
        switch.write_text(SWITCH)
    return copy


def build(copy):
    programs = sorted({tests.split()[0] for *_, tests in MUTANTS})
    subprocess.run(["cmake", "-S", copy, "-B", OUT / "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_CXX_FLAGS=-O1 -include {copy}/mutant.hpp"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", OUT / "build", *programs], check=True, stdout=subprocess.DEVNULL)


def passes(number, tests):
    program, wanted = tests.split()
    try:
        done = subprocess.run([OUT / "build" / "bin" / program, f"--gtest_filter={wanted}", "--gtest_brief=1"], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "MUTANT": str(number)})
    except subprocess.TimeoutExpired:   # nobody wakes it any more: found out as well
        return False
    return done.returncode == 0 and "Running 0 tests" not in done.stdout and " 0 tests" not in done.stdout


def main(numbers):
    build(tree())
    for tests in sorted({tests for *_, tests in MUTANTS}):
        if not passes(0, tests):
            raise SystemExit(f"without any fault: {tests} fails, or there are none")
    chosen = numbers or range(1, len(MUTANTS) + 1)
    with ThreadPoolExecutor(2) as pool:
        survivors = [number for number, alive in zip(chosen, pool.map(lambda n: passes(n, MUTANTS[n - 1][3]), chosen)) if alive]
    for number in survivors:
        name, right, wrong, tests = MUTANTS[number - 1]
        print(f"SURVIVES {number}: {name}: {right} -> {wrong or 'nothing'}; {tests}")
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants are found")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main([int(word) for word in sys.argv[1:]]))
