#pragma once
/// The stages by kind: what a worker is in reports, messages and placement.

#include <cstdint>
#include <span>

#include "runtime/choices.hpp"

namespace sluice {

/// In the order in which data passes them.
enum class StageKind : std::uint8_t {
    network,  ///< the main thread of a rank
    reader,
    source,  ///< makes the records of a shuffle
    generator,
    node_distributor,
    sender,    ///< on the network thread
    receiver,  ///< on the network thread
    logical_disk_distributor,
    keeper,  ///< one pass: holds what the logs would
    sink,    ///< drops the records of a shuffle
    writer,
    sorter,
    finisher,
    part_check,
    validator,
};

/// As in result.json and in messages.
std::span<const Word<StageKind>> words_of(StageKind) noexcept;

}  // namespace sluice
