#pragma once
/// [hosts."name"] sections of the config that no host of this run has.

#include <string>
#include <vector>

namespace sluice {

/// One line for each name in `sections` that is none of `hosts`, with the host that was probably meant; those that
/// resemble none share a line. Empty: all are there.
/// @param hosts  by rank, in any order, each any number of times
std::vector<std::string> unmatched_host_sections(const std::vector<std::string>& sections,
                                                 const std::vector<std::string>& hosts);

}  // namespace sluice
