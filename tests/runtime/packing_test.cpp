#include "runtime/packing.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice {
namespace {

struct Inner {
    std::string name;
    std::vector<std::uint16_t> numbers;
    static constexpr auto fields = std::tuple{&Inner::name, &Inner::numbers};
    bool operator==(const Inner&) const = default;
};
struct Outer {
    std::uint64_t big = 0;
    bool flag = false;
    std::vector<Inner> inner;
    std::string text;
    static constexpr auto fields = std::tuple{&Outer::big, &Outer::flag, &Outer::inner, &Outer::text};
    bool operator==(const Outer&) const = default;
};

const Outer kExample{~std::uint64_t{0}, true, {{"a", {1, 2, 3}}, {"", {}}}, std::string("nul\0byte", 8)};

TEST(Packing, ReadsBackWhatWasPacked) {
    EXPECT_EQ(unpack<Outer>(pack(kExample)), kExample);
    EXPECT_EQ(unpack<std::vector<Outer>>(pack(std::vector<Outer>(3, kExample))), std::vector<Outer>(3, kExample));
    EXPECT_EQ(unpack<std::uint32_t>(pack(std::uint32_t{7})), 7u);
    EXPECT_EQ(unpack<std::vector<std::string>>(pack(std::vector<std::string>{"x", ""})),
              (std::vector<std::string>{"x", ""}));
}

TEST(Packing, TextsOfAnotherLengthAreRefused) {
    const std::string text = pack(kExample);
    for (std::size_t length = 0; length < text.size(); ++length)
        EXPECT_THROW(unpack<Outer>(text.substr(0, length)), Error) << length;
    EXPECT_THROW(unpack<Outer>(text + "x"), Error);
}

TEST(Packing, CountsBeyondTheTextAllocateNothing) {
    EXPECT_THROW(unpack<std::vector<std::string>>(pack(~std::uint64_t{0})), Error);
    EXPECT_THROW(unpack<std::vector<std::uint64_t>>(pack(~std::uint64_t{0} / 8)), Error);
    EXPECT_THROW(unpack<std::string>(pack(~std::uint64_t{0})), Error);
}

}  // namespace
}  // namespace sluice
