#include "jobs/sort_output.hpp"

#include <algorithm>

#include "jobs/last_word.hpp"
#include "jobs/part_check.hpp"
#include "jobs/part_names.hpp"
#include "plan/cluster.hpp"
#include "runtime/error.hpp"
#include "runtime/units.hpp"
#include "runtime/wall_clock.hpp"

namespace sluice {
namespace {

OutputSetOptions output_options(const JobContext& job, const PreparedSort& prepared) {
    OutputSetOptions options;
    options.name = job.config.output.name;
    options.run_id = prepared.run_id;
    options.verb = "sort";
    options.file_patterns = {"part-#", "part-#.#"};
    if (!prepared.input.run_id.empty()) options.reads = {prepared.input.run_id};
    return options;
}

}  // namespace

SortOutput::SortOutput(JobContext& job, const PreparedSort& prepared)
    : job_(job), prepared_(prepared), set_(job, output_options(job, prepared)) {
    set_.claim(prepared.others_were_here ? nullptr : prepared.old);
}

void SortOutput::set_parts(std::vector<PartLabel> labels) {
    labels_ = std::move(labels);
    first_disk_ = first_output_disks(prepared_.plan.ownership, prepared_.resources)[job_.rank()];
}

PartFact SortOutput::fact_of(std::uint32_t part, const RecordSum& sum) const {
    const PartLabel& label = labels_[part];
    SLUICE_CHECK(label.partition < prepared_.plan.ownership.count(job_.rank()));
    PartFact fact;
    fact.partition = prepared_.plan.ownership.first(job_.rank()) + label.partition;
    fact.piece = label.split ? label.piece : PartFact::kWhole;
    fact.disk = set_.disk_number(disk_of_part(part));
    fact.set_sum(sum);
    return fact;
}

std::string SortOutput::name_of(const PartFact& part) const {
    const std::uint32_t partitions = prepared_.plan.ownership.partitions();
    if (part.piece == PartFact::kWhole) return part_name(part.partition, partitions);
    return part_name(part.partition, partitions, part.piece);
}

std::string SortOutput::path_of_part(std::uint32_t part) const {
    return set_.path_of(disk_of_part(part), name_of(fact_of(part, {})));
}

RankAccount SortOutput::account(const std::vector<SortSummary>& written, Arena& arena) const {
    RankAccount mine;
    PartOrder order;
    mine.output.parts.reserve(written.size());
    for (std::uint32_t part = 0; part < written.size(); ++part) {
        const PartFact fact = fact_of(part, written[part].sum);
        order.add({name_of(fact), written[part].first_record, written[part].last_record});
        mine.written += written[part].sum;
        mine.output.parts.push_back(fact);
    }
    for (std::uint32_t used = 0; used < set_.disks(); ++used)
        mine.output.disks.push_back({set_.disk_number(used), set_.disk_path(used)});
    look_at(mine.output.parts, written, arena);
    mine.keys = order.whole();
    mine.problems = set_.name_problems();
    if (!order.problem().empty()) mine.problems.push_back(order.problem());
    return mine;
}

void SortOutput::look_at(const std::vector<PartFact>& parts, const std::vector<SortSummary>& written,
                         Arena& arena) const {
    set_.require_ours();
    const RecordFormat& format = prepared_.plan.format;
    std::vector<WrittenFile> files;
    for (std::uint32_t part = 0; part < parts.size(); ++part)
        files.push_back({path_of_part(part), parts[part].records * format.record_bytes, written[part].last_record});
    arena.reset();
    const std::uint64_t bytes = std::min(kAmpleCheckBytes, round_down(arena.phase_bytes(), kDirectIoAlign));
    check_written_files(job_, format, files, arena.take(bytes, kDirectIoAlign, "last blocks"));
}

void SortOutput::make_manifest(const SortAccount& account, std::size_t piece_bytes, const TakePiece& take) const {
    const Step step = open_step(job_, "makes the manifest");
    DataSet set;
    set.kind = SetKind::sorted;
    set.run_id = prepared_.run_id;
    set.created = utc_now();
    set.format = prepared_.plan.format;
    set.verified = job_.config.run.verify;
    set.origin = "sluice sort of " + prepared_.input.origin;
    set.total = account.written;
    set.input_total = account.read;
    set.disks = set_.set_disks();
    const auto each_file = [&](const TakeFile& take_file) {
        DataFile file;
        file.position = 0;
        for (const RankOutput& rank : account.output) {
            for (const PartFact& part : rank.parts) {
                tick_step();
                file.disk = part.disk;
                file.name = name_of(part);
                file.bytes = part.records * set.format.record_bytes;
                file.sum = part.sum();
                take_file(file);
                ++file.position;
            }
        }
    };
    sluice::make_manifest(set, each_file, piece_bytes, take);
}

void SortOutput::tell_last_word(const SortAccount& account) {
    sluice::tell_last_word(
        job_.communicator, account.problems,
        [&](std::size_t piece_bytes, const TakePiece& take) { make_manifest(account, piece_bytes, take); },
        [this](std::string_view piece) { set_.write_manifest(piece); });
}

}  // namespace sluice
