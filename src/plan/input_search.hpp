#pragma once
/// find_input() in steps, for who has more to tell in the same calls.

#include <optional>
#include <vector>

#include "net/joint_call.hpp"
#include "plan/found_set.hpp"
#include "plan/input_proof.hpp"
#include "plan/input_set.hpp"

namespace sluice {

/// One rank's look for the input. One rank of each host lists what all of them see, and tells the others of its host.
/// Used by the main thread; what it refers to must outlive it.
class InputSearch {
public:
    /// Looks for the manifest, where the config names no paths. Local. @param problems  are added to by each step
    InputSearch(JobContext& job, Problems& problems);
    void say_manifest(JointGather& call);
    /// After the gather's call: lists the files, and says which they are.
    void say_files(JointExchange& call);
    /// After the exchange's call: proves them.
    InputSet take();

private:
    bool by_paths() const { return !job_.config.input.paths.empty(); }
    void take_over(const FoundSet& found);
    /// @param own  files that this rank alone sees, or those of its host
    std::vector<InputFile> list(bool own);

    JobContext& job_;
    Problems& problems_;
    InputSet input_;
    std::optional<SetSearch> search_;  // by manifest
    InputProof proof_;
    std::vector<InputFile> own_;
    Heard<std::vector<InputFile>> of_host_;
};

}  // namespace sluice
