#pragma once
/// A published data set on the disks of the hosts that are here: its manifest, and in which directory each of its disks
/// lies.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/data_set.hpp"
#include "io/directory.hpp"
#include "net/joint_call.hpp"
#include "plan/role_disks.hpp"

namespace sluice {

/// One disk of the set that this rank sees.
struct SetDirectory {
    std::uint32_t disk = 0;  ///< of the set
    std::string path;
    SeenBy seen_by = SeenBy::one_host;
    std::vector<std::string> names;  ///< what lies in it
    bool is_locked = true;           ///< false: its file system has no locks, and run.locks = "record"
    std::shared_ptr<FileLock> lock;  ///< shared: nobody removes it meanwhile; nullptr for sets without owner records
};

/// A data set as one rank sees it: what its manifest says, and which of its disks are here. Holds their locks.
struct FoundSet {
    DataSet set;
    std::vector<SetDirectory> here;
    /// The directory of a disk of the set that this rank sees; nullptr where it sees none.
    const SetDirectory* directory_of(std::uint32_t disk) const;
    /// The path of a file of a disk that is here.
    std::string path_of(const DataFile& file) const;
    /// For messages: the path, or on which host the file's disk was when the set was made.
    std::string describe(const DataFile& file) const;
};

/// find_set() in steps, for who has more to tell in the same calls. Used by the main thread; what it refers to must
/// outlive it.
class SetSearch {
public:
    /// Looks, and locks what is here against removal. Local. @param problems  are added to by each step
    SetSearch(JobContext& job, DiskRole role, std::string name, SetKind kind, Problems& problems);
    ~SetSearch();
    SetSearch(const SetSearch&) = delete;
    /// What this rank sees: the manifest and the directories that are here.
    const FoundSet& found() const noexcept;
    void say_manifest(JointGather& call);
    /// After the gather's call.
    void say_disks(JointExchange& call);
    /// After the exchange's call.
    FoundSet take();

private:
    class Finder;
    std::unique_ptr<Finder> finder_;
};

/// Finds the set of that name on the disks of a role, and holds it. All hosts must have the same one, each of its disks
/// must be on exactly one of them (on all, where hosts share it). Collective. Problems as refuse_if_any() takes them; a
/// set with problems may be incomplete: code 4 for what is missing, 2 for what is there twice, 6 for a manifest that is
/// damaged or of another kind, 10 where it is being replaced or removed.
FoundSet find_set(JobContext& job, DiskRole role, const std::string& name, SetKind kind, Problems& problems);

/// The manifest of the set of that name on this host's disks; nullopt where there is none. Local. Throws
/// Error(integrity) when it is damaged.
/// @param link  becomes the path of one that has that name on a disk, and is not followed
std::optional<DataSet> read_manifest_here(JobContext& job, DiskRole role, const std::string& name, std::string& link);

}  // namespace sluice
