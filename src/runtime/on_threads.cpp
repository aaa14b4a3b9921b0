#include "runtime/on_threads.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace sluice {

void on_threads(std::uint64_t count, const std::function<void(std::uint64_t)>& work) {
    std::atomic<std::uint64_t> next{0};
    std::mutex mutex;
    std::exception_ptr first;
    const auto take_turns = [&] {
        for (std::uint64_t turn = next++; turn < count; turn = next++) {
            try {
                work(turn);
            } catch (...) {
                const std::lock_guard lock(mutex);
                if (!first) first = std::current_exception();
            }
        }
    };
    std::vector<std::jthread> others;
    try {
        for (std::uint64_t other = 1; other < count; ++other) others.emplace_back(take_turns);
    } catch (const std::system_error&) {  // no more threads: the ones there are do it all
    }
    take_turns();
    others.clear();  // joins
    if (first) std::rethrow_exception(first);
}

}  // namespace sluice
