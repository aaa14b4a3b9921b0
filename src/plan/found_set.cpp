#include "plan/found_set.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "io/owner_record.hpp"
#include "plan/cluster.hpp"
#include "plan/run_traces.hpp"
#include "record/crc32c.hpp"
#include "runtime/packing.hpp"

namespace sluice {
namespace {

constexpr int kLockTries = 6;
constexpr std::uint64_t kLockWaitNs = 50'000'000;

/// What a rank tells the others of the set's manifest that it found.
struct ManifestFact {
    std::string run_id;
    std::uint32_t crc = 0;
    bool found = false, is_in_the_making = false;  ///< by its record
    std::uint32_t disks = 0;
    static constexpr auto fields = std::tuple{&ManifestFact::run_id, &ManifestFact::crc, &ManifestFact::found,
                                              &ManifestFact::is_in_the_making, &ManifestFact::disks};
};

/// That a disk of the set is here; told to the rank that keeps the account of it.
struct DiskFact {
    std::uint32_t disk = 0;
    bool is_shared = false;
    std::string host, path;
    static constexpr auto fields = std::tuple{&DiskFact::disk, &DiskFact::is_shared, &DiskFact::host, &DiskFact::path};
};

}  // namespace

/// One rank's look at the directories that bear the set's name.
class SetSearch::Finder {
public:
    Finder(JobContext& job, DiskRole role, std::string name, SetKind kind, Problems& problems)
        : job_(job), role_(role), name_(std::move(name)), kind_(kind), problems_(problems) {}

    void look() {
        open_directories();
        read_manifest();
        if (found_manifest_ && !failed_ && set_.set.is_legacy()) {
            for (Candidate& candidate : candidates_) take_legacy(candidate);
        } else if (found_manifest_ && !failed_) {
            for (Candidate& candidate : candidates_) take(candidate);
        }
    }
    const FoundSet& found() const noexcept { return set_; }

    void say_manifest(JointGather& call) {
        facts_ = call.say(ManifestFact{set_.set.run_id, crc_, found_manifest_, !in_the_making_.empty(),
                                       static_cast<std::uint32_t>(set_.set.disks.size())});
    }

    /// Each disk's account is kept by one rank: who has it, and whether anybody has.
    void say_disks(JointExchange& call) {
        compare_manifests();
        had_problems_ = !problems_.empty();
        std::vector<std::vector<DiskFact>> to_rank(job_.ranks());
        for (const SetDirectory& directory : set_.here) {
            if (!speaks_of(job_, directory.seen_by)) continue;
            to_rank[directory.disk % job_.ranks()].push_back(
                {directory.disk, directory.seen_by == SeenBy::all_hosts, job_.place.host, directory.path});
        }
        disk_facts_ = call.say(to_rank);
    }

    FoundSet take() {
        account_for_disks();
        return std::move(set_);
    }

private:
    struct Candidate {
        RoleDisk disk;
        std::shared_ptr<Directory> parent;
        std::unique_ptr<Directory> directory;
    };

    std::string here(const std::string& path) const { return "'" + path + "' on host " + job_.place.host; }

    void open_directories() {
        for (const RoleDisk& disk : role_disks(job_, role_).disks) {
            looked_ += (looked_.empty() ? "" : ", ") + disk.path + "/" + name_;
            std::shared_ptr<Directory> parent = open_disk(job_, disk.path);
            auto directory = parent ? parent->open(name_) : nullptr;
            if (directory) candidates_.push_back({disk, std::move(parent), std::move(directory)});
        }
    }

    void read_manifest() {
        for (const Candidate& candidate : candidates_) {
            if (!candidate.directory->look(kManifestName)) continue;
            const std::string path = candidate.directory->path() + "/" + kManifestName;
            try {
                const std::string text = read_manifest_text(*candidate.directory);
                set_.set = DataSet::from_text(text, path);
                crc_ = crc32c(std::as_bytes(std::span(text)));
                found_manifest_ = true;
                const auto record = read_owner(*candidate.directory);
                if (record && record->state == OwnerState::publishing)
                    in_the_making_ = not_published(candidate, *record);
            } catch (const Error& error) {
                problems_.push_back(problem_of(error));
                failed_ = true;
            }
            break;
        }
        if (!found_manifest_ && !failed_) {
            problems_.push_back(half_set_text());
        } else if (found_manifest_ && set_.set.kind != kind_) {
            problems_.push_back(
                {Errc::integrity, "data set '" + name_ + "' on host " + job_.place.host + ": is of kind '" +
                                      to_string(set_.set.kind) + "', not '" + to_string(kind_) +
                                      "'; name its files in input.paths, or choose another input.name or output.name"});
            failed_ = true;  // nothing else that it says is worth a line
        }
    }

    Problem not_published(const Candidate& candidate, const OwnerRecord& record) const {
        return {Errc::input,
                "data set " + here(candidate.directory->path()) + ": is not complete, " + describe_owner(record) +
                    " has not published it; wait for it, or remove what it left: sluice clean --run " + record.run_id};
    }

    Problem half_set_text() const {
        for (const Candidate& candidate : candidates_) {
            const auto record = read_owner(*candidate.directory);
            if (!record) continue;
            if (record->state != OwnerState::published && record->disk == 0) return not_published(candidate, *record);
            return {Errc::input, "data set " + here(candidate.directory->path()) + ": is disk " +
                                     std::to_string(record->disk) + " of " + std::to_string(record->disks) +
                                     " of run " + record->run_id + ", whose MANIFEST is on host " +
                                     record->manifest_host + "; run on that host too"};
        }
        return {Errc::input, "no data set '" + name_ + "' on host " + job_.place.host + ": looked for " + looked_ +
                                 (role_ == DiskRole::input
                                      ? "; make one with `sluice gen`, or name files in input.paths"
                                      : "; make one with `sluice sort`, or set output.name to that of another")};
    }

    /// By its record: a directory is the disk that this says, if it is of the manifest's run.
    void take(Candidate& candidate) {
        const std::string& path = candidate.directory->path();
        const auto record = read_owner(*candidate.directory);
        if (!record || record->run_id != set_.set.run_id || record->disk >= set_.set.disks.size()) {
            problems_.push_back(
                {Errc::input, "data set " + here(path) + ": " +
                                  (record ? "belongs to run " + record->run_id + ", the MANIFEST to run "
                                          : std::string("has no owner record of run ")) +
                                  set_.set.run_id + "; put the right directory there, or remove this one"});
            return;
        }
        if (!are_files(candidate, record->disk)) return;
        LockAttempt attempt;
        if (!lock_against_removal(candidate, kOwnerName, attempt)) return;
        set_.here.push_back({record->disk, path, candidate.disk.seen_by, candidate.directory->names(),
                             attempt.outcome == LockAttempt::Outcome::taken,
                             std::shared_ptr<FileLock>(std::move(attempt.lock))});
    }

    /// Shared, with whoever else reads the set. False: a problem says why not.
    /// @param file  that whoever removes or replaces the directory locks for himself
    bool lock_against_removal(const Candidate& candidate, const char* file, LockAttempt& attempt) {
        const std::string& path = candidate.directory->path();
        attempt = candidate.directory->lock(file, LockMode::shared);
        for (int tries = 0; attempt.outcome == LockAttempt::Outcome::held; ++tries) {
            const std::string who = who_replaces(candidate);
            if (who.empty() && tries < kLockTries) {  // whoever it was let go before he was seen
                job_.executor.sleep_for_ns(kLockWaitNs);
                attempt = candidate.directory->lock(file, LockMode::shared);
                continue;
            }
            problems_.push_back({Errc::busy, "data set " + here(path) + ": is being replaced or removed by " +
                                                 (who.empty() ? "another run" : who) + "; wait for it"});
            return false;
        }
        if (attempt.outcome == LockAttempt::Outcome::absent) {
            const std::string who = who_replaces(candidate);
            problems_.push_back({who.empty() ? Errc::input : Errc::busy,
                                 "data set " + here(path) + ": was " +
                                     (who.empty() ? "removed just now" : "replaced just now by " + who) +
                                     "; try again"});
            return false;
        }
        if (attempt.outcome == LockAttempt::Outcome::no_locks && job_.config.run.locks == Locks::flock) {
            problems_.push_back({Errc::environment, "data set " + here(path) + ": cannot be locked against removal (" +
                                                        attempt.why +
                                                        "); use a file system with locks, or run.locks = \"record\""});
            return false;
        }
        return true;
    }

    /// Under the names that the manifest lists lie files, and nothing that leads elsewhere.
    bool are_files(const Candidate& candidate, std::uint32_t disk) {
        for (const DataFile& file : set_.set.files) {
            if (file.disk != disk) continue;
            const auto entry = candidate.directory->look(file.name);
            const bool is_file = entry && entry->kind == EntryInfo::Kind::file && !entry->is_mount_point;
            if (!entry || is_file) continue;  // what is missing is said where it is opened
            const bool is_link = entry->kind == EntryInfo::Kind::link;
            problems_.push_back({Errc::input, "data set file " + here(candidate.directory->path() + "/" + file.name) +
                                                  ": is " +
                                                  (is_link                 ? "a link, which is never followed"
                                                   : entry->is_mount_point ? "a mount point"
                                                                           : "no regular file") +
                                                  "; it was changed after it was made: make the data set again"});
            return false;
        }
        return true;
    }

    /// A run that has, or is to have, a set of this name, as far as its records here tell.
    std::string who_replaces(const Candidate& candidate) const {
        for (const std::string& each : candidate.parent->names()) {
            if (!parse_run_directory(each) && each != name_) continue;
            const auto directory = candidate.parent->open(each);
            const auto record = directory ? read_owner(*directory) : std::nullopt;
            if (record && record->target == name_ && record->run_id != set_.set.run_id) return describe_owner(*record);
        }
        return lock_holder(job_, *candidate.directory, kOwnerName);
    }

    /// Sets of old had no records: their directories are where the manifest's paths lead, and their MANIFEST is what
    /// is locked, where it lies.
    void take_legacy(Candidate& candidate) {
        const std::string& path = candidate.directory->path();
        LockAttempt attempt;
        if (candidate.directory->look(kManifestName) && !lock_against_removal(candidate, kManifestName, attempt))
            return;
        const std::shared_ptr<FileLock> lock = std::move(attempt.lock);
        for (std::uint32_t disk = 0; disk < set_.set.disks.size(); ++disk) {
            const SetDisk& each = set_.set.disks[disk];
            const bool is_here = each.directory == path && (each.host == job_.place.host || each.host == "*");
            if (is_here && are_files(candidate, disk))
                set_.here.push_back({disk, path, candidate.disk.seen_by, candidate.directory->names(), true, lock});
        }
        for (const SetDisk& each : set_.set.disks) {
            const bool is_a_disk = std::any_of(candidates_.begin(), candidates_.end(), [&](const Candidate& known) {
                return known.directory->path() == each.directory;
            });
            if (each.host != job_.place.host || is_a_disk) continue;
            problems_.push_back(
                {Errc::integrity, "manifest '" + path + "/" + kManifestName + "': names files in '" + each.directory +
                                      "', which is none of the directories of this data set; is it a copy of an older "
                                      "version's? make the data set again"});
            return;
        }
    }

    void compare_manifests() {
        const std::vector<ManifestFact>& all = *facts_;
        const bool is_one_in_the_making =
            std::any_of(all.begin(), all.end(), [](const ManifestFact& fact) { return fact.is_in_the_making; });
        std::optional<ManifestFact> first;
        std::uint32_t first_rank = 0;
        for (std::uint32_t rank = 0; rank < all.size(); ++rank) {
            const ManifestFact& fact = all[rank];
            if (!fact.found) continue;
            if (!first) {
                first = fact;
                first_rank = rank;
            } else if (fact.run_id != first->run_id || fact.crc != first->crc) {
                if (job_.rank() == rank && !is_one_in_the_making)
                    problems_.push_back({Errc::input, "data set '" + name_ + "': host " + job_.place.host +
                                                          " has run " + fact.run_id + "'s, rank " +
                                                          std::to_string(first_rank) + "'s host run " + first->run_id +
                                                          "'s; choose one of them for all hosts"});
                same_everywhere_ = false;
            }
        }
        // A run has come to some hosts only: it is the one to wait for or to remove.
        if (!same_everywhere_ && !in_the_making_.empty()) problems_.push_back(in_the_making_);
        disks_ = first ? first->disks : 0;
    }

    void account_for_disks() {
        std::map<std::uint32_t, std::vector<DiskFact>> found;
        for (const auto& facts : *disk_facts_) {
            for (const DiskFact& fact : facts) found[fact.disk].push_back(fact);
        }
        if (!same_everywhere_ || failed_) return;
        for (std::uint32_t disk = job_.rank(); disk < disks_ && found_manifest_; disk += job_.ranks()) {
            const auto& facts = found[disk];
            if (facts.empty()) {
                say_missing(disk);
            } else if (facts.size() > 1 && !facts.front().is_shared) {
                say_twice(facts[0], facts[1]);
            }
        }
    }
    void say_missing(std::uint32_t disk) {
        if (had_problems_) return;  // the reason has been said
        const std::string& host = set_.set.disks[disk].host;
        problems_.push_back(
            {Errc::input,
             "data set '" + name_ + "' of run " + set_.set.run_id + ": disk " + std::to_string(disk) + " of " +
                 std::to_string(disks_) + ", which was on " + (host == "*" ? "a shared file system" : "host " + host) +
                 ", is on none of the hosts here (" + job_.place.host + (job_.place.hosts > 1 ? " and others" : "") +
                 "); run on all hosts of the data set, with the same disks"});
    }
    void say_twice(const DiskFact& one, const DiskFact& other) {
        problems_.push_back(
            {Errc::config,
             "data set '" + name_ + "': disk " + std::to_string(one.disk) + " is in '" + one.path + "' on host " +
                 one.host + " and in '" + other.path + "' on host " + other.host +
                 "; a file system that all hosts see needs scope = \"shared\" on its disk, and a copy of a "
                 "disk has no place beside it"});
    }

    JobContext& job_;
    DiskRole role_;
    std::string name_;
    SetKind kind_;
    Problems& problems_;
    std::string looked_;
    std::vector<Candidate> candidates_;
    FoundSet set_;
    std::uint32_t crc_ = 0, disks_ = 0;
    Problem in_the_making_;  // the set that the manifest is of, by its record; empty: it is published
    bool found_manifest_ = false, failed_ = false, same_everywhere_ = true;
    bool had_problems_ = false;  // before the disks were counted
    Heard<ManifestFact> facts_;
    Heard<std::vector<DiskFact>> disk_facts_;
};

SetSearch::SetSearch(JobContext& job, DiskRole role, std::string name, SetKind kind, Problems& problems)
    : finder_(std::make_unique<Finder>(job, role, std::move(name), kind, problems)) {
    const Step step = open_step(job, "looks for the data set");
    finder_->look();
}

SetSearch::~SetSearch() = default;

const FoundSet& SetSearch::found() const noexcept { return finder_->found(); }

void SetSearch::say_manifest(JointGather& call) { finder_->say_manifest(call); }

void SetSearch::say_disks(JointExchange& call) { finder_->say_disks(call); }

FoundSet SetSearch::take() { return finder_->take(); }

const SetDirectory* FoundSet::directory_of(std::uint32_t disk) const {
    const auto found =
        std::find_if(here.begin(), here.end(), [&](const SetDirectory& each) { return each.disk == disk; });
    return found == here.end() ? nullptr : &*found;
}

std::string FoundSet::path_of(const DataFile& file) const {
    const SetDirectory* directory = directory_of(file.disk);
    SLUICE_CHECK(directory != nullptr);
    return directory->path + "/" + file.name;
}

std::string FoundSet::describe(const DataFile& file) const {
    if (directory_of(file.disk) != nullptr) return "'" + path_of(file) + "'";
    return "'" + file.name + "' of host " + set.disks[file.disk].host;
}

FoundSet find_set(JobContext& job, DiskRole role, const std::string& name, SetKind kind, Problems& problems) {
    SetSearch search(job, role, name, kind, problems);
    JointGather manifests;
    search.say_manifest(manifests);
    manifests.call(job.communicator);
    JointExchange disks(job.ranks());
    search.say_disks(disks);
    disks.call(job.communicator);
    return search.take();
}

std::optional<DataSet> read_manifest_here(JobContext& job, DiskRole role, const std::string& name, std::string& link) {
    for (const RoleDisk& disk : role_disks(job, role).disks) {
        const auto parent = open_disk(job, disk.path);
        if (!parent) continue;
        const auto entry = parent->look(name);
        if (entry && entry->kind == EntryInfo::Kind::link) link = disk.path + "/" + name;
        const auto directory = parent->open(name);
        if (!directory || !directory->look(kManifestName)) continue;
        const std::string path = directory->path() + "/" + kManifestName;
        DataSet set = DataSet::from_text(read_manifest_text(*directory), path);
        const auto record = set.is_legacy() ? std::nullopt : read_owner(*directory);
        const char* const kind = role == DiskRole::input ? to_string(SetKind::input) : to_string(SetKind::sorted);
        const std::string where = "manifest '" + path + "' on host " + job.place.host + ": ";
        if (std::string_view(to_string(set.kind)) != kind) {
            throw Error(Errc::integrity, where + "is of kind '" + to_string(set.kind) + "', not '" + kind +
                                             "'; it was put there by hand: make the data set again");
        }
        if (!set.is_legacy() && (!record || record->run_id != set.run_id)) {
            throw Error(Errc::integrity,
                        where + "is of run " + set.run_id + ", and the OWNER.json beside it is " +
                            (record ? "of run " + record->run_id : std::string("no record that can be read")) +
                            "; put the right one there, or make the data set again");
        }
        return set;
    }
    return std::nullopt;
}

}  // namespace sluice
