#pragma once
/// The sorted data set in the making: names and disks of its parts, its manifest, the last look at it.

#include <memory>
#include <string>
#include <vector>

#include "jobs/conservation.hpp"
#include "jobs/intermediate_store.hpp"
#include "jobs/output_set.hpp"
#include "jobs/sort_job.hpp"

namespace sluice {

/// Of one rank, used by its main thread; every collective call is made by all ranks.
class SortOutput {
public:
    /// Claims the name (OutputSet). Collective.
    SortOutput(JobContext& job, const PreparedSort& prepared);

    /// The parts of this rank, in key order; before anything below. Follows prepared.plan, which may have changed.
    void set_parts(std::vector<PartLabel> labels);
    std::uint32_t disks() const { return set_.disks(); }
    /// Parts go round the disks, from a first one that the plan chooses so that disks get equal bytes.
    std::uint32_t disk_of_part(std::uint32_t part) const { return (first_disk_ + part) % set_.disks(); }
    std::string path_of_part(std::uint32_t part) const;

    /// The manifest's text, on all ranks; rank 0 keeps the set and the balance that it shows in `result`. Collective.
    /// @param written  by part
    /// @param shares   by partition: which part of the records it was to get
    std::string make_manifest(const std::vector<SortSummary>& written, const std::vector<double>& shares,
                              SortResult& result);
    /// Each part once more, size and last block, before it is published (part_check.hpp). @param arena  its memory is
    /// free
    void look_at_parts(Arena& arena) const;
    OutputSet& set() noexcept { return set_; }

private:
    std::string name_of_part(std::uint32_t part) const;
    std::vector<PartFact> facts_of(const std::vector<SortSummary>& written) const;

    JobContext& job_;
    const PreparedSort& prepared_;
    OutputSet set_;
    std::uint32_t first_disk_ = 0;
    std::vector<PartLabel> labels_;
    std::vector<PartFact> mine_;  // once the manifest is made
};

}  // namespace sluice
