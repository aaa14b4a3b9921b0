#include "runtime/printable.hpp"

#include <gtest/gtest.h>

namespace sluice::testing {
namespace {

TEST(Printable, NamesHaveNoControlCharactersAndLinesKeepTheirEnds) {
    EXPECT_EQ(printable("part-000001"), "part-000001");
    EXPECT_EQ(printable("a\nb\tc\x1b[2J\x7f"), "a\\x0ab\\x09c\\x1b[2J\\x7f");
    EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
    EXPECT_EQ(printable_lines("a\nb\tc\r\x1b"), "a\nb\tc\\x0d\\x1b");
}

TEST(Printable, TheOtherHalfOfTheControlsGoesAndOtherLettersStay) {
    EXPECT_EQ(printable("\xc2\x9b"
                        "2J"),
              "\\xc2\\x9b2J");
    EXPECT_EQ(printable("K\xc3\xb6ln \xc2\xb5"), "K\xc3\xb6ln \xc2\xb5");
    EXPECT_EQ(printable("cut \xc2"), "cut \xc2");
}

}  // namespace
}  // namespace sluice::testing
