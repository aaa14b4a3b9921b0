#pragma once
/// A data set on the disks of a cluster and its MANIFEST: which files, on which host, how many records, which checksum.

#include <cstdint>
#include <string>
#include <vector>

#include "io/file_system.hpp"
#include "record/record_format.hpp"
#include "record/record_sum.hpp"

namespace sluice {

inline constexpr const char* kManifestName = "MANIFEST.json";

struct DataFile {
    std::string host;  ///< whose disk it lies on; "*": every host sees it
    std::string path;  ///< absolute, on that host
    std::uint64_t bytes = 0;
    RecordSum sum;
    std::int64_t partition = -1;  ///< of a sorted set, in key order; -1 for input
};

/// What MANIFEST.json says. A sorted set is valid output exactly when its manifest is there and verifies.
struct DataSet {
    std::string kind;  ///< "input" or "sorted"
    std::string run_id, created;
    RecordFormat format;
    bool verified = true;         ///< sums were taken; false for a sort with run.verify = false
    std::vector<DataFile> files;  ///< a sorted set's in key order
    RecordSum total;              ///< over all files
    RecordSum input_total;        ///< of a sorted set: what its input summed to
    std::string origin;           ///< how it was made, for people: "gensort binary, records 0 .. 999"

    /// Self-checked text; equal sets give equal texts.
    std::string to_text() const;
    /// Throws Error(input) naming `path` when the text is cut, damaged or of another version.
    static DataSet from_text(const std::string& text, const std::string& path);
};

/// A file range that one rank reads; offset and, but for a file's end, length are multiples of `unit` bytes.
struct InputSlice {
    std::string path;
    std::uint64_t offset = 0, bytes = 0;
};

/// Deals the files out to `ranks` ranks in pieces of whole units, as even as the unit allows; ranks' pieces adjoin.
std::vector<InputSlice> slice_for_rank(const std::vector<DataFile>& files, std::uint32_t rank, std::uint32_t ranks,
                                       std::uint64_t unit_bytes);
/// The same ranges starting at `numerator/denominator` of the bytes (a multiple of the unit) and wrapping.
std::vector<InputSlice> rotate(const std::vector<InputSlice>& slices, std::uint64_t numerator,
                               std::uint64_t denominator, std::uint64_t unit_bytes);

/// Checks that each file is there, regular, readable, whole records and (if the set says so) of the noted size; no two
/// are the same file. Returns one line per problem, each beginning with its exit code in brackets, as "[4] ...".
std::vector<std::string> check_input_files(FileSystem& files, const std::vector<DataFile>& list,
                                           std::uint32_t record_bytes, bool allow_duplicates);

}  // namespace sluice
