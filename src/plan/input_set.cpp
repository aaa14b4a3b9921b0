#include "plan/input_set.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "net/collectives.hpp"
#include "plan/cluster.hpp"
#include "plan/input_search.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

/// Files of a manifest, before anybody has looked at them: identity holds the size that it says.
std::vector<InputFile> files_of_set(const FoundSet& found, bool (*is_wanted)(SeenBy)) {
    std::vector<InputFile> files;
    for (const DataFile& file : found.set.files) {
        tick_step();
        const SetDirectory* directory = found.directory_of(file.disk);
        if (directory == nullptr || !is_wanted(directory->seen_by)) continue;
        InputFile each;
        each.path = found.path_of(file);
        each.identity.size_bytes = file.bytes;
        each.seen_by = directory->seen_by;
        each.sum = file.sum;
        files.push_back(std::move(each));
    }
    return files;
}

std::vector<InputFile> files_of_paths(JobContext& job, bool own, Problems& problems) {
    std::vector<InputFile> files;
    PathScopes scopes(job);
    for (const std::string& pattern : job.config.input.paths) {
        const bool is_own = pattern.find("{rank}") != std::string::npos;
        if (is_own != own) continue;
        std::vector<std::string> paths;
        try {
            paths = job.files.glob(expand_path(pattern, job.place.host, job.rank()));
        } catch (const AbortedError&) {
            throw;
        } catch (const Error& error) {
            problems.push_back({error.code(), error.what() + (", on host " + job.place.host)});
            continue;
        }
        if (paths.empty())
            problems.push_back(
                {Errc::input, "input.paths: 0 input files match '" + pattern + "' on host " + job.place.host});
        for (const std::string& path : paths) {
            tick_step();
            InputFile each;
            each.path = path;
            each.seen_by = is_own ? SeenBy::one_rank : scopes.of(path);
            files.push_back(std::move(each));
        }
    }
    return files;
}

/// One look at a file: fills in what it is; the problem, if there is one.
Problem look_at(JobContext& job, InputFile& file, std::uint32_t record_bytes, bool size_is_known) {
    const std::string name = "input '" + file.path + "' on host " + job.place.host + ": ";
    std::optional<FileInfo> info;
    try {
        info = job.files.info(file.path);
    } catch (const Error& error) {
        return {Errc::input, name + error.what()};
    }
    if (!info) return {Errc::input, name + "not there, or a dangling link; check input.paths or generate it again"};
    if (!info->is_regular) return {Errc::input, name + "is no regular file"};
    if (!info->is_readable) return {Errc::input, name + "cannot be read by this user"};
    if (size_is_known && file.identity.size_bytes != info->size_bytes) {
        return {Errc::input, name + "has " + std::to_string(info->size_bytes) + " bytes, its manifest says " +
                                 std::to_string(file.identity.size_bytes) + "; it was changed after it was generated"};
    }
    if (info->size_bytes % record_bytes != 0) {
        return {Errc::input, name + std::to_string(info->size_bytes) + " bytes is no multiple of the record size " +
                                 std::to_string(record_bytes) + ": " + std::to_string(info->size_bytes % record_bytes) +
                                 " bytes of a torn record at offset " +
                                 std::to_string(round_down(info->size_bytes, record_bytes)) +
                                 "; restore the file or cut it there"};
    }
    file.identity = *info;
    return {};
}

void look_at_all(JobContext& job, std::vector<InputFile>& files, std::uint32_t record_bytes, bool sizes_are_known,
                 Problems& problems) {
    constexpr std::size_t kMostSaid = 20;
    std::size_t wrong = 0;
    std::vector<InputFile> good;
    for (InputFile& file : files) {
        tick_step();
        Problem problem = look_at(job, file, record_bytes, sizes_are_known);
        if (problem.empty()) {
            good.push_back(std::move(file));
        } else if (++wrong <= kMostSaid) {
            problems.push_back(std::move(problem));
        }
    }
    if (wrong > kMostSaid)
        problems.push_back({Errc::input, "input: " + std::to_string(wrong - kMostSaid) + " more files on host " +
                                             job.place.host + " cannot be read as they are"});
    files = std::move(good);
}

bool is_own(SeenBy seen_by) { return seen_by == SeenBy::one_rank; }
bool is_of_host(SeenBy seen_by) { return !is_own(seen_by); }

HostInput list_for_host(const JobContext& job, const std::vector<InputFile>& files) {
    HostInput mine;
    mine.host = job.place.host;
    for (const InputFile& file : files) {
        tick_step();
        if (looks_after(job, file.seen_by)) add_file(mine, file.path, file.identity.size_bytes);
    }
    return mine;
}

}  // namespace

InputSearch::InputSearch(JobContext& job, Problems& problems) : job_(job), problems_(problems), proof_(job) {
    input_.format = configured_format(job.config);
    if (by_paths()) {
        input_.origin = "input.paths";
        return;
    }
    search_.emplace(job, DiskRole::input, job.config.input.name, SetKind::input, problems);
    take_over(search_->found());
}

void InputSearch::take_over(const FoundSet& found) {
    const DataSet& set = found.set;
    input_.origin = set.origin;
    input_.run_id = set.run_id;
    input_.total = set.total;
    input_.sums_are_known = set.verified;
    for (const SetDirectory& directory : found.here) input_.held.push_back(directory.lock);
    if (set.run_id.empty() || set.format == input_.format) return;
    problems_.push_back({Errc::config, "record: the input's manifest says " + std::to_string(set.format.record_bytes) +
                                           "-byte records, the config " + std::to_string(input_.format.record_bytes) +
                                           "; make record.size, key_offset and key_size agree"});
    input_.format = set.format;
}

void InputSearch::say_manifest(JointGather& call) {
    if (search_) search_->say_manifest(call);
}

std::vector<InputFile> InputSearch::list(bool own) {
    std::vector<InputFile> files =
        by_paths() ? files_of_paths(job_, own, problems_) : files_of_set(search_->found(), own ? is_own : is_of_host);
    look_at_all(job_, files, input_.format.record_bytes, !by_paths(), problems_);
    // Shared ones first: they have the same numbers on all hosts.
    std::stable_partition(files.begin(), files.end(),
                          [](const InputFile& file) { return file.seen_by == SeenBy::all_hosts; });
    return files;
}

void InputSearch::say_files(JointExchange& call) {
    const Step step = open_step(job_, "lists the input");
    if (search_) search_->say_disks(call);
    const bool is_first = job_.place.local_rank == 0;
    std::vector<InputFile> of_host;
    if (is_first) of_host = list(false);
    of_host_ = call.say(of_host, is_first ? job_.place.ranks_here : std::vector<std::uint32_t>());
    own_ = list(true);
    of_host.insert(of_host.end(), own_.begin(), own_.end());
    proof_.say_hosts(call);
    proof_.say_files(call, of_host);
}

InputSet InputSearch::take() {
    const Step step = open_step(job_, "lists the input");
    if (search_) search_->take();
    input_.files = (*of_host_)[job_.place.ranks_here.front()];
    input_.files.insert(input_.files.end(), std::make_move_iterator(own_.begin()), std::make_move_iterator(own_.end()));
    proof_.judge(problems_);
    input_.listed = list_for_host(job_, input_.files);
    return std::move(input_);
}

InputSet find_input(JobContext& job, Problems& problems) {
    InputSearch search(job, problems);
    JointGather manifests;
    search.say_manifest(manifests);
    manifests.call(job.communicator);
    JointExchange files(job.ranks());
    search.say_files(files);
    files.call(job.communicator);
    return search.take();
}

std::vector<InputSlice> InputSet::slices_of(const RankPlace& place, std::uint32_t rank, std::uint32_t ranks) const {
    const std::uint64_t unit = format.slice_unit_bytes();
    std::vector<InputSlice> slices;
    for (const SeenBy seen_by : {SeenBy::all_hosts, SeenBy::one_host, SeenBy::one_rank}) {
        std::vector<SizedFile> sized;
        for (std::uint32_t number = 0; number < files.size(); ++number) {
            if (files[number].seen_by == seen_by)
                sized.push_back({files[number].path, files[number].identity.size_bytes, number});
        }
        const auto share = seen_by == SeenBy::all_hosts ? slice_for_rank(sized, rank, ranks, unit)
                           : seen_by == SeenBy::one_host
                               ? slice_for_rank(sized, place.local_rank, place.local_ranks, unit)
                               : slice_for_rank(sized, 0, 1, unit);
        slices.insert(slices.end(), share.begin(), share.end());
    }
    return slices;
}

InputChanges look_for_changes(JobContext& job, const InputSet& input, const std::vector<InputSlice>& read) {
    const Step step = open_step(job, "looks at the input once more");
    std::set<std::uint32_t> numbers;
    for (const InputSlice& slice : read) numbers.insert(slice.file);
    for (std::uint32_t number = 0; number < input.files.size(); ++number) {
        const InputFile& file = input.files[number];
        if (file.identity.size_bytes == 0 && speaks_of(job, file.seen_by))
            numbers.insert(number);  // nobody reads those
    }
    InputChanges found;
    for (const std::uint32_t number : numbers) {
        tick_step();
        const InputFile& file = input.files[number];
        const std::string name = "input '" + file.path + "' on host " + job.place.host + ": ";
        std::optional<FileInfo> now;
        try {
            now = job.files.info(file.path);
        } catch (const Error& error) {
            found.problems.push_back({Errc::input, name + error.what()});
            continue;
        }
        if (!now || !now->same_content(file.identity)) {
            found.problems.push_back({Errc::input, name + change_text(file.identity, now ? &*now : nullptr) +
                                                       "; nothing was published, sort again when nobody writes to it"});
        } else if (now->changed_ns != file.identity.changed_ns) {
            found.notes.push_back("WARNING " + name +
                                  "its change time (ctime) moved while it was read: a new name, owner or "
                                  "mode, or its times were set; size and time of modification are the same");
        }
    }
    return found;
}

std::vector<std::vector<FileSum>> sums_by_keeper(const JobContext& job, const InputSet& input,
                                                 const std::vector<RecordSum>& sums) {
    std::vector<std::vector<FileSum>> to_rank(job.ranks());
    if (!input.sums_are_known || !job.config.run.verify) return to_rank;
    const std::vector<std::uint32_t>& here = job.place.ranks_here;
    for (std::uint32_t number = 0; number < sums.size(); ++number) {
        tick_step();
        if (sums[number].count == 0) continue;
        const SeenBy seen_by = input.files[number].seen_by;
        const std::uint32_t keeper = seen_by == SeenBy::all_hosts  ? number % job.ranks()
                                     : seen_by == SeenBy::one_host ? here[number % here.size()]
                                                                   : job.rank();
        to_rank[keeper].push_back({number, sums[number]});
    }
    return to_rank;
}

Problems differing_files(JobContext& job, const InputSet& input, const std::vector<std::vector<FileSum>>& told) {
    const Step step = open_step(job, "compares the sums of input files");
    std::map<std::uint32_t, RecordSum> read;
    for (const auto& list : told) {
        for (const FileSum& each : list) read[each.file] += each.sum;
    }
    Problems problems;
    for (const auto& [number, sum] : read) {
        tick_step();
        const InputFile& file = input.files[number];
        if (sum == file.sum) continue;
        problems.push_back(
            {Errc::integrity,
             "input '" + file.path + "' on host " + job.place.host + ": holds " + sum.text() + ", its manifest says " +
                 file.sum.text() +
                 "; it was changed after it was generated, or its disk or memory is bad. Nothing was published"});
    }
    return problems;
}

}  // namespace sluice
