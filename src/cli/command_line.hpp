#pragma once
/// The words of one `sluice` call.

#include <cstdint>
#include <string>
#include <vector>

#include "record/key_distribution.hpp"
#include "record/uint128.hpp"

namespace sluice {

/// What a call asks for: a verb, and its second word where it takes one.
enum class Command : std::uint8_t {
    none,  ///< help or version
    gen,
    sort,
    validate,
    shuffle,
    bench_copy,
    bench_net,
    config_list,
    config_check,
    config_show,
    clean,
    sysinfo,
};
/// A job on disks or the network, which leaves word of how far it came.
bool has_status(Command command) noexcept;

/// What one call asked for. Each verb reads the fields that are its own; options that no verb has are refused.
struct CommandLine {
    Command command = Command::none;
    std::string verb;         ///< for people: "sort", "config"
    std::string config_path;  ///< empty: none given
    std::string run_id;       ///< clean: the dead run whose files go, or "all"
    bool yes = false, dry_run = false, force = false, with_input = false;  ///< clean
    std::vector<std::string> sets;
    std::uint64_t records = 0;
    double seconds = 0;            ///< shuffle: by the clock instead of --records
    std::string pattern;           ///< shuffle: who sends to whom; empty: all-to-all
    std::uint32_t stride = 1;      ///< shuffle: of pattern stride
    std::string sizes, transport;  ///< bench net: lists; empty: all
    std::uint64_t iterations = 0;  ///< bench net: instead of seconds
    bool limit = false;            ///< shuffle: measure its steps alone too
    Uint128 start = 0;
    KeyDistribution keys;  ///< gen: --keys, or --skewed
    bool ascii = false, markdown = false, two_pass_copy = false, one_pass_copy = false, help = false, version = false;
    std::uint64_t input_bytes = 0;  ///< config check: plan for so much input instead of the one on the disks
    unsigned ranks_per_host = 0, hosts = 0, cores = 0;  ///< config check: a described cluster
    std::uint64_t memory_bytes = 0;

    /// config check: of a cluster that is described, not of the hosts it runs on.
    bool is_described() const noexcept { return command == Command::config_check && (input_bytes != 0 || hosts != 0); }
};

/// Throws Error(config) with a usage hint for anything it does not know.
CommandLine parse_command_line(int argc, char** argv);
/// Help of the program, or of one verb, each verb with two examples.
std::string help_text(const std::string& verb);

}  // namespace sluice
