#pragma once
/// `sluice shuffle`.

#include "cli/application.hpp"

namespace sluice {

/// Shuffles, and on rank 0 prints tables, the results folder and, last, the SHUFFLE line. Collective.
int shuffle_command(Application& app);

}  // namespace sluice
