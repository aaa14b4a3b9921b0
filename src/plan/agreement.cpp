#include "plan/agreement.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/bounded_text.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

/// Another build may not even send what we understand; that is a difference too, not a crash.
RankClaim claim_from(const std::string& text) {
    try {
        const auto json = parse_bounded_json(text);
        return {json.at("host"), json.at("facts")};
    } catch (const nlohmann::json::exception&) {
        return {"?", {}};
    }
}

/// One line for each value that ranks have: which ranks, on which hosts.
std::string rows(const std::vector<RankClaim>& claims, const std::string& fact) {
    struct Who {
        std::string value, ranks;
        std::vector<std::string> hosts;
    };
    std::vector<Who> values;
    for (std::size_t rank = 0; rank < claims.size(); ++rank) {
        const std::string value = claims[rank].value_of(fact);
        auto found = std::find_if(values.begin(), values.end(), [&](const Who& who) { return who.value == value; });
        if (found == values.end()) found = values.insert(values.end(), {value, "", {}});
        found->ranks += (found->ranks.empty() ? "" : ",") + std::to_string(rank);
        const std::string& host = claims[rank].host;
        if (std::find(found->hosts.begin(), found->hosts.end(), host) == found->hosts.end())
            found->hosts.push_back(host);
    }
    if (values.size() == 1) return "";
    std::string text;
    for (const Who& who : values) {
        std::string hosts;
        for (const std::string& host : who.hosts) hosts += (hosts.empty() ? "" : ",") + host;
        text += "\n  " + fact + " | rank " + who.ranks + " | host " + hosts + " | " + who.value;
    }
    return text;
}

}  // namespace

std::string RankClaim::value_of(const std::string& fact) const {
    const auto found = facts.find(fact);
    return found == facts.end() ? "(says nothing)" : found->second;
}

std::vector<RankClaim> exchange_claims(Communicator& communicator, const RankClaim& mine) {
    const nlohmann::json json = {{"host", mine.host}, {"facts", mine.facts}};
    std::vector<RankClaim> claims;
    for (const std::string& text :
         communicator.all_gather(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)))
        claims.push_back(claim_from(text));
    return claims;
}

void require_equal(const std::vector<RankClaim>& claims, const std::vector<std::string>& facts, std::uint32_t rank) {
    std::string table;
    for (const std::string& fact : facts) table += rows(claims, fact);
    if (table.empty()) return;
    if (rank != 0) throw AbortedError(0, Errc::config, "the ranks differ");
    throw CollectiveError(Errc::config,
                          "the ranks do not run the same; install one build on every host and start all ranks with "
                          "the same words:" +
                              table);
}

}  // namespace sluice
