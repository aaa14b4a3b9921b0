#include "plan/cluster.hpp"

#include "net/collectives.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>

namespace sluice {

Step open_step(JobContext& job, const char* name) {
    return Step(job.executor, name, [&job] { throw_if_aborted(job.communicator); });
}

RankPlace find_place(Communicator& communicator, const std::string& host_name) {
    const auto names = communicator.all_gather(host_name);
    RankPlace place;
    place.host = host_name;
    place.local_ranks = 0;
    std::vector<std::string> hosts;
    for (std::uint32_t rank = 0; rank < names.size(); ++rank) {
        if (std::find(hosts.begin(), hosts.end(), names[rank]) == hosts.end()) hosts.push_back(names[rank]);
        if (names[rank] != host_name) continue;
        if (rank < communicator.rank()) ++place.local_rank;
        ++place.local_ranks;
        place.ranks_here.push_back(rank);
    }
    place.hosts = static_cast<std::uint32_t>(hosts.size());
    place.host_index = static_cast<std::uint32_t>(std::find(hosts.begin(), hosts.end(), host_name) - hosts.begin());
    return place;
}

namespace {

/// Their codes' lowest and their lines, each once; nullopt where there are none.
std::optional<std::pair<Errc, std::string>> combine(const std::vector<Problems>& gathered) {
    std::vector<std::string> lines;
    Errc code = Errc::regression;
    for (std::uint32_t rank = 0; rank < gathered.size(); ++rank) {
        for (const Problem& problem : gathered[rank]) {
            code = std::min(code, problem.code);
            const auto same = [&](const std::string& line) { return line.find(problem.text) != std::string::npos; };
            if (std::none_of(lines.begin(), lines.end(), same))
                lines.push_back("rank " + std::to_string(rank) + ": " + problem.text);
        }
    }
    if (lines.empty()) return std::nullopt;
    std::string all;
    for (const std::string& line : lines) all += (all.empty() ? "" : "\n") + line;
    // Rank 0 says it, and its line begins with its rank.
    if (const std::string own = "rank 0: "; all.compare(0, own.size(), own) == 0) all.erase(0, own.size());
    return std::pair(code, all);
}

}  // namespace

void refuse_if_any(const std::vector<Problems>& by_rank) {
    if (const auto found = combine(by_rank)) throw RefusedError(found->first, found->second);
}

void refuse_if_any(JobContext& job, const Problems& problems) { refuse_if_any(all_gather(job.communicator, problems)); }

void fail_if_any(const std::vector<Problems>& by_rank) {
    if (const auto found = combine(by_rank)) throw CollectiveError(found->first, found->second);
}

void fail_if_any(JobContext& job, const Problems& problems) { fail_if_any(all_gather(job.communicator, problems)); }

void say_notes(JobContext& job, const std::vector<std::string>& lines) {
    say_all_notes(job, gather(job.communicator, lines));
}

void say_all_notes(const JobContext& job, const std::vector<std::vector<std::string>>& by_rank) {
    constexpr std::size_t kMostSaid = 20;
    std::vector<std::string> said;
    std::size_t more = 0;
    for (const auto& lines : by_rank) {
        for (const std::string& line : lines) {
            if (std::count(said.begin(), said.end(), line) != 0) continue;
            if (said.size() < kMostSaid) {
                said.push_back(line);
            } else {
                ++more;
            }
        }
    }
    if (job.rank() != 0 || !job.say) return;
    for (const std::string& line : said) job.say(line);
    if (more > 0) job.say("WARNING and " + std::to_string(more) + " more of the kind");
}

std::vector<std::string> disk_paths(const JobContext& job, DiskRole role) {
    std::vector<std::string> paths;
    for (const DiskConfig& disk : job.config.disks_of(role))
        paths.push_back(expand_path(disk.path, job.place.host, job.rank()));
    return paths;
}

std::shared_ptr<Directory> open_disk(JobContext& job, const std::string& path) {
    try {
        return job.files.open_directory(path);
    } catch (const ExhaustedError&) {
        throw;
    } catch (const Error& error) {
        if (error.code() == Errc::environment) return nullptr;
        throw;
    }
}

std::vector<std::uint32_t> disks_of_rank(const RankPlace& place, std::size_t count) {
    std::vector<std::uint32_t> mine;
    const bool divide = count >= place.local_ranks && count % place.local_ranks == 0;
    for (std::uint32_t disk = 0; disk < count; ++disk) {
        if (!divide || disk % place.local_ranks == place.local_rank) mine.push_back(disk);
    }
    return mine;
}

RecordFormat configured_format(const Config& config) {
    return {static_cast<std::uint32_t>(config.record.size_bytes),
            static_cast<std::uint32_t>(config.record.key_offset_bytes),
            static_cast<std::uint32_t>(config.record.key_size_bytes)};
}

DirectIoCheck check_direct_io(const JobContext& job, const DirectIoProof& proof) {
    DirectIoCheck check;
    const DirectIo direct = job.config.io.direct;
    if (proof.alignment == 0 && direct == DirectIo::on) {
        check.problem = "no direct I/O: " + proof.cached_because +
                        "; use a directory on another disk, or io.direct = \"attempt\" for a result that is marked as "
                        "cached";
    } else if (proof.alignment > kDirectIoAlign && direct != DirectIo::off) {
        check.problem = "direct I/O wants " + std::to_string(proof.alignment) + "-byte alignment, more than our " +
                        std::to_string(kDirectIoAlign);
    } else {
        check.is_cached = proof.alignment == 0 || direct == DirectIo::off;
    }
    return check;
}

std::string disk_of_path(const JobContext& job, const std::string& path) {
    std::string innermost;
    for (const DiskRole role : {DiskRole::input, DiskRole::intermediate, DiskRole::output}) {
        for (const std::string& disk : disk_paths(job, role)) {
            const bool below = path.compare(0, disk.size() + 1, disk + "/") == 0;
            if (below && disk.size() > innermost.size()) innermost = disk;
        }
    }
    return innermost.empty() ? path : innermost;
}

std::vector<std::string> cached_places(const JobContext& job, std::vector<std::string> found) {
    for (const std::string& directory : job.io.cached_directories()) {
        const std::string place = disk_of_path(job, directory);
        if (std::find(found.begin(), found.end(), place) == found.end()) found.push_back(place);
    }
    return found;
}

RecordSum sum_over_ranks(Communicator& communicator, const RecordSum& mine) {
    const auto sums = communicator.sum({mine.count, mine.sum});
    return {static_cast<std::uint64_t>(sums[0]), sums[1]};
}

std::uint64_t sum_over_ranks(Communicator& communicator, std::uint64_t mine) {
    return static_cast<std::uint64_t>(communicator.sum({mine}).front());
}

void wait_until_touched(JobContext& job, Arena& arena) {
    arena.touch_rest();
    while (arena.touching()) {
        throw_if_aborted(job.communicator);
        this_worker().units.add(1);  // progress, as the watchdog sees it
        job.executor.sleep_for_ns(1'000'000);
    }
}

std::string make_run_id(JobContext& job) {
    std::random_device device;
    char text[33];
    std::snprintf(text, sizeof text, "%08x%08x%08x%08x", device(), device(), device(), device());
    return job.communicator.broadcast(text, 0);
}

std::string hex_of(const std::vector<std::byte>& bytes) {
    std::string text;
    text.reserve(2 * bytes.size());
    for (const std::byte b : bytes) {
        text += "0123456789abcdef"[static_cast<unsigned>(b) >> 4];
        text += "0123456789abcdef"[static_cast<unsigned>(b) & 15];
    }
    return text;
}

std::vector<std::byte> bytes_of_hex(const std::string& hex) {
    const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
    std::vector<std::byte> bytes(hex.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    return bytes;
}

}  // namespace sluice
