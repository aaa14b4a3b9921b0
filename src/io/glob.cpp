#include "io/glob.hpp"

#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "io/data_set.hpp"
#include "io/owner_record.hpp"
#include "io/posix_directory.hpp"
#include "runtime/error.hpp"
#include "runtime/step.hpp"

namespace sluice {
namespace {

bool is_pattern(const std::string& text) { return text.find_first_of("*?[\\") != std::string::npos; }

bool leads_nowhere(int error) { return error == ENOENT || error == ENOTDIR; }

bool is_there(const std::string& path) {
    struct stat s {};
    return ::lstat(path.c_str(), &s) == 0;
}

enum class Whose { ours, theirs, unclear };

/// Where neither a sound record nor a sound manifest tells, what its text begins with does.
Whose judge_text(Directory& directory, const std::string& name) {
    const auto entry = directory.look(name);
    if (!entry || entry->kind != EntryInfo::Kind::file) return Whose::theirs;
    const std::string text = read_manifest_text(directory, name);
    if (name == kOwnerName) return text.rfind(kOwnerBegins, 0) == 0 ? Whose::unclear : Whose::theirs;
    try {
        DataSet::from_text(text, name);
        return Whose::ours;
    } catch (const Error&) {
        const bool is_like_ours =
            text.find("\"schema_version\"") != std::string::npos && text.find("\"manifest\"") != std::string::npos;
        return is_like_ours ? Whose::unclear : Whose::theirs;
    }
}

/// What is beside the data in a directory of sluice's, and is no data. A user's file of that name is.
Whose whose(const std::string& folder, const std::string& name) {
    if (parse_run_directory(name)) return Whose::ours;  // logs and halves of a run, which it may remove at any moment
    if (name != kManifestName && name != kOwnerName) return Whose::theirs;
    try {
        const auto directory = open_posix_directory(folder.empty() ? "/" : folder);
        return read_owner(*directory) ? Whose::ours : judge_text(*directory, name);
    } catch (const Error&) {
        return Whose::unclear;
    }
}

class Search {
public:
    explicit Search(std::string pattern) : pattern_(std::move(pattern)) {
        for (std::size_t at = 1; at <= pattern_.size();) {
            const std::size_t slash = std::min(pattern_.find('/', at), pattern_.size());
            if (slash > at) names_.push_back(pattern_.substr(at, slash - at));
            at = slash + 1;
        }
    }
    std::vector<std::string> run() {
        if (!names_.empty()) below("", 0);
        std::sort(found_.begin(), found_.end());
        return std::move(found_);
    }

private:
    /// @param folder  without a slash at its end: "" is the root
    void below(const std::string& folder, std::size_t depth) {
        const std::string& name = names_[depth];
        struct stat there {};
        // A name that exists is a name, whatever signs are in it.
        if (!is_pattern(name) || ::lstat((folder + "/" + name).c_str(), &there) == 0) {
            go_on(folder + "/" + name, depth);
            return;
        }
        const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.empty() ? "/" : folder.c_str()),
                                                          &::closedir);
        if (!listing) {
            if (!leads_nowhere(errno)) fail("open", folder);
            return;
        }
        std::vector<std::string> matches;
        errno = 0;
        while (const dirent* entry = ::readdir(listing.get())) {
            tick_step();
            const std::string each = entry->d_name;
            if (each == "." || each == ".." || ::fnmatch(name.c_str(), each.c_str(), FNM_PERIOD) != 0) continue;
            const Whose it_is = whose(folder, each);
            if (it_is == Whose::unclear) fail_unclear(folder + "/" + each);
            if (it_is == Whose::theirs) matches.push_back(each);
            errno = 0;
        }
        if (errno != 0) fail("list", folder);
        for (const std::string& match : matches) go_on(folder + "/" + match, depth);
    }
    void go_on(const std::string& path, std::size_t depth) {
        tick_step();
        if (depth + 1 < names_.size()) {
            below(path, depth + 1);
            return;
        }
        struct stat s {};
        if (::lstat(path.c_str(), &s) == 0) {
            found_.push_back(path);
        } else if (!leads_nowhere(errno)) {
            fail("stat", path);
        }
    }
    [[noreturn]] void fail_unclear(const std::string& path) const {
        throw Error(Errc::input,
                    "input.paths: '" + pattern_ + "' matches '" + path +
                        "', which looks like sluice's own and is damaged, or cannot be read: whether it is "
                        "data cannot be told; name the files that are, or remove it");
    }
    [[noreturn]] void fail(const char* call, const std::string& path) const {
        const Error cause = Error::from_errno(errno, call, path.empty() ? "/" : path, Errc::input);
        throw Error(Errc::input,
                    "input.paths: '" + pattern_ + "': " + cause.what() +
                        "; files in there may match and would be missed: make it readable, or name it in no "
                        "pattern");
    }

    std::string pattern_;
    std::vector<std::string> names_, found_;
};

}  // namespace

std::vector<std::string> find_paths(const std::string& pattern) {
    if (!is_pattern(pattern) || is_there(pattern)) return {pattern};
    return Search(pattern).run();
}

}  // namespace sluice
