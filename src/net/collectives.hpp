#pragma once
/// What ranks tell each other, typed: values go by their field list (runtime/packing.hpp), and nobody parses a text.
///
/// All are collective: every rank calls, in the same order, on its main thread. They throw AbortedError when another
/// rank fails meanwhile, and Error(integrity) when what arrives is no such value.

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "net/communicator.hpp"
#include "runtime/packing.hpp"

namespace sluice {

/// Everybody's value, by rank, on all ranks. Cost: all values to everybody, so only for what everybody needs.
template <typename T>
std::vector<T> all_gather(Communicator& communicator, const T& mine) {
    std::vector<T> all;
    for (const std::string& text : communicator.all_gather(pack(mine))) all.push_back(unpack<T>(text));
    return all;
}

/// Everybody's value, by rank, on rank 0; empty elsewhere.
template <typename T>
std::vector<T> gather(Communicator& communicator, const T& mine) {
    std::vector<T> all;
    const auto texts = communicator.gather(pack(mine), 0);
    if (communicator.rank() != 0) return all;
    for (const std::string& text : texts) all.push_back(unpack<T>(text));
    return all;
}

/// One list after the other.
template <typename T>
std::vector<T> joined(std::vector<std::vector<T>> lists) {
    std::vector<T> all;
    for (auto& list : lists)
        all.insert(all.end(), std::make_move_iterator(list.begin()), std::make_move_iterator(list.end()));
    return all;
}

/// The lists of all ranks one after the other, on all ranks.
template <typename T>
std::vector<T> all_gather_list(Communicator& communicator, const std::vector<T>& mine) {
    return joined(all_gather(communicator, mine));
}

/// The lists of all ranks one after the other, on rank 0; empty elsewhere.
template <typename T>
std::vector<T> gather_list(Communicator& communicator, const std::vector<T>& mine) {
    return joined(gather(communicator, mine));
}

/// Rank 0's value, on all ranks.
template <typename T>
T from_rank_0(Communicator& communicator, const T& mine) {
    return unpack<T>(communicator.broadcast(communicator.rank() == 0 ? pack(mine) : std::string(), 0));
}

/// A value for each rank, and each rank's for this one, by rank.
template <typename T>
std::vector<T> exchange_by_rank(Communicator& communicator, const std::vector<T>& for_rank) {
    std::vector<std::string> texts;
    texts.reserve(for_rank.size());
    for (const T& value : for_rank) texts.push_back(pack(value));
    std::vector<T> from_rank;
    for (const std::string& text : communicator.exchange(texts)) from_rank.push_back(unpack<T>(text));
    return from_rank;
}

}  // namespace sluice
