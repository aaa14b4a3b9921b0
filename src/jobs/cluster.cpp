#include "jobs/cluster.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <set>

#include "record/uint128_text.hpp"

namespace sluice {

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
    }
    place.hosts = static_cast<std::uint32_t>(hosts.size());
    place.host_index = static_cast<std::uint32_t>(std::find(hosts.begin(), hosts.end(), host_name) - hosts.begin());
    return place;
}

void refuse_if_any(JobContext& job, const std::vector<std::string>& problems) {
    const auto gathered = job.communicator.all_gather(
        nlohmann::json(problems).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    std::vector<std::string> lines;
    int code = 255;
    for (std::uint32_t rank = 0; rank < gathered.size(); ++rank) {
        for (const std::string& problem : nlohmann::json::parse(gathered[rank]).get<std::vector<std::string>>()) {
            const std::size_t close = problem.find("] ");
            code = std::min(code, std::stoi(problem.substr(1, close - 1)));
            const std::string text = problem.substr(close + 2);
            const auto same = [&](const std::string& line) { return line.find(text) != std::string::npos; };
            if (std::none_of(lines.begin(), lines.end(), same))
                lines.push_back("rank " + std::to_string(rank) + ": " + text);
        }
    }
    if (lines.empty()) return;
    std::string all;
    for (const std::string& line : lines) all += (all.empty() ? "" : "\n") + line;
    // Rank 0 says it, and its line begins with its rank.
    if (const std::string own = "rank 0: "; all.compare(0, own.size(), own) == 0) all.erase(0, own.size());
    throw CollectiveError(static_cast<Errc>(code), all);
}

std::vector<std::string> disk_paths(const JobContext& job, DiskRole role) {
    std::vector<std::string> paths;
    for (const DiskConfig& disk : job.config.disks_of(role))
        paths.push_back(expand_path(disk.path, job.place.host, job.rank()));
    return paths;
}

std::vector<std::uint32_t> disks_of_rank(const RankPlace& place, std::size_t count) {
    std::vector<std::uint32_t> mine;
    const bool divide = count >= place.local_ranks && count % place.local_ranks == 0;
    for (std::uint32_t disk = 0; disk < count; ++disk) {
        if (!divide || disk % place.local_ranks == place.local_rank) mine.push_back(disk);
    }
    return mine;
}

DataSet read_manifest(JobContext& job, DiskRole role, const std::string& name) {
    std::string looked;
    for (const std::string& disk : disk_paths(job, role)) {
        const std::string path = disk + "/" + name + "/" + kManifestName;
        if (job.files.info(path)) return DataSet::from_text(job.files.read_text(path), path);
        looked += (looked.empty() ? "" : ", ") + path;
    }
    throw Error(Errc::input, "no data set '" + name + "' on host " + job.place.host + ": looked for " + looked +
                                 "; make one with `sluice gen`, or name files in input.paths");
}

RecordFormat configured_format(const Config& config) {
    return {static_cast<std::uint32_t>(config.record.size_bytes),
            static_cast<std::uint32_t>(config.record.key_offset_bytes),
            static_cast<std::uint32_t>(config.record.key_size_bytes)};
}

DataSet find_input(JobContext& job, std::vector<std::string>& problems) {
    DataSet set;
    const RecordFormat format = configured_format(job.config);
    if (job.config.input.paths.empty()) {
        set = read_manifest(job, DiskRole::input, job.config.input.name);
        const std::string& host = job.place.host;
        set.files.erase(std::remove_if(set.files.begin(), set.files.end(),
                                       [&](const DataFile& f) { return f.host != host && f.host != "*"; }),
                        set.files.end());
        if (!(set.format == format)) {
            problems.push_back("[2] record: the input's manifest says " + std::to_string(set.format.record_bytes) +
                               "-byte records, the config " + std::to_string(format.record_bytes) +
                               "; make record.size, key_offset and key_size agree");
        }
    } else {
        set.kind = "input";
        set.origin = "input.paths";
        set.format = format;
        for (const std::string& pattern : job.config.input.paths) {
            const auto paths = job.files.glob(expand_path(pattern, job.place.host, job.rank()));
            if (paths.empty())
                problems.push_back("[4] input.paths: 0 input files match '" + pattern + "' on host " + job.place.host);
            for (const std::string& path : paths) {
                std::uint64_t bytes = 0;
                try {
                    if (const auto info = job.files.info(path)) bytes = info->size_bytes;
                } catch (const Error&) {  // check_input_files says why
                }
                set.files.push_back({job.place.host, path, bytes, {}, -1});
            }
        }
    }
    const auto found =
        check_input_files(job.files, set.files, format.record_bytes, job.config.run.allow_duplicate_input);
    problems.insert(problems.end(), found.begin(), found.end());
    return set;
}

DirectIoCheck check_direct_io(JobContext& job, const std::string& path) {
    DirectIoCheck check;
    const std::string& direct = job.config.io.direct;
    const std::uint32_t alignment = job.files.direct_io_alignment(path);
    if (alignment == 0 && direct == "on") {
        check.problem =
            "its file system has no direct I/O (tmpfs is memory); use a directory on a disk, or io.direct = "
            "\"attempt\" for a result that is marked as cached";
    } else if (alignment > kDirectIoAlign && direct != "off") {
        check.problem = "direct I/O wants " + std::to_string(alignment) + "-byte alignment, more than our " +
                        std::to_string(kDirectIoAlign);
    } else {
        check.is_cached = alignment == 0 || direct == "off";
    }
    return check;
}

RecordSum sum_over_ranks(Communicator& communicator, const RecordSum& mine) {
    RecordSum total;
    for (const std::string& text : communicator.all_gather(std::to_string(mine.count) + " " + to_hex(mine.sum))) {
        const std::size_t space = text.find(' ');
        total += RecordSum{std::stoull(text.substr(0, space)), *parse_hex(text.substr(space + 1))};
    }
    return total;
}

std::uint64_t sum_over_ranks(Communicator& communicator, std::uint64_t mine) {
    const auto all = communicator.all_gather(std::to_string(mine));
    return std::accumulate(all.begin(), all.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const std::string& text) { return sum + std::stoull(text); });
}

void wait_until_touched(JobContext& job, Arena& arena) {
    arena.touch_rest();
    while (arena.touching()) {
        if (const auto failure = job.communicator.poll_failure()) {
            throw Error(static_cast<Errc>(failure->exit_code),
                        "aborted because of rank " + std::to_string(failure->rank) + ": " + failure->message);
        }
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
