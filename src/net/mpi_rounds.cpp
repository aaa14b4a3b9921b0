// Rounds over MPI's non-blocking collectives, on two communicators, so that words overtake movements.
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include "net/mpi_check.hpp"
#include "net/rounds.hpp"
#include "runtime/watchdog.hpp"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;

class MpiRounds final : public Rounds {
public:
    MpiRounds(MPI_Comm words, MPI_Comm pieces, Watchdog* watchdog)
        : words_(words), pieces_(pieces), watchdog_(watchdog) {
        int rank = 0, size = 1;
        check_mpi(MPI_Comm_rank(words, &rank), "MPI_Comm_rank");
        check_mpi(MPI_Comm_size(words, &size), "MPI_Comm_size");
        rank_ = static_cast<std::uint32_t>(rank);
        size_ = static_cast<std::uint32_t>(size);
        zeros_.assign(size_, 0);
        for (Lane& lane : lanes_) {
            lane.sent = Side(size_);
            lane.received = Side(size_);
        }
    }
    ~MpiRounds() override {
        for (Lane& lane : lanes_) free_types(lane);
    }
    MpiRounds(const MpiRounds&) = delete;

    std::uint32_t rank() const override { return rank_; }
    std::uint32_t size() const override { return size_; }
    void start_words(std::span<const std::byte> mine, std::span<std::byte> theirs) override {
        SLUICE_CHECK(word_request_ == MPI_REQUEST_NULL && mine.size() == theirs.size());
        const int block_bytes = mpi_int(mine.size() / size_);
        check_mpi(MPI_Ialltoall(mine.data(), block_bytes, MPI_BYTE, theirs.data(), block_bytes, MPI_BYTE, words_,
                                &word_request_),
                  "MPI_Ialltoall");
    }
    bool words_arrived() override {
        if (!test(word_request_)) return false;
        arrived_at_ = Clock::now();
        for (std::uint32_t peer = 0; watchdog_ != nullptr && peer < size_; ++peer)
            watchdog_->lives(peer);  // all joined
        return true;
    }
    bool ought_to_join(unsigned idle_rounds) override {
        return Clock::now() - arrived_at_ >= kFirstPause * (1u << std::min(idle_rounds, kLongestPauseShift));
    }
    void start_pieces(std::size_t index, const PiecesByPeer& sent, const PiecesByPeer& received) override {
        Lane& lane = lanes_[index];
        SLUICE_CHECK(lane.request == MPI_REQUEST_NULL);
        describe(sent, lane.sent);
        describe(received, lane.received);
        // Absolute addresses: the pieces go from and to where they lie, wherever that is.
        check_mpi(MPI_Ialltoallw(MPI_BOTTOM, lane.sent.counts.data(), zeros_.data(), lane.sent.types.data(), MPI_BOTTOM,
                                 lane.received.counts.data(), zeros_.data(), lane.received.types.data(), pieces_,
                                 &lane.request),
                  "MPI_Ialltoallw");
    }
    bool pieces_moved(std::size_t index) override {
        if (!test(lanes_[index].request)) return false;
        free_types(lanes_[index]);
        return true;
    }
    /// A collective cannot be cancelled: what is still coming gets a moment to arrive.
    void abandon() noexcept override {
        const auto until = Clock::now() + std::chrono::milliseconds(100);
        for (bool all = false; !all && Clock::now() < until;) {
            int done = 1;
            all = MPI_Test(&word_request_, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done != 0;
            for (Lane& lane : lanes_)
                all = MPI_Test(&lane.request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done != 0 && all;
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    }
    Rings rings() const override { return Rings::nothing; }

private:
    // Ranks without news look in again after 50 to 400 us: an idle cluster then spends a few percent of a core on
    // rounds, and the first buffer after a pause waits that long at most.
    static constexpr std::chrono::microseconds kFirstPause{25};
    static constexpr unsigned kLongestPauseShift = 4;

    struct Side {  // what MPI may read until the movement is complete
        explicit Side(std::size_t size = 0) : counts(size, 0), types(size, MPI_BYTE) {}
        std::vector<int> counts;
        std::vector<MPI_Datatype> types;
    };
    struct Lane {
        Side sent, received;
        MPI_Request request = MPI_REQUEST_NULL;
    };

    static bool test(MPI_Request& request) {
        int done = 0;
        check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
        return done != 0;
    }
    void describe(const PiecesByPeer& pieces, Side& side) {
        for (std::uint32_t peer = 0; peer < size_; ++peer) {
            if (pieces[peer].empty()) continue;
            lengths_.clear();
            addresses_.clear();
            for (const MemoryBlock& piece : pieces[peer]) {
                SLUICE_CHECK(piece.bytes <= kMaxMessageBytes);
                lengths_.push_back(mpi_int(piece.bytes));
                MPI_Get_address(piece.memory, &addresses_.emplace_back());
            }
            check_mpi(MPI_Type_create_hindexed(mpi_int(lengths_.size()), lengths_.data(), addresses_.data(), MPI_BYTE,
                                               &side.types[peer]),
                      "MPI_Type_create_hindexed");
            check_mpi(MPI_Type_commit(&side.types[peer]), "MPI_Type_commit");
            side.counts[peer] = 1;
        }
    }
    void free_types(Lane& lane) {
        for (Side* side : {&lane.sent, &lane.received}) {
            for (std::size_t peer = 0; peer < side->counts.size(); ++peer) {
                if (side->counts[peer] == 0) continue;
                MPI_Type_free(&side->types[peer]);
                side->types[peer] = MPI_BYTE;
                side->counts[peer] = 0;
            }
        }
    }

    MPI_Comm words_, pieces_;
    Watchdog* watchdog_;
    std::uint32_t rank_ = 0, size_ = 1;
    MPI_Request word_request_ = MPI_REQUEST_NULL;
    Clock::time_point arrived_at_{};
    Lane lanes_[kLanes];
    std::vector<int> zeros_, lengths_;
    std::vector<MPI_Aint> addresses_;
};

}  // namespace

std::unique_ptr<Rounds> make_mpi_rounds(MPI_Comm words, MPI_Comm pieces, Watchdog* watchdog) {
    return std::make_unique<MpiRounds>(words, pieces, watchdog);
}

}  // namespace sluice
