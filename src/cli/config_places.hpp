#pragma once
/// Names and places that a config may not choose.

#include <cstdint>
#include <string>

#include "runtime/config.hpp"

namespace sluice {

/// What is found under the name of a run's own directory is taken for what a run left, and removed when the run is
/// dead. Throws Error(config).
void refuse_names_of_runs(const Config& config);

/// A report in a data set's directory would make it one that nobody may remove, or keep a set from being made there.
/// Throws Error(config).
void refuse_results_in_a_set(const Config& config, const std::string& host, std::uint32_t rank);

/// Throws Error(config) where a relative name means nothing, since the directory that it starts from is gone.
std::string absolute_results_dir(const std::string& directory);

}  // namespace sluice
