#pragma once
/// What each verb does, from a ready Application.

#include "cli/application.hpp"

namespace sluice {

int run_verb(Application& application);
/// Verbs that need neither ranks nor disks: help, version, sysinfo, config list. -1: it is none of those.
int run_simple_verb(const CommandLine& line);

}  // namespace sluice
