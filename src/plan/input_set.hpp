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

/// That the files this rank has read are still the ones that preflight saw: throws CollectiveError(input) with the file
/// where size, inode or time of modification differ. Notes files whose change time alone has moved. Collective.
/// @param read  slices of `input` that this rank read
void check_input_unchanged(JobContext& job, const InputSet& input, const std::vector<InputSlice>& read);

/// Sums of the files, as read, against those of their manifest. Throws CollectiveError(integrity) naming the files that
/// differ. Collective; nothing happens where sums are not known.
/// @param sums  by number of the file in input.files, of what this rank read of it
void check_file_sums(JobContext& job, const InputSet& input, const std::vector<RecordSum>& sums);

}  // namespace sluice
