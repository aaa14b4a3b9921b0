#pragma once
/// The set of input, proved before the first byte: which files, each once, on hosts that are who they say
/// (docs/data-sets.md).

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "io/file_identity.hpp"
#include "io/input_slices.hpp"
#include "plan/input_report.hpp"
#include "plan/job_context.hpp"
#include "plan/role_disks.hpp"
#include "record/record_format.hpp"
#include "record/record_sum.hpp"

namespace sluice {

/// One file of the input as one rank of its host found it in preflight.
struct InputFile {
    std::string path;  ///< on this host
    FileIdentity identity;
    SeenBy seen_by = SeenBy::one_host;
    RecordSum sum;  ///< as its manifest says, if InputSet::sums_are_known
    static constexpr auto fields =
        std::tuple{&InputFile::path, &InputFile::identity, &InputFile::seen_by, &InputFile::sum};
};

/// The input of a job, proved. Holds the locks of its directories for as long as it lives.
struct InputSet {
    RecordFormat format;
    std::string origin;           ///< for people
    std::string run_id;           ///< of the data set; "": input.paths
    RecordSum total;              ///< over all hosts, if known
    bool sums_are_known = false;  ///< a manifest says them
    /// What this rank can read: first what all hosts see, then its host's, then its own. The same on all ranks of a
    /// host but for the last.
    std::vector<InputFile> files;
    HostInput listed;                         ///< what this rank lists: each file counts once, shared ones on rank 0
    std::vector<std::shared_ptr<void>> held;  ///< locks of the data set's directories

    /// What this rank reads: of each kind of file an equal share of whom it is divided among.
    std::vector<InputSlice> slices_of(const RankPlace& place, std::uint32_t rank, std::uint32_t ranks) const;
};

/// Finds the input, from input.paths or the manifests on the hosts' disks, and proves it: hosts of one name are one
/// host, no file is there twice, what hosts share all of them see, nothing is missing. Collective. Problems as
/// refuse_if_any() takes them, from all ranks' points of view.
InputSet find_input(JobContext& job, Problems& problems);  // input_search.hpp has its steps

/// What looking at the input once more has found.
struct InputChanges {
    Problems problems;               ///< code input, naming the file: size, inode or time of modification differ
    std::vector<std::string> notes;  ///< files whose change time alone has moved
};

/// Whether the files that this rank has read are still the ones that preflight saw, and the empty ones, which nobody
/// reads. Local.
/// @param read  slices of `input` that this rank read
InputChanges look_for_changes(JobContext& job, const InputSet& input, const std::vector<InputSlice>& read);

/// What one rank read of one file.
struct FileSum {
    std::uint32_t file = 0;  ///< by number in InputSet::files
    RecordSum sum;
    static constexpr auto fields = std::tuple{&FileSum::file, &FileSum::sum};
};

/// What this rank read of the files, by the rank that adds up all that was read of a file: one of those who may have
/// read of it. Nothing where sums are not known or not to be compared. Local.
/// @param sums  by number of the file in input.files
std::vector<std::vector<FileSum>> sums_by_keeper(const JobContext& job, const InputSet& input,
                                                 const std::vector<RecordSum>& sums);

/// Of the files that this rank adds up those that do not hold what their manifest says: code integrity. Local.
/// @param told  by rank, what sums_by_keeper() there has for this rank
Problems differing_files(JobContext& job, const InputSet& input, const std::vector<std::vector<FileSum>>& told);

}  // namespace sluice
