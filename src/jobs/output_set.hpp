#pragma once
/// A data set in the making: its directories under a hidden name, then published (ARCHITECTURE.md, Publishing).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/data_set.hpp"
#include "plan/old_data_set.hpp"
#include "plan/run_directory.hpp"
#include "plan/set_names.hpp"

namespace sluice {

/// Which data set a run wants to make. The same on all ranks.
struct OutputSetOptions {
    DiskRole role = DiskRole::output;
    std::string name;  ///< that the set is to get
    std::string run_id, verb;
    std::vector<std::string> file_patterns;  ///< of the data files; '#' is one or more digits
    std::vector<std::string> reads;          ///< run ids of the data sets that the run reads
};

/// Each rank has one, of the same options. Used by the main thread; paths may be asked for by any.
class OutputSet {
public:
    /// Touches no disk: claim() does.
    OutputSet(JobContext& job, OutputSetOptions options);
    /// Unless it was published: directories that hold no data yet go again, others stay as what a dead run leaves.
    ~OutputSet();
    OutputSet(const OutputSet&) = delete;

    /// Settles that this run gets the name, makes the directories with their records, and tries all that publishing
    /// will need. What dead runs left in the way goes, and is said; an older set is locked, and with run.overwrite =
    /// "first" removed. Collective. Throws CollectiveError listing what stands against it, and has then made nothing.
    /// @param old  what preflight found under the name, a moment ago, when no other run had anything on any disk: then
    ///             two calls do. nullptr: looks
    void claim(std::shared_ptr<OldDataSet> old = nullptr);

    std::uint32_t disks() const { return static_cast<std::uint32_t>(used_.size()); }  ///< that this rank writes to
    const std::string& disk_path(std::uint32_t used) const { return places_[used_[used]].disk.path; }
    std::uint32_t disk_number(std::uint32_t used) const { return places_[used_[used]].disk.number; }
    /// Where a file of the set is written.
    std::string path_of(std::uint32_t used, const std::string& file) const;
    /// Of the whole set, by number; on all ranks, once claimed.
    std::vector<SetDisk> set_disks() const;

    /// Throws Error(busy) where a directory of this run, or its record, is not what this rank made there. Local.
    void require_ours() const;
    /// Why a directory could not get its final name as things are now. Local.
    Problems name_problems() const;
    /// The next piece of the MANIFEST, which is the same on all ranks: this rank's copy grows under a temporary name.
    /// Local.
    void write_manifest(std::string_view piece);
    /// Gives the directories their final name and makes that durable, then the commit record, rank 0's last.
    /// Collective, two calls; a call that all ranks wait in lies between it and the last look at any file under its old
    /// name. Once it has returned, or called JobContext::on_published, the set is published.
    void publish();
    /// After publish(): the set that was there before goes. Local; nothing of it is an error any more: returns notes.
    std::vector<std::string> remove_replaced() noexcept;
    /// The same, and says the notes of all ranks. Collective.
    void retire_replaced();

private:
    struct Place {  // one configured disk as this rank sees it
        RoleDisk disk;
        std::shared_ptr<Directory> parent;
        std::unique_ptr<RunDirectory> directory;
        RenameTrial trial;
        std::string replaced_as;  // the older set's name once ours has taken its own; "": there was none
    };
    void look_and_clear(Problems& problems);
    void make_directories(Problems& problems);
    void join_directories(Problems& problems);
    void contest(Place& place, Problems& problems);
    std::string other_claim(Place& place, bool& wait);
    std::string just_published(Place& place);
    void try_publishing(Problems& problems);
    void give_up_if_any(const Problems& problems);
    void give_up();
    std::string name_problem(const Place& place) const;
    static void require_ours(RunDirectory& directory);
    void take_name(Place& place);
    RunDirectory* manifest_directory();
    void name_manifest();

    JobContext& job_;
    OutputSetOptions options_;
    std::vector<Place> places_;
    std::vector<std::uint32_t> used_;
    std::shared_ptr<OldDataSet> old_;
    std::unique_ptr<NewFile> manifest_;  // in manifest_directory(), until it has its name
    bool published_ = false;
};

}  // namespace sluice
