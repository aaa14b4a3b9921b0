#pragma once
/// Rank 0's last word before a data set is published: why it is not, or its MANIFEST.

#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

#include "io/data_set.hpp"
#include "net/communicator.hpp"
#include "runtime/error.hpp"

namespace sluice {

/// Of a MANIFEST that goes to all ranks: no rank ever holds more of its text. With what goes beside it, 4 MiB.
inline constexpr std::size_t kManifestPieceBytes = (std::size_t{4} << 20) - 4096;

/// Makes a MANIFEST's text in pieces of that size: make_manifest().
using ManifestMaker = std::function<void(std::size_t piece_bytes, const TakePiece& take)>;

/// Tells all ranks what rank 0 has found: problems, which all throw as one CollectiveError, or the MANIFEST, piece by
/// piece as it is made, which all keep. Collective: one call where the text is short, two up to a piece, two more for
/// each further one.
/// @param problems  on rank 0: of all ranks, by rank
/// @param make      on rank 0, where there are no problems
/// @param keep      gets each piece, on all ranks
void tell_last_word(Communicator& communicator, const std::vector<Problems>& problems, const ManifestMaker& make,
                    const std::function<void(std::string_view piece)>& keep);

}  // namespace sluice
