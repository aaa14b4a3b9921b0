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

void hear_last_word(Communicator& communicator, const std::function<void(std::string_view piece)>& keep) {
    for (;;) {
        const auto word = unpack<Told>(communicator.broadcast("", 0));
        if (!word.refusal.empty()) throw CollectiveError(word.refusal.code, word.refusal.text);
        keep(word.piece);
        if (word.is_last) return;
    }
}

}  // namespace

void tell_last_word(Communicator& communicator, const std::vector<Problems>& problems, const ManifestMaker& make,
                    const std::function<void(std::string_view piece)>& keep) {
    if (communicator.rank() != 0) {
        hear_last_word(communicator, keep);
        return;
    }
    const Problem refusal = as_one(problems);
    if (!refusal.empty()) {
        communicator.broadcast(pack(Told{refusal, true, ""}), 0);
        throw CollectiveError(refusal.code, refusal.text);
    }
    make(kManifestPieceBytes, [&](std::string_view piece, bool is_last) {
        Told word;
        word.is_last = is_last;
        word.piece = piece;
        communicator.broadcast(pack(word), 0);
        keep(piece);
    });
}

}  // namespace sluice
