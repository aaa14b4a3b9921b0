#pragma once
/// `sluice sort` and the bare copy that is its limit.

#include "cli/application.hpp"

namespace sluice {

int sort_command(Application& app);
int bench_copy_command(Application& app);

}  // namespace sluice
