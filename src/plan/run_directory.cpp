#include "plan/run_directory.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "io/data_set.hpp"
#include "runtime/printable.hpp"
#include "runtime/step.hpp"

namespace sluice {
namespace {

/// Whoever looks for dead runs may have taken the empty directory away before its record was there.
constexpr int kMakeTries = 5;

/// What RenameTrial leaves when it is killed.
bool is_trial(Directory& directory, const std::string& name, const EntryInfo& entry) {
    if (entry.kind != EntryInfo::Kind::directory || name.rfind(kTrialPrefix, 0) != 0) return false;
    const auto inside = directory.open(name);
    return inside && inside->names().empty();
}

bool goes_first(const std::string& name) { return name.rfind(kManifestName, 0) == 0; }

}  // namespace

Removal& Removal::operator+=(Removal other) {
    files += other.files;
    bytes += other.bytes;
    kept.insert(kept.end(), other.kept.begin(), other.kept.end());
    return *this;
}

const char* why_no_file_of(std::uint32_t owner, const EntryInfo& entry) {
    if (entry.kind == EntryInfo::Kind::link) return "is a link";
    if (entry.kind != EntryInfo::Kind::file) return "is no regular file";
    if (entry.is_mount_point) return "is a mount point";
    return entry.owner != owner ? "belongs to another user" : "";
}

void mark_removing(Directory& directory, std::unique_ptr<FileLock>& lock) {
    const OwnerPatch patch = owner_state_patch(OwnerState::removing);
    try {
        if (lock->info().links > 1) {
            LockAttempt own = directory.write_locked(kOwnerName, lock->read(kOwnerBytes), LockMode::exclusive);
            if (own.lock) lock = std::move(own.lock);
        }
        lock->write_at(patch.offset, patch.bytes);
    } catch (const Error& error) {
        if (error.code() != Errc::space) throw;  // a full disk is what things are removed for
    }
}

bool try_to_remove(Directory& directory, const std::string& name, Removal& removal) {
    try {
        directory.remove_file(name);
        return true;
    } catch (const Error& error) {
        if (error.code() != Errc::environment) throw;
        removal.kept.push_back(error.what());
        return false;
    }
}

Removal remove_directory_of_ours(Directory& disk, const std::string& name,
                                 const std::function<bool(const std::string& file)>& is_ours,
                                 const std::function<void()>& let_go) {
    Removal removal;
    const auto directory = disk.open(name);
    if (!directory) return removal;
    const std::uint32_t owner = disk.owner_of_new_files();
    auto names = directory->names();
    std::stable_partition(names.begin(), names.end(), goes_first);
    bool synced = false, record_left = false, all_gone = true;
    for (const std::string& each : names) {
        tick_step();
        const auto entry = directory->look(each);
        if (!entry) continue;
        const auto keep = [&](const char* why) {
            removal.kept.push_back("'" + directory->path() + "/" + printable(each) + "': " + why);
        };
        if (each == kOwnerName) {
            record_left = true;
        } else if (!is_ours(each)) {
            keep("is none of sluice's files");
        } else if (is_trial(*directory, each, *entry)) {
            directory->remove_directory(each);
        } else if (const char* why = why_no_file_of(owner, *entry); *why != '\0') {
            keep(why);
        } else {
            // A set without its MANIFEST is none: that must be known before its parts go.
            if (!goes_first(each) && !std::exchange(synced, true)) directory->sync();
            if (!try_to_remove(*directory, each, removal)) {
                all_gone = false;
                continue;
            }
            ++removal.files;
            removal.bytes += entry->size_bytes;
        }
    }
    // The record goes last, so that until then the rest can be told. It goes even if others' files stay: by its
    // patterns the next one would take those that are named like ours. Not while one of ours is left.
    if (record_left && all_gone) {
        directory->remove_file(kOwnerName);
        let_go();
    }
    if (directory->names().empty()) disk.remove_directory(name);
    disk.sync();
    return removal;
}

void throw_no_locks(const std::string& directory, const std::string& why) {
    throw Error(Errc::environment, "lock in '" + directory + "': " + why +
                                       "; without locks live runs cannot be told from dead ones: use another file "
                                       "system, or run.locks = \"record\" on all hosts that see it");
}

RunDirectory::RunDirectory(JobContext& job, std::shared_ptr<Directory> disk, std::string name)
    : job_(job), disk_(std::move(disk)), name_(std::move(name)) {}

RunDirectory::~RunDirectory() = default;

void RunDirectory::make(OwnerRecord record) {
    record.process = job_.processes.self();
    record.process.segments = job_.processes.segments();
    if (job_.config.run.locks == Locks::record) record.beat_ms = kOwnerBeatMs;
    for (int tries = 0;; ++tries) {
        try {
            if (!disk_->make(name_) && tries == 0)
                throw Error(Errc::environment, "mkdir '" + path() + "': is there already, with this run's number");
            disk_->sync();
            directory_ = disk_->open(name_);
            if (!directory_) {  // somebody has removed it at once
                if (tries == kMakeTries)
                    throw Error(Errc::environment, "directory '" + path() + "' on host " + job_.place.host +
                                                       ": goes as often as it is made; does another program clean " +
                                                       "that disk? keep it away");
                continue;
            }
            record_ = record;
            made_ = true;
            hold(directory_->write_locked(kOwnerName, to_block(record), LockMode::shared));
            return;
        } catch (const Error& error) {
            const bool gone = !disk_->look(name_);
            if (!gone && made_) undo_make();
            if (!gone || tries == kMakeTries) throw;
        }
    }
}

/// Whoever cannot hold what he has made, as on a file system without locks, leaves nothing of it.
void RunDirectory::undo_make() noexcept {
    try {
        release();
        remove_directory_of_ours(
            *disk_, name_, [this](const std::string& file) { return record_.matches(file); }, [] {});
    } catch (const std::exception&) {  // why it could not be made is the error to report
    }
}

void RunDirectory::join(const std::string& run_id) {
    directory_ = disk_->open(name_);
    const auto record = directory_ ? read_owner(*directory_) : std::nullopt;
    if (!record || record->run_id != run_id) {
        throw Error(Errc::environment, "directory '" + path() + "' on host " + job_.place.host +
                                           ": another rank has just made it, and it is not to be seen from here; is it "
                                           "the same directory on all ranks of this host?");
    }
    record_ = *record;
    hold(directory_->lock(kOwnerName, LockMode::shared));
}

void RunDirectory::hold(LockAttempt attempt) {
    using Outcome = LockAttempt::Outcome;
    // Somebody who looks whether we live may have it for a moment.
    for (int tries = 0; attempt.outcome == Outcome::held && tries < 200; ++tries) {
        tick_step();
        job_.executor.sleep_for_ns(10'000'000);
        attempt = directory_->lock(kOwnerName, LockMode::shared);
    }
    if (attempt.outcome == Outcome::held || attempt.outcome == Outcome::absent) {
        throw Error(Errc::busy, "directory '" + path() +
                                    "': its record was taken by another run; is a `clean --run` "
                                    "with --force at work?");
    }
    if (attempt.outcome == Outcome::no_locks && record_.beat_ms == 0) throw_no_locks(path(), attempt.why);
    lock_ = std::move(attempt.lock);
    if (made_ && record_.beat_ms != 0 && job_.keep_beating && lock_) {
        beats_ = job_.keep_beating([lock = lock_, count = std::uint64_t{0}]() mutable {
            const OwnerPatch patch = owner_counter_patch(++count);
            lock->write_at(patch.offset, patch.bytes);
        });
    }
}

void RunDirectory::set_state(OwnerState state) {
    record_.state = state;
    if (!lock_) return;
    const OwnerPatch patch = owner_state_patch(state);
    lock_->write_at(patch.offset, patch.bytes);
}

bool RunDirectory::has_own_record() {
    const auto there = disk_->open(name_);
    const auto file = there ? there->look(kOwnerName) : std::nullopt;
    return file && lock_ && file->same_file(lock_->info());
}

bool RunDirectory::is_still_ours() {
    if (!has_own_record()) return false;
    const auto there = disk_->open(name_);
    const auto record = there ? read_owner(*there) : std::nullopt;
    return record && record->state != OwnerState::removing;
}

void RunDirectory::renamed(const std::string& name) {
    name_ = name;
    directory_ = disk_->open(name_);
    if (!directory_) throw Error(Errc::device, "open '" + path() + "': is gone just after it was renamed");
}

Removal RunDirectory::remove() {
    if (!has_own_record()) {  // another has it, or something else has the name
        release();
        return {};
    }
    try {
        set_state(OwnerState::removing);
    } catch (const Error& error) {
        if (error.code() != Errc::space) throw;
    }
    Removal removal = remove_directory_of_ours(
        *disk_, name_, [this](const std::string& file) { return record_.matches(file); }, [this] { let_go(); });
    release();
    return removal;
}

void RunDirectory::let_go() {
    beats_.reset();
    lock_.reset();
}

void RunDirectory::release() {
    let_go();
    directory_.reset();
}

}  // namespace sluice
