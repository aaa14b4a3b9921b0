#include "jobs/sort_output.hpp"

#include <algorithm>

#include "jobs/part_check.hpp"
#include "jobs/part_names.hpp"
#include "net/collectives.hpp"
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

std::string SortOutput::name_of_part(std::uint32_t part) const {
    const PartLabel& label = labels_[part];
    const std::uint32_t partition = prepared_.plan.ownership.first(job_.rank()) + label.partition;
    SLUICE_CHECK(label.partition < prepared_.plan.ownership.count(job_.rank()));
    const std::uint32_t partitions = prepared_.plan.ownership.partitions();
    return label.split ? part_name(partition, partitions, label.piece) : part_name(partition, partitions);
}

std::string SortOutput::path_of_part(std::uint32_t part) const {
    return set_.path_of(disk_of_part(part), name_of_part(part));
}

std::vector<PartFact> SortOutput::facts_of(const std::vector<SortSummary>& written) const {
    const std::uint32_t first = prepared_.plan.ownership.first(job_.rank());
    std::vector<PartFact> facts;
    for (std::uint32_t part = 0; part < written.size(); ++part) {
        facts.push_back({name_of_part(part), set_.disk_number(disk_of_part(part)), first + labels_[part].partition,
                         written[part].sum, written[part].first_record, written[part].last_record});
    }
    return facts;
}

std::string SortOutput::make_manifest(const std::vector<SortSummary>& written, const std::vector<double>& shares,
                                      SortResult& result) {
    mine_ = facts_of(written);
    const std::vector<PartFact> parts = gather_parts(job_, mine_);
    std::vector<OutputDisk> disks;
    for (std::uint32_t used = 0; used < set_.disks(); ++used)
        disks.push_back({set_.disk_number(used), set_.disk_path(used)});
    const auto disks_by_rank = gather(job_.communicator, disks);
    DataSet& set = result.output_set;
    set.kind = SetKind::sorted;
    set.run_id = prepared_.run_id;
    set.created = utc_now();
    set.format = prepared_.plan.format;
    set.verified = result.verified;
    set.origin = "sluice sort of " + prepared_.input.origin;
    set.total = result.output;
    set.input_total = result.input;
    set.disks = set_.set_disks();
    std::vector<std::uint32_t> partition_of_part;
    const Step step = open_step(job_, "makes the manifest");
    for (const PartFact& part : parts) {
        tick_step();
        DataFile file{part.disk, part.name, part.sum.count * set.format.record_bytes, part.sum,
                      static_cast<std::int64_t>(set.files.size())};
        partition_of_part.push_back(part.partition);
        set.files.push_back(std::move(file));
    }
    if (job_.rank() == 0) {
        result.balance =
            measure_balance(prepared_.plan, prepared_.resources, shares, set, partition_of_part, disks_by_rank);
    }
    return job_.communicator.broadcast(job_.rank() == 0 ? set.to_text() : "", 0);
}

void SortOutput::look_at_parts(Arena& arena) const {
    set_.require_ours();
    const RecordFormat& format = prepared_.plan.format;
    std::vector<WrittenFile> files;
    for (std::uint32_t part = 0; part < mine_.size(); ++part)
        files.push_back({path_of_part(part), mine_[part].sum.count * format.record_bytes, mine_[part].last_key});
    arena.reset();
    const std::uint64_t bytes = std::min(kAmpleCheckBytes, round_down(arena.phase_bytes(), kDirectIoAlign));
    check_written_files(job_, format, files, arena.take(bytes, kDirectIoAlign, "last blocks"));
}

}  // namespace sluice
