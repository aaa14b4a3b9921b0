#include "plan/old_data_set.hpp"

#include <algorithm>
#include <utility>

#include "net/collectives.hpp"
#include "plan/cluster.hpp"
#include "plan/leftovers.hpp"
#include "plan/set_names.hpp"
#include "runtime/packing.hpp"
#include "runtime/printable.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr int kLockTries = 6;
constexpr std::uint64_t kLockWaitNs = 50'000'000;

/// A live run that reads the data set of run `set`.
struct Reader {
    std::string set, who;
    static constexpr auto fields = std::tuple{&Reader::set, &Reader::who};
};

}  // namespace

OldDataSet::OldDataSet(JobContext& job, DiskRole role, std::string name)
    : job_(job), role_(role), name_(std::move(name)) {
    JointGather call;
    look();
    say(call);
    call.call(job.communicator);
    hear();
}

OldDataSet::OldDataSet(JobContext& job, DiskRole role, std::string name, JointGather& call)
    : job_(job), role_(role), name_(std::move(name)) {
    look();
    say(call);
}

void OldDataSet::look() {
    const Step step = open_step(job_, "looks at the data set that is there");
    for (const RoleDisk& disk : role_disks(job_, role_).disks) {
        Part part;
        if (disk.is_ours) part.parent = open_disk(job_, disk.path);
        if (!part.parent) continue;
        part.disk = disk;
        look_at(part);
        parts_.push_back(std::move(part));
    }
    observe();
    read_manifest();
}

void OldDataSet::hear() {
    const Step step = open_step(job_, "looks at the data set that is there");
    settle();
    if (there_) find_readers();
    for (Part& part : parts_) list_files(part);
}

void OldDataSet::look_at(Part& part) {
    part.entry = part.parent->look(name_);
    if (!part.entry) return;
    part.trace = trace_of(job_, part.parent, name_);
    part.not_ours = part.trace ? part.trace->not_ours : why_not_ours(*part.parent, name_);
    // What one verb made is not another's to remove: a wrong name in the config must not cost the input.
    const bool is_other_kind =
        part.trace && part.trace->record && part.trace->record->is_generated_input() != (role_ == DiskRole::input);
    if (is_other_kind && part.not_ours.empty())
        part.not_ours =
            role_ == DiskRole::input ? "is sorted output, no input" : "is input that was generated, no output";
    if (!part.trace && part.not_ours.empty()) part.holder = whose_placeholder(job_, part.parent, name_);
}

void OldDataSet::observe() {
    if (job_.config.run.locks != Locks::record) return;
    std::vector<RunTrace*> traces;
    for (Part& part : parts_) {
        for (auto* trace : {&part.trace, &part.holder}) {
            if (*trace) traces.push_back(&**trace);
        }
    }
    observe_beats(job_, traces);
}

/// A lock says who reads only where it reaches all hosts; the records of live runs say it everywhere.
void OldDataSet::find_readers() {
    std::vector<Reader> mine;
    for (const RunTrace& trace : find_run_traces(job_)) {
        if (!trace.kind || !trace.record || trace.life.dead || trace.is_displaced_set()) continue;
        for (const std::string& read : trace.record->reads) mine.push_back({read, describe_owner(*trace.record)});
    }
    for (const Reader& reader : all_gather_list(job_.communicator, mine)) readers_[reader.set] = reader.who;
}

void OldDataSet::read_manifest() {
    for (Part& part : parts_) {
        const auto directory = part.entry && part.not_ours.empty() ? part.parent->open(name_) : nullptr;
        if (!directory || !directory->look(kManifestName)) continue;
        const std::string path = directory->path() + "/" + kManifestName;
        try {
            manifest_ = DataSet::from_text(read_manifest_text(*directory), path);
        } catch (const Error& error) {
            manifest_problem_ = problem_of(error);
        }
        return;
    }
}

void OldDataSet::list_files(Part& part) {
    const auto directory = part.entry && part.not_ours.empty() ? part.parent->open(name_) : nullptr;
    if (!directory) return;
    const auto& record = part.trace ? part.trace->record : std::optional<OwnerRecord>{};
    if (manifest_) {
        for (const DataFile& file : manifest_->files) {
            tick_step();
            const SetDisk& disk = manifest_->disks[file.disk];
            const bool is_here =
                manifest_->is_legacy()
                    ? disk.directory == directory->path() && (disk.host == job_.place.host || disk.host == "*")
                    : record && record->run_id == manifest_->run_id && record->disk == file.disk;
            if (is_here) part.listed.insert(file.name);
        }
    }
    for (const std::string& file : directory->names()) {
        tick_step();
        const auto info = directory->look(file);
        if (!info) continue;
        const bool is_ours =
            info->kind == EntryInfo::Kind::file && !info->is_mount_point && info->owner == part.entry->owner;
        if (!owns(part, file) || !is_ours) {
            part.strangers.push_back(file);
        } else {
            ++part.files;
            part.bytes += info->size_bytes;
        }
    }
}

bool OldDataSet::owns(const Part& part, const std::string& file) const {
    if (file == kOwnerName) return part.trace.has_value();
    if (file == kManifestName) return part.is_ours() || (manifest_ && manifest_->is_legacy());
    if (part.listed.count(file) != 0) return true;
    if (!part.trace || !part.trace->record) return false;
    // Where there is no sound manifest to list them, the record's patterns tell: of a half set, or of what a later set
    // of fewer disks has left.
    const bool is_unlisted = !manifest_ || is_half(part) || part.trace->run_id != manifest_->run_id;
    return is_unlisted && part.trace->record->matches(file);
}

void OldDataSet::say(JointGather& call) {
    OldSetFact mine;
    for (Part& part : parts_) {
        part.is_legacy = !part.trace && manifest_ && manifest_->is_legacy() && lists_files_in(part);
        if (part.holder && part.holder->life.dead) mine.half_runs.push_back(part.holder->run_id);
        if (!part.is_ours() || is_renamed_half(part)) continue;
        mine.there = true;
        if (!part.trace) continue;
        const OwnerRecord& record = *part.trace->record;
        if ((record.disk == 0 && part.trace->has_manifest) || record.state == OwnerState::published)
            mine.published.push_back(part.trace->run_id);
        if (part.trace->is_half_set() && part.trace->life.dead) mine.half_runs.push_back(part.trace->run_id);
    }
    facts_ = call.say(mine);
}

void OldDataSet::settle() {
    std::set<std::string> halves;
    for (const OldSetFact& fact : *facts_) {
        there_ = there_ || fact.there;
        published_.insert(fact.published.begin(), fact.published.end());
        halves.insert(fact.half_runs.begin(), fact.half_runs.end());
    }
    // Where sets were changing places, one disk may have the new one's half and another the old one, whole.
    for (const std::string& run_id : published_) halves.erase(run_id);
    settle_halves(std::move(halves));
}

/// @param halves  that dead runs left, the same on all ranks
void OldDataSet::settle_halves(std::set<std::string> halves) {
    std::map<std::string, std::string> undecided;
    if (!halves.empty()) undecided = undecided_runs(job_);
    for (Part& part : parts_) {
        if (!part.is_ours()) continue;
        if (is_renamed_half(part) && published_.count(part.trace->run_id) == 0)
            part.not_ours = "is half a set of run " + part.trace->run_id + ", which did not give it that name";
        const auto found = is_half(part) ? undecided.find(part.trace->run_id) : undecided.end();
        if (found != undecided.end()) part.undecided = found->second;
    }
    // What a dead run left is none; it goes before anything begins. Nor is there one of which nobody can tell.
    there_ = there_ && halves.empty();
    for (const auto& [run_id, text] : undecided) halves.erase(run_id);
    dead_runs_ = std::move(halves);
}

/// What a run had not published, and somebody gave this name. Where the rest of the set is published under it, it is
/// the rest of a set that was renamed or copied.
bool OldDataSet::is_renamed_half(const Part& part) {
    if (!part.trace || !part.trace->record || part.trace->is_half_set()) return false;
    const OwnerRecord& record = *part.trace->record;
    return record.state != OwnerState::published && !(record.disk == 0 && part.trace->has_manifest);
}

bool OldDataSet::lists_files_in(const Part& part) const {
    const std::string path = part.path(name_);
    const auto is_here = [&](const SetDisk& disk) {
        return disk.directory == path && (disk.host == job_.place.host || disk.host == "*");
    };
    return std::any_of(manifest_->disks.begin(), manifest_->disks.end(), is_here);
}

std::string OldDataSet::where(const Part& part) const {
    return "'" + part.path(name_) + "' on host " + job_.place.host;
}

Problems OldDataSet::problems(bool overwrite) const {
    Problems found;
    const std::string choose = role_ == DiskRole::input ? "input.name" : "output.name";
    const std::string what = role_ == DiskRole::input ? "data set " : "output ";
    for (const Part& part : parts_) {
        if (!part.entry || (part.holder && part.holder->life.dead)) continue;
        const std::string here = what + where(part) + ": is there already";
        if (is_half(part)) {
            if (!part.undecided.empty()) found.push_back({Errc::busy, what + where(part) + ": " + part.undecided});
            if (part.trace->life.dead) continue;
            found.push_back(
                {Errc::busy, what + where(part) + ": " + describe_owner(*part.trace->record) +
                                 " is at work on it, or may be: " + part.trace->life.why +
                                 (part.trace->could_lock ? "; if you know that it has ended: sluice clean --run " +
                                                               part.trace->run_id + " --force"
                                                         : "; wait for it")});
        } else if (!part.is_ours()) {
            found.push_back(
                {Errc::config,
                 here + stranger_text(part) +
                     "; nothing that is not ours is ever removed: look, remove it yourself, or choose another " +
                     choose});
        } else if (!overwrite) {
            found.push_back({Errc::config, here + "; remove it (`sluice clean`), choose another " + choose +
                                               ", or set run.overwrite = true"});
        } else if (!manifest_problem_.empty()) {
            found.push_back(
                {manifest_problem_.code,
                 manifest_problem_.text +
                     "; run.overwrite cannot tell from it what to remove: remove the data set yourself, or by "
                     "`sluice clean`"});
        } else if (!part.strangers.empty()) {
            found.push_back({Errc::config, what + where(part) + ": holds '" + printable(part.strangers.front()) +
                                               "', which is no file that its MANIFEST lists, or not this user's; "
                                               "run.overwrite removes only such: "
                                               "look, remove it yourself, or choose another " +
                                               choose});
        }
    }
    return found;
}

std::string OldDataSet::stranger_text(const Part& part) {
    return part.not_ours.empty() ? ", without an owner record of sluice's" : " and " + part.not_ours;
}

std::vector<std::string> OldDataSet::strangers() const {
    std::vector<std::string> lines;
    for (const Part& part : parts_) {
        if (part.entry && !part.is_ours() && !part.holder)
            lines.push_back("note: stays: " + word_of(role_) + " " + where(part) + ": " +
                            (part.not_ours.empty() ? "has no owner record of sluice's" : part.not_ours));
    }
    return lines;
}

std::vector<OldDataSet::Size> OldDataSet::size_by_disk() const {
    std::vector<Size> sizes;
    for (const Part& part : parts_) {
        if (part.entry && part.is_ours()) sizes.push_back({part.disk, part.bytes, part.files});
    }
    return sizes;
}

std::vector<std::string> OldDataSet::lines() const {
    std::vector<std::string> lines;
    for (const Part& part : parts_) {
        if (!part.entry || !part.is_ours()) continue;
        lines.push_back(word_of(role_) + " " + where(part) + ": " + std::to_string(part.files) + " files, " +
                        human_bytes(static_cast<double>(part.bytes)) +
                        (part.trace ? ", of run " + part.trace->run_id : ", of an older version") +
                        (part.strangers.empty() ? ""
                                                : "; '" + printable(part.strangers.front()) + "'" +
                                                      (part.strangers.size() > 1 ? " and others stay" : " stays") +
                                                      ", which is none of its files"));
    }
    return lines;
}

std::string OldDataSet::who_uses(const Part& part) const {
    for (const std::string& each : part.parent->names()) {
        if (!parse_run_directory(each)) continue;
        const auto trace = trace_of(job_, part.parent, each);
        if (!trace || !trace->record || trace->life.dead) continue;
        const auto& reads = trace->record->reads;
        const bool reads_it = part.trace && std::count(reads.begin(), reads.end(), part.trace->run_id) != 0;
        if (reads_it || (trace->record->target == name_ && !trace->is_displaced_set()))
            return describe_owner(*trace->record);
    }
    const auto directory = part.parent->open(name_);
    return directory ? lock_holder(job_, *directory, record_of(part)) : "";
}

/// Who has put something else under the name, or is removing what was there; "" where nobody is to be seen.
std::string OldDataSet::who_took(const Part& part) const {
    const auto trace = trace_of(job_, part.parent, name_);
    if (trace && trace->record) return describe_owner(*trace->record);
    const auto directory = part.parent->open(aside_of(part));
    return directory ? lock_holder(job_, *directory, kOwnerName) : "";
}

/// Its name while it is being removed.
std::string OldDataSet::aside_of(const Part& part) {
    return run_directory_name(RunDirectoryKind::removed, part.trace ? part.trace->run_id : "");
}

/// Somebody may move it, remove it or put something else there, whatever locks are held.
bool OldDataSet::is_still_under(const Part& part, const std::string& name) {
    const auto now = part.parent->look(name);
    return now && now->same_file(*part.entry);
}

Problem OldDataSet::lock_problem(Part& part) {
    constexpr std::uint32_t kOwnerWrites = 0200;
    if ((part.entry->mode & kOwnerWrites) == 0 && part.parent->owner_of_new_files() != 0) {
        return {Errc::environment,
                "data set " + where(part) +
                    ": its directory is protected against writing; if it may go: chmod u+w it, and try again"};
    }
    std::string user;
    for (int tries = 0; tries < kLockTries && user.empty(); ++tries) {
        if (tries > 0) job_.executor.sleep_for_ns(kLockWaitNs);  // whoever it was let go before he was seen
        const auto directory = part.parent->open(name_);
        if (!directory || !is_still_there(part)) {
            const std::string who = who_took(part);
            if (!who.empty())
                return {Errc::busy,
                        "data set " + where(part) + ": was replaced or removed just now by " + who + "; try again"};
            if (directory || part.parent->look(aside_of(part))) continue;
            part.entry.reset();  // it has gone altogether, and nobody stands in the way any more
            return {};
        }
        LockAttempt attempt = directory->lock(record_of(part), LockMode::exclusive);
        if (attempt.outcome == LockAttempt::Outcome::no_locks && job_.config.run.locks == Locks::flock) {
            return {Errc::environment,
                    "data set " + where(part) + ": cannot be locked (" + attempt.why +
                        "), so that nobody knows whether it is read; use a file system with locks, or run.locks "
                        "= \"record\""};
        }
        const std::string set = part.trace ? part.trace->run_id : manifest_ ? manifest_->run_id : std::string();
        const auto reader = readers_.find(set);
        if (reader != readers_.end()) {
            user = reader->second;
            break;
        }
        part.lock = std::move(attempt.lock);
        if (attempt.outcome != LockAttempt::Outcome::held) {
            if (is_still_there(part)) return {};
            part.lock.reset();
            continue;
        }
        user = who_uses(part);
    }
    return {Errc::busy, "data set " + where(part) + ": is in use by " + (user.empty() ? "another run" : user) +
                            "; wait for it or end it"};
}

void OldDataSet::lock(Problems& problems) {
    for (Part& part : parts_) {
        if (!part.entry || !part.is_ours()) continue;
        const Problem problem = lock_problem(part);
        if (!problem.empty()) problems.push_back(problem);
    }
}

void OldDataSet::mark_removing(Part& part, const std::string& name_now) {
    const auto directory = part.lock && part.trace ? part.parent->open(name_now) : nullptr;
    if (directory) sluice::mark_removing(*directory, part.lock);
}

bool OldDataSet::is_on(const std::string& disk_path) const {
    return std::any_of(parts_.begin(), parts_.end(),
                       [&](const Part& part) { return part.disk.path == disk_path && part.entry && part.is_ours(); });
}

bool OldDataSet::is_still_on(const std::string& disk_path) const {
    return std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) {
        return part.disk.path == disk_path && part.entry && part.is_ours() && is_still_there(part);
    });
}

void OldDataSet::say_another(const Part& part, const std::string& name, Removal& removal) {
    if (!part.parent->look(name)) return;  // moved or removed by whoever had a reason to
    removal.kept.push_back("'" + part.path(printable(name)) +
                           "': has come there since this run looked, and is not the data set that it found; stays");
}

Removal OldDataSet::remove() {
    const Step step = open_step(job_, "removes a data set");
    // The commit record first: from then on it is no set any more, on any host.
    for (Part& part : parts_) {
        const bool is_first = part.trace && part.trace->record && part.trace->record->disk == 0;
        if (!part.entry || !part.is_ours() || !(is_first || part.is_legacy)) continue;
        const auto directory = is_still_there(part) ? part.parent->open(name_) : nullptr;
        if (!directory) continue;
        mark_removing(part, name_);
        const auto manifest = directory->look(kManifestName);
        if (manifest && manifest->kind == EntryInfo::Kind::file && manifest->owner == part.parent->owner_of_new_files())
            directory->remove_file(kManifestName);
        directory->sync();
    }
    job_.communicator.barrier_or_failure();
    Removal removal;
    for (const Part& part : parts_) {
        if (!part.entry || !part.is_ours()) continue;
        if (!is_still_there(part)) {
            say_another(part, name_, removal);
            continue;
        }
        // Under a name that tells what it is, so that it does also when it is empty.
        const std::string aside =
            part.trace ? move_aside(*part.parent, name_, part.trace->run_id).name : std::string(name_);
        removal += remove_moved(part.disk.path, aside);
        give_back_name(part, aside);
    }
    job_.communicator.barrier_or_failure();
    return removal;
}

/// What lies in it and is not ours keeps its place.
void OldDataSet::give_back_name(const Part& part, const std::string& aside) {
    if (aside != name_ && part.parent->look(aside) && !part.parent->look(name_))
        rename_to_free_name(*part.parent, aside, name_);
}

Removal OldDataSet::remove_moved(const std::string& disk_path, const std::string& name_now) {
    Removal removal;
    for (Part& part : parts_) {
        if (part.disk.path != disk_path || !part.entry || !part.is_ours()) continue;
        if (!is_still_under(part, name_now)) {
            say_another(part, name_now, removal);
            part.lock.reset();
            continue;
        }
        mark_removing(part, name_now);
        removal += remove_directory_of_ours(
            *part.parent, name_now, [&](const std::string& file) { return owns(part, file); },
            [&part] { part.lock.reset(); });
        part.lock.reset();
    }
    return removal;
}

}  // namespace sluice
