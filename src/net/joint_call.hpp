#pragma once
/// One collective call for what several parts of a program have to tell. Each part says its words before the call and
/// hears everybody's after it: a call costs a round trip between the farthest ranks, whatever it carries.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/communicator.hpp"
#include "runtime/packing.hpp"

namespace sluice {

/// What all ranks said, by rank; empty until the call.
template <typename T>
using Heard = std::shared_ptr<const std::vector<T>>;

/// What everybody tells everybody. Made, filled and called on the main thread of every rank, the words in the same
/// order on each. Cost: all words to all ranks, so only for what all need.
class JointGather {
public:
    template <typename T>
    Heard<T> say(const T& mine) {
        auto heard = std::make_shared<std::vector<T>>();
        words_.push_back(pack(mine));
        hear_.push_back([heard](std::string_view word) { heard->push_back(unpack<T>(word)); });
        return heard;
    }
    /// Collective; once. Throws AbortedError when another rank fails meanwhile, and Error(integrity) when what arrives
    /// is not what was said.
    void call(Communicator& communicator) {
        for (const std::string& text : communicator.all_gather(pack(words_))) {
            const auto words = unpack<std::vector<std::string>>(text);
            SLUICE_CHECK(words.size() == hear_.size());
            for (std::size_t i = 0; i < words.size(); ++i) hear_[i](words[i]);
        }
    }

private:
    std::vector<std::string> words_;
    std::vector<std::function<void(std::string_view)>> hear_;
};

/// Lists for each rank, most of them empty, and each rank's for this one. As JointGather; a pair that has nothing to
/// say costs eight bytes.
class JointExchange {
public:
    /// @param ranks  of the job
    explicit JointExchange(std::uint32_t ranks) : texts_(ranks) {}

    /// @param for_rank  by rank; as many as there are ranks
    template <typename T>
    Heard<std::vector<T>> say(const std::vector<std::vector<T>>& for_rank) {
        SLUICE_CHECK(for_rank.size() == texts_.size());
        for (std::size_t rank = 0; rank < texts_.size(); ++rank) {
            if (!for_rank[rank].empty()) add_word(rank, pack(for_rank[rank]));
        }
        return hear<T>();
    }
    /// One list for several ranks; the others get none.
    template <typename T>
    Heard<std::vector<T>> say(const std::vector<T>& list, const std::vector<std::uint32_t>& to_ranks) {
        const std::string word = list.empty() ? "" : pack(list);
        for (const std::uint32_t rank : to_ranks) {
            if (!word.empty()) add_word(rank, word);
        }
        return hear<T>();
    }
    /// Collective; once. Throws as JointGather::call().
    void call(Communicator& communicator) {
        for (const std::string& text : communicator.exchange(texts_)) {
            Unpacker unpacker(text);
            std::uint32_t next = 0;
            while (!unpacker.at_end()) {
                const auto number = unpacker.take<std::uint32_t>();
                SLUICE_CHECK(number >= next && number < hear_.size());
                for (; next < number; ++next) hear_[next]("");
                hear_[next++](unpacker.take<std::string>());
            }
            for (; next < hear_.size(); ++next) hear_[next]("");
        }
    }

private:
    void add_word(std::size_t rank, const std::string& word) {
        Packer packer;
        packer.add(static_cast<std::uint32_t>(hear_.size()));
        packer.add(word);
        texts_[rank] += packer.take();
    }
    template <typename T>
    Heard<std::vector<T>> hear() {
        auto heard = std::make_shared<std::vector<std::vector<T>>>();
        hear_.push_back([heard](std::string_view word) {
            heard->push_back(word.empty() ? std::vector<T>() : unpack<std::vector<T>>(word));
        });
        return heard;
    }

    std::vector<std::string> texts_;  // by rank: numbers of words and the words themselves
    std::vector<std::function<void(std::string_view)>> hear_;
};

}  // namespace sluice
