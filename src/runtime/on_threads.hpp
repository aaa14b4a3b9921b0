#pragma once
/// A piece of work on several threads at once, outside of pipelines.

#include <cstdint>
#include <functional>

namespace sluice {

/// Calls work(0) to work(count - 1), each once, on up to `count` threads, the caller's among them. Where no more
/// threads can be started, those that are there do it all. Returns when all calls have; rethrows the first exception of
/// them.
void on_threads(std::uint64_t count, const std::function<void(std::uint64_t)>& work);

}  // namespace sluice
