#include "net/mpi_communicator.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "net/mpi_check.hpp"
#include "runtime/step.hpp"

namespace sluice {
namespace {

constexpr int kExchangeTag = 9;  // 7: news of failures, 8: heartbeats

/// Waits for one request without burning a core: a few hard looks, then short sleeps.
class Patience {
public:
    void rest() {
        if (++turns_ < 50) return;
        if (turns_ < 100) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(std::chrono::microseconds(std::min(200u, turns_ - 90)));
        }
    }

private:
    unsigned turns_ = 0;
};

void add_128_bits(void* in, void* in_out, int* count, MPI_Datatype*) {
    for (int i = 0; i < *count; ++i) {
        Uint128 one, other;  // MPI promises no alignment
        std::memcpy(&one, static_cast<const std::byte*>(in) + sizeof(Uint128) * static_cast<std::size_t>(i),
                    sizeof one);
        auto* const at = static_cast<std::byte*>(in_out) + sizeof(Uint128) * static_cast<std::size_t>(i);
        std::memcpy(&other, at, sizeof other);
        other += one;
        std::memcpy(at, &other, sizeof other);
    }
}

/// A text's length, then as much of it as the slot has room for.
constexpr std::size_t kLengthBytes = sizeof(std::uint64_t);
constexpr int kBroadcastSlot = 4096;
constexpr int kPairSlot = 64;  ///< a pair's record sum

void put_slot(std::byte* slot, std::size_t slot_bytes, const std::string& text) {
    const std::uint64_t length = text.size();
    std::memcpy(slot, &length, kLengthBytes);
    std::memcpy(slot + kLengthBytes, text.data(), std::min(text.size(), slot_bytes - kLengthBytes));
}

/// As long as it says that the text is; what has not come with it is still to be filled in.
std::string take_slot(const std::byte* slot, std::size_t slot_bytes) {
    std::uint64_t length = 0;
    std::memcpy(&length, slot, kLengthBytes);
    std::string text(length, '\0');
    std::memcpy(text.data(), slot + kLengthBytes, std::min<std::uint64_t>(length, slot_bytes - kLengthBytes));
    return text;
}

}  // namespace

Sum128::Sum128() {
    check_mpi(MPI_Type_contiguous(sizeof(Uint128), MPI_BYTE, &type_), "MPI_Type_contiguous");
    check_mpi(MPI_Type_commit(&type_), "MPI_Type_commit");
    check_mpi(MPI_Op_create(&add_128_bits, 1, &operation_), "MPI_Op_create");
}

MpiCommunicator::MpiCommunicator(MPI_Comm comm, Watchdog* watchdog, std::uint64_t most_bytes)
    : comm_(comm), watchdog_(watchdog), most_bytes_(most_bytes), news_(comm) {
    if (watchdog != nullptr) heartbeat_.emplace(comm, *watchdog);
    int rank = 0, size = 1;
    check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
    rank_ = static_cast<std::uint32_t>(rank);
    size_ = static_cast<std::uint32_t>(size);
}

void MpiCommunicator::barrier() {
    MPI_Request request;
    check_mpi(MPI_Ibarrier(comm_, &request), "MPI_Ibarrier");
    wait(request);
}

std::string MpiCommunicator::broadcast(std::string text, std::uint32_t root) {
    // Its length and what most texts are in one call; the rest of a longer one behind it.
    slots_out_.resize(kBroadcastSlot);
    if (rank_ == root) put_slot(slots_out_.data(), kBroadcastSlot, text);
    MPI_Request request;
    check_mpi(MPI_Ibcast(slots_out_.data(), kBroadcastSlot, MPI_BYTE, mpi_int(root), comm_, &request), "MPI_Ibcast");
    wait(request);
    std::string whole = take_slot(slots_out_.data(), kBroadcastSlot);
    if (rank_ == root) whole = std::move(text);
    for (std::uint64_t at = std::min(whole.size(), kBroadcastSlot - kLengthBytes); at < whole.size();
         at += most_bytes_) {
        const int piece = mpi_int(std::min(whole.size() - at, most_bytes_));
        check_mpi(MPI_Ibcast(whole.data() + at, piece, MPI_BYTE, mpi_int(root), comm_, &request), "MPI_Ibcast");
        wait(request);
    }
    return whole;
}

std::vector<std::string> MpiCommunicator::gather(const std::string& text, std::uint32_t root) {
    const std::size_t slot = gather_slot();
    slots_out_.resize(slot);
    slots_in_.resize(rank_ == root ? slot * size_ : 0);
    put_slot(slots_out_.data(), slot, text);
    MPI_Request request;
    check_mpi(MPI_Igather(slots_out_.data(), mpi_int(slot), MPI_BYTE, slots_in_.data(), mpi_int(slot), MPI_BYTE,
                          mpi_int(root), comm_, &request),
              "MPI_Igather");
    wait(request);
    std::vector<std::string> texts(size_);
    if (rank_ != root) {
        std::string nothing;
        swap_texts(text, root, nothing, root, slot - kLengthBytes);
        return texts;
    }
    for (std::uint32_t rank = 0; rank < size_; ++rank) {  // one after the other: nobody gets from all at once
        texts[rank] = take_slot(slots_in_.data() + rank * slot, slot);
        if (rank == rank_) {
            texts[rank] = text;
        } else {
            swap_texts("", rank, texts[rank], rank, slot - kLengthBytes);
        }
    }
    return texts;
}

std::vector<std::string> MpiCommunicator::all_gather(const std::string& text) {
    const std::size_t slot = gather_slot();
    slots_out_.resize(slot);
    slots_in_.resize(slot * size_);
    put_slot(slots_out_.data(), slot, text);
    MPI_Request request;
    check_mpi(MPI_Iallgather(slots_out_.data(), mpi_int(slot), MPI_BYTE, slots_in_.data(), mpi_int(slot), MPI_BYTE,
                             comm_, &request),
              "MPI_Iallgather");
    wait(request);
    std::vector<std::string> texts(size_);
    std::uint64_t longest = 0;
    for (std::uint32_t rank = 0; rank < size_; ++rank) {
        texts[rank] = take_slot(slots_in_.data() + rank * slot, slot);
        longest = std::max<std::uint64_t>(longest, texts[rank].size());
    }
    if (longest > slot - kLengthBytes) gather_rests(text, slot - kLengthBytes, texts);
    return texts;
}

std::vector<std::string> MpiCommunicator::exchange(const std::vector<std::string>& to_rank) {
    SLUICE_CHECK(to_rank.size() == size_);
    slots_out_.resize(kPairSlot * size_);
    slots_in_.resize(kPairSlot * size_);
    for (std::uint32_t rank = 0; rank < size_; ++rank)
        put_slot(slots_out_.data() + rank * kPairSlot, kPairSlot, to_rank[rank]);
    MPI_Request request;
    check_mpi(
        MPI_Ialltoall(slots_out_.data(), kPairSlot, MPI_BYTE, slots_in_.data(), kPairSlot, MPI_BYTE, comm_, &request),
        "MPI_Ialltoall");
    wait(request);
    std::vector<std::string> from_rank(size_);
    // One neighbour after the other, in pieces that MPI's int can count: nobody gets from all at once.
    for (std::uint32_t shift = 0; shift < size_; ++shift) {
        const std::uint32_t to = (rank_ + shift) % size_, from = (rank_ + size_ - shift) % size_;
        from_rank[from] = take_slot(slots_in_.data() + from * kPairSlot, kPairSlot);
        if (shift == 0) {
            from_rank[rank_] = to_rank[rank_];
        } else {
            swap_texts(to_rank[to], to, from_rank[from], from, kPairSlot - kLengthBytes);
        }
    }
    return from_rank;
}

std::vector<Uint128> MpiCommunicator::sum(std::vector<Uint128> mine) {
    summands_ = std::move(mine);
    sums_.resize(summands_.size());
    MPI_Request request;
    check_mpi(MPI_Iallreduce(summands_.data(), sums_.data(), mpi_int(sums_.size()), sum_.type(), sum_.operation(),
                             comm_, &request),
              "MPI_Iallreduce");
    wait(request);
    return sums_;
}

double MpiCommunicator::maximum(double mine) {
    own_ = mine;
    MPI_Request request;
    check_mpi(MPI_Iallreduce(&own_, &largest_, 1, MPI_DOUBLE, MPI_MAX, comm_, &request), "MPI_Iallreduce");
    wait(request);
    return largest_;
}

void MpiCommunicator::announce_failure(const Failure& failure) { news_.announce(failure); }

std::optional<Communicator::Failure> MpiCommunicator::poll_failure() {
    // Every wait of the main thread comes by here, so this is where it shows that it is alive.
    if (watchdog_ != nullptr && watchdog_->leaving()) {
        announce_failure({rank_, watchdog_->exit_code(), watchdog_->message()});
        watchdog_->stay_until_the_end();
    }
    if (heartbeat_) heartbeat_->step();
    const auto failure = news_.hear();
    if (!failure) return std::nullopt;
    if (watchdog_ != nullptr) watchdog_->told(failure->exit_code);
    news_.tell_on();
    return failure;
}

void MpiCommunicator::stop_heartbeat() {
    if (heartbeat_) heartbeat_->stop();
}

/// Of a gathering: most texts in one call, and never more than this for all ranks together.
std::size_t MpiCommunicator::gather_slot() const {
    constexpr std::size_t kMostOfAll = 4 << 20, kMost = 1024, kLeast = 16;
    return std::clamp(kMostOfAll / size_, kLeast, kMost);
}

/// What is behind the slots, for all: in as many calls as MPI's int asks for.
/// @param come  bytes of each text that have come already
void MpiCommunicator::gather_rests(const std::string& text, std::size_t come, std::vector<std::string>& texts) {
    std::uint64_t longest = 0, total = 0;
    const auto rest_of = [come](const std::string& each) { return each.size() - std::min(each.size(), come); };
    for (const std::string& each : texts) {
        longest = std::max<std::uint64_t>(longest, rest_of(each));
        total += rest_of(each);
    }
    const std::uint64_t piece = total <= most_bytes_ ? longest : std::max<std::uint64_t>(1, most_bytes_ / size_);
    std::vector<int> bytes(size_), offsets(size_);
    std::string all;
    for (std::uint64_t at = 0; at < longest; at += piece) {
        std::uint64_t round = 0;
        for (std::uint32_t rank = 0; rank < size_; ++rank) {
            bytes[rank] = mpi_int(std::min(piece, rest_of(texts[rank]) - std::min(at, rest_of(texts[rank]))));
            offsets[rank] = mpi_int(round);
            round += static_cast<std::uint64_t>(bytes[rank]);
        }
        all.resize(round);
        MPI_Request request;
        check_mpi(MPI_Iallgatherv(text.data() + std::min<std::uint64_t>(come + at, text.size()), bytes[rank_], MPI_BYTE,
                                  all.data(), bytes.data(), offsets.data(), MPI_BYTE, comm_, &request),
                  "MPI_Iallgatherv");
        wait(request);
        for (std::uint32_t rank = 0; rank < size_; ++rank) {
            const auto begin = all.begin() + offsets[rank];
            std::copy(begin, begin + bytes[rank],
                      texts[rank].begin() +
                          static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(come + at, texts[rank].size())));
        }
    }
}

/// What is behind the slots, for a pair: both lengths are known on both sides. An empty text moves nothing.
/// @param come  bytes of each text that have come already
void MpiCommunicator::swap_texts(const std::string& out, std::uint32_t to, std::string& in, std::uint32_t from,
                                 std::size_t come) {
    const auto piece = [this](std::size_t size, std::size_t at) { return mpi_int(std::min(size - at, most_bytes_)); };
    for (std::size_t at = come; at < std::max(out.size(), in.size()); at += most_bytes_) {
        MPI_Request received = MPI_REQUEST_NULL, sent = MPI_REQUEST_NULL;
        if (at < in.size()) {
            check_mpi(MPI_Irecv(in.data() + at, piece(in.size(), at), MPI_BYTE, mpi_int(from), kExchangeTag, comm_,
                                &received),
                      "MPI_Irecv");
        }
        if (at < out.size()) {
            check_mpi(
                MPI_Isend(out.data() + at, piece(out.size(), at), MPI_BYTE, mpi_int(to), kExchangeTag, comm_, &sent),
                "MPI_Isend");
        }
        wait(received);
        wait(sent);
    }
}

void MpiCommunicator::wait(MPI_Request& request) {
    const StepPause pause;  // processor time of waiting is no sign of life
    Patience patience;
    for (int done = 0;;) {
        check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
        if (done != 0) {
            if (watchdog_ != nullptr) watchdog_->progress();
            return;
        }
        throw_if_aborted(*this);
        patience.rest();
    }
}

}  // namespace sluice
