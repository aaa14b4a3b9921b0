#pragma once
/// Sums of the input by the file that records came from.

#include <cstdint>
#include <vector>

#include "record/record_sum.hpp"
#include "runtime/executor.hpp"

namespace sluice {

/// Distributors add what they have read of a file, once a buffer. Any thread; take() when they have ended.
class SourceSums {
public:
    /// @param files  how many there are: add() takes their numbers, from 0
    SourceSums(Executor& executor, std::size_t files) : mutex_(executor), sums_(files) {}
    void add(std::uint32_t file, const RecordSum& sum) {
        Lock lock(mutex_);
        sums_.at(file) += sum;
    }
    std::vector<RecordSum> take() { return std::move(sums_); }

private:
    Mutex mutex_;
    std::vector<RecordSum> sums_;
};

}  // namespace sluice
