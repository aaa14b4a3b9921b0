#include "jobs/logs.hpp"

#include <algorithm>

#include "record/record_format.hpp"
#include "runtime/units.hpp"

namespace sluice {

Logs::Logs(JobContext& job, const std::string& run_id, const std::string& verb)
    : job_(job), run_id_(run_id), disks_(role_disks(job, DiskRole::intermediate)) {
    OwnerRecord record;
    record.run_id = run_id;
    record.verb = verb;
    record.disks = std::max(1u, disks_.total);
    record.patterns = {"log-r#-#"};
    const std::string name = run_directory_name(RunDirectoryKind::scratch, run_id, "logs");
    for (const RoleDisk& disk : disks_.disks) {
        directories_.push_back(nullptr);
        if (!disk.is_ours && !disk.is_used) continue;
        directories_.back() = std::make_unique<RunDirectory>(job_, job_.files.open_directory(disk.path), name);
        record.disk = disk.number;
        if (disk.is_ours) directories_.back()->make(record);
    }
}

void Logs::join_directories() {
    for (std::size_t i = 0; i < disks_.disks.size(); ++i) {
        if (!disks_.disks[i].is_ours && directories_[i]) directories_[i]->join(run_id_);
        if (disks_.disks[i].is_used) used_.push_back(directories_[i].get());
    }
}

void Logs::create(std::uint64_t share_bytes) {
    join_directories();
    const std::uint64_t capacity =
        round_up(share_bytes / used_.size() + share_bytes / used_.size() / 10 + 16 * kMiB, kDirectIoAlign);
    for (std::size_t disk = 0; disk < used_.size(); ++disk) {
        names_.push_back("log-r" + std::to_string(job_.rank()) + "-" + std::to_string(disk));
        const std::string path = used_[disk]->path() + "/" + names_.back();
        files_.push_back(job_.io.create(path));
        IoFile* file = files_.back().get();
        const bool preallocate = job_.config.io.preallocate;
        if (preallocate) file->preallocate(capacity);
        space_.push_back(
            std::make_unique<ExtentLog>(job_.executor, path, capacity, [file, preallocate](std::uint64_t bytes) {
                if (preallocate) file->preallocate(bytes);
            }));
    }
}

Logs::~Logs() {
    files_.clear();
    for (const auto& directory : directories_) {
        if (!directory) continue;
        try {
            remove_own_files(*directory);
        } catch (const std::exception& error) {
            if (job_.say) job_.say(std::string("could not remove a log: ") + error.what());
        }
    }
}

void Logs::remove_own_files(RunDirectory& directory) {
    const auto here = directory.disk().open(directory.name());
    if (!here) return;
    const bool is_used = std::find(used_.begin(), used_.end(), &directory) != used_.end();
    for (std::size_t i = 0; is_used && i < names_.size(); ++i) {
        if (used_[i] == &directory) here->remove_file(names_[i]);
    }
    // The last one out takes the directory with it.
    if (here->names() == std::vector<std::string>{kOwnerName}) directory.remove();
}

std::vector<IoFile*> Logs::files() const {
    std::vector<IoFile*> list;
    for (const auto& file : files_) list.push_back(file.get());
    return list;
}

std::vector<ExtentLog*> Logs::space() const {
    std::vector<ExtentLog*> list;
    for (const auto& log : space_) list.push_back(log.get());
    return list;
}

}  // namespace sluice
