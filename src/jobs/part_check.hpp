#pragma once
/// The last look at the parts before they are published.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plan/descriptors.hpp"
#include "plan/job_context.hpp"
#include "record/record_format.hpp"

namespace sluice {

/// A part as it was written, to be found so again.
struct WrittenFile {
    std::string path;
    std::uint64_t bytes = 0;
    std::vector<std::byte> last_key;  ///< of its last record; empty: not known
};

/// Opens each file again: it must have its size, and its last record, read from the disk, the key that was written
/// there. So nothing is published that was cut, replaced or removed after it was summed. On a thread of its own, so
/// that peers are answered meanwhile. Throws Error(integrity) naming the file. Local.
/// @param memory  for blocks in flight, aligned for direct I/O; kLeastCheckBytes at least
void check_written_files(JobContext& job, const RecordFormat& format, const std::vector<WrittenFile>& files,
                         std::span<std::byte> memory);

}  // namespace sluice
