#pragma once
/// What has the name that a new data set is to get, or that `sluice clean` is to free: an older set of ours, what a
/// dead run left half done, or something that is none of our business.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/data_set.hpp"
#include "net/joint_call.hpp"
#include "plan/role_disks.hpp"
#include "plan/run_directory.hpp"
#include "plan/run_traces.hpp"

namespace sluice {

/// What a rank tells the others.
struct OldSetFact {
    bool there = false;
    std::vector<std::string> published;  ///< runs
    std::vector<std::string> half_runs;  ///< dead ones
    static constexpr auto fields = std::tuple{&OldSetFact::there, &OldSetFact::published, &OldSetFact::half_runs};
};

/// The directories of that name on the disks that this rank looks after. Collective where it says so.
class OldDataSet {
public:
    /// Looks; changes nothing. Collective.
    OldDataSet(JobContext& job, DiskRole role, std::string name);
    /// The same in two steps, for who has more to tell in the same call: what is seen here goes with `call`, and is of
    /// use once hear() has returned. @param job  must outlive it
    OldDataSet(JobContext& job, DiskRole role, std::string name, JointGather& call);
    /// After the call. Collective where a set, or half of one, is there.
    void hear();

    /// A set of ours, on whatever host. The same on all ranks.
    bool is_there() const noexcept { return there_; }
    /// Why a run may not have the name as things are. Dead runs' half sets are no reason: see dead_runs().
    /// @param overwrite  sets of ours are none, unless something else lies in them
    Problems problems(bool overwrite) const;
    /// Runs that died and left half a set under the name; remove_leftovers() frees it. The same on all ranks.
    const std::set<std::string>& dead_runs() const noexcept { return dead_runs_; }
    /// What this rank's part of it takes.
    struct Size {
        RoleDisk disk;
        std::uint64_t bytes = 0, files = 0;
    };
    std::vector<Size> size_by_disk() const;
    /// A line each, for people: directory, files, bytes, run.
    std::vector<std::string> lines() const;

    /// What has the name on a disk and is no directory that this user's runs made, a line each; nothing of it is
    /// touched.
    std::vector<std::string> strangers() const;

    /// Nobody may read it any more, nor remove it, until this object is gone. Adds a problem naming who uses it.
    void lock(Problems& problems);
    bool is_on(const std::string& disk_path) const;
    /// is_on(), and what lies there now is what this object looked at: nobody has moved, replaced or removed it.
    bool is_still_on(const std::string& disk_path) const;
    /// Removes it: the MANIFEST of its first disk before anything else on any host. Collective; lock() before.
    Removal remove();
    /// Removes what moved aside, under the name that it has now. What has come there since stays. Local; lock() before.
    /// @param disk_path  where it was
    Removal remove_moved(const std::string& disk_path, const std::string& name_now);

private:
    struct Part {
        RoleDisk disk;
        std::shared_ptr<Directory> parent;
        std::optional<EntryInfo> entry;
        std::string not_ours;            ///< as RunTrace::not_ours
        std::optional<RunTrace> trace;   ///< with an owner record
        std::optional<RunTrace> holder;  ///< the run that holds the name by an empty directory
        std::string undecided;           ///< why nobody here can tell whether it is half a set
        bool is_legacy = false;
        std::set<std::string> listed;        ///< by the manifest, on this disk
        std::vector<std::string> strangers;  ///< names that neither manifest nor record know
        std::uint64_t files = 0, bytes = 0;
        std::unique_ptr<FileLock> lock;
        bool is_ours() const { return not_ours.empty() && (trace.has_value() || is_legacy); }
        std::string path(const std::string& name) const { return parent->path() + "/" + name; }
    };
    void look();
    void look_at(Part& part);
    void observe();
    void read_manifest();
    void list_files(Part& part);
    void say(JointGather& call);
    void settle();
    void settle_halves(std::set<std::string> halves);
    void mark_removing(Part& part, const std::string& name_now);
    void give_back_name(const Part& part, const std::string& aside);
    bool owns(const Part& part, const std::string& file) const;
    bool lists_files_in(const Part& part) const;
    std::string where(const Part& part) const;
    std::string who_uses(const Part& part) const;
    std::string who_took(const Part& part) const;
    static std::string aside_of(const Part& part);
    void find_readers();
    bool is_still_there(const Part& part) const { return is_still_under(part, name_); }
    static bool is_still_under(const Part& part, const std::string& name);
    static void say_another(const Part& part, const std::string& name, Removal& removal);
    Problem lock_problem(Part& part);
    static std::string stranger_text(const Part& part);
    static const char* record_of(const Part& part) { return part.is_legacy ? kManifestName : kOwnerName; }
    static bool is_renamed_half(const Part& part);
    bool is_half(const Part& part) const {
        return part.is_ours() && part.trace && part.trace->is_half_set() && published_.count(part.trace->run_id) == 0;
    }

    JobContext& job_;
    DiskRole role_;
    std::string name_;
    std::vector<Part> parts_;
    Heard<OldSetFact> facts_;
    std::optional<DataSet> manifest_;
    Problem manifest_problem_;
    bool there_ = false;
    std::set<std::string> published_;  ///< runs whose set has the name, on whatever host
    std::set<std::string> dead_runs_;
    std::map<std::string, std::string> readers_;  ///< by run id of what they read: live runs, on whatever host
};

}  // namespace sluice
