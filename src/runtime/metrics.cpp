#include "runtime/metrics.hpp"

namespace sluice {
namespace {
thread_local WorkerMetrics spare;
thread_local WorkerMetrics* current = nullptr;
}  // namespace

WorkerMetrics& this_worker() noexcept { return current != nullptr ? *current : spare; }
void set_this_worker(WorkerMetrics* metrics) noexcept { current = metrics; }

}  // namespace sluice
