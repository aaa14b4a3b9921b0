#pragma once
/// Long work of a rank's main thread, in sight of the watchdog and of the other ranks.

#include <atomic>
#include <cstdint>
#include <ctime>
#include <functional>

#include "runtime/executor.hpp"

namespace sluice {

/// What the main thread is at. Written by that thread, read by the watchdog's.
class StepNote {
public:
    struct View {
        const char* name = nullptr;  ///< nullptr: in no step, or within one in a poll or a wait
        std::uint64_t turn = 0;      ///< another number whenever work begins or goes on
        std::uint64_t cpu_ns = 0;    ///< processor time that the thread has had
    };
    StepNote();  ///< of the thread that calls it
    void set(const char* name) noexcept;
    View view() const noexcept;

private:
    clockid_t clock_ = CLOCK_MONOTONIC;
    bool has_clock_ = false;
    std::atomic<const char*> name_{nullptr};
    std::atomic<std::uint64_t> turn_{0};
};

/// Of the calling thread; lives until that thread ends.
StepNote& this_thread_step() noexcept;

/// A piece of work of the main thread that may take long: while it is open, processor time of the thread counts as
/// life, and tick(), called in its loops, says at most every 100 ms that something was done and looks after the other
/// ranks, who would miss this one. Steps nest; made and destroyed on one thread.
class Step {
public:
    /// @param name  what is done, for people: "lists the input"; a literal, it is not copied
    /// @param poll  sends and hears heartbeats, throws when another rank has failed; may be empty
    Step(const Executor& executor, const char* name, std::function<void()> poll);
    ~Step();
    Step(const Step&) = delete;
    /// Cheap enough for every file: most calls only look at the clock. Throws what `poll` throws.
    void tick();

private:
    const Executor& executor_;
    const char* name_;
    std::function<void()> poll_;
    Step* outer_;
    std::uint64_t next_ns_ = 0;
};

/// tick() of the innermost step that is open on this thread; nothing where there is none, as on worker threads.
void tick_step();

/// Around polling and waiting, which are no work: what processor time they take is no sign of life.
class StepPause {
public:
    StepPause() noexcept;
    ~StepPause();
    StepPause(const StepPause&) = delete;

private:
    const char* name_;
};

}  // namespace sluice
