#pragma once
/// Partitions that turned out larger than the memory planned for them: each is spread over pieces that fit, by one more
/// pass over that partition alone (ARCHITECTURE.md, Data flow).

#include <memory>

#include "jobs/log_store.hpp"

namespace sluice {

/// The parts of a rank once its too large partitions have become pieces: where their records lie, and what they are
/// called. The caller's.
struct SplitParts {
    std::unique_ptr<ExtentIndex> index;  ///< by part
    PartList list;
};

/// Splits the partitions that have more than phase two's plan has room for, again and again until each piece fits;
/// records are read from the logs and appended to them. Local: other ranks need not take part, but their failures end
/// it. Throws Error(space) when the disks cannot hold a second copy of such a partition.
/// @param store  whose partitions they are
/// @param ranges, index  of its partitions
SplitParts split_overflow(const LogStore::Parts& store, const PrefixRanges& ranges, const ExtentIndex& index);

}  // namespace sluice
