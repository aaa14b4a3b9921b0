#include "runtime/stage_kind.hpp"

namespace sluice {
namespace {

constexpr Word<StageKind> kStages[] = {{"network", StageKind::network},
                                       {"reader", StageKind::reader},
                                       {"source", StageKind::source},
                                       {"generator", StageKind::generator},
                                       {"node distributor", StageKind::node_distributor},
                                       {"sender", StageKind::sender},
                                       {"receiver", StageKind::receiver},
                                       {"logical-disk distributor", StageKind::logical_disk_distributor},
                                       {"keeper", StageKind::keeper},
                                       {"sink", StageKind::sink},
                                       {"writer", StageKind::writer},
                                       {"sorter", StageKind::sorter},
                                       {"finisher", StageKind::finisher},
                                       {"last look", StageKind::part_check},
                                       {"validator", StageKind::validator}};

}  // namespace

std::span<const Word<StageKind>> words_of(StageKind) noexcept { return kStages; }

}  // namespace sluice
