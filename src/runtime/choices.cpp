#include "runtime/choices.hpp"

namespace sluice {
namespace {

constexpr Word<Verb> kVerbs[] = {{"gen", Verb::gen},         {"sort", Verb::sort},      {"validate", Verb::validate},
                                 {"shuffle", Verb::shuffle}, {"bench", Verb::bench},    {"config", Verb::config},
                                 {"clean", Verb::clean},     {"sysinfo", Verb::sysinfo}};
constexpr Word<DiskRole> kRoles[] = {
    {"input", DiskRole::input}, {"intermediate", DiskRole::intermediate}, {"output", DiskRole::output}};
constexpr Word<DiskScope> kScopes[] = {{"host", DiskScope::host}, {"shared", DiskScope::shared}};
constexpr Word<TransportKind> kTransports[] = {{"auto", TransportKind::automatic},
                                               {"p2p", TransportKind::p2p},
                                               {"alltoallv", TransportKind::alltoallv},
                                               {"rma", TransportKind::rma}};
constexpr Word<Passes> kPasses[] = {{"two", Passes::two}, {"one", Passes::one}, {"auto", Passes::automatic}};
constexpr Word<DirectIo> kDirectIo[] = {{"on", DirectIo::on}, {"attempt", DirectIo::attempt}, {"off", DirectIo::off}};
constexpr Word<IoBackendKind> kBackends[] = {{"libaio", IoBackendKind::libaio}, {"sync", IoBackendKind::sync}};
constexpr Word<Polling> kPolling[] = {{"adaptive", Polling::adaptive}, {"spin", Polling::spin}};
constexpr Word<HugePages> kHugePages[] = {
    {"auto", HugePages::automatic}, {"on", HugePages::on}, {"off", HugePages::off}};
constexpr Word<SplitterSource> kDistributions[] = {{"sample", SplitterSource::sample},
                                                   {"uniform", SplitterSource::uniform}};
constexpr Word<PlacementPolicy> kPolicies[] = {{"auto", PlacementPolicy::automatic},
                                               {"none", PlacementPolicy::none},
                                               {"explicit", PlacementPolicy::explicit_cores}};
constexpr Word<LimitKind> kLimits[] = {
    {"none", LimitKind::none}, {"copy", LimitKind::copy}, {"two-pass-copy", LimitKind::two_pass_copy}};
constexpr Word<ProgressMode> kProgress[] = {
    {"auto", ProgressMode::automatic}, {"line", ProgressMode::line}, {"none", ProgressMode::none}};
constexpr Word<Overwrite> kOverwrite[] = {
    {"false", Overwrite::no}, {"true", Overwrite::yes}, {"first", Overwrite::first}};
constexpr Word<Locks> kLocks[] = {{"flock", Locks::flock}, {"record", Locks::record}};

}  // namespace

std::span<const Word<Verb>> words_of(Verb) noexcept { return kVerbs; }
std::span<const Word<DiskRole>> words_of(DiskRole) noexcept { return kRoles; }
std::span<const Word<DiskScope>> words_of(DiskScope) noexcept { return kScopes; }
std::span<const Word<TransportKind>> words_of(TransportKind) noexcept { return kTransports; }
std::span<const Word<Passes>> words_of(Passes) noexcept { return kPasses; }
std::span<const Word<DirectIo>> words_of(DirectIo) noexcept { return kDirectIo; }
std::span<const Word<IoBackendKind>> words_of(IoBackendKind) noexcept { return kBackends; }
std::span<const Word<Polling>> words_of(Polling) noexcept { return kPolling; }
std::span<const Word<HugePages>> words_of(HugePages) noexcept { return kHugePages; }
std::span<const Word<SplitterSource>> words_of(SplitterSource) noexcept { return kDistributions; }
std::span<const Word<PlacementPolicy>> words_of(PlacementPolicy) noexcept { return kPolicies; }
std::span<const Word<LimitKind>> words_of(LimitKind) noexcept { return kLimits; }
std::span<const Word<ProgressMode>> words_of(ProgressMode) noexcept { return kProgress; }
std::span<const Word<Overwrite>> words_of(Overwrite) noexcept { return kOverwrite; }
std::span<const Word<Locks>> words_of(Locks) noexcept { return kLocks; }

}  // namespace sluice
