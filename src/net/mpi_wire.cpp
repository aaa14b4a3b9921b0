#include <mpi.h>

#include <algorithm>
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
        words_.resize(size_);
        word_requests_.assign(size_, MPI_REQUEST_NULL);
        for (std::uint32_t peer = 0; peer < size_; ++peer) listen(peer);
    }
    ~MpiWire() override {
        for (MPI_Request& request : word_requests_) {
            if (request == MPI_REQUEST_NULL) continue;
            MPI_Cancel(&request);
            MPI_Wait(&request, MPI_STATUS_IGNORE);
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
        const int count = mpi_int(requests_.size());
        indices_.resize(requests_.size());
        statuses_.resize(requests_.size());
        int finished = 0;
        check_mpi(MPI_Testsome(count, requests_.data(), &finished, indices_.data(), statuses_.data()), "MPI_Testsome");
        if (finished == MPI_UNDEFINED || finished == 0) return;
        for (int i = 0; i < finished; ++i) {
            const Operation& operation = operations_[static_cast<std::size_t>(indices_[static_cast<std::size_t>(i)])];
            int bytes = 0;
            if (!operation.is_send) MPI_Get_count(&statuses_[static_cast<std::size_t>(i)], MPI_BYTE, &bytes);
            if (watchdog_ != nullptr) watchdog_->moved_data(operation.peer);
            done.push_back({operation.is_send, operation.slot, static_cast<std::uint64_t>(bytes)});
        }
        drop_finished();
    }
    void send_control(std::uint32_t destination, std::uint64_t word) override {
        sent_words_.remove_if([](Word& sent) {
            int done = 0;
            MPI_Test(&sent.request, &done, MPI_STATUS_IGNORE);
            return done != 0;
        });
        Word& sent = sent_words_.emplace_back();  // a list: MPI keeps the address
        sent.value = word;
        check_mpi(MPI_Isend(&sent.value, 1, MPI_UINT64_T, mpi_int(destination), kControlTag, comm_, &sent.request),
                  "MPI_Isend");
    }
    bool poll_control(std::uint32_t& source, std::uint64_t& word) override {
        int index = 0, done = 0;
        check_mpi(MPI_Testany(mpi_int(word_requests_.size()), word_requests_.data(), &index, &done, MPI_STATUS_IGNORE),
                  "MPI_Testany");
        if (done == 0 || index == MPI_UNDEFINED) return false;
        source = static_cast<std::uint32_t>(index);
        word = words_[source];
        if (watchdog_ != nullptr) watchdog_->moved_data(source);  // a credit or an announcement
        listen(source);
        return true;
    }
    void cancel_receives(std::uint32_t source) override {
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            if (operations_[i].is_send || operations_[i].peer != source) continue;
            MPI_Cancel(&requests_[i]);
            MPI_Wait(&requests_[i], MPI_STATUS_IGNORE);
        }
        drop_finished();
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
    void listen(std::uint32_t peer) {
        if (peer == rank_) return;
        check_mpi(MPI_Irecv(&words_[peer], 1, MPI_UINT64_T, mpi_int(peer), kControlTag, comm_, &word_requests_[peer]),
                  "MPI_Irecv");
    }
    void drop_finished() {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            if (requests_[i] == MPI_REQUEST_NULL) continue;
            requests_[kept] = requests_[i];
            operations_[kept++] = operations_[i];
        }
        requests_.resize(kept);
        operations_.resize(kept);
    }

    MPI_Comm comm_;
    Watchdog* watchdog_;
    HostBells& bells_;
    std::uint32_t rank_ = 0, size_ = 1;
    std::vector<MPI_Request> requests_;
    std::vector<Operation> operations_;
    std::vector<int> indices_;
    std::vector<MPI_Status> statuses_;
    std::vector<std::uint64_t> words_;  // by peer: where its next control word arrives
    std::vector<MPI_Request> word_requests_;
    std::list<Word> sent_words_;
};

}  // namespace

std::unique_ptr<Wire> make_mpi_wire(MPI_Comm communicator, Watchdog* watchdog, HostBells& bells) {
    return std::make_unique<MpiWire>(communicator, watchdog, bells);
}

}  // namespace sluice
