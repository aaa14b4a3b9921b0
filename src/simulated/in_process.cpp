#include "simulated/in_process.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/error.hpp"
#include "runtime/packing.hpp"

namespace sluice {

std::unique_ptr<Rounds> make_in_process_rounds(InProcessCluster& cluster, std::uint32_t rank);  // in_process_rounds.cpp

class InProcessCommunicator final : public Communicator {
public:
    InProcessCommunicator(InProcessCluster& cluster, std::uint32_t rank) : cluster_(cluster), rank_(rank) {}
    std::uint32_t rank() const override { return rank_; }
    std::uint32_t size() const override { return cluster_.ranks_; }
    void barrier() override { all_gather(""); }
    void barrier_or_failure() override { all_gather(""); }
    std::string broadcast(std::string text, std::uint32_t root) override {
        Lock lock(cluster_.mutex_);
        if (rank_ == root) cluster_.gathered_[root] = std::move(text);
        meet(lock, [&] { cluster_.said_ = std::move(cluster_.gathered_[root]); });
        return cluster_.said_;
    }
    std::vector<std::string> all_gather(const std::string& text) override {
        Lock lock(cluster_.mutex_);
        cluster_.gathered_[rank_] = text;
        meet(lock, [&] { cluster_.result_ = cluster_.gathered_; });
        return cluster_.result_;
    }
    /// Long texts are there once here, and once at whoever gave them.
    std::vector<std::string> gather(const std::string& text, std::uint32_t root) override {
        Lock lock(cluster_.mutex_);
        std::vector<std::string> texts(cluster_.ranks_);
        cluster_.gathered_[rank_] = text;
        meet(lock, [&] { cluster_.result_ = std::exchange(cluster_.gathered_, texts); });
        return rank_ == root ? std::exchange(cluster_.result_, {}) : texts;
    }
    std::vector<std::string> exchange(const std::vector<std::string>& to_rank) override {
        SLUICE_CHECK(to_rank.size() == cluster_.ranks_);
        cluster_.exchanged_[rank_] = &to_rank;
        barrier();
        std::vector<std::string> from_rank;
        for (const auto* theirs : cluster_.exchanged_) from_rank.push_back((*theirs)[rank_]);
        barrier();  // nobody reads ours any more
        return from_rank;
    }
    std::vector<Uint128> sum(std::vector<Uint128> mine) override {
        std::vector<Uint128> total(mine.size());
        for (const std::string& text : all_gather(pack(mine))) {
            const auto theirs = unpack<std::vector<Uint128>>(text);
            SLUICE_CHECK(theirs.size() == total.size());
            for (std::size_t i = 0; i < total.size(); ++i) total[i] += theirs[i];
        }
        return total;
    }
    double maximum(double mine) override {
        double largest = mine;
        for (const std::string& text : all_gather(pack(mine))) largest = std::max(largest, unpack<double>(text));
        return largest;
    }
    void announce_failure(const Failure& failure) override {
        {
            Lock lock(cluster_.mutex_);
            if (!cluster_.failure_) cluster_.failure_ = failure;
            cluster_.changed_.notify_all();
        }
        for (auto& doorbell : cluster_.doorbells_) doorbell->ring();
    }
    std::optional<Failure> poll_failure() override {
        Lock lock(cluster_.mutex_);
        return cluster_.failure_ && cluster_.failure_->rank != rank_ ? cluster_.failure_ : std::nullopt;
    }

private:
    /// Waits for all ranks; the last one makes of what they gave what all find, which stays until all have come again.
    template <typename Complete>
    void meet(Lock& lock, Complete complete) {
        const std::uint64_t generation = cluster_.generation_;
        if (++cluster_.arrived_ == cluster_.ranks_) {
            complete();
            cluster_.arrived_ = 0;
            ++cluster_.generation_;
            cluster_.changed_.notify_all();
            return;
        }
        cluster_.changed_.wait(lock, [&] { return cluster_.generation_ != generation || cluster_.failure_; });
        if (cluster_.generation_ != generation) return;
        --cluster_.arrived_;
        throw aborted_by(*cluster_.failure_);
    }

    InProcessCluster& cluster_;
    std::uint32_t rank_;
};

class InProcessWire final : public Wire {
public:
    InProcessWire(InProcessCluster& cluster, std::uint32_t rank) : cluster_(cluster), rank_(rank) {}
    std::uint32_t rank() const override { return rank_; }
    std::uint32_t size() const override { return cluster_.ranks_; }
    void post_receive(std::uint32_t source, std::span<std::byte> memory, std::uint64_t slot) override {
        {
            Lock lock(cluster_.mutex_);
            cluster_.pair(source, rank_).posted.push_back({memory, slot});
            cluster_.match(source, rank_);
        }
        cluster_.doorbells_[rank_]->ring();
    }
    void start_send(std::uint32_t destination, std::span<const std::byte> bytes, std::uint64_t slot) override {
        {
            Lock lock(cluster_.mutex_);
            InProcessCluster::Message message{{bytes.begin(), bytes.end()}};
            WireFault& fault = cluster_.fault_;
            const bool hit = fault.kind != WireFault::Kind::none && cluster_.sent_++ == fault.nth;
            fault.fired = fault.fired || hit;
            if (hit && fault.kind == WireFault::Kind::corrupt_header) message.bytes[8] ^= std::byte{1};
            auto& queue = cluster_.pair(rank_, destination).messages;
            if (hit && fault.kind == WireFault::Kind::duplicate) queue.push_back(message);
            if (!hit || fault.kind != WireFault::Kind::drop) queue.push_back(std::move(message));
            cluster_.completions_[rank_].push_back({true, slot, 0});  // copied: the sender's memory is free again
            cluster_.match(rank_, destination);
        }
        cluster_.doorbells_[destination]->ring();
        cluster_.doorbells_[rank_]->ring();
    }
    void test(std::vector<Completion>& done) override {
        Lock lock(cluster_.mutex_);
        auto& mine = cluster_.completions_[rank_];
        // As MPI, which matches in order but completes large messages in any: now and then the newest comes first.
        if (turn_++ % 2 == 0) std::reverse(mine.begin(), mine.end());
        done.insert(done.end(), mine.begin(), mine.end());
        mine.clear();
    }
    void send_control(std::uint32_t destination, std::uint64_t word) override {
        {
            Lock lock(cluster_.mutex_);
            cluster_.pair(rank_, destination).control.push_back(word);
        }
        cluster_.doorbells_[destination]->ring();
    }
    bool poll_control(std::uint32_t& source, std::uint64_t& word) override {
        Lock lock(cluster_.mutex_);
        for (std::uint32_t from = 0; from < cluster_.ranks_; ++from) {
            auto& queue = cluster_.pair(from, rank_).control;
            if (queue.empty()) continue;
            source = from;
            word = queue.front();
            queue.pop_front();
            return true;
        }
        return false;
    }
    void cancel_receives(std::uint32_t source) override {
        Lock lock(cluster_.mutex_);
        cluster_.pair(source, rank_).posted.clear();
    }
    Rings rings() const override { return Rings::everything; }

private:
    InProcessCluster& cluster_;
    std::uint32_t rank_;
    std::uint64_t turn_ = 0;
};

InProcessCluster::InProcessCluster(Executor& executor, std::uint32_t ranks)
    : ranks_(ranks),
      mutex_(executor),
      changed_(executor),
      pairs_(ranks * ranks),
      completions_(ranks),
      gathered_(ranks),
      exchanged_(ranks),
      rounds_pairs_(ranks * ranks),
      rounds_ends_(ranks),
      windows_(ranks),
      puts_under_way_(ranks) {
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        doorbells_.push_back(std::make_unique<Doorbell>(executor));
        communicators_.push_back(std::make_unique<InProcessCommunicator>(*this, rank));
        wires_.push_back(std::make_unique<InProcessWire>(*this, rank));
        rounds_.push_back(make_in_process_rounds(*this, rank));
    }
}
InProcessCluster::~InProcessCluster() = default;

Communicator& InProcessCluster::communicator(std::uint32_t rank) { return *communicators_[rank]; }
Wire& InProcessCluster::wire(std::uint32_t rank) { return *wires_[rank]; }
Rounds& InProcessCluster::rounds(std::uint32_t rank) { return *rounds_[rank]; }

void InProcessCluster::match(std::uint32_t source, std::uint32_t destination) {
    Pair& p = pair(source, destination);
    while (!p.posted.empty() && !p.messages.empty()) {
        const Posted posted = p.posted.front();
        const Message& message = p.messages.front();
        SLUICE_CHECK(message.bytes.size() <= posted.memory.size());
        std::memcpy(posted.memory.data(), message.bytes.data(), message.bytes.size());
        completions_[destination].push_back({false, posted.slot, message.bytes.size()});
        p.posted.pop_front();
        p.messages.pop_front();
    }
}

}  // namespace sluice
