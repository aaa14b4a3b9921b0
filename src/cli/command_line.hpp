#pragma once
/// The words of one `sluice` call.

#include <cstdint>
#include <string>
#include <vector>

#include "record/key_distribution.hpp"
#include "record/uint128.hpp"

namespace sluice {

/// What one call asked for. Each verb reads the fields that are its own; options that no verb has are refused.
struct CommandLine {
    std::string verb, subverb;  ///< "sort"; "config" "check"
    std::string config_path;    ///< empty: none given
    std::string run_id;         ///< clean: the dead run whose files go, or "all"
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
};

/// Throws Error(config) with a usage hint for anything it does not know.
CommandLine parse_command_line(int argc, char** argv);
/// Help of the program, or of one verb, each verb with two examples.
std::string help_text(const std::string& verb);

}  // namespace sluice
