#pragma once
/// The one config file of a cluster (docs/config.md): values, where each came from, and how they are read.
/// Each of the first structs is the table of its name in that file; docs/config.md has what its values mean and their
/// ranges.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/choices.hpp"

namespace sluice {

/// One [[disks]] table: a directory on a device, and what it is for.
struct DiskConfig {
    std::string path;  ///< absolute; {host} and {rank} expand
    DiskRole role = DiskRole::input;
    DiskScope scope = DiskScope::host;  ///< shared: one file system for all hosts
    bool operator==(const DiskConfig&) const = default;
};

/// [memory]
struct MemoryConfig {
    std::uint64_t budget_bytes = 0;  ///< per host, shared by its ranks; 0: 80 % of what is left
    HugePages huge_pages = HugePages::automatic;
};
/// [record]
struct RecordConfig {
    std::uint64_t size_bytes = 100, key_offset_bytes = 0, key_size_bytes = 10;
};
/// [keys]
struct KeysConfig {
    SplitterSource distribution = SplitterSource::sample;
    std::uint32_t samples = 0;
};
/// [partitions]
struct PartitionsConfig {
    std::uint64_t size_bytes = 0;
    std::uint32_t count = 0;
};
/// [input]
struct InputConfig {
    std::vector<std::string> paths;
    std::string name = "input";
};
/// [output]
struct OutputConfig {
    std::string name = "sorted";
};
/// [io]
struct IoConfig {
    IoBackendKind backend = IoBackendKind::libaio;
    DirectIo direct = DirectIo::on;
    std::uint64_t read_size_bytes = 0, write_size_bytes = 0, chunk_size_bytes = 0, extent_size_bytes = 0;
    std::uint32_t depth = 0, workers = 0;
    bool fsync = true, preallocate = true;
};
/// [net]
struct NetConfig {
    TransportKind transport = TransportKind::automatic;
    Polling poll = Polling::adaptive;
    std::uint64_t buffer_size_bytes = 0;
    std::uint32_t send_buffers = 0, receive_buffers = 0;
};
/// [stages.NAME]
struct WorkersConfig {
    std::uint32_t workers = 0;
};
/// [stages]
struct StagesConfig {
    WorkersConfig reader, distributor, logical_disk_distributor, sorter;
};
/// [placement]
struct PlacementConfig {
    PlacementPolicy policy = PlacementPolicy::automatic;
    std::string cores;
};
/// [run]
struct RunConfig {
    bool verify = true, allow_duplicate_input = false;
    Overwrite overwrite = Overwrite::no;
    Locks locks = Locks::flock;
    LimitKind limit = LimitKind::none;
    ProgressMode progress = ProgressMode::automatic;
    std::uint64_t seed = 42;
    std::uint64_t watchdog_ns = 60'000'000'000;
};
/// [results]
struct ResultsConfig {
    std::string dir = "sluice-results";
};

/// All values of one host. 0 and "" mean: planned. Plain data; copy freely.
struct Config {
    std::vector<DiskConfig> disks;
    MemoryConfig memory;
    RecordConfig record;
    KeysConfig keys;
    PartitionsConfig partitions;
    InputConfig input;
    OutputConfig output;
    IoConfig io;
    NetConfig net;
    StagesConfig stages;
    PlacementConfig placement;
    RunConfig run;
    ResultsConfig results;
    Passes passes = Passes::two;
    double weight = 1.0;  ///< share of this host's ranks in the output, relative to other hosts

    std::vector<DiskConfig> disks_of(DiskRole role) const;
};

/// Everything a config is made from. Only rank 0 reads files and environment; the others get this, serialized.
struct ConfigSources {
    std::string file_name, file_text;                ///< file_text empty: no file
    std::vector<std::string> sets;                   ///< "a.b=c", later ones win
    std::map<std::string, std::string> environment;  ///< variables that start with SLUICE_

    std::string serialize() const;
    static ConfigSources deserialize(const std::string& text);
};

/// A checked config: command line over environment over file over default, and [hosts."name"] over all but the former
/// two.
class LoadedConfig {
public:
    /// Throws Error(config) listing every problem, one per line, as "file:line:column: key: what is wrong; what to do".
    explicit LoadedConfig(ConfigSources sources);
    /// The values for one host.
    Config for_host(const std::string& host) const;
    /// Where the value of `key` on `host` came from: "default", "rack.toml:14:9", "--set", "environment
    /// SLUICE_IO_DEPTH".
    std::string origin_of(const std::string& key, const std::string& host = "") const;
    /// The whole effective config as TOML that loads to the same values.
    std::string effective_toml(const std::string& host) const;
    /// Of the effective values of all hosts named in the file: equal on ranks that agree.
    std::uint64_t hash() const;
    const ConfigSources& sources() const noexcept { return sources_; }
    std::vector<std::string> host_names() const;
    /// What is no mistake, but worth a line on stderr.
    const std::vector<std::string>& warnings() const noexcept { return warnings_; }

private:
    friend class ConfigReader;
    struct Value {
        std::string text, origin;
    };
    /// The one that counts on `host`; nullptr: the default.
    const Value* value_of(const std::string& key, const std::string& host) const;

    ConfigSources sources_;
    std::map<std::string, Value> values_;                              // by key, as given
    std::map<std::string, std::map<std::string, Value>> host_values_;  // by host, by key
    std::vector<DiskConfig> disks_;
    std::vector<std::string> input_paths_, warnings_;
    std::string disks_origin_ = "default", input_paths_origin_ = "default";
};

/// {host} and {rank} of a configured path.
std::string expand_path(const std::string& path, const std::string& host, std::uint32_t rank);

}  // namespace sluice
