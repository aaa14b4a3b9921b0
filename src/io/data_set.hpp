#pragma once
/// A data set on the disks of a cluster and its MANIFEST: which files, on which of its disks, how many records, which
/// checksum.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/directory.hpp"
#include "record/record_format.hpp"
#include "record/record_sum.hpp"

namespace sluice {

inline constexpr const char* kManifestName = "MANIFEST.json";
/// No manifest is larger, of parts of kManifestLineBytes each at the most: 2^23 of them.
inline constexpr std::uint64_t kMostManifestBytes = std::uint64_t{2} << 30, kManifestLineBytes = 256;

enum class SetKind : std::uint8_t { input, sorted };
const char* to_string(SetKind kind);

/// One of the directories that a set spans. Which one it is on a host, its owner record says.
struct SetDisk {
    std::string host;       ///< where it was when the set was made, for messages; "*": every host sees it
    std::string directory;  ///< of schema version 1 only, which held paths: the one that the files must be found in
};

/// One file of a data set: on which of its disks, under which name, and what must be in it.
struct DataFile {
    std::uint32_t disk = 0;  ///< of the set
    std::string name;        ///< bare: looked for in that disk's directory and nowhere else
    std::uint64_t bytes = 0;
    RecordSum sum;
    std::int64_t position = -1;  ///< in key order, of a sorted set; -1 for input. In the file it is "partition"
};

/// What MANIFEST.json says. A sorted set is valid output exactly when its manifest is there and verifies.
struct DataSet {
    SetKind kind = SetKind::input;
    std::string run_id, created;
    RecordFormat format;
    bool verified = true;  ///< sums were taken; false for a sort with run.verify = false
    std::vector<SetDisk> disks;
    std::vector<DataFile> files;  ///< a sorted set's in key order
    RecordSum total;              ///< over all files
    RecordSum input_total;        ///< of a sorted set: what its input summed to
    std::string origin;           ///< how it was made, for people: "gensort binary, records 0 .. 999"

    /// Self-checked text; equal sets give equal texts. Throws Error(config) for a host name that is no UTF-8.
    std::string to_text() const;
    /// Also of schema version 1, whose sets knew no owner records. Throws Error(integrity) naming `path` when the text
    /// is cut, damaged or of a version it does not know, when its numbers contradict each other, or when a name in it
    /// is none.
    static DataSet from_text(const std::string& text, const std::string& path);
    /// Made before there were owner records.
    bool is_legacy() const { return !disks.empty() && !disks.front().directory.empty(); }
};

/// One piece after the other of a MANIFEST's text. @param is_last  no other comes
using TakePiece = std::function<void(std::string_view piece, bool is_last)>;
/// One file after the other of a data set, in its order.
using TakeFile = std::function<void(const DataFile& file)>;

/// The same text as DataSet::to_text(), in pieces of `piece_bytes` each but for the last, so that nobody need hold all
/// of it, nor all files. Throws as to_text() does, then before the first piece.
/// @param set         all but its files; what it holds of them is left out
/// @param each_file   gives all of them to what it is called with; called twice, since the checksum comes first
/// Cost: about 3 us of processor time a file.
void make_manifest(const DataSet& set, const std::function<void(const TakeFile&)>& each_file, std::size_t piece_bytes,
                   const TakePiece& take);

/// The text of the MANIFEST in a directory. Throws Error(integrity) for one that is larger than a manifest can be,
/// Error(input) for what cannot be read.
std::string read_manifest_text(Directory& directory, const std::string& name = kManifestName);

/// A name that stands for a file in the directory at hand, and for nothing else: no '/', not "." nor "..", and without
/// control characters, which no name of ours has.
bool is_bare_name(const std::string& name);

}  // namespace sluice
