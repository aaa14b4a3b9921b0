#include "runtime/host_sections.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "runtime/option_table.hpp"

namespace sluice {
namespace {

constexpr std::size_t kNamedHosts = 4;  // of a rack, a few say how its names look

std::string section(const std::string& name) { return "[hosts.\"" + name + "\"]"; }

std::string first_label(const std::string& name) { return name.substr(0, name.find('.')); }

/// "node07" for "node07.rack.example" and the other way round, else the nearest by spelling.
std::optional<std::string> meant_by(const std::string& name, const std::vector<std::string>& hosts) {
    const auto same = std::find_if(hosts.begin(), hosts.end(),
                                   [&](const std::string& host) { return first_label(host) == first_label(name); });
    return same != hosts.end() ? std::optional(*same) : nearest(name, hosts);
}

}  // namespace

std::vector<std::string> unmatched_host_sections(const std::vector<std::string>& sections,
                                                 const std::vector<std::string>& hosts) {
    const std::set<std::string> unique(hosts.begin(), hosts.end());
    const std::vector<std::string> known(unique.begin(), unique.end());
    std::string names;
    for (std::size_t i = 0; i < std::min(known.size(), kNamedHosts); ++i) names += (i == 0 ? "" : ", ") + known[i];
    if (known.size() > kNamedHosts) names += ", ... (" + std::to_string(known.size()) + " hosts)";
    const std::string end =
        ": no rank runs on a host of that name, so what it sets does nothing here; ranks run on " + names;
    std::vector<std::string> lines;
    std::string strangers;
    for (const std::string& name : sections) {
        if (unique.count(name) != 0) continue;
        if (const auto near = meant_by(name, known)) {
            lines.push_back("warning: " + section(name) + end + "; did you mean " + section(*near) + "?");
        } else {
            strangers += (strangers.empty() ? "" : ", ") + section(name);
        }
    }
    if (!strangers.empty()) lines.push_back("warning: " + strangers + end);
    return lines;
}

}  // namespace sluice
