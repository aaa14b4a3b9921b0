#pragma once
/// Errors that carry their context: a code that is also the exit code, the object, and what to do.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace sluice {

/// What kind of failure; the value is the exit code of the program (0 is success; the full list is in
/// docs/exit-codes.md).
enum class Errc : std::uint8_t {
    internal = 1,     ///< a bug or a failed check
    config = 2,       ///< usage or configuration
    environment = 3,  ///< this machine cannot run the plan
    input = 4,        ///< the input data is not what it should be
    device = 5,       ///< a disk returned an error
    integrity = 6,    ///< records lost, duplicated, changed or out of order
    peer = 7,         ///< another rank is lost or hangs
    interrupted = 8,  ///< a signal ended the run
    space = 9,        ///< a disk is full or cannot hold its share
    busy = 10,        ///< somebody else uses these files
    resume = 11,      ///< the earlier run does not fit this one
    regression = 12,  ///< compare found a slower run
};

/// Short lower-case name of the code, as in the error line ("config", "device", ...).
std::string_view to_string(Errc code) noexcept;

/// The one exception type of the program. Text reads "what failed 'object': why; what to do".
class Error : public std::runtime_error {
public:
    /// @param message  "what failed 'object': why; what to do", without rank, host and code, which the reporter adds
    Error(Errc code, std::string message) : std::runtime_error(std::move(message)), code_(code) {}
    /// `err` is a positive errno; ENOSPC, EDQUOT and EFBIG become Errc::space, EMFILE and ENFILE Errc::environment, all
    /// else Errc::device unless `code` says otherwise. The text has its name, its number and what to do.
    static Error from_errno(int err, std::string_view call, std::string_view object, Errc code = Errc::device);
    /// The same error with `context` put in front of its text.
    Error with(std::string_view context) const { return {code_, std::string(context) + ": " + what()}; }
    Errc code() const noexcept { return code_; }
    int exit_code() const noexcept { return static_cast<int>(code_); }

private:
    Errc code_;
};

/// Descriptors or memory have run out: says nothing about the object that was asked for.
class ExhaustedError : public Error {
public:
    using Error::Error;
};

/// A file that is read into memory is larger than its kind can be.
class TooLargeError : public Error {
public:
    using Error::Error;
};

/// What a rank ends with because another one failed, which says so itself.
class AbortedError : public Error {
public:
    /// @param rank  who failed. @param code  with which it ends, and this rank too. @param message  its own
    AbortedError(std::uint32_t rank, Errc code, const std::string& message)
        : Error(code, "aborted because of rank " + std::to_string(rank) + ": " + message) {}
};

/// A failure that every rank of the job finds at the same time, with the same text: rank 0 speaks for all.
class CollectiveError : public Error {
public:
    using Error::Error;
};

/// The same, before anything was written: the run leaves no trace but its words.
class RefusedError : public CollectiveError {
public:
    using CollectiveError::CollectiveError;
};

/// Something wrong, of several that are found, gathered from all ranks and said together.
struct Problem {
    Errc code = Errc::internal;
    std::string text;  ///< "what 'object': why; what to do"; "": there is none
    bool empty() const noexcept { return text.empty(); }
    static constexpr auto fields = std::tuple{&Problem::code, &Problem::text};
};
using Problems = std::vector<Problem>;

inline Problem problem_of(const Error& error) { return {error.code(), error.what()}; }

/// Throws Error(internal) naming the expression and the place.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace sluice

/// A check that stays in release builds: cheap conditions whose failure means a bug of ours.
#define SLUICE_CHECK(condition) \
    ((condition) ? static_cast<void>(0) : ::sluice::check_failed(#condition, __FILE__, __LINE__))
