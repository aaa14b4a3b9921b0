#pragma once
/// `sluice gen`, `sluice validate` and the bare copy: the jobs around the sort.

#include <cstdint>

#include "io/data_set.hpp"
#include "io/input_slices.hpp"
#include "plan/job_context.hpp"
#include "record/key_distribution.hpp"
#include "record/record_checker.hpp"
#include "stages/stage_report.hpp"

namespace sluice {

/// What `sluice gen` is to make. The same on all ranks but for threads.
struct GenerateOptions {
    bool ascii = false;
    KeyDistribution keys;
    Uint128 start = 0;
    std::uint64_t records = 0;
    unsigned threads = 1;
};
/// What it made.
struct GenerateResult {
    DataSet set;  ///< on rank 0
    double elapsed_s = 0;
};
/// Writes records start .. start+records-1 of the configured shape over the input disks of all hosts, each rank an
/// adjoining range, one file a disk, and the manifest. The concatenated bytes are the same for any ranks and disks.
/// Refuses an existing data set unless run.overwrite. Collective.
/// @param result  complete before anything is published
void run_generate(JobContext& job, const GenerateOptions& options, GenerateResult& result);

/// What validation found. The same on all ranks but for checked_bytes and elapsed_s, which are this rank's.
struct ValidateResult {
    SortSummary summary;  ///< over all parts in order, on all ranks; first and last hold keys
    RecordSum expected;   ///< of the input, from its manifest or the sorted set's
    std::string expected_from;
    bool sum_is_known = false;  ///< false: an unverified sort of files without a manifest; only the count was compared
    std::uint64_t parts = 0, empty_parts = 0;
    std::uint64_t stray_parts = 0;    ///< lie among the parts, and the manifest does not list them
    std::string disorder_at;          ///< the part where order is wrong first; "": it is right
    std::uint64_t checked_bytes = 0;  ///< by this rank
    double elapsed_s = 0;
};
/// Reads the sorted data set, each rank an equal share of its host's bytes, and checks order within and across parts,
/// count and checksum. Throws Error(integrity) saying what is wrong. Collective.
ValidateResult run_validate(JobContext& job, unsigned threads);

/// How long the bare copy took. The same on all ranks.
struct CopyResult {
    unsigned passes = 2;
    double pass_one_s = 0, pass_two_s = 0;  ///< slowest rank
    std::uint64_t bytes = 0;                ///< of input, over all ranks
    double elapsed_s() const { return pass_one_s + pass_two_s; }
};
/// The sort's own I/O without the sort, all ranks at once. Two passes: this rank's input to a log, the log to an output
/// file; one pass: the input to an output file. What was written is removed again. The speed of light of a sort in so
/// many passes on these disks. Collective.
CopyResult run_bare_copy(JobContext& job, const std::vector<InputSlice>& slices, unsigned passes,
                         std::uint64_t read_bytes, unsigned depth);

}  // namespace sluice
