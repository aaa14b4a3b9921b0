#pragma once
/// `sluice clean`.

#include "cli/application.hpp"

namespace sluice {

int clean_command(Application& app);

}  // namespace sluice
