#pragma once
/// The one list of a struct's members, from which all that treats them alike is made: packing between ranks
/// (runtime/packing.hpp), JSON and CSV (report/named_fields.hpp), and totals. A figure has its name there, unit
/// included, and nowhere else:
///
///     struct Disk {
///         std::string path;
///         std::uint64_t bytes = 0;
///         static constexpr auto fields = std::tuple{field("path", &Disk::path),
///                                                   field("bytes", &Disk::bytes, Total::sum).in_csv()};
///     };

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <type_traits>

namespace sluice {

/// How figures of several workers, queues or ranks become one.
enum class Total : std::uint8_t {
    none,  ///< the total keeps its own
    sum,
    least,
    most,
};

/// One figure of a struct: its only name, and what becomes of it.
template <typename Struct, typename Member>
struct Field {
    const char* name;  ///< in JSON and CSV
    Member Struct::*member;
    Total total = Total::none;
    bool is_in_csv = false;  ///< it is always in JSON

    constexpr Field in_csv() const { return {name, member, total, true}; }
};

template <typename Struct, typename Member>
constexpr Field<Struct, Member> field(const char* name, Member Struct::*member, Total total = Total::none) {
    return {name, member, total, false};
}

/// The pointer of an entry; an entry may be the bare pointer where a struct only travels between ranks.
template <typename Struct, typename Member>
constexpr Member Struct::*member_of(const Field<Struct, Member>& entry) {
    return entry.member;
}
template <typename Struct, typename Member>
constexpr Member Struct::*member_of(Member Struct::*entry) {
    return entry;
}

/// Has a list whose entries have names.
template <typename Struct>
concept HasNamedFields = requires {
    std::get<0>(Struct::fields).name;
};

template <HasNamedFields Struct, typename Action>
constexpr void for_each_field(Action action) {
    std::apply([&](const auto&... entry) { (action(entry), ...); }, Struct::fields);
}

/// Adds `part` to `total`, each member as its entry says; members that have a list themselves are added up likewise.
/// A `least` takes part in it from the start: the total of one is that one, not an empty struct plus it.
template <HasNamedFields Struct>
void add_up(Struct& total, const Struct& part) {
    for_each_field<Struct>([&](const auto& entry) {
        auto& into = total.*entry.member;
        const auto& from = part.*entry.member;
        using Member = std::remove_cvref_t<decltype(from)>;
        if constexpr (HasNamedFields<Member>) {
            add_up(into, from);
        } else if constexpr (std::is_arithmetic_v<Member>) {
            switch (entry.total) {
                case Total::none:
                    break;
                case Total::sum:
                    into += from;
                    break;
                case Total::least:
                    into = std::min(into, from);
                    break;
                case Total::most:
                    into = std::max(into, from);
                    break;
            }
        }
    });
}

}  // namespace sluice
