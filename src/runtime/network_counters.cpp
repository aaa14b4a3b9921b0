#include "runtime/network_counters.hpp"

#include <fstream>
#include <sstream>

namespace sluice {

NetworkBytes read_network_bytes(const std::string& root) {
    // "  eth0: RX-bytes packets errs drop fifo frame compressed multicast TX-bytes ...", below two lines of headings.
    std::ifstream file(root + "/proc/self/net/dev");
    NetworkBytes total;
    std::string line;
    while (std::getline(file, line)) {
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos) continue;
        const std::size_t begin = line.find_first_not_of(' ');
        if (line.compare(begin, colon - begin, "lo") == 0) continue;
        std::istringstream numbers(line.substr(colon + 1));
        std::uint64_t received = 0, other = 0, sent = 0;
        numbers >> received;
        for (int column = 0; column < 7; ++column) numbers >> other;
        numbers >> sent;
        if (!numbers) continue;
        total.received += received;
        total.sent += sent;
        total.known = true;
    }
    return total;
}

}  // namespace sluice
