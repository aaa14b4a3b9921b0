#include "net/failure_news.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

#include "net/mpi_check.hpp"

namespace sluice {
namespace {

constexpr int kFailureTag = 7;                      // 8: heartbeats, 9: texts
constexpr unsigned kTellMs = 200, kTellOnMs = 100;  // the peers may be gone as well
/// Where all fail at once, a few causes are enough: more are neither told on nor kept.
constexpr std::size_t kMostOrigins = 8;
/// In each millisecond to ranks that are not the root's children: all are told in half of its time.
constexpr std::uint32_t kLeastAtOnce = 64;
std::uint32_t at_once(std::uint32_t ranks) { return std::max(kLeastAtOnce, ranks / (kTellMs / 2) + 1); }

}  // namespace

FailureNews::FailureNews(MPI_Comm comm, std::uint32_t fan_out, Reach reach)
    : comm_(comm), fan_out_(fan_out), reach_(reach) {
    int rank = 0, size = 1;
    check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
    rank_ = static_cast<std::uint32_t>(rank);
    size_ = static_cast<std::uint32_t>(size);
}

void FailureNews::announce(const Communicator::Failure& failure) {
    Message filled;
    filled.origin = rank_;
    filled.rank = failure.rank;
    filled.exit_code = failure.exit_code;
    std::strncpy(filled.text, failure.message.c_str(), sizeof filled.text - 1);
    const Message& message = keep(filled);
    is_new(rank_);
    const NewsTree tree{.origin = rank_, .ranks = size_, .fan_out = fan_out_};
    const auto children = static_cast<std::uint32_t>(tree.children_of(rank_).size());
    const std::uint32_t last = reach_ == Reach::everybody ? size_ - 1 : children;
    // By their place: the children come first, then those who would miss it if one of them is gone.
    std::uint32_t told = 0;
    for (unsigned turn = 0; turn < kTellMs; ++turn) {
        const std::uint32_t until = std::min(last, turn == 0 ? children : told + at_once(size_));
        while (told < until) send(message, tree.rank_at(++told));
        hear();  // this rank has its place in others' trees
        if (told == last && all_sent()) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

std::optional<Communicator::Failure> FailureNews::hear() {
    std::optional<Communicator::Failure> first;
    for (;;) {
        int there = 0;
        MPI_Status status;
        check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kFailureTag, comm_, &there, &status), "MPI_Iprobe");
        if (there == 0) return first;
        Message message;
        check_mpi(
            MPI_Recv(&message, sizeof message, MPI_BYTE, status.MPI_SOURCE, kFailureTag, comm_, MPI_STATUS_IGNORE),
            "MPI_Recv");
        message.text[sizeof message.text - 1] = '\0';
        if (!is_new(message.origin)) continue;
        if (!first) first = Communicator::Failure{message.rank, message.exit_code, message.text};
        const NewsTree tree{.origin = message.origin, .ranks = size_, .fan_out = fan_out_};
        const auto children = tree.children_of(rank_);
        if (children.empty()) continue;
        const Message& kept = keep(message);
        for (const std::uint32_t child : children) send(kept, child);
    }
}

void FailureNews::tell_on() {
    for (unsigned turn = 0; turn < kTellOnMs && !all_sent(); ++turn) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        hear();
    }
}

/// And from now on it is not.
bool FailureNews::is_new(std::uint32_t origin) {
    if (origins_.size() >= kMostOrigins || std::find(origins_.begin(), origins_.end(), origin) != origins_.end())
        return false;
    origins_.push_back(origin);
    return true;
}

const FailureNews::Message& FailureNews::keep(const Message& message) { return messages_.emplace_back(message); }

void FailureNews::send(const Message& message, std::uint32_t to) {
    sends_.push_back(MPI_REQUEST_NULL);
    MPI_Isend(&message, sizeof message, MPI_BYTE, mpi_int(to), kFailureTag, comm_, &sends_.back());
}

/// What failed counts as sent.
bool FailureNews::all_sent() {
    int done = 1;
    if (MPI_Testall(mpi_int(sends_.size()), sends_.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS) done = 1;
    if (done != 0) sends_.clear();
    return done != 0;
}

}  // namespace sluice
