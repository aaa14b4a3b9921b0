#include "build_commit.hpp"  // made by cmake/build_id.cmake
#include "cli/build_id.hpp"

namespace sluice {

// In a file of their own, so that only this one is compiled for each commit, and the text stands in the program once.
const char kBuildText[] = "sluice " SLUICE_VERSION ", commit " SLUICE_COMMIT ", record format 1";
const bool kIsOneCommit = SLUICE_IS_ONE_COMMIT;

}  // namespace sluice
