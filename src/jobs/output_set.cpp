#include "jobs/output_set.hpp"

#include <algorithm>
#include <utility>

#include "plan/cluster.hpp"
#include "plan/leftovers.hpp"
#include "plan/preflight_paths.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

using Renamed = Directory::Renamed;

/// Runs that begin at the same moment settle it within this.
constexpr std::uint64_t kContestNs = 10'000'000'000, kContestStepNs = 20'000'000;

/// Work on one disk whose failure is a problem beside others.
template <typename Work>
void guarded(Problems& problems, Work work) {
    try {
        work();
    } catch (const Error& error) {
        problems.push_back(problem_of(error));
    }
}

}  // namespace

OutputSet::OutputSet(JobContext& job, OutputSetOptions options) : job_(job), options_(std::move(options)) {
    const RoleDisks disks = role_disks(job, options_.role);
    for (const RoleDisk& disk : disks.disks) {
        Place place;
        place.disk = disk;
        places_.push_back(std::move(place));
    }
    used_ = disks.used();
}

OutputSet::~OutputSet() {
    if (published_) return;
    manifest_.reset();
    for (Place& place : places_) {
        if (!place.directory || !place.disk.is_ours) continue;
        try {
            const auto names = place.directory->directory().names();
            const bool holds_data = std::any_of(names.begin(), names.end(), [](const std::string& name) {
                return name != kOwnerName && name.rfind(kTrialPrefix, 0) != 0;
            });
            if (!holds_data) place.directory->remove();
        } catch (const std::exception&) {  // it stays as what a dead run leaves, and can be told by its record
        }
    }
}

std::string OutputSet::path_of(std::uint32_t used, const std::string& file) const {
    return places_[used_[used]].directory->path() + "/" + file;
}

void OutputSet::claim(std::shared_ptr<OldDataSet> old) {
    const Step step = open_step(job_, "claims the name of the data set");
    Problems problems;
    old_ = std::move(old);
    if (old_) {
        remove_probes(job_);
    } else {
        look_and_clear(problems);
    }
    if (job_.config.run.overwrite != Overwrite::no && problems.empty()) old_->lock(problems);
    if (problems.empty()) make_directories(problems);
    give_up_if_any(problems);  // from here on all have been made
    join_directories(problems);
    for (Place& place : places_) {
        if (problems.empty() && place.disk.is_ours) contest(place, problems);
    }
    if (problems.empty()) try_publishing(problems);
    give_up_if_any(problems);
    for (Place& place : places_) {
        if (place.disk.is_ours) place.directory->set_state(OwnerState::writing);
    }
    if (job_.config.run.overwrite == Overwrite::first && old_->is_there()) {
        say_notes(job_, old_->remove().kept);
        old_.reset();
    }
}

/// Collective.
void OutputSet::give_up_if_any(const Problems& problems) {
    try {
        refuse_if_any(job_, problems);
    } catch (const CollectiveError&) {
        give_up();
        throw;
    }
}

/// Collective; throws CollectiveError where the name is not to be had.
void OutputSet::look_and_clear(Problems& problems) {
    const bool overwrite = job_.config.run.overwrite != Overwrite::no;
    old_ = std::make_shared<OldDataSet>(job_, options_.role, options_.name);
    problems = old_->problems(overwrite);
    refuse_if_any(job_, problems);  // a run that is refused removes nothing
    LeftoversWanted wanted;
    wanted.target = options_.name;
    const Leftovers left = remove_leftovers(job_, wanted);
    std::vector<std::string> notes = left.removal.kept;
    for (const std::string& run : left.runs) notes.push_back("note: removed what " + run + ", which is dead, had left");
    say_notes(job_, notes);
    if (!left.runs.empty()) old_ = std::make_shared<OldDataSet>(job_, options_.role, options_.name);
    wanted.run_ids = old_->dead_runs();
    // Dead as seen from here, not from everywhere: says so.
    if (!wanted.run_ids.empty()) remove_leftovers(job_, wanted);
    problems = old_->problems(overwrite);
}

void OutputSet::make_directories(Problems& problems) {
    OwnerRecord record;
    record.run_id = options_.run_id;
    record.verb = options_.verb;
    record.target = options_.name;
    record.disks = role_disks(job_, options_.role).total;
    record.manifest_host = job_.place.host_by_rank.front();
    record.patterns = options_.file_patterns;
    for (const char* own : {kManifestName, "MANIFEST.json.tmp-#", "probe-#"}) record.patterns.emplace_back(own);
    record.reads = options_.reads;
    record.state = OwnerState::claiming;
    for (Place& place : places_) {
        guarded(problems, [&] {
            place.parent = job_.files.open_directory(place.disk.path);
            if (!place.disk.is_ours) return;
            record.disk = place.disk.number;
            auto directory = std::make_unique<RunDirectory>(
                job_, place.parent, run_directory_name(RunDirectoryKind::partial, options_.run_id));
            directory->make(record);
            place.directory = std::move(directory);
        });
    }
}

void OutputSet::join_directories(Problems& problems) {
    for (const std::uint32_t used : used_) {
        Place& place = places_[used];
        if (place.directory || !place.parent || place.disk.is_ours) continue;
        guarded(problems, [&] {
            auto directory = std::make_unique<RunDirectory>(
                job_, place.parent, run_directory_name(RunDirectoryKind::partial, options_.run_id));
            directory->join(options_.run_id);
            place.directory = std::move(directory);
        });
    }
}

/// Another run that wants the same name here; "" where there is none. @param wait  it may still give up
std::string OutputSet::other_claim(Place& place, bool& wait) {
    wait = false;
    for (const std::string& name : place.parent->names()) {
        const auto parsed = parse_run_directory(name);
        if (!parsed || parsed->kind != RunDirectoryKind::partial || parsed->run_id == options_.run_id) continue;
        const auto trace = trace_of(job_, place.parent, name);
        if (!trace || !trace->record || trace->is_displaced_set() || trace->record->target != options_.name ||
            trace->life.dead)
            continue;
        // Of two that begin together the one with the smaller number goes on; each was there before it looked, so at
        // least one of them sees the other.
        // One that is giving up has given up in a moment.
        wait = (trace->record->state == OwnerState::claiming && options_.run_id < trace->run_id) ||
               trace->record->state == OwnerState::removing;
        return "'" + place.disk.path + "/" + options_.name + "' on host " + job_.place.host + " is being made by " +
               describe_owner(*trace->record) +
               (!trace->not_ours.empty() ? ", which " + trace->not_ours + "; wait for it, or choose another name"
                : trace->could_lock      ? ", which may live (" + trace->life.why +
                                          "); if you know that it has ended: sluice "
                                          "clean --run " +
                                          trace->run_id + " --force"
                                    : "; wait for it, or choose another name");
    }
    return "";
}

/// A run that had the name when this one looked for claims, but not yet when it looked for sets; "": none.
std::string OutputSet::just_published(Place& place) {
    if (old_->is_on(place.disk.path) || !place.parent->look(options_.name)) return "";
    const auto trace = trace_of(job_, place.parent, options_.name);
    return "'" + place.disk.path + "/" + options_.name + "' on host " + job_.place.host +
           ": is there already, made while this run began" +
           (trace && trace->record ? " by " + describe_owner(*trace->record) : std::string());
}

void OutputSet::contest(Place& place, Problems& problems) {
    for (std::uint64_t waited_ns = 0;; waited_ns += kContestStepNs) {
        bool wait = false;
        const std::string other = other_claim(place, wait);
        if (other.empty()) {
            const std::string published = just_published(place);
            if (!published.empty()) problems.push_back({Errc::busy, published});
            return;
        }
        tick_step();
        if (!wait || waited_ns >= kContestNs) {
            problems.push_back({Errc::busy, other});
            return;
        }
        job_.executor.sleep_for_ns(kContestStepNs);
    }
}

void OutputSet::try_publishing(Problems& problems) {
    for (Place& place : places_) {
        if (!place.disk.is_ours) continue;
        guarded(problems, [&] {
            place.trial = try_renames(place.directory->directory());
            try_rename_on(*place.parent, options_.run_id);
            const bool has_old = job_.config.run.overwrite == Overwrite::yes && old_->is_on(place.disk.path);
            const std::string why =
                has_old ? place.parent->why_not_renamable(options_.name, place.directory->name()) : "";
            if (!why.empty())
                problems.push_back({Errc::environment,
                                    "the data set in '" + place.disk.path + "/" + options_.name + "' on host " +
                                        job_.place.host + " cannot make room for a new one: " + why +
                                        "; it is immutable (`lsattr -d`) or in an overlay's lower layer: remove it by "
                                        "`sluice clean`, or set run.overwrite = \"first\", or choose another name"});
            place.parent->sync();
        });
    }
}

void OutputSet::give_up() {
    for (Place& place : places_) {
        if (place.directory && !place.disk.is_ours) place.directory.reset();
    }
    try {
        job_.communicator.barrier_or_failure();  // nobody has it open any more, which would keep it there on NFS
    } catch (const Error&) {                     // why the claim is given up is the error to report
    }
    for (Place& place : places_) {
        try {
            if (place.directory) place.directory->remove();
        } catch (const Error&) {  // it stays as what a dead run leaves
        }
        place.directory.reset();
    }
}

std::vector<SetDisk> OutputSet::set_disks() const {
    // As role_disks() counts: shared ones, then each host's, then each rank's.
    std::uint32_t shared = 0, of_host = 0, of_rank = 0;
    for (const Place& place : places_) {
        shared += place.disk.seen_by == SeenBy::all_hosts ? 1 : 0;
        of_host += place.disk.seen_by == SeenBy::one_host ? 1 : 0;
        of_rank += place.disk.seen_by == SeenBy::one_rank ? 1 : 0;
    }
    std::vector<SetDisk> disks(shared, {"*", ""});
    std::vector<std::string> hosts;
    for (const std::string& host : job_.place.host_by_rank) {
        if (std::find(hosts.begin(), hosts.end(), host) == hosts.end()) hosts.push_back(host);
    }
    for (const std::string& host : hosts) disks.insert(disks.end(), of_host, {host, ""});
    for (const std::string& host : job_.place.host_by_rank) disks.insert(disks.end(), of_rank, {host, ""});
    return disks;
}

/// The name is free, or has the older set that the run began with; else how to get at what the run has made.
std::string OutputSet::name_problem(const Place& place) const {
    if (!place.parent->look(options_.name) || (old_ && old_->is_still_on(place.disk.path))) return "";
    const std::string ours = "'" + place.disk.path + "/" + place.directory->name() + "'";
    return "rename " + ours + " to '" + options_.name + "' on host " + job_.place.host +
           ": something that was not there when the run began has that name, and is not replaced; the files in " +
           ours +
           " are complete, but for a MANIFEST: move it to another name before a run for this one or `sluice "
           "clean` removes it, or free the name and run again";
}

/// Asked before the name is taken and again before the MANIFEST is written: who takes a live run for a dead one, which
/// takes a lock that does not hold or --force, moves its directory aside before anything else.
void OutputSet::require_ours(RunDirectory& directory) {
    if (directory.is_still_ours()) return;
    throw Error(Errc::busy, "publish '" + directory.path() +
                                "': it, or its owner record, has been moved, changed or removed while this run was at "
                                "work: by another run that took it for a dead run's (`clean --run` with --force, or a "
                                "lock that does not hold), or by hand; nothing was published");
}

void OutputSet::require_ours() const {
    for (const Place& place : places_) {
        if (place.disk.is_ours) require_ours(*place.directory);
    }
}

void OutputSet::take_name(Place& place) {
    RunDirectory& directory = *place.directory;
    require_ours(directory);
    const std::string problem = name_problem(place);
    if (!problem.empty()) throw Error(Errc::config, problem);
    directory.set_state(OwnerState::publishing);
    directory.directory().sync();
    const std::string ours = directory.name(), &name = options_.name;
    // One that was moved or removed meanwhile leaves the name free.
    if (old_ && old_->is_still_on(place.disk.path)) {
        if (place.trial.can_exchange && place.parent->exchange(ours, name) == Renamed::done) {
            place.replaced_as = ours;
        } else {
            place.replaced_as = run_directory_name(RunDirectoryKind::replaced, options_.run_id);
            if (rename_to_free_name(*place.parent, name, place.replaced_as) != Renamed::done)
                throw Error(Errc::device, "rename '" + place.disk.path + "/" + name + "': '" + place.replaced_as +
                                              "' is there already");
            place.parent->sync();
        }
    }
    if (place.replaced_as != ours && rename_to_free_name(*place.parent, ours, name) != Renamed::done) {
        throw Error(Errc::config,
                    "rename '" + directory.path() + "' to '" + name +
                        "': that name has appeared while the run was at work; remove it or choose another "
                        "name");
    }
    place.parent->sync();
    directory.renamed(name);
}

/// One copy a rank that looks after disks: on each host, at least, and on disk 0, wherever the config lists it.
/// nullptr: this rank looks after none.
RunDirectory* OutputSet::manifest_directory() {
    Place* first = nullptr;
    for (Place& place : places_) {
        if (place.disk.is_ours && (first == nullptr || place.disk.number < first->disk.number)) first = &place;
    }
    return first != nullptr ? first->directory.get() : nullptr;
}

void OutputSet::write_manifest(std::string_view piece) {
    RunDirectory* const directory = manifest_directory();
    if (directory == nullptr) return;
    if (!manifest_) manifest_ = directory->directory().begin_file(kManifestName);
    manifest_->append(piece);
}

void OutputSet::name_manifest() {
    if (manifest_) manifest_directory()->directory().give_name(*manifest_, kManifestName);
    manifest_.reset();
}

Problems OutputSet::name_problems() const {
    Problems problems;
    for (const Place& place : places_) {
        if (!place.disk.is_ours) continue;
        guarded(problems, [&] {
            const std::string problem = name_problem(place);
            if (!problem.empty()) problems.push_back({Errc::config, problem});
        });
    }
    return problems;
}

void OutputSet::publish() {
    const Step step = open_step(job_, "publishes the data set");
    SLUICE_CHECK(manifest_ || job_.rank() > 0);
    if (manifest_) manifest_->sync();
    for (Place& place : places_) {
        if (place.disk.is_ours) take_name(place);
    }
    // A copy is found under the name before other ranks have given theirs. It decides nothing: a set of which a disk is
    // missing is none, and whether a run has published is told by the MANIFEST of disk 0.
    if (job_.rank() != 0) {
        require_ours();
        name_manifest();
    }
    job_.communicator.barrier_or_failure();
    if (job_.rank() == 0) {
        const std::shared_ptr<void> commit = job_.begin_commit ? job_.begin_commit() : nullptr;
        require_ours();
        name_manifest();
        require_ours();  // it is written where the directory is, wherever somebody has moved that
        published_ = true;
        if (job_.on_published) job_.on_published();
    }
    job_.communicator.barrier_or_failure();
    if (job_.rank() == 0) return;
    published_ = true;
    if (job_.on_published) job_.on_published();
}

void OutputSet::retire_replaced() {
    // A call although most have nothing to say: what a rank could not do is not known to rank 0 otherwise.
    say_notes(job_, remove_replaced());
}

std::vector<std::string> OutputSet::remove_replaced() noexcept {
    const Step step = open_step(job_, "removes the data set that was there before");
    std::vector<std::string> notes;
    const auto on_each_disk = [&](const auto& work) {
        for (Place& place : places_) {
            if (!place.disk.is_ours) continue;
            try {
                work(place);
            } catch (const std::exception& error) {
                notes.push_back(std::string("WARNING the new data set is published, but the one before it could not be "
                                            "removed: ") +
                                error.what() + "; `sluice clean --run " + options_.run_id + "` removes it");
            }
        }
    };
    // On all disks first: removing may take long, and who does not see the MANIFEST's host has only this to go by.
    on_each_disk([](Place& place) { place.directory->set_state(OwnerState::published); });
    on_each_disk([&](const Place& place) {
        if (place.replaced_as.empty()) return;
        const Removal removal = old_->remove_moved(place.disk.path, place.replaced_as);
        notes.insert(notes.end(), removal.kept.begin(), removal.kept.end());
    });
    return notes;
}

}  // namespace sluice
