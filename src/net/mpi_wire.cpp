#include <mpi.h>

#include <algorithm>
#include <array>
#include <list>
#include <memory>

#include "net/host_bells.hpp"
#include "net/mpi_check.hpp"
#include "net/wire.hpp"
#include "runtime/watchdog.hpp"

namespace sluice {
namespace {

constexpr int kDataTag = 1, kControlTag = 2;

/// Operations in flight, as MPI_Testsome wants them: an array of requests, and beside it what each one is.
class MpiWire final : public Wire {
public:
    MpiWire(MPI_Comm comm, Watchdog* watchdog, HostBells& bells) : comm_(comm), watchdog_(watchdog), bells_(bells) {
        int rank = 0, size = 1;
        check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
        check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
        rank_ = static_cast<std::uint32_t>(rank);
        size_ = static_cast<std::uint32_t>(size);
        for (std::size_t place = 0; size_ > 1 && place < kWordsAwaited; ++place) listen(place);
    }
    ~MpiWire() override {
        for (Word& word : awaited_) {
            if (word.request == MPI_REQUEST_NULL) continue;
            MPI_Cancel(&word.request);
            MPI_Wait(&word.request, MPI_STATUS_IGNORE);
        }
        for (Word& word : sent_words_) MPI_Wait(&word.request, MPI_STATUS_IGNORE);
    }
    MpiWire(const MpiWire&) = delete;

    std::uint32_t rank() const override { return rank_; }
    std::uint32_t size() const override { return size_; }
    void post_receive(std::uint32_t source, std::span<std::byte> memory, std::uint64_t slot) override {
        SLUICE_CHECK(memory.size() <= kMaxMessageBytes);
        MPI_Request request;
        check_mpi(
            MPI_Irecv(memory.data(), mpi_int(memory.size()), MPI_BYTE, mpi_int(source), kDataTag, comm_, &request),
            "MPI_Irecv");
        requests_.push_back(request);
        operations_.push_back({false, slot, source});
    }
    void start_send(std::uint32_t destination, std::span<const std::byte> bytes, std::uint64_t slot) override {
        SLUICE_CHECK(bytes.size() <= kMaxMessageBytes);
        MPI_Request request;
        check_mpi(
            MPI_Isend(bytes.data(), mpi_int(bytes.size()), MPI_BYTE, mpi_int(destination), kDataTag, comm_, &request),
            "MPI_Isend");
        requests_.push_back(request);
        operations_.push_back({true, slot, destination});
    }
    void test(std::vector<Completion>& done) override {
        if (requests_.empty()) return;
        // Of thousands, some at a time, in turn: what a look costs must not grow with the number of ranks.
        if (next_test_ >= requests_.size()) next_test_ = 0;
        const std::size_t first = next_test_, count = std::min(requests_.size() - first, kTestedAtOnce);
        next_test_ += count;
        int finished = 0;
        check_mpi(MPI_Testsome(mpi_int(count), requests_.data() + first, &finished, indices_.data(), statuses_.data()),
                  "MPI_Testsome");
        if (finished == MPI_UNDEFINED || finished == 0) return;
        for (int i = 0; i < finished; ++i) {
            const Operation& operation =
                operations_[first + static_cast<std::size_t>(indices_[static_cast<std::size_t>(i)])];
            int bytes = 0;
            if (!operation.is_send) MPI_Get_count(&statuses_[static_cast<std::size_t>(i)], MPI_BYTE, &bytes);
            if (watchdog_ != nullptr) watchdog_->moved_data(operation.peer);
            done.push_back({operation.is_send, operation.slot, static_cast<std::uint64_t>(bytes)});
        }
        drop_finished(first, count);
    }
    void send_control(std::uint32_t destination, std::uint64_t word) override {
        for (int done = 1; !sent_words_.empty();) {  // the oldest ones; those behind one that waits come later
            MPI_Test(&sent_words_.front().request, &done, MPI_STATUS_IGNORE);
            if (done == 0) break;
            sent_words_.pop_front();
        }
        Word& sent = sent_words_.emplace_back();  // a list: MPI keeps the address
        sent.value = word;
        check_mpi(MPI_Isend(&sent.value, 1, MPI_UINT64_T, mpi_int(destination), kControlTag, comm_, &sent.request),
                  "MPI_Isend");
    }
    bool poll_control(std::uint32_t& source, std::uint64_t& word) override {
        if (size_ == 1) return false;
        // They match in the order in which they were posted, so words of one source come in theirs.
        Word& oldest = awaited_[next_word_];
        int done = 0;
        MPI_Status status;
        check_mpi(MPI_Test(&oldest.request, &done, &status), "MPI_Test");
        if (done == 0) return false;
        source = static_cast<std::uint32_t>(status.MPI_SOURCE);
        word = oldest.value;
        if (watchdog_ != nullptr) watchdog_->moved_data(source);  // a credit or an announcement
        listen(next_word_);
        next_word_ = (next_word_ + 1) % kWordsAwaited;
        return true;
    }
    void cancel_receives(std::uint32_t source) override {
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            if (operations_[i].is_send || operations_[i].peer != source) continue;
            MPI_Cancel(&requests_[i]);
            MPI_Wait(&requests_[i], MPI_STATUS_IGNORE);
        }
        drop_finished(0, requests_.size());
    }
    void ring(std::uint32_t destination) override { bells_.ring(destination); }
    Rings rings() const override { return bells_.reach_all() ? Rings::messages : Rings::nothing; }

private:
    struct Operation {
        bool is_send;
        std::uint64_t slot;
        std::uint32_t peer;
    };
    struct Word {
        std::uint64_t value = 0;
        MPI_Request request = MPI_REQUEST_NULL;
    };
    static constexpr std::size_t kTestedAtOnce = 512;
    static constexpr std::size_t kWordsAwaited = 64;
    void listen(std::size_t place) {
        check_mpi(MPI_Irecv(&awaited_[place].value, 1, MPI_UINT64_T, MPI_ANY_SOURCE, kControlTag, comm_,
                            &awaited_[place].request),
                  "MPI_Irecv");
    }
    /// From `first` on, some: the last ones take their places.
    void drop_finished(std::size_t first, std::size_t count) {
        for (std::size_t i = first + count; i-- > first;) {
            if (requests_[i] != MPI_REQUEST_NULL) continue;
            requests_[i] = requests_.back();
            operations_[i] = operations_.back();
            requests_.pop_back();
            operations_.pop_back();
        }
    }

    MPI_Comm comm_;
    Watchdog* watchdog_;
    HostBells& bells_;
    std::uint32_t rank_ = 0, size_ = 1;
    std::vector<MPI_Request> requests_;
    std::vector<Operation> operations_;
    std::size_t next_test_ = 0;
    std::array<int, kTestedAtOnce> indices_;
    std::array<MPI_Status, kTestedAtOnce> statuses_;
    std::array<Word, kWordsAwaited> awaited_;  // a ring: where the next control words arrive, whoever sends them
    std::size_t next_word_ = 0;                // of the oldest
    std::list<Word> sent_words_;
};

}  // namespace

std::unique_ptr<Wire> make_mpi_wire(MPI_Comm communicator, Watchdog* watchdog, HostBells& bells) {
    return std::make_unique<MpiWire>(communicator, watchdog, bells);
}

}  // namespace sluice
