#pragma once
/// That hosts are who they say, that no file of the input counts twice and no disk belongs to two.

#include <functional>
#include <string>
#include <vector>

#include "net/joint_call.hpp"
#include "plan/input_set.hpp"

namespace sluice {

/// What each rank sees goes to the ranks that compare it, in one call with whatever else there is to say; then each
/// judges what has come to it. Used by the main thread; `job` must outlive it.
class InputProof {
public:
    /// Says and looks at nothing yet.
    explicit InputProof(JobContext& job) : job_(job) {}

    /// Ranks of one host name see the same directories under the same names, and one boot of one kernel; otherwise two
    /// machines bear one name. Each path is told to one rank.
    void say_hosts(JointExchange& call);
    /// Each file once: (device, inode) tells within one boot; between boots local ones are distinct, and server, inode,
    /// size and time of modification tell files of network file systems apart. What hosts share is in the list of all
    /// of them. One binary record a file goes to the rank that its identity hashes to.
    /// @param files  what this rank speaks for, in the order of its host's list: all on the first rank of a host, on
    ///               the others those that they alone see
    void say_files(JointExchange& call, const std::vector<InputFile>& files);
    /// No two ranks take one directory for their own: those of a role that are not shared differ between hosts, and
    /// between ranks where {rank} names them.
    void say_disks(JointExchange& call, const std::vector<DiskRole>& roles);
    /// After the call: what is wrong with what came to this rank.
    void judge(Problems& problems);

private:
    JobContext& job_;
    std::vector<std::function<void(Problems&)>> judges_;
};

/// say_disks() alone, in a call of its own. Collective.
void prove_disks(JobContext& job, const std::vector<DiskRole>& roles, Problems& problems);

/// "was replaced by another file", "has 5 bytes where it had 7", ...
std::string change_text(const FileIdentity& before, const FileIdentity* now);

}  // namespace sluice
