#pragma once
/// Root may read anything, so tests of permissions step down for a moment.

#include <unistd.h>

#include <cstdlib>

namespace sluice::testing {

class AsNobody {
public:
    AsNobody() : was_root_(::geteuid() == 0 && ::seteuid(65534) == 0) {}
    ~AsNobody() {
        if (was_root_ && ::seteuid(0) != 0) std::abort();
    }
    AsNobody(const AsNobody&) = delete;
    explicit operator bool() const { return was_root_; }

private:
    bool was_root_;
};

}  // namespace sluice::testing
