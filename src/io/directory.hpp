#pragma once
/// One open directory and what is done beneath it. Names are bare, links are never followed, and the directory itself
/// is held by its descriptor: who swaps a path in between changes nothing (docs/data-sets.md).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// Names of the files that owner_of_new_files() makes for a moment: '#' stands for digits (matches_pattern).
inline constexpr const char* kOwnerProbePattern = ".sluice-probe-#-#";

/// What stands under a name: of a link the link, not what it leads to.
struct EntryInfo {
    enum class Kind : std::uint8_t { file, directory, link, other } kind = Kind::other;
    std::uint64_t size_bytes = 0, device = 0, inode = 0;
    std::uint32_t owner = 0, mode = 0;  ///< user number; permission bits with sticky bit
    std::uint32_t links = 1;            ///< names that it has
    bool is_mount_point = false;        ///< as far as the kernel tells (Linux 5.8)
    bool same_file(const EntryInfo& other) const noexcept { return device == other.device && inode == other.inode; }
};

enum class LockMode { shared, exclusive };

/// A lock on a small file of ours, and the file. Released by the destructor, or with the process, however it ends.
class FileLock {
public:
    virtual ~FileLock() = default;
    /// The whole file, at most `most_bytes` of it.
    virtual std::string read(std::size_t most_bytes) = 0;
    /// Writes in place, durably; a file of this user that is protected against writing is not any more. Error(device);
    /// Error(environment) where it may not be written.
    virtual void write_at(std::uint64_t offset, std::string_view bytes) = 0;
    virtual EntryInfo info() = 0;
};

/// What asking for a lock came to. The lock, if there is one, is the caller's, and is held as long as he keeps it.
struct LockAttempt {
    enum class Outcome {
        taken,
        held,      ///< some other process, of this host at least, holds it
        absent,    ///< there is no such regular file
        no_locks,  ///< this file system has no locks, or this user may not open the file: nothing is known
    } outcome = Outcome::no_locks;
    std::unique_ptr<FileLock> lock;  ///< taken; with no_locks the open file, if it could be opened
    std::string why;                 ///< no_locks: what the system said
};

/// A file that is written piece by piece under a temporary name. Where it gets no other (Directory::give_name), its
/// destructor removes it. Used by one thread.
class NewFile {
public:
    virtual ~NewFile() = default;
    /// Behind what it holds. Error(device); Error(space) on a full disk.
    virtual void append(std::string_view text) = 0;
    /// All of it is on stable storage then, under whatever name.
    virtual void sync() = 0;
};

/// Used by any thread. Methods throw Error naming path() and the name: Error(device), Error(space) on a full disk,
/// Error(environment) for what this user or file system may not. A name with '/' in it, "", "." and ".." are
/// Error(internal).
class Directory {
public:
    virtual ~Directory() = default;
    virtual const std::string& path() const noexcept = 0;  ///< as it was opened, for messages and data files
    virtual EntryInfo info() = 0;
    virtual std::optional<EntryInfo> look(const std::string& name) = 0;  ///< nullopt: nothing there
    virtual std::vector<std::string> names() = 0;                        ///< sorted
    /// Of files that this process makes here: a server may give them to somebody else (root_squash).
    virtual std::uint32_t owner_of_new_files() = 0;
    /// nullptr where there is no directory of that name, but nothing, a file or a link.
    virtual std::unique_ptr<Directory> open(const std::string& name) = 0;
    /// Mode 0700 whatever the umask. False: something of that name is there.
    virtual bool make(const std::string& name) = 0;
    virtual void remove_file(const std::string& name) = 0;       ///< nothing happens where it is gone already
    virtual void remove_directory(const std::string& name) = 0;  ///< an empty one; nothing happens where it is gone
    /// What a rename came to where the file system has a say.
    enum class Renamed { done, exists, unsupported, impossible };
    /// Never replaces: `exists` where something has the new name. `unsupported`: no such call here (NFS, FUSE, 9p).
    /// `impossible`: what stands under `from` keeps its name here, as an immutable directory, or one of an overlay's
    /// lower layer.
    virtual Renamed rename_no_replace(const std::string& from, const std::string& to) = 0;
    /// The two change places in one step; both must be there.
    virtual Renamed exchange(const std::string& one, const std::string& other) = 0;
    /// Whether the directory `name` could get another name, asked by giving it that of `full`, a directory with
    /// something in it, which no system does. "": it could; else what the system says.
    virtual std::string why_not_renamable(const std::string& name, const std::string& full) = 0;
    /// As rename(2): puts the directory `from` in the place of the empty directory `to`, a file in that of a file.
    virtual void rename_over(const std::string& from, const std::string& to) = 0;
    /// Error(environment) where directories cannot be synced.
    virtual void sync() = 0;
    /// Temporary name, write, fsync, rename over, fsync of the directory: after a crash the old or the new text is
    /// there. Mode 0600.
    virtual void write_durably(const std::string& name, std::string_view text) = 0;
    /// write_durably for what nobody holds whole, or what is to be seen later: begin_file(), append() for each piece,
    /// sync(), give_name(). Another file of this process that has not got the same name yet goes.
    virtual std::unique_ptr<NewFile> begin_file(const std::string& name) = 0;
    /// Rename over, fsync of the directory. @param file  of this directory, by whatever name that was opened
    virtual void give_name(NewFile& file, const std::string& name) = 0;
    /// As write_durably, and with a lock on the new file from before anybody can see it.
    /// Without a lock (LockAttempt::no_locks) the file is written all the same.
    virtual LockAttempt write_locked(const std::string& name, std::string_view text, LockMode mode) = 0;
    /// The whole of a regular file; what is none is not even opened. Error(input) where it is none, cannot be read or
    /// is larger.
    virtual std::string read_text(const std::string& name, std::uint64_t most_bytes) = 0;
    /// Never waits, and opens regular files only. The file found under the name afterwards is the one that was locked.
    virtual LockAttempt lock(const std::string& name, LockMode mode) = 0;
};

}  // namespace sluice
