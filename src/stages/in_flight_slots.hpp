#pragma once
/// What belongs to each request in flight.

#include <cstddef>
#include <vector>

#include "runtime/error.hpp"

namespace sluice {

/// `count` values, found by the token of the request that they belong to. One thread; allocates nothing after it is
/// made.
template <typename Value>
class InFlightSlots {
public:
    /// @param count  requests that may be in flight at a time: the depth of their queue
    explicit InFlightSlots(std::size_t count) : values_(count) {
        for (std::size_t token = count; token > 0; --token) free_.push_back(token - 1);
    }
    bool all_taken() const noexcept { return free_.empty(); }
    /// The token that take() gives next; not while all are taken.
    std::size_t next() const { return free_.back(); }
    std::size_t take() {
        SLUICE_CHECK(!free_.empty());
        const std::size_t token = free_.back();
        free_.pop_back();
        return token;
    }
    void give_back(std::size_t token) { free_.push_back(token); }
    Value& operator[](std::size_t token) { return values_[token]; }
    std::size_t count() const noexcept { return values_.size(); }

private:
    std::vector<Value> values_;
    std::vector<std::size_t> free_;
};

}  // namespace sluice
