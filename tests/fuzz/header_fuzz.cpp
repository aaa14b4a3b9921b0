// Any bytes as messages of a peer: admitted in sequence, or refused with Error(integrity).
#include <cstring>

#include "fuzz.hpp"
#include "net/message_ledger.hpp"
#include "runtime/error.hpp"

namespace sluice {

void fuzz_one(std::string_view input) {
    MessageLedger ledger(1, 3, 7);
    try {
        while (!input.empty()) {
            // The first byte says how long the message is.
            const std::size_t wanted = 1 + static_cast<unsigned char>(input.front());
            const std::string_view message = input.substr(1, wanted - 1);
            const auto header = ledger.admit(0, std::as_bytes(std::span(message)));
            fuzz_check(header.run_id == 7 && header.source == 0 && header.destination == 1);
            input.remove_prefix(1 + message.size());
        }
    } catch (const Error& error) {
        fuzz_check(error.code() == Errc::integrity);
    }
}

}  // namespace sluice
