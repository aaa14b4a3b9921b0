#include "runtime/watch_rules.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace sluice {
namespace {

/// Who is waited for rather than waits: the smaller, the nearer to the cause.
int distance_from_cause(WaitKind kind) {
    switch (kind) {
        case WaitKind::none:
            return 0;
        case WaitKind::disk:
            return 1;
        case WaitKind::memory:
            return 2;
        case WaitKind::output:
            return 3;
        case WaitKind::input:
            return 4;
    }
    return 4;
}

std::string describe(const WatchedThread& thread) {
    switch (thread.wait.kind) {
        case WaitKind::none:
            return thread.name + " is busy and gets nothing done";
        case WaitKind::disk:
            return thread.name + " waits for the disk: " + thread.wait.text;
        default:
            return thread.name + " waits for " + thread.wait.text;
    }
}

/// The thread has been at one piece of work between both looks, and the processor at it.
bool works_on(const StepNote::View& before, const StepNote::View& now) {
    return now.name != nullptr && now.turn == before.turn && now.cpu_ns > before.cpu_ns;
}

}  // namespace

std::string seconds_text(std::uint64_t ns) {
    char text[32];
    std::snprintf(text, sizeof text, ns < 10'000'000'000 ? "%.1f s" : "%.0f s", static_cast<double>(ns) * 1e-9);
    return text;
}

void WatchRules::listen_to(const std::vector<std::uint32_t>& peers, std::uint64_t now_ns) {
    for (const std::uint32_t peer : peers) peers_[peer].heard_ns = now_ns;
    has_peers_ = has_peers_ || !peers.empty();
}

void WatchRules::heard(const Heartbeat& beat, std::uint64_t now_ns) {
    const auto peer = peers_.find(beat.rank);
    if (peer == peers_.end()) return;
    peer->second.heard_ns = now_ns;
    peer->second.spoke = true;
    peer->second.spoke_ns = now_ns;
    peer->second.last = beat;
    peer->second.last.doing[sizeof beat.doing - 1] = '\0';
    // Progress anywhere keeps the job alive, and spreads from neighbour to neighbour.
    if (beat.quiet_ns < now_ns) last_progress_ns_ = std::max(last_progress_ns_, now_ns - beat.quiet_ns);
}

void WatchRules::moved_data(std::uint32_t rank, std::uint64_t now_ns) {
    last_progress_ns_ = now_ns;
    lives(rank, now_ns);
}

void WatchRules::lives(std::uint32_t rank, std::uint64_t now_ns) {
    if (const auto peer = peers_.find(rank); peer != peers_.end()) peer->second.heard_ns = now_ns;
}

void WatchRules::set_step(std::string step, std::uint64_t now_ns) {
    step_ = std::move(step);
    step_since_ns_ = last_progress_ns_ = now_ns;
}

bool WatchRules::heard_within(std::uint32_t rank, std::uint64_t ns, std::uint64_t now_ns) const {
    const auto peer = peers_.find(rank);
    return peer != peers_.end() && now_ns - peer->second.heard_ns < ns;
}

std::string WatchRules::name_of(std::uint32_t rank) const {
    return "rank " + std::to_string(rank) + (rank < hosts_.size() ? " on " + hosts_[rank] : "");
}

void WatchRules::look(const std::vector<WatchedThread>& threads, std::uint64_t now_ns) {
    std::map<std::string, Seen> now_seen;
    culprit_ = {};
    for (const WatchedThread& thread : threads) {
        Seen seen{thread.progress, thread.wait.generation, now_ns, thread.step};
        const auto before = seen_.find(thread.name);
        const bool worked = before != seen_.end() && works_on(before->second.step, thread.step);
        if (worked) last_pulse_ns_ = now_ns;
        if (before == seen_.end() || worked || before->second.progress != thread.progress) {
            last_progress_ns_ = now_ns;
        } else if (before->second.generation == seen.generation) {
            seen.since_ns = before->second.since_ns;
        }
        now_seen[thread.name] = seen;
        // The main thread is the one that waits for the others, unless it is in a call to a disk.
        const bool main = &thread == &threads.front(), idle = main && thread.step.name == nullptr;
        if (idle && thread.wait.kind != WaitKind::disk && threads.size() > 1) continue;
        const int distance = distance_from_cause(thread.wait.kind), best = distance_from_cause(culprit_.kind);
        if (culprit_.found && (distance > best || (distance == best && seen.since_ns >= culprit_.since_ns))) continue;
        const bool says_nothing = main && thread.wait.kind == WaitKind::none;
        culprit_ = {thread.wait.kind, seen.since_ns, says_nothing ? describe_main(thread) : describe(thread), true};
        if (says_nothing && idle) culprit_.kind = WaitKind::input;
    }
    seen_ = std::move(now_seen);
}

std::string WatchRules::describe_main(const WatchedThread& main) const {
    if (main.step.name != nullptr) return "the main thread " + std::string(main.step.name) + " and gets nothing done";
    return has_peers_ ? "the main thread waits for other ranks" : "the main thread gets nothing done in step " + step_;
}

std::optional<WatchVerdict> WatchRules::judge(const std::vector<WatchedThread>& threads, std::uint64_t now_ns,
                                              std::uint64_t steady_ns) {
    look(threads, now_ns);
    if (limit_ns_ == 0) return std::nullopt;
    if (auto verdict = hung_disk(threads, now_ns, steady_ns)) return verdict;
    if (pulse_required_ && now_ns - last_pulse_ns_ >= limit_ns_) {
        WatchVerdict verdict{Errc::peer, step_, {}, {}, true};
        verdict.message = "the main thread of this rank has been in one call for " +
                          seconds_text(now_ns - last_pulse_ns_) + " (run.watchdog), in step " + step_;
        return verdict;
    }
    if (auto verdict = silent_peer(now_ns)) return verdict;
    return no_progress(now_ns);
}

std::optional<WatchVerdict> WatchRules::hung_disk(const std::vector<WatchedThread>& threads, std::uint64_t now_ns,
                                                  std::uint64_t steady_ns) const {
    for (const WatchedThread& thread : threads) {
        const auto seen = seen_.find(thread.name);
        if (thread.wait.kind != WaitKind::disk || now_ns - seen->second.since_ns < limit_ns_) continue;
        // Nothing completed for so long; the request itself may be older.
        const std::uint64_t age_ns = std::max(
            now_ns - seen->second.since_ns,
            thread.wait.since_ns != 0 && thread.wait.since_ns < steady_ns ? steady_ns - thread.wait.since_ns : 0);
        return WatchVerdict{Errc::device, step_ + "." + thread.name,
                            "the disk hangs: " + thread.wait.text + ", the oldest request, is " + seconds_text(age_ns) +
                                " old, and none has completed for " + seconds_text(now_ns - seen->second.since_ns) +
                                " (run.watchdog); see the kernel log of this host (dmesg)",
                            std::nullopt, true};
    }
    return std::nullopt;
}

std::optional<WatchVerdict> WatchRules::silent_peer(std::uint64_t now_ns) const {
    std::uint32_t longest = 0;
    std::uint64_t longest_ns = 0;
    std::size_t silent = 0;
    for (const auto& [rank, peer] : peers_) {
        const std::uint64_t silence_ns = now_ns - peer.heard_ns;
        if (silence_ns >= limit_ns_) ++silent;
        if (silence_ns > longest_ns) {
            longest_ns = silence_ns;
            longest = rank;
        }
    }
    if (silent == 0) return std::nullopt;
    WatchVerdict verdict{Errc::peer, step_, {}, longest, false};
    if (silent == peers_.size() && silent > 1) {
        verdict.suspect.reset();
        verdict.message = "none of the " + std::to_string(silent) + " ranks this one listens to has been heard for " +
                          seconds_text(longest_ns) + " (run.watchdog): this host is cut off; check its network";
        return verdict;
    }
    const Peer& peer = peers_.at(longest);
    verdict.message =
        name_of(longest) + " has not been heard for " + seconds_text(longest_ns) + " (run.watchdog), " +
        (peer.spoke ? "its last word, " + seconds_text(now_ns - peer.spoke_ns) + " ago: " + peer.last.doing
                    : "nor ever since the start") +
        "; it is stopped, dead or cut off: check that host and its network";
    if (silent > 1) verdict.message += "; " + std::to_string(silent - 1) + " more ranks are as silent";
    return verdict;
}

std::optional<WatchVerdict> WatchRules::no_progress(std::uint64_t now_ns) const {
    if (now_ns - last_progress_ns_ < limit_ns_) return std::nullopt;
    WatchVerdict verdict{Errc::peer, step_, {}, {}, false};
    // Of all ranks we know of, the one that is nearest to the cause, for the longest time.
    int best = distance_from_cause(culprit_.kind);
    std::string what = culprit_.text;
    std::uint64_t since_ns = now_ns - culprit_.since_ns;
    std::optional<std::uint32_t> who;
    for (const auto& [rank, peer] : peers_) {
        const int distance = distance_from_cause(static_cast<WaitKind>(peer.last.wait_kind));
        if (!peer.spoke || distance > best || (distance == best && peer.last.same_ns <= since_ns)) continue;
        best = distance;
        what = peer.last.doing;
        since_ns = peer.last.same_ns;
        who = rank;
    }
    verdict.suspect = who;
    verdict.message = "no rank has got anything done for " + seconds_text(now_ns - last_progress_ns_) +
                      " (run.watchdog): " + (who ? name_of(*who) + ": " : "here ") + what + ", for " +
                      seconds_text(since_ns) + "; look at that host, its disks and its network";
    return verdict;
}

Heartbeat WatchRules::heartbeat(std::uint32_t rank, std::uint64_t now_ns) const {
    Heartbeat beat;
    beat.rank = rank;
    beat.wait_kind = static_cast<std::uint32_t>(culprit_.kind);
    beat.quiet_ns = now_ns - std::min(now_ns, last_progress_ns_);
    beat.same_ns = now_ns - std::min(now_ns, culprit_.since_ns);
    const std::string doing = step_ + ": " + (culprit_.found ? culprit_.text : "nothing yet");
    std::memcpy(beat.doing, doing.data(), std::min(doing.size(), sizeof beat.doing - 1));
    return beat;
}

}  // namespace sluice
