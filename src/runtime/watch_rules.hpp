#pragma once
/// When a rank gives up waiting: pure rules over what it sees of itself and hears from others. No thread, no clock.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/metrics.hpp"
#include "runtime/step.hpp"

namespace sluice {

/// What a rank tells its neighbours a few times within the limit. Plain bytes: it goes over the wire as it is.
struct Heartbeat {
    std::uint32_t rank = 0;
    std::uint32_t wait_kind = 0;  ///< of `doing`; WaitKind
    std::uint64_t quiet_ns = 0;   ///< since the last progress anywhere, as far as the sender has heard
    std::uint64_t same_ns = 0;    ///< for so long it has been doing just that
    char doing[232] = {};         ///< "phase-one: writer-0 waits for the disk: write '/d/log' at ...", ends with 0
};

/// One thread of this rank as the rules see it.
struct WatchedThread {
    std::string name;  ///< "writer-0"
    std::uint64_t progress = 0;
    WaitNote::View wait;
    StepNote::View step = {};  ///< the main thread's
};

/// Why the job must end.
struct WatchVerdict {
    Errc code = Errc::peer;
    std::string stage, message;
    std::optional<std::uint32_t> suspect;  ///< the rank that is to blame, where one is
    bool local = false;                    ///< only this rank can know: it speaks even when rank 0 could
    bool silent = false;                   ///< somebody else says it
};

/// Times are nanoseconds of a clock the caller keeps, which stands still while the whole process is stopped. Not
/// thread-safe.
class WatchRules {
public:
    /// @param limit_ns  how long a peer may be silent, the main thread stuck, a disk without completion, or the whole
    ///                  job without progress. 0: for ever.
    explicit WatchRules(std::uint64_t limit_ns) : limit_ns_(limit_ns) {}

    void set_limit(std::uint64_t limit_ns) { limit_ns_ = limit_ns; }
    std::uint64_t limit_ns() const { return limit_ns_; }
    /// The host of each rank, for messages; may come later than the first heartbeat.
    void name_hosts(std::vector<std::string> host_by_rank) { hosts_ = std::move(host_by_rank); }
    /// From now on these ranks send heartbeats to this one.
    void listen_to(const std::vector<std::uint32_t>& peers, std::uint64_t now_ns);
    void stop_listening() { peers_.clear(); }
    void heard(const Heartbeat& beat, std::uint64_t now_ns);
    /// Data moved between this rank and that one: as good as a heartbeat, which on a slow link stands behind the data.
    void moved_data(std::uint32_t rank, std::uint64_t now_ns);
    /// That rank said something that is neither: it lives, which does not mean that anything gets done.
    void lives(std::uint32_t rank, std::uint64_t now_ns);
    /// The main thread gave a sign of life. While require_pulse() asks for them, the next must come within the limit.
    void main_pulse(std::uint64_t now_ns) { last_pulse_ns_ = now_ns; }
    void require_pulse(bool required, std::uint64_t now_ns) {
        pulse_required_ = required;
        last_pulse_ns_ = now_ns;
    }
    void progress(std::uint64_t now_ns) { last_progress_ns_ = now_ns; }
    void set_step(std::string step, std::uint64_t now_ns);
    const std::string& step() const { return step_; }

    /// One look: notes progress of `threads` (the first is the main thread) and says whether the job must end.
    std::optional<WatchVerdict> judge(const std::vector<WatchedThread>& threads, std::uint64_t now_ns,
                                      std::uint64_t steady_ns);
    /// What to tell the others; judge() has been called before.
    Heartbeat heartbeat(std::uint32_t rank, std::uint64_t now_ns) const;
    /// Rank 0 was heard within `ns`, so it can speak for the job.
    bool heard_within(std::uint32_t rank, std::uint64_t ns, std::uint64_t now_ns) const;

private:
    struct Peer {
        std::uint64_t heard_ns = 0;  // heartbeat or data
        std::uint64_t spoke_ns = 0;  // heartbeat
        bool spoke = false;
        Heartbeat last;
    };
    struct Seen {
        std::uint64_t progress = 0, generation = 0, since_ns = 0;
        StepNote::View step;
    };
    struct Culprit {
        WaitKind kind = WaitKind::input;
        std::uint64_t since_ns = 0;
        std::string text;
        bool found = false;
    };

    std::string name_of(std::uint32_t rank) const;
    std::optional<WatchVerdict> hung_disk(const std::vector<WatchedThread>& threads, std::uint64_t now_ns,
                                          std::uint64_t steady_ns) const;
    std::optional<WatchVerdict> silent_peer(std::uint64_t now_ns) const;
    std::optional<WatchVerdict> no_progress(std::uint64_t now_ns) const;
    void look(const std::vector<WatchedThread>& threads, std::uint64_t now_ns);
    std::string describe_main(const WatchedThread& main) const;

    std::uint64_t limit_ns_;
    std::vector<std::string> hosts_;
    std::map<std::uint32_t, Peer> peers_;
    std::map<std::string, Seen> seen_;
    std::uint64_t last_pulse_ns_ = 0, last_progress_ns_ = 0, step_since_ns_ = 0;
    bool pulse_required_ = false;
    bool has_peers_ = false;
    std::string step_ = "start";
    Culprit culprit_;  // the thread of this rank that everything else here waits for, as of the last look
};

/// "3.0 s", "61 s": for people.
std::string seconds_text(std::uint64_t ns);

}  // namespace sluice
