#pragma once
/// `sluice bench net`: the network's speed of light.

#include "cli/application.hpp"

namespace sluice {

/// Prints one table and writes a results folder; 6 (integrity) when a payload arrived changed.
int bench_net_command(Application& app);

}  // namespace sluice
