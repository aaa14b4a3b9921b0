#include "runtime/error.hpp"

#include <cerrno>

#include "runtime/errno_text.hpp"

namespace sluice {

std::string_view to_string(Errc code) noexcept {
    switch (code) {
        case Errc::internal:
            return "internal";
        case Errc::config:
            return "config";
        case Errc::environment:
            return "environment";
        case Errc::input:
            return "input";
        case Errc::device:
            return "device";
        case Errc::integrity:
            return "integrity";
        case Errc::peer:
            return "peer";
        case Errc::interrupted:
            return "interrupted";
        case Errc::space:
            return "space";
        case Errc::busy:
            return "busy";
        case Errc::resume:
            return "resume";
        case Errc::regression:
            return "regression";
    }
    return "unknown";
}

Error Error::from_errno(int err, std::string_view call, std::string_view object, Errc code) {
    if (code == Errc::device && (err == ENOSPC || err == EDQUOT || err == EFBIG)) code = Errc::space;
    if (err == EMFILE || err == ENFILE) code = Errc::environment;
    return {code, std::string(call) + " '" + std::string(object) + "': " + errno_text(err) + errno_advice(err)};
}

void check_failed(const char* expression, const char* file, int line) {
    throw Error(Errc::internal, std::string("check failed: ") + expression + " at " + file + ":" +
                                    std::to_string(line) + "; this is a bug of sluice, please report it with the log");
}

}  // namespace sluice
