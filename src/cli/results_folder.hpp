#pragma once
/// Where the results of a run go.

#include <string>
#include <utility>
#include <vector>

#include "cli/application.hpp"

namespace sluice {

/// Writes `files` (name, content) to results.dir/KIND-RUNID: under a temporary name first, renamed when complete.
/// Returns the folder's name. One rank.
std::string write_results_folder(Application& app, const std::string& kind, const std::string& run_id,
                                 const std::vector<std::pair<std::string, std::string>>& files);

}  // namespace sluice
