#pragma once
/// MPI return codes as errors. Internal to the net layer.

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "runtime/error.hpp"

namespace sluice {

inline constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 30;  ///< MPI-3 counts are int

/// For counts, ranks and lengths given to MPI, whose numbers are int: what does not fit ends the run, never wraps.
inline int mpi_int(std::uint64_t value) {
    SLUICE_CHECK(value <= static_cast<std::uint64_t>(std::numeric_limits<int>::max()));
    return static_cast<int>(value);
}

inline std::string mpi_text(int rc) {
    char text[MPI_MAX_ERROR_STRING] = {};
    int length = 0;
    MPI_Error_string(rc, text, &length);
    return {text, static_cast<std::size_t>(length)};
}

inline void check_mpi(int rc, const char* call) {
    if (rc == MPI_SUCCESS) return;
    throw Error(Errc::peer, std::string(call) + ": " + mpi_text(rc) + "; a rank or its network is gone");
}

}  // namespace sluice
