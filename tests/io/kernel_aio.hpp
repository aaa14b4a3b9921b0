#pragma once
/// Stands between the libaio back end and the kernel: these definitions take the place of libaio's in the test program,
/// call the kernel themselves, and change results as the running test asks. Include in one source file only.

#include <libaio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <functional>
#include <vector>

namespace sluice::testing {

struct KernelAio {
    struct Submitted {
        int opcode;
        long long offset;
        std::uint64_t bytes;
        std::size_t pieces;
    };
    std::vector<Submitted> submitted;          ///< that the kernel took, in order
    std::deque<int> setup, submit, getevents;  ///< results to give instead of calling the kernel
    bool refuse_sync = false;                  ///< EINVAL for asynchronous fdatasync
    long gather = 0;                           ///< wait for this many events at once
    std::function<void(io_event&)> on_event;   ///< may change each event's result
    int contexts = 0;
};
inline KernelAio kernel_aio;

inline int take_result(std::deque<int>& results) {
    const int result = results.front();
    results.pop_front();
    return result;
}
inline int as_libaio(long result) { return result < 0 ? -errno : static_cast<int>(result); }

}  // namespace sluice::testing

extern "C" {
int io_setup(int depth, io_context_t* context) {
    auto& k = sluice::testing::kernel_aio;
    if (!k.setup.empty()) return sluice::testing::take_result(k.setup);
    ++k.contexts;
    return sluice::testing::as_libaio(::syscall(SYS_io_setup, depth, context));
}
int io_destroy(io_context_t context) {
    --sluice::testing::kernel_aio.contexts;
    return sluice::testing::as_libaio(::syscall(SYS_io_destroy, context));
}
int io_submit(io_context_t context, long count, iocb* list[]) {
    auto& k = sluice::testing::kernel_aio;
    if (!k.submit.empty()) return sluice::testing::take_result(k.submit);
    if (k.refuse_sync && list[0]->aio_lio_opcode == IO_CMD_FDSYNC) return -EINVAL;
    const long result = ::syscall(SYS_io_submit, context, count, list);
    for (long i = 0; i < result; ++i) {
        const iocb& request = *list[i];
        sluice::testing::KernelAio::Submitted seen{request.aio_lio_opcode, 0, 0, 0};
        if (request.aio_lio_opcode != IO_CMD_FDSYNC) {
            const auto* pieces = static_cast<const iovec*>(request.u.c.buf);
            seen.offset = request.u.c.offset;
            seen.pieces = request.u.c.nbytes;
            for (std::size_t p = 0; p < seen.pieces; ++p) seen.bytes += pieces[p].iov_len;
        }
        k.submitted.push_back(seen);
    }
    return sluice::testing::as_libaio(result);
}
int io_getevents(io_context_t context, long minimum, long count, io_event* events, timespec* timeout) {
    auto& k = sluice::testing::kernel_aio;
    if (!k.getevents.empty()) return sluice::testing::take_result(k.getevents);
    if (k.gather > minimum && timeout == nullptr) minimum = k.gather;
    const long result = ::syscall(SYS_io_getevents, context, minimum, count, events, timeout);
    const int got = sluice::testing::as_libaio(result);
    for (int i = 0; i < got && k.on_event; ++i) k.on_event(events[i]);
    return got;
}
}
