#pragma once
/// The record in every directory that a run makes: whose it is, what may lie in it, how far it came
/// (docs/data-sets.md).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/directory.hpp"
#include "runtime/choices.hpp"
#include "runtime/process_table.hpp"

namespace sluice {

inline constexpr const char* kOwnerName = "OWNER.json";
inline constexpr const char* kOwnerBegins = "{\"sluice_owner\":";  ///< whatever its version

/// What a name tells of a directory that a run made on a disk. RUN is a run id.
enum class RunDirectoryKind {
    partial,   ///< ".partial-RUN": a data set in the making; while sets change places, for a moment, the old one
    replaced,  ///< ".replaced-RUN": the set that RUN's took the place of, until RUN's is durable
    removed,   ///< ".removed-RUN", ".removed-RUN-1": being removed
    scratch,   ///< "sluice-RUN-logs", "sluice-RUN-copy-r0-log": logs, and the files of a bare copy
};
/// What the name of a run's directory says.
struct RunDirectoryName {
    RunDirectoryKind kind;
    std::string run_id;
};
/// nullopt for any other name.
std::optional<RunDirectoryName> parse_run_directory(const std::string& name);
/// @param what  of scratch: "logs", or "copy-r0-log" or "-out" of rank 0; of removed: which of several, "" the first
std::string run_directory_name(RunDirectoryKind kind, const std::string& run_id, const std::string& what = "");
/// '#' stands for one or more digits, anything else for itself.
bool matches_pattern(const std::string& name, const std::string& pattern);
bool is_run_id(const std::string& text);  ///< 32 hex digits, lower case

enum class OwnerState {
    claiming,    ///< made; whether its run may have the name that it wants is not settled
    writing,     ///< the run fills it
    publishing,  ///< complete and durable; it gets its final name, in whatever steps the file system has
    published,   ///< only for people: what says so is the MANIFEST
    removing,    ///< its files are being removed, the MANIFEST first
};
const char* to_string(OwnerState state);

/// What OWNER.json says: whose the directory is, and how far its run has come. Plain data; to_block() and parse_owner()
/// are its form on disk.
struct OwnerRecord {
    std::string run_id;
    std::string verb;    ///< that wrote it; a later version may have others
    std::string target;  ///< name that the data set is to get or has; "" for scratch
    ProcessIdentity process;
    std::uint32_t disk = 0, disks = 1;  ///< this is disk `disk` of the `disks` that the data set spans
    std::string manifest_host;          ///< where disk 0 is, for messages
    std::vector<std::string> patterns;  ///< names the run may give to files in it: '#' is one or more digits
    std::vector<std::string> reads;     ///< run ids of the data sets that this run reads
    std::uint64_t beat_ms = 0;          ///< the counter moves at least so often; 0: locks tell, it stands still
    OwnerState state = OwnerState::writing;
    std::uint64_t counter = 0;

    bool is_generated_input() const { return parse_word<Verb>(verb) == Verb::gen; }
    bool matches(const std::string& file_name) const;  ///< one of `patterns`, or a name of the record's own
};

/// One block of 4096 bytes, a JSON document. State and counter lie at fixed places in its last 512 bytes, one sector,
/// so that they can be written in place.
inline constexpr std::size_t kOwnerBytes = 4096;
std::string to_block(const OwnerRecord& record);
/// nullopt when it is torn, damaged or something else.
std::optional<OwnerRecord> parse_owner(const std::string& block);

inline constexpr std::uint64_t kOwnerBeatMs = 1000;

/// Bytes that say another state, or another count, and where in the block they go.
struct OwnerPatch {
    std::uint64_t offset;
    std::string bytes;
};
OwnerPatch owner_state_patch(OwnerState state);
OwnerPatch owner_counter_patch(std::uint64_t counter);

/// Of a directory; nullopt where there is none, or it is torn.
std::optional<OwnerRecord> read_owner(Directory& directory);

/// Whether a run is known to be dead. Whoever is not known to be dead counts as alive.
struct Life {
    bool dead = false;
    std::string why;  ///< for people: "pid 17 of this host is gone", "host h2 cannot be asked from here"
};
/// Its process is of this boot and pid namespace, and is there: alive, whatever locks and counters say.
bool is_seen_alive(const OwnerRecord& record, const ProcessTable& here);

/// Dead is who lost the lock and cannot hold it again: a process of this boot and pid namespace that is gone, or one of
/// this machine before it was started anew. Anybody else may live where we cannot see him.
/// @param lock_taken  the record's lock could be had just now
Life judge_life(const OwnerRecord& record, bool lock_taken, const ProcessTable& here);

/// "run 1234... (sluice sort, pid 17 on host h1)".
std::string describe_owner(const OwnerRecord& record);

}  // namespace sluice
