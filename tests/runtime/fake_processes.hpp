#pragma once
/// Processes of a simulated host, which live until somebody says that they do not.

#include <set>
#include <string>
#include <utility>

#include "runtime/process_table.hpp"

namespace sluice::testing {

class FakeProcesses final : public ProcessTable {
public:
    FakeProcesses(std::string host, std::uint64_t pid) {
        self_.host = self_.machine = std::move(host);
        self_.boot = self_.host + "-booted-once";
        self_.pid_namespace = 1;
        self_.pid = pid;
        self_.start_ticks = 1000 + pid;
    }
    ProcessIdentity& mine() { return self_; }
    ProcessIdentity self() const override { return self_; }
    bool lives(std::uint64_t pid, std::uint64_t start_ticks) const override {
        return live.count({pid, start_ticks}) != 0 || (pid == self_.pid && start_ticks == self_.start_ticks);
    }
    std::vector<SharedSegment> segments() const override { return self_.segments; }
    bool is_mapped(const SharedSegment& segment) const override { return mapped.count(segment.name) != 0; }
    std::optional<std::string> lock_holder(std::uint64_t, std::uint64_t) const override { return std::nullopt; }
    std::set<std::pair<std::uint64_t, std::uint64_t>> live;
    std::set<std::string> mapped;

private:
    ProcessIdentity self_;
};

}  // namespace sluice::testing
