// Memory of each rank that the others write into, by MPI's one-sided calls with passive target.
#include <mpi.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "net/mpi_check.hpp"
#include "net/receive_window.hpp"

namespace sluice {
namespace {

std::string osc_setting() {
    const char* value = std::getenv("OMPI_MCA_osc");
    return value != nullptr ? value : "not set";
}

class MpiWindow final : public ReceiveWindow {
public:
    MpiWindow(MPI_Comm comm, std::uint64_t bytes, bool one_host) : bytes_(bytes), direct_(one_host) {
        MPI_Info info = MPI_INFO_NULL;
        MPI_Info_create(&info);
        MPI_Info_set(info, "alloc_shared_noncontig", "true");  // each rank's part by itself, near it
        const auto allocate = direct_ ? MPI_Win_allocate_shared : MPI_Win_allocate;
        const int rc = allocate(static_cast<MPI_Aint>(bytes), 1, info, comm, &memory_, &window_);
        MPI_Info_free(&info);
        if (rc != MPI_SUCCESS) {
            throw Error(Errc::environment,
                        "allocating a window of " + std::to_string(bytes) + " bytes: " + mpi_text(rc) +
                            "; where OMPI_MCA_osc is set (here: " + osc_setting() +
                            ") it must allow a component for these hosts: \"^ucx\" allows sm, rdma and pt2pt; "
                            "else there is too little shared memory (df /dev/shm); or set net.transport = \"p2p\"");
        }
        MPI_Win_set_errhandler(window_, MPI_ERRORS_RETURN);
        std::memset(memory_, 0, bytes);  // pages come now, near this rank, not with the first put
        check_mpi(MPI_Win_lock_all(MPI_MODE_NOCHECK, window_), "MPI_Win_lock_all");
        check_mpi(MPI_Barrier(comm), "MPI_Barrier");  // nobody writes here before it is cleared
    }
    MpiWindow(const MpiWindow&) = delete;

    std::span<std::byte> memory() noexcept override { return {memory_, bytes_}; }
    std::span<std::byte> memory_of(std::uint32_t rank) override {
        MPI_Aint theirs_bytes = 0;
        int unit = 0;
        std::byte* theirs = nullptr;
        check_mpi(MPI_Win_shared_query(window_, mpi_int(rank), &theirs_bytes, &unit, &theirs), "MPI_Win_shared_query");
        return {theirs, static_cast<std::size_t>(theirs_bytes)};
    }
    void start_put(std::uint32_t destination, std::uint64_t offset, std::span<const std::byte> bytes,
                   std::uint64_t slot) override {
        SLUICE_CHECK(bytes.size() <= kMaxMessageBytes);
        const int count = mpi_int(bytes.size());
        MPI_Request request = MPI_REQUEST_NULL;
        check_mpi(MPI_Rput(bytes.data(), count, MPI_BYTE, mpi_int(destination), static_cast<MPI_Aint>(offset), count,
                           MPI_BYTE, window_, &request),
                  "MPI_Rput");
        requests_.push_back(request);
        slots_.push_back(slot);
    }
    void test(std::vector<std::uint64_t>& done) override {
        if (requests_.empty()) return;
        std::size_t kept = 0;
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            int finished = 0;
            check_mpi(MPI_Test(&requests_[i], &finished, MPI_STATUS_IGNORE), "MPI_Test");
            if (finished != 0) {
                done.push_back(slots_[i]);
            } else {
                requests_[kept] = requests_[i];
                slots_[kept++] = slots_[i];
            }
        }
        requests_.resize(kept);
        slots_.resize(kept);
    }
    /// Emulated puts wait in fragments of Open MPI's until these are full or flushed; with their bytes already gone
    /// this returns at once.
    void push(std::uint32_t destination) override {
        check_mpi(MPI_Win_flush_local(mpi_int(destination), window_), "MPI_Win_flush_local");
    }
    void flush(std::uint32_t destination) override {
        check_mpi(MPI_Win_flush(mpi_int(destination), window_), "MPI_Win_flush");
    }
    void sync() override { check_mpi(MPI_Win_sync(window_), "MPI_Win_sync"); }
    std::chrono::milliseconds patience() const override { return std::chrono::seconds(30); }
    bool direct() const noexcept override { return direct_; }
    void close() override {
        check_mpi(MPI_Win_unlock_all(window_), "MPI_Win_unlock_all");
        check_mpi(MPI_Win_free(&window_), "MPI_Win_free");
    }

private:
    std::uint64_t bytes_;
    bool direct_;
    std::byte* memory_ = nullptr;
    MPI_Win window_ = MPI_WIN_NULL;
    std::vector<MPI_Request> requests_;
    std::vector<std::uint64_t> slots_;  // beside requests_
};

}  // namespace

std::unique_ptr<ReceiveWindow> make_mpi_window(MPI_Comm communicator, std::uint64_t bytes, bool one_host) {
    return std::make_unique<MpiWindow>(communicator, bytes, one_host);
}

}  // namespace sluice
