#include "jobs/last_word.hpp"

#include <string>
#include <tuple>

#include "net/collectives.hpp"
#include "plan/cluster.hpp"

namespace sluice {
namespace {

struct Told {
    Problem refusal;
    bool is_last = true;
    std::string piece;
    static constexpr auto fields = std::tuple{&Told::refusal, &Told::is_last, &Told::piece};
};

/// As fail_if_any() throws them.
Problem as_one(const std::vector<Problems>& by_rank) {
    try {
        fail_if_any(by_rank);
        return {};
    } catch (const CollectiveError& error) {
        return problem_of(error);
    }
}

}  // namespace

void tell_last_word(Communicator& communicator, const std::vector<Problems>& problems, const ManifestMaker& make,
                    const std::function<void(std::string_view piece)>& keep) {
    Told word;
    if (communicator.rank() == 0) {
        word.refusal = as_one(problems);
        if (word.refusal.empty()) {
            make(kManifestPieceBytes, [&](std::string_view piece, bool is_last) {
                communicator.broadcast(pack(Told{{}, is_last, std::string(piece)}), 0);
                keep(piece);
            });
            return;
        }
        communicator.broadcast(pack(word), 0);
    } else {
        do {
            word = from_rank_0(communicator, Told());
            if (word.refusal.empty()) keep(word.piece);
        } while (!word.is_last);
    }
    if (!word.refusal.empty()) throw CollectiveError(word.refusal.code, word.refusal.text);
}

}  // namespace sluice
