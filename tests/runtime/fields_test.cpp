#include "runtime/fields.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/packing.hpp"

namespace sluice {
namespace {

struct Queue {
    std::uint64_t bytes = 0, depth = 0;
    static constexpr auto fields =
        std::tuple{field("bytes", &Queue::bytes, Total::sum), field("depth", &Queue::depth, Total::most)};
};
struct Rank {
    std::string host;
    std::uint64_t first_ns = 0, number = 0;
    Queue queue;
    std::vector<Queue> queues;
    static constexpr auto fields =
        std::tuple{field("host", &Rank::host).in_csv(), field("first_ns", &Rank::first_ns, Total::least),
                   field("number", &Rank::number), field("queue", &Rank::queue), field("queues", &Rank::queues)};
};
struct Nameless {
    std::uint64_t a = 0;
    static constexpr auto fields = std::tuple{&Nameless::a};
};

TEST(Fields, AreAddedUpAsEachSays) {
    Rank total{"n1", 50, 1, {10, 4}, {{1, 1}}};
    add_up(total, Rank{"n2", 40, 2, {5, 3}, {{2, 2}}});
    EXPECT_EQ(total.host, "n1") << "no number";
    EXPECT_EQ(total.first_ns, 40u);
    EXPECT_EQ(total.number, 1u) << "has no total";
    EXPECT_EQ(total.queue.bytes, 15u);
    EXPECT_EQ(total.queue.depth, 4u);
    ASSERT_EQ(total.queues.size(), 1u) << "lists stay";
    EXPECT_EQ(total.queues[0].bytes, 1u);
}

TEST(Fields, TravelAsMembersWithoutNamesDo) {
    const auto arrived = unpack<Rank>(pack(Rank{"n1", 50, 1, {10, 4}, {{1, 2}, {3, 4}}}));
    EXPECT_EQ(arrived.host, "n1");
    EXPECT_EQ(arrived.first_ns, 50u);
    EXPECT_EQ(arrived.queue.depth, 4u);
    ASSERT_EQ(arrived.queues.size(), 2u);
    EXPECT_EQ(arrived.queues[1].depth, 4u);
    EXPECT_EQ(pack(Nameless{7}), pack(std::uint64_t{7})) << "a name costs no byte";
    EXPECT_EQ(pack(Queue{7, 8}).size(), 16u);
}

TEST(Fields, NamesAndColumnsAreThoseOfTheList) {
    static_assert(HasNamedFields<Rank> && !HasNamedFields<Nameless> && !HasNamedFields<std::string>);
    std::string names;
    for_each_field<Rank>([&](const auto& entry) { names += std::string(entry.name) + (entry.is_in_csv ? "! " : " "); });
    EXPECT_EQ(names, "host! first_ns number queue queues ");
}

}  // namespace
}  // namespace sluice
