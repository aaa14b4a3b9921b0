#pragma once
/// The control plane of a rank by itself: every collective is its own.

#include "net/communicator.hpp"

namespace sluice {

/// One rank of a job of one, or a rank of a larger job that works for itself for a while. Main thread only, like all
/// communicators.
class LoneCommunicator final : public Communicator {
public:
    /// @param others  whose failures still end this rank, and who hear of its own; nullptr: there are none
    explicit LoneCommunicator(Communicator* others = nullptr) : others_(others) {}
    std::uint32_t rank() const override { return 0; }
    std::uint32_t size() const override { return 1; }
    void barrier() override {}
    void barrier_or_failure() override {}
    std::string broadcast(std::string text, std::uint32_t) override { return text; }
    std::vector<std::string> exchange(const std::vector<std::string>& to_rank) override { return to_rank; }
    std::vector<std::string> gather(const std::string& text, std::uint32_t) override { return {text}; }
    std::vector<std::string> all_gather(const std::string& text) override { return {text}; }
    std::vector<Uint128> sum(std::vector<Uint128> mine) override { return mine; }
    double maximum(double mine) override { return mine; }
    void announce_failure(const Failure& failure) override {
        if (others_ != nullptr) others_->announce_failure(failure);
    }
    std::optional<Failure> poll_failure() override {
        return others_ != nullptr ? others_->poll_failure() : std::nullopt;
    }

private:
    Communicator* others_;
};

}  // namespace sluice
