#include "plan/preflight_paths.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "plan/cluster.hpp"
#include "plan/directory_tree.hpp"
#include "plan/role_disks.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kReportBytes = 1 << 20, kReportBytesOfRank = 16 << 10;  // more than all its files together

using Place = DirectoryTree::Place;

/// Output that lies in what it would be made of, or would hold it.
class Overlaps {
public:
    Overlaps(JobContext& job, const InputSet& input)
        : job_(job),
          input_(input),
          tree_(job),
          outputs_(spots(DiskRole::output, "/" + job.config.output.name)),
          scratch_(spots(DiskRole::intermediate, "")) {
        if (job.config.input.paths.empty()) data_ = spots(DiskRole::input, "/" + job.config.input.name);
    }

    void check(Problems& problems) {
        for (Spot& output : outputs_) {
            tick_step();
            check_data(output, problems);
            if (!job_.config.input.paths.empty()) check_files(output, problems);
            check_scratch(output, problems);
        }
    }

private:
    /// Something in a configured directory; resolved when it is first asked for.
    struct Spot {
        std::string path;
        SeenBy seen_by = SeenBy::one_host;
        const Place* place = nullptr;
    };
    /// In the input's list, of those in one directory that as many see.
    struct FirstFile {
        const Place* directory;
        const InputFile* file;
    };

    std::vector<Spot> spots(DiskRole role, const std::string& name) const {
        std::vector<Spot> found;
        for (const RoleDisk& disk : role_disks(job_, role).disks) found.push_back({disk.path + name, disk.seen_by});
        return found;
    }
    const Place& place_of(Spot& spot) {
        if (spot.place == nullptr) spot.place = &tree_.place_of(spot.path);
        return *spot.place;
    }
    bool lies_in(Spot& inner, Spot& outer) { return place_of(inner).lies_in(place_of(outer)); }
    /// Each pair is for one of the ranks that see both alike.
    bool is_ours(const Spot& output, SeenBy other) const {
        return speaks_of(job_, output.seen_by) || speaks_of(job_, other);
    }

    void check_data(Spot& output, Problems& problems) {
        for (Spot& data : data_) {
            if (!is_ours(output, data.seen_by)) continue;
            const bool inside = lies_in(output, data);
            if (inside || lies_in(data, output)) {
                problems.push_back({Errc::config, "output '" + output.path +
                                                      "': " + (inside ? "lies in" : "would hold") + " the input '" +
                                                      data.path + "'; choose another output.name or disk"});
            }
        }
    }

    void check_scratch(Spot& output, Problems& problems) {
        for (Spot& scratch : scratch_) {
            if (!is_ours(output, scratch.seen_by) || !lies_in(scratch, output)) continue;
            problems.push_back({Errc::config, "output '" + output.path + "': the intermediate disk '" + scratch.path +
                                                  "' lies in it; choose another output.name or disk"});
        }
    }

    void check_files(Spot& output, Problems& problems) {
        const auto there = look(job_, output.path);
        if (!there) return;  // only then can a file lie in it
        const InputFile* const file = there->is_directory ? first_file_in(output) : file_that_is(*there);
        if (file == nullptr) return;
        problems.push_back({Errc::config, "output '" + output.path + "': the input file '" + file->path +
                                              "' lies in it; choose another output.name"});
    }

    const InputFile* first_file_in(Spot& output) {
        if (!files_are_placed_) place_files();
        for (const auto& [directory, file] : first_files_) {
            if (is_ours(output, file->seen_by) && directory->lies_in(place_of(output))) return file;
        }
        return nullptr;
    }

    const InputFile* file_that_is(const FileIdentity& wanted) const {
        const auto found = std::find_if(input_.files.begin(), input_.files.end(),
                                        [&](const InputFile& file) { return file.identity.same_file(wanted); });
        return found == input_.files.end() ? nullptr : &*found;
    }

    void place_files() {
        files_are_placed_ = true;
        const bool all = std::any_of(outputs_.begin(), outputs_.end(),
                                     [](const Spot& output) { return output.seen_by == SeenBy::one_rank; });
        std::set<std::pair<const Place*, SeenBy>> known;
        for (const InputFile& file : input_.files) {
            tick_step();
            if (!all && !speaks_of(job_, file.seen_by)) continue;
            const Place& directory = directory_of(file.path);
            if (known.emplace(&directory, file.seen_by).second) first_files_.push_back({&directory, &file});
        }
    }

    /// In which a file lies: of one that is a link, what it leads to.
    const Place& directory_of(const std::string& path) {
        const std::size_t slash = path.rfind('/');
        const std::string folder = path.substr(0, slash == 0 ? 1 : slash), name = path.substr(slash + 1);
        if (folder != folder_) {  // lists go folder by folder
            folder_ = folder;
            open_folder_ = open_disk(job_, folder);
        }
        return tree_.place_of(may_be_link(name) ? path : folder);
    }

    /// The entry tells in one call; a real path takes as many as it has parts.
    bool may_be_link(const std::string& name) const {
        try {
            const auto entry = open_folder_ ? open_folder_->look(name) : std::nullopt;
            return !entry || entry->kind == EntryInfo::Kind::link;
        } catch (const Error&) {
            return true;
        }
    }

    JobContext& job_;
    const InputSet& input_;
    DirectoryTree tree_;
    std::vector<Spot> outputs_, scratch_, data_;
    std::vector<FirstFile> first_files_;
    bool files_are_placed_ = false;
    std::string folder_;
    std::shared_ptr<Directory> open_folder_;
};

/// Two disks of one role must be two directories; on one device they are allowed, but rarely meant.
void check_same_directory(JobContext& job, DiskRole role, Problems& problems, std::vector<std::string>& notes) {
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> seen;
    std::map<std::uint64_t, std::string> devices;
    const auto disks = role_disks(job, role).disks;
    const auto is_ours = [&](const RoleDisk& disk) { return speaks_of(job, disk.seen_by); };
    if (std::none_of(disks.begin(), disks.end(), is_ours)) return;
    for (const RoleDisk& disk : disks) {
        const std::string& path = disk.path;
        const auto info = look(job, path);
        if (!info) continue;
        const auto [first, fresh] = seen.emplace(std::pair(info->device, info->inode), path);
        if (!fresh) {
            problems.push_back({Errc::config, "disks: '" + path + "' and '" + first->second + "' on host " +
                                                  job.place.host + " are the same directory with role \"" +
                                                  word_of(role) + "\"; remove one of the two"});
            continue;
        }
        const auto [other, alone] = devices.emplace(info->device, path);
        if (!alone) {
            notes.push_back("note: " + word_of(role) + " disks '" + other->second + "' and '" + path + "' on host " +
                            job.place.host + " are on one device and share its speed");
        }
    }
}

}  // namespace

std::optional<FileInfo> look(JobContext& job, const std::string& path) {
    try {
        return job.files.info(path);
    } catch (const Error&) {  // not ours to search; the check of the disk itself says so
        return std::nullopt;
    }
}

/// Who may write to a directory can swap what lies in it while we work there.
void check_permissions(JobContext& job, DiskRole role, Problems& problems, std::vector<std::string>& notes) {
    constexpr std::uint32_t kOthersWrite = 0002, kGroupWrites = 0020, kSticky = 01000;
    for (const RoleDisk& disk : role_disks(job, role).disks) {
        if (!speaks_of(job, disk.seen_by)) continue;
        const std::string& path = disk.path;
        const auto info = look(job, path);
        if (!info || !info->is_directory || (info->mode & kSticky) != 0) continue;
        const std::string where = word_of(role) + " disk '" + path + "' on host " + job.place.host + ": ";
        const char* open_to_all = "any user may rename and remove what lies in it (mode o+w without the sticky bit); ";
        if ((info->mode & kOthersWrite) != 0 && info->can_change_mode) {
            problems.push_back({Errc::environment, where + open_to_all + "`chmod o-w` it, or `chmod +t`"});
        } else if ((info->mode & kOthersWrite) != 0) {
            // Who may only use it because all may cannot mend it either.
            notes.push_back("WARNING " + where + open_to_all + "ask its owner for `chmod +t`");
        } else if ((info->mode & kGroupWrites) != 0) {
            notes.push_back("WARNING " + where +
                            "its group may rename and remove what lies in it; `chmod g-w` or `chmod +t`");
        }
    }
}

void check_results(JobContext& job, Problems& problems) {
    if (job.rank() != 0) return;
    std::string directory = job.files.real_path(job.config.results.dir);
    if (directory.empty() || directory.front() != '/') directory = "/" + directory;  // of a simulated host
    const std::string trial = directory + "/.trial-" + std::to_string(job.processes.self().pid);
    const std::string where = "results.dir = \"" + job.config.results.dir + "\" on host " + job.place.host + ": ";
    try {
        job.files.make_directories(directory);
        job.files.write_durably(trial, std::string(kReportBytes + kReportBytesOfRank * job.ranks(), ' '));
        job.files.remove_file(trial);
    } catch (const Error& error) {
        problems.push_back(
            {Errc::environment,
             where + error.what() + "; the report of this run would be lost: make room, or set another results.dir"});
    }
}

void check_paths(JobContext& job, const InputSet& input, Problems& problems, std::vector<std::string>& notes) {
    for (const DiskRole role : {DiskRole::input, DiskRole::intermediate, DiskRole::output})
        check_same_directory(job, role, problems, notes);
    Overlaps(job, input).check(problems);
    for (const DiskRole role : {DiskRole::intermediate, DiskRole::output})
        check_permissions(job, role, problems, notes);
    check_results(job, problems);
}

}  // namespace sluice
