#include "io/owner_record.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "io/data_set.hpp"
#include "record/crc32c.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/error.hpp"
#include "runtime/printable.hpp"

namespace sluice {
namespace {

using Json = nlohmann::json;
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kRunIdDigits = 32;
constexpr std::size_t kPatchOffset = kOwnerBytes - 512, kStateChars = 12;
constexpr std::string_view kBeforeState = "\"state\":\"", kBeforeCounter = "\",\"counter\":\"";
constexpr std::array kStates{OwnerState::claiming, OwnerState::writing, OwnerState::publishing, OwnerState::published,
                             OwnerState::removing};

std::uint32_t crc_of(const std::string& text) { return crc32c(std::as_bytes(std::span(text))); }

/// Shown to people, and compared with names: what holds control characters was not written by us.
bool is_plain(const std::string& text) { return printable(text) == text; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Json process_json(const ProcessIdentity& process) {
    Json segments = Json::object();
    for (const SharedSegment& segment : process.segments) segments[segment.name] = segment.inode;
    return {{"segments", segments},
            {"host", process.host},
            {"machine", process.machine},
            {"boot", process.boot},
            {"pid_namespace", process.pid_namespace},
            {"pid", process.pid},
            {"start_ticks", process.start_ticks}};
}

template <typename Integer>
void exact(const Json& json, const char* key, Integer& into) {
    into = exact_integer<Integer>(json.at(key), key);
}

ProcessIdentity process_from(const Json& json) {
    ProcessIdentity process;
    process.host = json.at("host");
    process.machine = json.at("machine");
    process.boot = json.at("boot");
    exact(json, "pid_namespace", process.pid_namespace);
    exact(json, "pid", process.pid);
    exact(json, "start_ticks", process.start_ticks);
    if (json.contains("segments")) {
        for (const auto& [name, inode] : json.at("segments").items())
            process.segments.push_back({name, exact_integer<std::uint64_t>(inode, name)});
    }
    return process;
}

std::optional<OwnerState> state_from(const std::string& text) {
    for (const OwnerState state : kStates) {
        if (text == to_string(state)) return state;
    }
    return std::nullopt;
}

OwnerRecord record_from(const Json& body) {
    OwnerRecord record;
    record.run_id = body.at("run_id");
    record.verb = body.at("verb");
    record.target = body.at("target");
    record.process = process_from(body.at("process"));
    exact(body, "disk", record.disk);
    exact(body, "disks", record.disks);
    record.manifest_host = body.at("manifest_host");
    record.patterns = body.at("patterns").get<std::vector<std::string>>();
    record.reads = body.at("reads").get<std::vector<std::string>>();
    exact(body, "beat_ms", record.beat_ms);
    return record;
}

}  // namespace

bool matches_pattern(const std::string& name, const std::string& pattern) {
    std::size_t at = 0;
    for (const char c : pattern) {
        if (c != '#') {
            if (at == name.size() || name[at] != c) return false;
            ++at;
            continue;
        }
        if (at == name.size() || !is_digit(name[at])) return false;
        while (at < name.size() && is_digit(name[at])) ++at;
    }
    return at == name.size();
}

bool is_run_id(const std::string& text) {
    return text.size() == kRunIdDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::optional<RunDirectoryName> parse_run_directory(const std::string& name) {
    using Kind = RunDirectoryKind;
    for (const Kind kind : {Kind::partial, Kind::replaced, Kind::removed}) {
        const std::string prefix = run_directory_name(kind, "");
        const std::size_t end = prefix.size() + kRunIdDigits;
        if (name.rfind(prefix, 0) != 0 || name.size() < end || !is_run_id(name.substr(prefix.size(), kRunIdDigits)))
            continue;
        if (name.size() == end || (kind == Kind::removed && matches_pattern(name.substr(end), "-#")))
            return RunDirectoryName{kind, name.substr(prefix.size(), kRunIdDigits)};
    }
    const std::string prefix = "sluice-";
    if (name.rfind(prefix, 0) != 0 || name.size() < prefix.size() + kRunIdDigits) return std::nullopt;
    const std::string run_id = name.substr(prefix.size(), kRunIdDigits);
    if (!is_run_id(run_id)) return std::nullopt;
    const std::string what = name.substr(prefix.size() + kRunIdDigits);
    for (const char* known : {"-logs", "-copy-r#-log", "-copy-r#-out"}) {
        if (matches_pattern(what, known)) return RunDirectoryName{Kind::scratch, run_id};
    }
    return std::nullopt;
}

std::string run_directory_name(RunDirectoryKind kind, const std::string& run_id, const std::string& what) {
    switch (kind) {
        case RunDirectoryKind::partial:
            return ".partial-" + run_id;
        case RunDirectoryKind::replaced:
            return ".replaced-" + run_id;
        case RunDirectoryKind::removed:
            return ".removed-" + run_id + (what.empty() || what == "0" ? "" : "-" + what);
        case RunDirectoryKind::scratch:
            return "sluice-" + run_id + "-" + what;
    }
    return "";
}

const char* to_string(OwnerState state) {
    switch (state) {
        case OwnerState::claiming:
            return "claiming";
        case OwnerState::writing:
            return "writing";
        case OwnerState::publishing:
            return "publishing";
        case OwnerState::published:
            return "published";
        case OwnerState::removing:
            return "removing";
    }
    return "";
}

bool OwnerRecord::matches(const std::string& file_name) const {
    const auto fits = [&](const std::string& pattern) { return matches_pattern(file_name, pattern); };
    return fits(kOwnerName) || fits(std::string(kOwnerName) + ".tmp-#") ||
           std::any_of(patterns.begin(), patterns.end(), fits);
}

OwnerPatch owner_state_patch(OwnerState state) {
    std::string text = to_string(state);
    text.resize(kStateChars, ' ');
    return {kPatchOffset + kBeforeState.size(), text};
}

OwnerPatch owner_counter_patch(std::uint64_t counter) {
    char text[24];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(counter));
    return {kPatchOffset + kBeforeState.size() + kStateChars + kBeforeCounter.size(), text};
}

std::string to_block(const OwnerRecord& record) {
    const Json body = {{"run_id", record.run_id},
                       {"verb", record.verb},
                       {"target", record.target},
                       {"process", process_json(record.process)},
                       {"disk", record.disk},
                       {"disks", record.disks},
                       {"manifest_host", record.manifest_host},
                       {"patterns", record.patterns},
                       {"reads", record.reads},
                       {"beat_ms", record.beat_ms}};
    const std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    // Blanks between the values of a JSON document mean nothing: they keep the places.
    std::string block = kOwnerBegins + std::to_string(kVersion) + ",\n\"owner\":" + text +
                        ",\n\"crc32c\":" + std::to_string(crc_of(text)) + ",\n";
    if (block.size() > kPatchOffset && !record.process.segments.empty()) {  // so many ranks on one host
        OwnerRecord shorter = record;
        shorter.process.segments.resize(record.process.segments.size() / 2);
        return to_block(shorter);
    }
    SLUICE_CHECK(block.size() <= kPatchOffset);
    block.resize(kPatchOffset, ' ');
    block += kBeforeState;
    block += owner_state_patch(record.state).bytes;
    block += kBeforeCounter;
    block += owner_counter_patch(record.counter).bytes;
    block += "\"}";
    block.resize(kOwnerBytes, ' ');
    block.back() = '\n';
    return block;
}

std::optional<OwnerRecord> parse_owner(const std::string& block) {
    if (block.size() != kOwnerBytes) return std::nullopt;
    try {
        const Json document = parse_bounded_json(block);
        const Json& body = document.at("owner");
        if (document.at("sluice_owner") != kVersion ||
            document.at("crc32c") != crc_of(body.dump(-1, ' ', false, Json::error_handler_t::replace)))
            return std::nullopt;
        OwnerRecord record = record_from(body);
        std::string state = document.at("state");
        state.erase(state.find_last_not_of(' ') + 1);
        const auto known = state_from(state);
        for (const std::string& text : {record.verb, record.target, record.process.host, record.manifest_host}) {
            if (!is_plain(text)) return std::nullopt;
        }
        if (!known || !is_run_id(record.run_id) || record.disk >= record.disks) return std::nullopt;
        // It is looked up on the disk, and may become the name of what lies there.
        if (!record.target.empty() && !is_bare_name(record.target)) return std::nullopt;
        record.state = *known;
        const std::string counter = document.at("counter");
        if (counter.size() != 16 || counter.find_first_not_of("0123456789abcdef") != std::string::npos)
            return std::nullopt;
        record.counter = std::stoull(counter, nullptr, 16);
        return record;
    } catch (const std::exception&) {  // of nlohmann or of a number: all the same, it is no record
        return std::nullopt;
    }
}

std::optional<OwnerRecord> read_owner(Directory& directory) {
    const auto entry = directory.look(kOwnerName);
    if (!entry || entry->kind != EntryInfo::Kind::file || entry->size_bytes != kOwnerBytes) return std::nullopt;
    try {
        return parse_owner(directory.read_text(kOwnerName, kOwnerBytes));
    } catch (const Error& error) {
        if (error.code() == Errc::input) return std::nullopt;  // gone, or not ours to read
        throw;
    }
}

namespace {

/// Its process number means a process of this kernel and namespace.
bool can_be_asked(const ProcessIdentity& owner, const ProcessIdentity& self) {
    return !owner.boot.empty() && owner.boot == self.boot && owner.pid_namespace != 0 &&
           owner.pid_namespace == self.pid_namespace && owner.start_ticks != 0;
}

}  // namespace

bool is_seen_alive(const OwnerRecord& record, const ProcessTable& here) {
    return can_be_asked(record.process, here.self()) && here.lives(record.process.pid, record.process.start_ticks);
}

Life judge_life(const OwnerRecord& record, bool lock_taken, const ProcessTable& here) {
    const ProcessIdentity self = here.self();
    const ProcessIdentity& owner = record.process;
    const std::string pid = "pid " + std::to_string(owner.pid);
    if (!lock_taken) return {false, pid + " on host " + owner.host + " holds its lock"};
    const bool same_boot = !owner.boot.empty() && owner.boot == self.boot;
    const bool same_machine = !owner.machine.empty() && owner.machine == self.machine && owner.host == self.host;
    if (can_be_asked(owner, self)) {
        if (here.lives(owner.pid, owner.start_ticks)) return {false, pid + " of this host is alive"};
        return {true, pid + " of this host is gone"};
    }
    if (!same_boot && same_machine && !owner.boot.empty() && !self.boot.empty())
        return {true, "this host was started anew since"};
    return {false, pid + " on host " + owner.host + " cannot be asked from here"};
}

std::string describe_owner(const OwnerRecord& record) {
    return "run " + record.run_id + " (sluice " + record.verb + ", pid " + std::to_string(record.process.pid) +
           " on host " + record.process.host + ")";
}

}  // namespace sluice
