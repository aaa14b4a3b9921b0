#pragma once
/// A communicator that counts what a rank says in collective calls. For tests.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/communicator.hpp"

namespace sluice::testing {

struct CallCounts {
    std::uint64_t calls = 0;
    std::uint64_t said_bytes = 0;  ///< of this rank, but for words meant for one other
    std::uint64_t pair_bytes = 0;  ///< of those
};

/// Forwards everything. @param counts  must outlive it
class CountingCommunicator final : public Communicator {
public:
    CountingCommunicator(Communicator& real, CallCounts& counts) : real_(real), counts_(counts) {}

    std::uint32_t rank() const override { return real_.rank(); }
    std::uint32_t size() const override { return real_.size(); }
    void barrier() override {
        ++counts_.calls;
        real_.barrier();
    }
    void barrier_or_failure() override {
        ++counts_.calls;
        real_.barrier_or_failure();
    }
    std::string broadcast(std::string text, std::uint32_t root) override {
        ++counts_.calls;
        counts_.said_bytes += root == rank() ? text.size() : 0;
        return real_.broadcast(std::move(text), root);
    }
    std::vector<std::string> all_gather(const std::string& text) override {
        say(text.size());
        return real_.all_gather(text);
    }
    std::vector<std::string> gather(const std::string& text, std::uint32_t root) override {
        say(text.size());
        return real_.gather(text, root);
    }
    std::vector<std::string> exchange(const std::vector<std::string>& to_rank) override {
        ++counts_.calls;
        for (const std::string& text : to_rank) counts_.pair_bytes += text.size();
        return real_.exchange(to_rank);
    }
    std::vector<Uint128> sum(std::vector<Uint128> mine) override {
        say(mine.size() * sizeof(Uint128));
        return real_.sum(std::move(mine));
    }
    double maximum(double mine) override {
        say(sizeof mine);
        return real_.maximum(mine);
    }
    void announce_failure(const Failure& failure) override { real_.announce_failure(failure); }
    std::optional<Failure> poll_failure() override { return real_.poll_failure(); }

private:
    void say(std::uint64_t bytes) {
        ++counts_.calls;
        counts_.said_bytes += bytes;
    }
    Communicator& real_;
    CallCounts& counts_;
};

}  // namespace sluice::testing
