#pragma once
/// The table of a phase's stages, for people.

#include <cstdint>
#include <string>
#include <vector>

#include "stages/stage_report.hpp"

namespace sluice {

/// One line a stage: what went through, how busy its workers were and what they waited for; `>` marks the one that
/// waited least for others.
/// @param bytes  that the phase moved in all, for the rate in the title line.
std::string stage_table(const char* title, const std::vector<const PhaseReport*>& ranks, std::uint64_t bytes);

}  // namespace sluice
