#include "runtime/option_table.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

#include "runtime/printable.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr Word<ValueKind> kKinds[] = {{"size", ValueKind::size},       {"duration", ValueKind::duration},
                                      {"integer", ValueKind::integer}, {"number", ValueKind::number},
                                      {"boolean", ValueKind::boolean}, {"text", ValueKind::text},
                                      {"choice", ValueKind::choice}};

template <typename Get>
Option size_option(std::string key, std::uint64_t least, std::uint64_t most, std::string help, Get get,
                   bool zero_is_planned = true) {
    Option option{key, ValueKind::size, format_bytes(least) + " .. " + format_bytes(most), "", std::move(help), {}, {}};
    option.store = [=](Config& config, std::string_view text) -> std::optional<std::string> {
        const auto bytes = parse_bytes(text);
        if (!bytes)
            return "\"" + std::string(text) +
                   "\" is no size; write a number with a unit, such as \"4MiB\" (2^22) or \"4MB\" (4000000)";
        if (zero_is_planned && *bytes == 0) {
            get(config) = 0;
            return std::nullopt;
        }
        if (*bytes < least || *bytes > most)
            return format_bytes(*bytes) + " is outside " + format_bytes(least) + " .. " + format_bytes(most);
        get(config) = *bytes;
        return std::nullopt;
    };
    option.print = [=](const Config& config) { return format_bytes(get(const_cast<Config&>(config))); };
    return option;
}

/// Nanoseconds in the config. 0 means: without a limit.
template <typename Get>
Option duration_option(std::string key, std::uint64_t least_ns, std::uint64_t most_ns, std::string help, Get get) {
    Option option{
        key, ValueKind::duration, "0s, " + format_duration_ns(least_ns) + " .. " + format_duration_ns(most_ns),
        "",  std::move(help),     {},
        {}};
    option.store = [=](Config& config, std::string_view text) -> std::optional<std::string> {
        const auto ns = parse_duration_ns(text);
        if (!ns)
            return "\"" + std::string(text) +
                   "\" is no duration; write a number with a unit, such as \"500ms\", \"60s\" or \"5min\"";
        if (*ns != 0 && (*ns < least_ns || *ns > most_ns))
            return format_duration_ns(*ns) + " is outside " + format_duration_ns(least_ns) + " .. " +
                   format_duration_ns(most_ns) + "; 0s is without a limit";
        get(config) = *ns;
        return std::nullopt;
    };
    option.print = [=](const Config& config) {
        const std::uint64_t ns = get(const_cast<Config&>(config));
        return ns == 0 ? std::string("0s") : format_duration_ns(ns);
    };
    return option;
}

template <typename Get>
Option integer_option(std::string key, std::uint64_t least, std::uint64_t most, std::string help, Get get) {
    Option option{
        key, ValueKind::integer, std::to_string(least) + " .. " + std::to_string(most), "", std::move(help), {}, {}};
    option.store = [=](Config& config, std::string_view text) -> std::optional<std::string> {
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (text.empty() || error != std::errc{} || end != text.data() + text.size())
            return "\"" + std::string(text) + "\" is no whole number";
        if (value < least || value > most)
            return std::string(text) + " is outside " + std::to_string(least) + " .. " + std::to_string(most);
        get(config) = static_cast<std::remove_reference_t<decltype(get(config))>>(value);
        return std::nullopt;
    };
    option.print = [=](const Config& config) { return std::to_string(get(const_cast<Config&>(config))); };
    return option;
}

template <typename Get>
Option boolean_option(std::string key, std::string help, Get get) {
    Option option{std::move(key), ValueKind::boolean, "", "", std::move(help), {}, {}};
    option.store = [=](Config& config, std::string_view text) -> std::optional<std::string> {
        if (text != "true" && text != "false") return "\"" + std::string(text) + "\" is neither true nor false";
        get(config) = text == "true";
        return std::nullopt;
    };
    option.print = [=](const Config& config) {
        return std::string(get(const_cast<Config&>(config)) ? "true" : "false");
    };
    return option;
}

template <typename Get>
Option choice_option(std::string key, std::string help, Get get) {
    using Enum = std::remove_reference_t<decltype(get(std::declval<Config&>()))>;
    const std::string joined = joined_words<Enum>();
    const std::vector<std::string> names = word_list<Enum>();
    Option option{std::move(key), ValueKind::choice, "", "", std::move(help), {}, {}, names};
    option.store = [=](Config& config, std::string_view text) -> std::optional<std::string> {
        if (const auto value = parse_word<Enum>(text)) {
            get(config) = *value;
            return std::nullopt;
        }
        const auto near = nearest(text, names);
        return "\"" + std::string(text) + "\" is none of " + joined + (near ? "; did you mean \"" + *near + "\"?" : "");
    };
    option.print = [=](const Config& config) { return word_of(get(const_cast<Config&>(config))); };
    return option;
}

bool is_plain_name(std::string_view text) {
    return !text.empty() && text.size() <= 100 && text != "." && text != ".." &&
           text.find('/') == std::string_view::npos && printable(std::string(text)) == text;
}

template <typename Get>
Option name_option(std::string key, std::string help, Get get) {
    Option option{std::move(key), ValueKind::text, "a file name without /", "", std::move(help), {}, {}};
    option.store = [=](Config& config, std::string_view text) -> std::optional<std::string> {
        if (!is_plain_name(text) || text.front() == '.')
            return "\"" + std::string(text) + "\" is no plain directory name";
        get(config) = std::string(text);
        return std::nullopt;
    };
    option.print = [=](const Config& config) { return get(const_cast<Config&>(config)); };
    return option;
}

template <typename Get>
Option text_option(std::string key, std::string help, Get get) {
    Option option{std::move(key), ValueKind::text, "", "", std::move(help), {}, {}};
    option.store = [=](Config& config, std::string_view text) -> std::optional<std::string> {
        if (text.size() > 4000 || std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; })) {
            return "the text is too long or has control characters";
        }
        get(config) = std::string(text);
        return std::nullopt;
    };
    option.print = [=](const Config& config) { return get(const_cast<Config&>(config)); };
    return option;
}

Option weight_option() {
    Option option{"weight",
                  ValueKind::number,
                  "0.01 .. 100",
                  "",
                  "share of a host's ranks in the sorted data, relative to other hosts; for [hosts.\"name\"]",
                  {},
                  {}};
    option.store = [](Config& config, std::string_view text) -> std::optional<std::string> {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (text.empty() || error != std::errc{} || end != text.data() + text.size() ||
            !(value >= 0.01 && value <= 100)) {
            return "\"" + std::string(text) + "\" is no number in 0.01 .. 100";
        }
        config.weight = value;
        return std::nullopt;
    };
    option.print = [](const Config& config) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", config.weight);
        return std::string(text);
    };
    return option;
}

#define SLUICE_FIELD(path) \
    [](Config & c) -> auto& { return c.path; }

void add_memory_and_data(std::vector<Option>& t) {
    t.push_back(size_option(
        "memory.budget", 1 * kMiB, kGiB << 20,
        "memory for buffers per host, shared by its ranks; 0B: 80 % of what the host or its cgroup has left",
        SLUICE_FIELD(memory.budget_bytes)));
    t.push_back(choice_option("memory.huge_pages", "2 MiB pages for buffers: auto asks, on demands, off refuses",
                              SLUICE_FIELD(memory.huge_pages)));
    t.push_back(size_option("record.size", 8, kMiB, "bytes of one record", SLUICE_FIELD(record.size_bytes), false));
    t.push_back(size_option("record.key_offset", 0, kMiB, "where the key begins in the record",
                            SLUICE_FIELD(record.key_offset_bytes), false));
    t.push_back(size_option("record.key_size", 1, kMiB, "bytes of the key, compared as unsigned",
                            SLUICE_FIELD(record.key_size_bytes), false));
    t.push_back(
        choice_option("keys.distribution",
                      "sample: partitions follow the keys that phase zero finds; uniform: promised to be evenly "
                      "spread, nothing is sampled",
                      SLUICE_FIELD(keys.distribution)));
    t.push_back(integer_option("keys.samples", 0, 1'000'000,
                               "records that phase zero samples for each partition; 0: planned, 200 or more",
                               SLUICE_FIELD(keys.samples)));
    t.push_back(size_option("partitions.size", 4 * kKiB, kGiB << 10, "mean bytes of a partition; 0B: planned",
                            SLUICE_FIELD(partitions.size_bytes)));
    t.push_back(integer_option("partitions.count", 0, 1 << 23, "partitions over all ranks; 0: planned",
                               SLUICE_FIELD(partitions.count)));
    t.push_back(choice_option("passes",
                              "reads and writes of each record: two; one, when the data fits in the memory of all "
                              "ranks; auto: one where it fits",
                              SLUICE_FIELD(passes)));
    t.push_back(
        name_option("input.name", "directory of the input data set on each input disk", SLUICE_FIELD(input.name)));
    t.push_back(
        name_option("output.name", "directory of the sorted data set on each output disk", SLUICE_FIELD(output.name)));
}

void add_io(std::vector<Option>& t) {
    t.push_back(choice_option("io.backend", "how files are read and written", SLUICE_FIELD(io.backend)));
    t.push_back(choice_option("io.direct", "by-pass the page cache: on refuses file systems that cannot",
                              SLUICE_FIELD(io.direct)));
    t.push_back(size_option("io.read_size", 4 * kKiB, 64 * kMiB, "one read request; 0B: planned, about 4 MB",
                            SLUICE_FIELD(io.read_size_bytes)));
    t.push_back(size_option("io.write_size", 4 * kKiB, 64 * kMiB, "one write of sorted data; 0B: planned, about 4 MB",
                            SLUICE_FIELD(io.write_size_bytes)));
    t.push_back(size_option("io.chunk_size", 4 * kKiB, 64 * kMiB, "buffer of one logical disk; 0B: planned",
                            SLUICE_FIELD(io.chunk_size_bytes)));
    t.push_back(size_option("io.extent_size", 4 * kKiB, 64 * kMiB, "chained write worth issuing at once; 0B: planned",
                            SLUICE_FIELD(io.extent_size_bytes)));
    t.push_back(integer_option("io.depth", 0, 1024, "requests in flight per disk; 0: planned", SLUICE_FIELD(io.depth)));
    t.push_back(integer_option("io.workers", 0, 64,
                               "readers and writers of each disk; 0: planned, one, or one a core where each request is "
                               "a copy by its caller (page cache, tmpfs)",
                               SLUICE_FIELD(io.workers)));
    t.push_back(boolean_option("io.fsync", "sync the output before it counts as sorted", SLUICE_FIELD(io.fsync)));
    t.push_back(boolean_option("io.preallocate", "reserve the blocks of files before writing them",
                               SLUICE_FIELD(io.preallocate)));
}

void add_network_and_workers(std::vector<Option>& t) {
    t.push_back(choice_option(
        "net.transport",
        "how buffers move between ranks, the same on all hosts; auto: rma where all share one and its memory, else p2p",
        SLUICE_FIELD(net.transport)));
    t.push_back(choice_option("net.poll", "what an idle network thread does", SLUICE_FIELD(net.poll)));
    t.push_back(size_option(
        "net.buffer_size", 4 * kKiB, 64 * kMiB,
        "one message between ranks; 0B: planned, about 1 MiB on one host (alltoallv 2 MiB), 60 KiB between hosts",
        SLUICE_FIELD(net.buffer_size_bytes)));
    t.push_back(integer_option("net.send_buffers", 0, 1 << 20, "messages being filled or sent; 0: planned",
                               SLUICE_FIELD(net.send_buffers)));
    t.push_back(integer_option("net.receive_buffers", 0, 1 << 20, "messages arriving or being distributed; 0: planned",
                               SLUICE_FIELD(net.receive_buffers)));
    t.push_back(integer_option("stages.reader.workers", 0, 1024,
                               "phase one readers per rank; 0: io.workers of each disk",
                               SLUICE_FIELD(stages.reader.workers)));
    t.push_back(integer_option("stages.distributor.workers", 0, 1024, "node distributors per rank; 0: planned",
                               SLUICE_FIELD(stages.distributor.workers)));
    t.push_back(integer_option("stages.logical_disk_distributor.workers", 0, 1024,
                               "logical-disk distributors per rank; 0: planned",
                               SLUICE_FIELD(stages.logical_disk_distributor.workers)));
    t.push_back(integer_option("stages.sorter.workers", 0, 1024, "sorters per rank; 0: planned",
                               SLUICE_FIELD(stages.sorter.workers)));
    t.push_back(choice_option("placement.policy", "which cores workers run on", SLUICE_FIELD(placement.policy)));
    t.push_back(text_option("placement.cores", "cores of this host for policy explicit, such as \"0-3,8\"",
                            SLUICE_FIELD(placement.cores)));
}

void add_run(std::vector<Option>& t) {
    t.push_back(boolean_option("run.verify", "check sums and order while sorting; without it the result is UNCHECKED",
                               SLUICE_FIELD(run.verify)));
    t.push_back(choice_option(
        "run.overwrite",
        "what becomes of an earlier data set of that name: false refuses the run, true keeps it until the new one is "
        "durable (space for both), first removes it before the new one is begun; only what its MANIFEST lists",
        SLUICE_FIELD(run.overwrite)));
    t.push_back(choice_option("run.locks",
                              "how live runs are told from dead ones: by locks on their owner records, or, on "
                              "file systems without locks, by a "
                              "counter in them that moves; the same for all runs that meet there",
                              SLUICE_FIELD(run.locks)));
    t.push_back(boolean_option("run.allow_duplicate_input", "accept the same input file twice",
                               SLUICE_FIELD(run.allow_duplicate_input)));
    t.push_back(
        choice_option("run.limit",
                      "speed of light to measure after the sort: copy is the bare copy in as many passes as the "
                      "sort took, two-pass-copy only serves two",
                      SLUICE_FIELD(run.limit)));
    t.push_back(choice_option("run.progress", "live figures on stderr", SLUICE_FIELD(run.progress)));
    t.push_back(duration_option("run.watchdog", 500'000'000, 86'400'000'000'000,
                                "how long a rank may be silent, a disk answer nothing or the whole job stand still "
                                "before it is ended with code 7 or 5; equal on all hosts",
                                SLUICE_FIELD(run.watchdog_ns)));
    t.push_back(integer_option("run.seed", 0, ~std::uint64_t{0}, "of everything random", SLUICE_FIELD(run.seed)));
    t.push_back(text_option("results.dir", "where result folders are made", SLUICE_FIELD(results.dir)));
    t.push_back(weight_option());
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

}  // namespace

std::span<const Word<ValueKind>> words_of(ValueKind) noexcept { return kKinds; }

bool stands_bare(ValueKind kind) noexcept {
    return kind == ValueKind::integer || kind == ValueKind::number || kind == ValueKind::boolean;
}

std::string Option::type() const {
    if (kind != ValueKind::choice) return word_of(kind);
    std::string joined;
    for (const std::string& word : words) joined += (joined.empty() ? "" : "|") + word;
    return joined;
}

const std::vector<Option>& option_table() {
    static const std::vector<Option> table = [] {
        std::vector<Option> made;
        add_memory_and_data(made);
        add_io(made);
        add_network_and_workers(made);
        add_run(made);
        const Config defaults;
        for (Option& option : made) option.fallback = option.print(defaults);
        return made;
    }();
    return table;
}

const Option* find_option(std::string_view key) {
    const auto& table = option_table();
    const auto found = std::find_if(table.begin(), table.end(), [&](const Option& o) { return o.key == key; });
    return found == table.end() ? nullptr : &*found;
}

std::optional<std::string> nearest(std::string_view name, const std::vector<std::string>& known,
                                   std::size_t most_distance) {
    constexpr std::size_t kLongestName = 200;  // the work grows with it, and nobody mistypes so much
    if (name.size() > kLongestName) return std::nullopt;
    std::optional<std::string> best;
    std::size_t best_distance = (most_distance != 0 ? most_distance : std::max<std::size_t>(2, name.size() / 3)) + 1;
    for (const std::string& candidate : known) {
        const std::size_t distance = edit_distance(name, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

}  // namespace sluice
