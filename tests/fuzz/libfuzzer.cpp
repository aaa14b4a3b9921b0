// What libFuzzer calls.
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    sluice::fuzz_one({reinterpret_cast<const char*>(data), size});
    return 0;
}
