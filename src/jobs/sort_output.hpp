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

    /// Looks at each part once more, size and last block (part_check.hpp), and tells of them: what rank 0 needs for the
    /// manifest, and what stands against publishing. Local.
    /// @param written  by part
    /// @param arena    its memory is free
    RankAccount account(const std::vector<SortSummary>& written, Arena& arena) const;
    /// Rank 0 tells all ranks what `account` comes to: throws CollectiveError, or all have the manifest. Collective.
    void tell_last_word(const SortAccount& account);
    OutputSet& set() noexcept { return set_; }

private:
    PartFact fact_of(std::uint32_t part, const RecordSum& sum) const;
    std::string name_of(const PartFact& part) const;
    void look_at(const std::vector<PartFact>& parts, const std::vector<SortSummary>& written, Arena& arena) const;
    void make_manifest(const SortAccount& account, std::size_t piece_bytes, const TakePiece& take) const;

    JobContext& job_;
    const PreparedSort& prepared_;
    OutputSet set_;
    std::uint32_t first_disk_ = 0;
    std::vector<PartLabel> labels_;
};

}  // namespace sluice
