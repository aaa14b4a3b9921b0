#include "runtime/metrics.hpp"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {
thread_local WorkerMetrics spare;
thread_local WorkerMetrics* current = nullptr;
}  // namespace

void WaitNote::begin(WaitKind kind, std::string_view what, std::string_view object, std::uint64_t offset,
                     std::uint64_t bytes, std::uint64_t since_ns) noexcept {
    const std::lock_guard lock(mutex_);
    kind_ = kind;
    ++generation_;
    since_ns_ = since_ns;
    offset_ = offset;
    bytes_ = bytes;
    what_size_ = std::min(what.size(), sizeof what_);
    std::memcpy(what_, what.data(), what_size_);
    object_size_ = std::min(object.size(), sizeof object_);  // the end of a long path says more than its beginning
    if (object_size_ > 0) std::memcpy(object_, object.data() + (object.size() - object_size_), object_size_);
}

void WaitNote::end() noexcept {
    const std::lock_guard lock(mutex_);
    kind_ = WaitKind::none;
    ++generation_;
}

WaitNote::View WaitNote::view() const {
    const std::lock_guard lock(mutex_);
    View view{kind_, generation_, since_ns_, {}};
    if (kind_ == WaitKind::none) return view;
    view.text.assign(what_, what_size_);
    if (object_size_ > 0) view.text += " '" + std::string(object_, object_size_) + "'";
    if (bytes_ > 0) view.text += " at " + std::to_string(offset_) + ", " + std::to_string(bytes_) + " bytes";
    return view;
}

WorkerMetrics& this_worker() noexcept { return current != nullptr ? *current : spare; }
void set_this_worker(WorkerMetrics* metrics) noexcept { current = metrics; }

}  // namespace sluice
