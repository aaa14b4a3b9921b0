#pragma once
/// N ranks of the real jobs and stages in one process, on seeded threads and memory disks.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "io/owner_record.hpp"
#include "jobs/data_jobs.hpp"
#include "jobs/sort_job.hpp"
#include "net/alltoallv_transport.hpp"
#include "net/counting_communicator.hpp"
#include "net/p2p_transport.hpp"
#include "net/rma_transport.hpp"
#include "net/transport_kind.hpp"
#include "record/key_distribution.hpp"
#include "runtime/fake_processes.hpp"
#include "runtime/rng.hpp"
#include "simulated/fault_backend.hpp"
#include "simulated/in_process.hpp"
#include "simulated/memory_backend.hpp"
#include "simulated/seeded_executor.hpp"

namespace sluice::testing {

inline const std::string kInputRun = "00112233445566778899aabbccddeeff";

/// How the keys are spread. The payloads are random but where records are said to be copies.
enum class Keys { uniform, all_equal, one_hot_key, few_records, sorted, hot_range, zipf };
inline constexpr std::size_t kKeysKinds = 7;

/// Turns random records into records of this kind; key 10 bytes, leading.
inline void spread_keys(std::vector<std::byte>& data, std::uint32_t record_bytes, Keys keys, Rng& rng) {
    const std::size_t count = data.size() / record_bytes;
    const auto record = [&](std::size_t i) { return data.data() + i * record_bytes; };
    const auto copy = [&](std::size_t from, std::size_t to) {
        if (from != to) std::memcpy(record(to), record(from), record_bytes);
    };
    for (std::size_t i = 0; i < count; ++i) {
        const double point = static_cast<double>(rng.below(1'000'000)) * 1e-6;
        switch (keys) {
            case Keys::uniform:
            case Keys::sorted:
                break;
            case Keys::all_equal:
                copy(0, i);
                break;
            case Keys::one_hot_key:
                if (point < 0.7) std::memset(record(i), 0x42, 10);
                break;
            case Keys::few_records:
                if (i >= 5) copy(rng.below(5), i);
                break;
            case Keys::hot_range:
                if (point < 0.9) std::memset(record(i), 0x42, 3);
                break;
            case Keys::zipf:
                copy(std::min(i, static_cast<std::size_t>(std::pow(1000.0, point)) - 1), i);
                break;
        }
    }
    if (keys != Keys::sorted) return;
    std::vector<std::vector<std::byte>> records;
    for (std::size_t i = 0; i < count; ++i) records.emplace_back(record(i), record(i) + record_bytes);
    std::sort(records.begin(), records.end());
    for (std::size_t i = 0; i < count; ++i) std::memcpy(record(i), records[i].data(), record_bytes);
}

struct ClusterShape {
    std::uint64_t seed = 1;
    std::uint32_t ranks = 1, ranks_per_host = 1, partitions = 8, distributors = 1, logical_disk_distributors = 1;
    bool cyclic_hosts = false;     ///< rank r is on host r modulo their number, not beside its neighbours
    double first_host_weight = 1;  ///< of host0; the others' is 1
    std::size_t records = 1000;
    std::uint32_t record_bytes = 128;  ///< 32 records fill a block: chunks of 4 KiB
    std::uint32_t key_offset = 0, key_bytes = 10;
    std::string generated;  ///< records as `sluice gen --keys` makes them; empty: random ones, spread by `keys`
    unsigned depth = 1;
    bool minimal_pools = true;  ///< exactly the preflight minimum of each pool
    bool shared_sends = false;  ///< and all distributors of a rank share their open send buffers
    TransportKind transport = TransportKind::p2p;
    bool shared_windows = false;  ///< rma as on one host
    unsigned passes = 2;
    std::uint32_t most_split_pieces = 1024;
    std::size_t chunks_short = 0;    ///< one pass: taken from the minimum, which must show
    bool intermediate_disk = false;  ///< one pass: there is one for all that
    bool narrow_keys = false;        ///< all keys in the lowest 256th, against what was promised
    PhaseOneMutant mutant;
    std::uint64_t input_seed = 0;  ///< 0: as seed
    WireFault wire_fault;
    IoFault io_fault;  ///< fires only when io_faulty
    bool io_faulty = false;
    bool validate = false;  ///< also run `sluice validate` on what was published
    Keys keys = Keys::uniform;
    bool promised_uniform = false;                            ///< nothing is sampled
    std::uint32_t samples = 0;                                ///< a partition; 0: planned
    std::uint64_t spare_disk_bytes = std::uint64_t{1} << 40;  ///< of each host, beyond its input
};

/// 24,000 records of a distribution, in ample pools.
inline ClusterShape shape_of_keys(Keys keys, std::uint32_t ranks) {
    ClusterShape shape;
    shape.keys = keys;
    shape.ranks = ranks;
    shape.partitions = 12;
    shape.records = 24'000;
    shape.minimal_pools = false;
    return shape;
}

struct ClusterOutcome {
    std::vector<std::byte> output;    ///< the concatenated parts, in the manifest's order
    std::vector<std::byte> expected;  ///< by std::sort
    std::vector<std::string> errors;  ///< by failed rank
    std::vector<int> codes;
    std::uint64_t switches = 0;
    bool fault_fired = false, published = false;
    std::vector<ValidateResult> validations;  ///< by rank, of shape.validate
    Balance balance;
    std::string plan_text;                 ///< as `sluice config check` prints it, before pools were cut
    std::set<std::uint64_t> mapped_bytes;  ///< arenas that ranks asked for
    unsigned passes = 0;
    std::uint64_t exceeded_attempts = 0, exceeded_read_bytes = 0;
    std::uint64_t split_partitions = 0, split_passes = 0, overflow_read_bytes = 0,
                  overflow_written_bytes = 0;  ///< over all ranks
    std::vector<CallCounts> calls;             ///< by rank, its preflight included
    bool good() const { return errors.empty() && output == expected; }
};

inline RecordFormat format_of(const ClusterShape& shape) {
    return {shape.record_bytes, shape.key_offset, shape.key_bytes};
}

/// By std::sort on whole copies: key first, then the record.
inline std::vector<std::byte> sorted_copy(const std::vector<std::byte>& data, RecordFormat format) {
    const std::size_t record_bytes = format.record_bytes;
    std::vector<std::vector<std::byte>> records;
    for (std::size_t at = 0; at < data.size(); at += record_bytes) {
        records.emplace_back(data.begin() + static_cast<std::ptrdiff_t>(at),
                             data.begin() + static_cast<std::ptrdiff_t>(at + record_bytes));
    }
    const auto key = [&](const std::vector<std::byte>& record) {
        const auto first = record.begin() + format.key_offset;
        return std::vector<std::byte>(first, first + format.key_bytes);
    };
    if (format.key_offset == 0) {
        std::sort(records.begin(), records.end());
    } else {
        std::sort(records.begin(), records.end(), [&](const auto& a, const auto& b) {
            const auto key_a = key(a), key_b = key(b);
            return key_a != key_b ? key_a < key_b : a < b;
        });
    }
    std::vector<std::byte> out;
    for (const auto& record : records) out.insert(out.end(), record.begin(), record.end());
    return out;
}

/// Pools cut to the preflight minimum (ARCHITECTURE.md, Data flow). One pass: the chunks that the records of each
/// partition
/// (`counts`, by global partition; empty: as planned) can fill, and one open for each worker and partition, not one
/// more.
inline void cut_to_minimum(SortPlan& plan, TransportKind transport, const std::vector<std::uint64_t>& counts = {}) {
    const std::size_t peers = plan.ranks.size() - 1;
    for (std::uint32_t r = 0; r < plan.ranks.size(); ++r) {
        RankPlan& rank = plan.ranks[r];
        PhaseOnePlan& one = rank.one;
        one.read_buffers = one.readers;
        one.read_depth = 1;
        const std::size_t open =
            std::size_t{one.distributors + one.logical_disk_distributors} * std::max(1u, rank.partitions);
        if (plan.passes == 2) {
            one.chunks = open;
        } else if (!counts.empty()) {
            const auto first = counts.begin() + plan.ownership.first(r);
            const std::uint64_t share = std::accumulate(first, first + plan.ownership.count(r), std::uint64_t{0});
            one.chunks = open + share / one.chunk_records;
        }
        one.send_buffers = one.open_send_buffers() * peers;
        one.receive_buffers = least_receive_buffers(transport, plan.ranks.size());
        one.low_water_chunks = 0;
        one.target_chunks = one.max_chunks = 3;  // longer than memory allows to wait for
    }
}

class SimulatedCluster {
public:
    explicit SimulatedCluster(const ClusterShape& shape)
        : shape_(shape),
          executor_(shape.seed),
          cluster_(executor_, shape.ranks),
          hosts_((shape.ranks + shape.ranks_per_host - 1) / shape.ranks_per_host) {
        cluster_.inject(shape.wire_fault);
        make_input();
    }

    ClusterOutcome run() {
        outcome_.calls.resize(shape_.ranks);
        std::vector<std::unique_ptr<Task>> tasks;
        for (std::uint32_t rank = 0; rank < shape_.ranks; ++rank)
            tasks.push_back(executor_.spawn("rank-" + std::to_string(rank), [this, rank] { run_rank(rank); }));
        for (auto& task : tasks) task->join();
        outcome_.switches = executor_.switches();
        outcome_.fault_fired = outcome_.fault_fired || cluster_.fault_fired();
        return std::move(outcome_);
    }

private:
    std::size_t host_number(std::uint32_t rank) const {
        return shape_.cyclic_hosts ? rank % hosts_.size() : rank / shape_.ranks_per_host;
    }
    std::string host_of(std::uint32_t rank) const { return "host" + std::to_string(host_number(rank)); }

    void make_input() {
        const std::size_t host_count = hosts_.size();
        for (auto& host : hosts_) host = std::make_unique<MemoryDisk>(executor_);
        DataSet set;
        set.run_id = kInputRun;
        set.format = format_of(shape_);
        const std::vector<std::byte> all = make_records();  // the same for any number of hosts
        for (std::size_t h = 0; h < host_count; ++h) {
            const std::size_t count = shape_.records * (h + 1) / host_count - shape_.records * h / host_count;
            const auto first =
                all.begin() + static_cast<std::ptrdiff_t>(shape_.records * h / host_count * shape_.record_bytes);
            std::vector<std::byte> mine(first, first + static_cast<std::ptrdiff_t>(count * shape_.record_bytes));
            const RecordSum sum = sum_records(mine, shape_.record_bytes);
            set.disks.push_back({"host" + std::to_string(h), ""});
            set.files.push_back({static_cast<std::uint32_t>(h), "data", mine.size(), sum, -1});
            set.total += sum;
            auto content = std::make_shared<MemoryDisk::Content>();
            content->bytes = std::move(mine);
            hosts_[h]->files["/disk/input/data"] = std::move(content);
            hosts_[h]->directories["/disk"] = true;
        }
        set.input_total = set.total;
        OwnerRecord record;
        record.run_id = kInputRun;
        record.disks = static_cast<std::uint32_t>(host_count);
        record.state = OwnerState::published;
        for (auto& host : hosts_) {
            const auto files = make_memory_file_system(*host);
            files->write_durably("/disk/input/MANIFEST.json", set.to_text());
            files->write_durably("/disk/input/OWNER.json", to_block(record));
            ++record.disk;
        }
        for (auto& host : hosts_) {
            std::uint64_t used_bytes = 0;
            for (const auto& [path, content] : host->files) used_bytes += content->bytes.size();
            host->capacity_bytes = used_bytes + shape_.spare_disk_bytes;
        }
        outcome_.expected = sorted_copy(all, format_of(shape_));
    }

    std::vector<std::byte> make_records() const {
        const std::uint64_t seed = shape_.input_seed != 0 ? shape_.input_seed : shape_.seed;
        std::vector<std::byte> data(shape_.records * shape_.record_bytes);
        if (shape_.generated.empty()) {
            Rng rng(seed);
            for (auto& b : data) b = static_cast<std::byte>(rng.next() >> 32);
            spread_keys(data, shape_.record_bytes, shape_.keys, rng);
            for (std::size_t at = 0; shape_.narrow_keys && at < data.size(); at += shape_.record_bytes)
                data[at + shape_.key_offset] = std::byte{0};
            return data;
        }
        GeneratedData described;
        described.format = format_of(shape_);
        described.keys = KeyDistribution::parse(shape_.generated).value();
        described.seed = seed;
        described.records = shape_.records;
        DataGenerator(described, 0).fill(data);
        return data;
    }

    Config make_config() const {
        Config config;
        config.disks = {{"/disk", DiskRole::input}, {"/disk", DiskRole::output}};
        if (shape_.passes == 2 || shape_.intermediate_disk) config.disks.push_back({"/disk", DiskRole::intermediate});
        config.passes = shape_.passes == 1 ? Passes::one : Passes::two;
        config.record = {shape_.record_bytes, shape_.key_offset, shape_.key_bytes};
        config.memory.budget_bytes = 64 << 20;
        config.partitions.count = shape_.partitions;
        config.keys.distribution = shape_.promised_uniform ? SplitterSource::uniform : SplitterSource::sample;
        config.keys.samples = shape_.samples;
        config.io.depth = shape_.depth;
        config.io.read_size_bytes = config.io.write_size_bytes = config.io.chunk_size_bytes = 4096;
        config.io.workers = 1 + static_cast<std::uint32_t>(shape_.seed / 2 % 3);
        config.net.buffer_size_bytes = 4096;
        config.net.transport = shape_.transport;
        config.stages.distributor.workers = shape_.distributors;
        config.stages.logical_disk_distributor.workers = shape_.logical_disk_distributors;
        config.stages.sorter.workers = 1 + static_cast<std::uint32_t>(shape_.seed % 2);
        return config;
    }

    void run_rank(std::uint32_t rank) {
        CountingCommunicator communicator(cluster_.communicator(rank), outcome_.calls[rank]);
        try {
            MemoryDisk& disk = *hosts_[host_number(rank)];
            auto io = make_memory_backend(executor_, disk, shape_.seed * 31 + rank);
            if (shape_.io_faulty && rank == 0)
                io = make_fault_backend(std::move(io), shape_.io_fault,
                                        [this](const std::string&) { outcome_.fault_fired = true; });
            const auto files = make_memory_file_system(disk);
            Config config = make_config();
            if (host_number(rank) == 0) config.weight = shape_.first_host_weight;
            FakeProcesses processes(host_of(rank), rank + 1);
            JobContext job{.executor = executor_,
                           .communicator = communicator,
                           .doorbell = cluster_.doorbell(rank),
                           .io = *io,
                           .files = *files,
                           .processes = processes,
                           .config = config,
                           .place = find_place(communicator, host_of(rank)),
                           .make_transport = {},
                           .make_arena = {},
                           .bind = {},
                           .backoff = IdleBackoff(Polling::adaptive),
                           .say = {}};
            if (shape_.transport == TransportKind::rma)
                job.make_window = [&](std::uint64_t bytes) {
                    return cluster_.make_window(rank, bytes, shape_.shared_windows);
                };
            job.make_transport = [&](BufferPool& pool, std::uint64_t run_id, ReceiveWindow* window) {
                if (window != nullptr) return make_rma_transport(*window, cluster_.wire(rank), pool, run_id);
                if (shape_.transport == TransportKind::alltoallv)
                    return make_alltoallv_transport(cluster_.rounds(rank), pool, run_id);
                return make_p2p_transport(cluster_.wire(rank), pool, run_id);
            };
            job.make_arena = [this](std::uint64_t bytes) {
                outcome_.mapped_bytes.insert(bytes);
                return std::make_unique<Arena>(bytes, ArenaOptions{HugePages::off, nullptr, -1, 1});
            };
            sort_and_collect(job);
        } catch (const std::exception& error) {
            outcome_.errors.push_back(error.what());
            const auto* known = dynamic_cast<const Error*>(&error);
            outcome_.codes.push_back(known != nullptr ? known->exit_code() : 1);
            communicator.announce_failure({rank, outcome_.codes.back(), error.what()});
        }
    }

    void sort_and_collect(JobContext& job) {
        SortOptions options;
        options.mutant = shape_.mutant;
        options.most_split_pieces = shape_.most_split_pieces;
        PreparedSort prepared = prepare_sort(job, {.memory_available_bytes = std::uint64_t{1} << 40});
        if (job.rank() == 0) outcome_.plan_text = describe(prepared.plan, prepared.resources);
        if (shape_.minimal_pools) {
            for (RankPlan& one : prepared.plan.ranks)
                one.one.send_groups = shape_.shared_sends && shape_.ranks > 1 ? 1 : 0;
            cut_to_minimum(prepared.plan, shape_.transport,
                           shape_.promised_uniform ? partition_counts(prepared.plan) : std::vector<std::uint64_t>{});
            // The least of which one can be lent.
            for (RankPlan& one : prepared.plan.ranks) one.one.receive_buffers *= shape_.shared_windows ? 2 : 1;
        }
        for (RankPlan& each : prepared.plan.ranks) each.one.chunks -= shape_.chunks_short;
        const SortResult result = run_sort(job, prepared, options);
        outcome_.published = true;
        outcome_.split_partitions += result.split_partitions;
        outcome_.split_passes += result.split_passes;
        outcome_.overflow_read_bytes += result.overflow.io.read_bytes;
        outcome_.overflow_written_bytes += result.overflow.io.written_bytes;
        outcome_.exceeded_read_bytes += result.exceeded.io.read_bytes;
        outcome_.exceeded_attempts = result.exceeded_attempts;
        outcome_.passes = prepared.plan.passes;
        if (job.rank() == 0) collect();
        if (shape_.validate) {
            const ValidateResult valid = run_validate(job, 2);
            outcome_.validations.resize(shape_.ranks);
            outcome_.validations[job.rank()] = valid;
        }
        if (job.rank() == 0) outcome_.balance = result.balance;
    }

    /// Records of each partition of the whole input.
    std::vector<std::uint64_t> partition_counts(const SortPlan& plan) const {
        std::vector<std::uint64_t> counts(plan.ownership.partitions());
        std::vector<std::uint32_t> partition(outcome_.expected.size() / shape_.record_bytes);
        make_uniform_partitioner(plan.format, plan.ownership.partitions())
            ->classify(outcome_.expected.data(), partition);
        for (const std::uint32_t p : partition) ++counts[p];
        return counts;
    }

    void collect() {
        const auto& manifest = hosts_.front()->files.at("/disk/sorted/MANIFEST.json")->bytes;
        const DataSet set =
            DataSet::from_text({reinterpret_cast<const char*>(manifest.data()), manifest.size()}, "the sorted set");
        for (const DataFile& file : set.files) {
            const std::string& host = set.disks[file.disk].host;
            const auto& content = hosts_[std::stoul(host.substr(4))]->files.at("/disk/sorted/" + file.name)->bytes;
            outcome_.output.insert(outcome_.output.end(), content.begin(), content.end());
        }
    }

    ClusterShape shape_;
    SeededExecutor executor_;
    InProcessCluster cluster_;
    std::vector<std::unique_ptr<MemoryDisk>> hosts_;
    ClusterOutcome outcome_;
};

}  // namespace sluice::testing
