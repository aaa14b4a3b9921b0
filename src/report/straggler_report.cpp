#include "report/straggler_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "report/named_fields.hpp"

namespace sluice {
namespace {

double seconds(std::uint64_t ns) { return static_cast<double>(ns) * 1e-9; }

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double mb_per_s(std::uint64_t bytes, std::uint64_t ns) {
    return ns == 0 ? 0 : static_cast<double>(bytes) / 1e6 / seconds(ns);
}

struct Measured {
    std::string name;
    double rate = 0;
};

/// The slowest of its kind, when there are two or more to compare.
std::optional<Straggler> slowest(const std::vector<Measured>& all) {
    if (all.size() < 2) return std::nullopt;
    const auto worst =
        std::min_element(all.begin(), all.end(), [](const Measured& a, const Measured& b) { return a.rate < b.rate; });
    std::vector<double> rates;
    for (const Measured& one : all) rates.push_back(one.rate);
    const double middle = median(rates);
    return Straggler{worst->name, worst->rate, middle > 0 ? worst->rate / middle : 1, all.size(), 0, ""};
}

/// What a host did in one phase: when its last worker ended, and the bytes it moved.
struct HostEnd {
    std::uint64_t last_ns = 0, bytes = 0;
};
using HostEnds = std::map<std::string, HostEnd>;
void add(HostEnds& hosts, const std::string& name, const PhaseReport& phase, std::uint64_t bytes) {
    HostEnd& host = hosts[name];
    host.last_ns = std::max(host.last_ns, total_of(phase.stages).last_done_ns);
    host.bytes += bytes;
}

/// The host that ends a phase last, and its time over the median's.
struct LateHost {
    double late = 0;
    Straggler host;
};
std::optional<LateHost> last_host(const HostEnds& hosts, const std::string& phase) {
    if (hosts.size() < 2) return std::nullopt;
    std::vector<double> ends, rates;
    for (const auto& [name, host] : hosts) {
        ends.push_back(seconds(host.last_ns));
        rates.push_back(mb_per_s(host.bytes, host.last_ns));
    }
    const auto last = std::max_element(
        hosts.begin(), hosts.end(), [](const auto& a, const auto& b) { return a.second.last_ns < b.second.last_ns; });
    const double rate = mb_per_s(last->second.bytes, last->second.last_ns), last_s = seconds(last->second.last_ns);
    return LateHost{last_s / std::max(1e-9, median(ends)),
                    {last->first, rate, rate / std::max(1e-9, median(rates)), hosts.size(), last_s, phase}};
}

std::optional<Straggler> slowest_host(const std::vector<RankReport>& ranks) {
    std::optional<LateHost> found;
    for (const auto phase : {&RankReport::one, &RankReport::two}) {
        HostEnds hosts;
        for (const RankReport& rank : ranks)
            add(hosts, rank.host, rank.*phase, (rank.*phase).io.read_bytes + (rank.*phase).io.written_bytes);
        const auto last = last_host(hosts, (ranks.front().*phase).phase);
        if (last && (!found || last->late > found->late)) found = last;
    }
    if (!found) return std::nullopt;
    return found->host;
}

std::optional<Straggler> slowest_disk(const std::vector<RankReport>& ranks) {
    std::map<std::string, std::vector<Measured>> by_use;
    for (const auto phase : {&RankReport::one, &RankReport::two}) {
        struct Disk {
            std::string name;
            std::uint64_t bytes = 0, busy_ns = 0;
        };
        std::map<std::pair<std::string, std::string>, Disk> disks;  // ranks of a host may share one
        for (const RankReport& rank : ranks) {
            for (const DiskReport& part : (rank.*phase).disks) {
                const std::string use = word_of(part.use) + " of " + (rank.*phase).phase;
                Disk& disk = disks[{use, part.path + " on " + rank.host}];
                disk.bytes += part.bytes;
                disk.busy_ns = std::max(disk.busy_ns, part.busy_ns);
            }
        }
        for (const auto& [key, disk] : disks) {
            if (disk.busy_ns > 0 && disk.bytes > 0)
                by_use[key.first].push_back({key.second + " (" + key.first + ")", mb_per_s(disk.bytes, disk.busy_ns)});
        }
    }
    std::optional<Straggler> found;
    for (const auto& [use, disks] : by_use) {
        const auto one = slowest(disks);
        if (one && (!found || one->of_median < found->of_median)) found = one;
    }
    return found;
}

struct RankLinks {
    std::string host;
    std::vector<LinkReport> links;  // by destination
};
std::optional<Straggler> slowest_link(const std::vector<RankLinks>& ranks) {
    std::map<std::string, std::vector<double>> rates;  // of each host: of the pairs of ranks it is one end of
    for (const RankLinks& from : ranks) {
        for (std::size_t to = 0; to < from.links.size() && to < ranks.size(); ++to) {
            const LinkReport& link = from.links[to];
            if (from.host == ranks[to].host || link.busy_ns == 0 || link.sent_bytes == 0) continue;
            const double rate = mb_per_s(link.sent_bytes, link.busy_ns);
            rates[from.host].push_back(rate);
            rates[ranks[to].host].push_back(rate);
        }
    }
    if (rates.size() < 3) return std::nullopt;  // of two hosts neither can be told from the other
    std::vector<Measured> links;
    for (const auto& [host, pairs] : rates) links.push_back({"of " + host, median(pairs)});
    return slowest(links);
}

std::string line(const char* kind, const Straggler& s) {
    return fmt::format("slowest {}: {}, {:.0f} MB/s, {:.2f} of the median of {}{}\n", kind, s.name, s.mb_per_s,
                       s.of_median, s.among,
                       s.phase.empty() ? "" : fmt::format("; done with {} after {:.2f} s", s.phase, s.last_done_s));
}

nlohmann::json to_json(const std::optional<Straggler>& s) {
    if (!s) return nullptr;
    nlohmann::json json = {
        {"name", s->name}, {"mb_per_s", s->mb_per_s}, {"of_median", s->of_median}, {"among", s->among}};
    if (!s->phase.empty()) {
        json["phase"] = s->phase;
        json["last_done_s"] = s->last_done_s;
    }
    return json;
}

}  // namespace

Stragglers find_stragglers(const std::vector<RankReport>& ranks) {
    std::vector<RankLinks> links;
    for (const RankReport& rank : ranks) links.push_back({rank.host, rank.links});
    return {slowest_host(ranks), slowest_disk(ranks), slowest_link(links)};
}

Stragglers find_stragglers(const std::vector<ShuffleRankReport>& ranks) {
    HostEnds hosts;
    std::vector<RankLinks> links;
    for (const ShuffleRankReport& rank : ranks) {
        std::uint64_t bytes = 0;
        RankLinks& of_rank = links.emplace_back(RankLinks{rank.host, {}});
        for (const PeerCounters& peer : rank.peers) {
            bytes += peer.sent_bytes + peer.received_bytes;
            of_rank.links.push_back({peer.sent_bytes, peer.send_busy_ns});
        }
        add(hosts, rank.host, rank.phase, bytes);
    }
    Stragglers found;
    if (const auto last = last_host(hosts, "the shuffle")) found.host = last->host;
    found.link = slowest_link(links);
    return found;
}

std::string stragglers_text(const Stragglers& found) {
    std::string text;
    if (found.host) text += line("host", *found.host);
    if (found.disk) text += line("disk", *found.disk);
    if (found.link) text += line("link", *found.link);
    return text;
}

std::string stragglers_json(const Stragglers& found) {
    return nlohmann::json{{"host", to_json(found.host)}, {"disk", to_json(found.disk)}, {"link", to_json(found.link)}}
        .dump();
}

std::string done_text(const RankReport& rank) {
    const StageReport one = total_of(rank.one.stages), two = total_of(rank.two.stages);
    return fmt::format("phase one done {:.2f}-{:.2f} s, phase two {:.2f}-{:.2f} s", seconds(one.first_done_ns),
                       seconds(one.last_done_ns), seconds(two.first_done_ns), seconds(two.last_done_ns));
}

std::string ranks_csv(const std::vector<RankReport>& ranks) {
    const auto row_of = [](std::size_t rank, const RankReport& report, const PhaseReport& phase) {
        CsvRow row;
        add_cells(row, "rank", rank);
        add_cells(row, "", report);
        add_cells(row, "", phase);
        return row;
    };
    std::string text = csv_header(row_of(0, {}, {}));
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        for (const auto phase : {&RankReport::one, &RankReport::two})
            text += csv_line(row_of(rank, ranks[rank], ranks[rank].*phase));
    }
    return text;
}

}  // namespace sluice
