#pragma once
/// What ranks tell each other, with answers that each of them can work out alone: one body for all communicators.

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "net/collectives.hpp"

namespace sluice::testing {

struct Word {
    std::uint32_t from = 0, to = 0;
    std::string text;
    std::vector<double> numbers;
    bool operator==(const Word&) const = default;
    static constexpr auto fields = std::tuple{&Word::from, &Word::to, &Word::text, &Word::numbers};
};

inline Word word_of(std::uint32_t from, std::uint32_t to) {
    return {from, to, std::string(from * 3, 'x') + std::string(1, '\0'), std::vector<double>(to, 0.5)};
}

/// Each rank calls it on its own thread or in its own process.
inline void exchange_known_words(Communicator& communicator) {
    const std::uint32_t me = communicator.rank(), ranks = communicator.size();
    std::vector<Word> of_all, for_all, from_all, list;
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        of_all.push_back(word_of(rank, 7));
        for_all.push_back(word_of(me, rank));
        from_all.push_back(word_of(rank, me));
        for (std::uint32_t i = 0; i < rank; ++i) list.push_back(word_of(rank, i));
    }
    std::vector<Word> own;
    for (std::uint32_t i = 0; i < me; ++i) own.push_back(word_of(me, i));
    const auto on_rank_0 = [&](const std::vector<Word>& words) { return me == 0 ? words : std::vector<Word>(); };

    EXPECT_EQ(all_gather(communicator, of_all[me]), of_all);
    EXPECT_EQ(gather(communicator, of_all[me]), on_rank_0(of_all));
    EXPECT_EQ(all_gather_list(communicator, own), list) << "ranks need not have equally many";
    EXPECT_EQ(gather_list(communicator, own), on_rank_0(list));
    EXPECT_EQ(from_rank_0(communicator, of_all[me]), of_all[0]);
    EXPECT_EQ(exchange_by_rank(communicator, for_all), from_all);

    // 2^127 each, so that two ranks come to nothing; and a carry out of the lower half.
    const Uint128 half = Uint128{1} << 127, low = ~std::uint64_t{0};
    const auto sums = communicator.sum({half, low, me});
    ASSERT_EQ(sums.size(), 3u);
    EXPECT_TRUE(sums[0] == half * ranks && sums[1] == low * ranks && sums[2] == Uint128{ranks} * (ranks - 1) / 2);
    EXPECT_TRUE(communicator.sum({}).empty());
    EXPECT_EQ(communicator.maximum(me == ranks / 2 ? 2.5 : -1.0), 2.5);
}

}  // namespace sluice::testing
