#include "plan/set_names.hpp"

#include "plan/run_directory.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {
using Renamed = Directory::Renamed;
}

Renamed rename_to_free_name(Directory& disk, const std::string& from, const std::string& to) {
    const Renamed renamed = disk.rename_no_replace(from, to);
    if (renamed != Renamed::unsupported) return renamed;  // done, exists or impossible
    if (!disk.make(to)) return Renamed::exists;
    disk.rename_over(from, to);
    return Renamed::done;
}

Aside move_aside(Directory& disk, const std::string& name, const std::string& run_id) {
    constexpr int kMostNames = 100;  // others' files keep a directory, and its name, after all of ours has gone
    Aside aside{Renamed::exists, name};
    for (int number = 0; number < kMostNames && aside.renamed == Renamed::exists && disk.look(name); ++number) {
        const std::string other = run_directory_name(RunDirectoryKind::removed, run_id, std::to_string(number));
        aside.renamed = rename_to_free_name(disk, name, other);
        if (aside.renamed == Renamed::done) aside.name = other;
    }
    // Before anything below it goes: else the old name may come back without its record when the power fails, and
    // nobody knows any more whose it is.
    if (aside.renamed == Renamed::done) disk.sync();
    return aside;
}

void try_rename_on(Directory& disk, const std::string& run_id) {
    constexpr int kTries = 5;  // who looks for what dead runs leave may take the empty directory away
    const auto name_of = [&](int number) {
        return run_directory_name(RunDirectoryKind::removed, run_id, std::to_string(number));
    };
    for (int tries = 0; tries < kTries; ++tries) {
        const std::string one = name_of(2 * tries), other = name_of(2 * tries + 1);
        if (!disk.make(one)) continue;
        Renamed renamed = Renamed::exists;
        try {
            renamed = rename_to_free_name(disk, one, other);
        } catch (const Error&) {
            if (disk.look(one)) throw;
        }
        if (renamed == Renamed::impossible)
            throw Error(Errc::environment, "rename '" + disk.path() + "/" + one +
                                               "': is not permitted: is the directory append-only (`lsattr -d`)? "
                                               "results cannot be published here");
        for (const std::string& name : {one, other}) {
            if (disk.look(name)) disk.remove_directory(name);
        }
        if (renamed == Renamed::done) return;
    }
}

RenameTrial try_renames(Directory& directory) {
    const std::string one = std::string(kTrialPrefix) + "1", other = std::string(kTrialPrefix) + "2";
    RenameTrial trial;
    directory.make(one);
    trial.can_no_replace = directory.rename_no_replace(one, other) == Renamed::done;
    directory.make(one);
    const Renamed again = trial.can_no_replace ? directory.rename_no_replace(one, other) : Renamed::unsupported;
    trial.can_no_replace = again == Renamed::exists;
    if (again == Renamed::done) {
        throw Error(Errc::environment, "rename in '" + directory.path() +
                                           "': takes RENAME_NOREPLACE and replaces all the same; results cannot be "
                                           "published here without risk, use another file system");
    }
    directory.make(other);
    trial.can_exchange = directory.exchange(one, other) == Renamed::done;
    if (!trial.can_no_replace) directory.rename_over(one, other);
    if (directory.look(one)) directory.remove_directory(one);
    directory.remove_directory(other);
    directory.sync();
    return trial;
}

}  // namespace sluice
