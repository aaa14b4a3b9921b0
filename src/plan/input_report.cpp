#include "plan/input_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "runtime/units.hpp"
#include "runtime/utf8.hpp"

namespace sluice {
namespace {

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

void list_by_folder(HostInput& host) {
    if (host.is_by_folder) return;
    std::map<std::string, ListedInput> folders;
    for (const ListedInput& file : host.list) {
        ListedInput& folder =
            folders.emplace(folder_of(file.path), ListedInput{folder_of(file.path), 0, 0}).first->second;
        ++folder.files;
        folder.bytes += file.bytes;
    }
    host.list.clear();
    for (auto& [path, folder] : folders) host.list.push_back(std::move(folder));
    host.is_by_folder = true;
}

/// Ranks of one host tell of what each of them alone sees.
void merge(HostInput& host, const HostInput& other) {
    if (host.is_by_folder != other.is_by_folder || host.files + other.files > kMostListedFiles) {
        HostInput by_folder = other;
        list_by_folder(by_folder);
        list_by_folder(host);
        host.list.insert(host.list.end(), by_folder.list.begin(), by_folder.list.end());
    } else {
        host.list.insert(host.list.end(), other.list.begin(), other.list.end());
    }
    host.files += other.files;
    host.bytes += other.bytes;
}

}  // namespace

void add_file(HostInput& host, const std::string& path, std::uint64_t bytes) {
    ++host.files;
    host.bytes += bytes;
    if (!host.is_by_folder) {
        host.list.push_back({path, 1, bytes});
        if (host.list.size() > kMostListedFiles) list_by_folder(host);
        return;
    }
    for (ListedInput& folder : host.list) {
        if (folder.path != folder_of(path)) continue;
        ++folder.files;
        folder.bytes += bytes;
        return;
    }
    host.list.push_back({folder_of(path), 1, bytes});
}

std::uint64_t count_files(const std::vector<HostInput>& hosts) {
    return std::accumulate(hosts.begin(), hosts.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const HostInput& host) { return sum + host.files; });
}

std::vector<HostInput> merge_hosts(std::vector<HostInput> by_rank) {
    std::vector<HostInput> hosts;
    std::map<std::string, std::size_t> numbers;
    for (HostInput& each : by_rank) {
        const auto [found, fresh] = numbers.emplace(each.host, hosts.size());
        if (fresh) {
            hosts.push_back(std::move(each));
        } else {
            merge(hosts[found->second], each);
        }
    }
    if (count_files(hosts) > kMostListedFiles) {
        for (HostInput& host : hosts) list_by_folder(host);
    }
    return hosts;
}

std::string input_lines(const std::vector<HostInput>& hosts) {
    constexpr std::size_t kMostLines = 16;
    std::string text;
    for (std::size_t i = 0; i < hosts.size() && i < kMostLines; ++i) {
        text += fmt::format("input of host {}: {} file(s), {}\n", hosts[i].host, hosts[i].files,
                            human_bytes(static_cast<double>(hosts[i].bytes)));
    }
    if (hosts.size() > kMostLines)
        text += fmt::format("input of {} more hosts: result.json\n", hosts.size() - kMostLines);
    return text;
}

std::string input_json(const std::vector<HostInput>& hosts) {
    nlohmann::json list = nlohmann::json::array();
    for (const HostInput& host : hosts) {
        nlohmann::json files = nlohmann::json::array();
        for (const ListedInput& file : host.list) {
            const bool is_text = is_utf8(file.path);
            files.push_back({{"path", is_text ? file.path : escape_bytes(file.path)},
                             {"files", file.files},
                             {"bytes", file.bytes}});
            if (!is_text) files.back()["path_is_escaped"] = true;
        }
        list.push_back({{"host", host.host},
                        {"files", host.files},
                        {"bytes", host.bytes},
                        {host.is_by_folder ? "folders" : "list", files}});
    }
    return nlohmann::json{{"files", count_files(hosts)}, {"hosts", list}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sluice
