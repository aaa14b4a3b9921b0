#pragma once
/// `sluice config list | show | check`.

#include <iosfwd>
#include <string>

#include "cli/command_line.hpp"
#include "plan/plan.hpp"
#include "runtime/config.hpp"
#include "runtime/placement.hpp"

namespace sluice {

/// All options: key, type, range, default, what it is. With `markdown` as docs/config.md.
void print_option_list(std::ostream& out, bool markdown);
/// Every effective value of `host` and where it came from.
void print_config_origins(std::ostream& out, const LoadedConfig& loaded, const std::string& host);
/// One line a stage of this rank: its threads and the cores that they run on.
std::string threads_and_cores(const Placement& placement, const RankPlan& plan);
/// The plan for a described cluster (--hosts, --cores, --memory, --input), without touching it.
void print_described_plan(std::ostream& out, const CommandLine& line, const LoadedConfig& loaded);

}  // namespace sluice
