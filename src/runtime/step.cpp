#include "runtime/step.hpp"

#include <pthread.h>

#include <utility>

#include "runtime/metrics.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kTickNs = 100'000'000;

thread_local Step* innermost = nullptr;

}  // namespace

StepNote::StepNote() : has_clock_(::pthread_getcpuclockid(::pthread_self(), &clock_) == 0) {}

void StepNote::set(const char* name) noexcept {
    turn_.fetch_add(1, std::memory_order_relaxed);
    name_.store(name, std::memory_order_release);
}

StepNote::View StepNote::view() const noexcept {
    View view;
    view.name = name_.load(std::memory_order_acquire);
    view.turn = turn_.load(std::memory_order_relaxed);
    timespec spent{};
    if (has_clock_ && ::clock_gettime(clock_, &spent) == 0)
        view.cpu_ns =
            static_cast<std::uint64_t>(spent.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(spent.tv_nsec);
    return view;
}

StepNote& this_thread_step() noexcept {
    thread_local StepNote note;
    return note;
}

Step::Step(const Executor& executor, const char* name, std::function<void()> poll)
    : executor_(executor), name_(name), poll_(std::move(poll)), outer_(std::exchange(innermost, this)) {
    this_thread_step().set(name_);
    this_worker().units.add(1);
}

Step::~Step() {
    innermost = outer_;
    this_thread_step().set(outer_ != nullptr ? outer_->name_ : nullptr);
    this_worker().units.add(1);
}

void Step::tick() {
    const std::uint64_t now_ns = executor_.now_ns();
    if (now_ns < next_ns_) return;
    next_ns_ = now_ns + kTickNs;
    this_worker().units.add(1);  // progress, as the watchdog sees it
    if (!poll_) return;
    const StepPause pause;
    poll_();
}

void tick_step() {
    if (innermost != nullptr) innermost->tick();
}

StepPause::StepPause() noexcept : name_(this_thread_step().view().name) { this_thread_step().set(nullptr); }

StepPause::~StepPause() { this_thread_step().set(name_); }

}  // namespace sluice
