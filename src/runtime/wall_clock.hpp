#pragma once
/// The time of day, for people and records: nothing is decided or measured by it.

#include <string>

namespace sluice {

/// "2026-11-24T23:10:00Z".
std::string utc_now();

}  // namespace sluice
