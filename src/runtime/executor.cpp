#include "runtime/executor.hpp"

#include <pthread.h>

#include <chrono>
#include <thread>

#include "runtime/resources.hpp"
#include "runtime/steady_clock.hpp"

namespace sluice {
namespace {

class ThreadTask final : public Task {
public:
    ThreadTask(std::string name, std::function<void()> body)
        : thread_([n = name.substr(0, 15), b = std::move(body)] {
              ::pthread_setname_np(::pthread_self(), n.c_str());
              b();
          }) {}
    void join() override { thread_.join(); }

private:
    std::thread thread_;  // its destructor ends the program when nobody joined: a worker must never outlive its buffers
};

}  // namespace

std::unique_ptr<Task> ThreadExecutor::spawn(std::string name, std::function<void()> body) {
    try {
        return std::make_unique<ThreadTask>(std::move(name), std::move(body));
    } catch (const std::system_error& e) {
        throw error_of(e);
    }
}

std::uint64_t ThreadExecutor::now_ns() const { return steady_ns(); }

void ThreadExecutor::sleep_for_ns(std::uint64_t nanoseconds) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(nanoseconds));
}

void Mutex::lock() {
    if (scheduler_ != nullptr) {
        scheduler_->acquire(held_, this);
    } else {
        native_.lock();
    }
}

void Mutex::unlock() {
    if (scheduler_ != nullptr) {
        scheduler_->release(held_, this);
    } else {
        native_.unlock();
    }
}

void Condition::wait_once(Lock& lock) {
    if (scheduler_ != nullptr) {
        scheduler_->wait(this, lock);
    } else {
        native_.wait(lock);
    }
}

bool Condition::wait_once_until(Lock& lock, std::uint64_t deadline_ns) {
    if (scheduler_ != nullptr) return scheduler_->wait_until(this, lock, deadline_ns);
    const std::uint64_t now = steady_ns();
    if (now >= deadline_ns) return false;
    return native_.wait_for(lock, std::chrono::nanoseconds(deadline_ns - now)) == std::cv_status::no_timeout;
}

std::uint64_t Condition::now_ns() const { return scheduler_ != nullptr ? scheduler_->now_ns() : steady_ns(); }

void Condition::notify_one() {
    if (scheduler_ != nullptr) {
        scheduler_->notify(this, false);
    } else {
        native_.notify_one();
    }
}

void Condition::notify_all() {
    if (scheduler_ != nullptr) {
        scheduler_->notify(this, true);
    } else {
        native_.notify_all();
    }
}

}  // namespace sluice
