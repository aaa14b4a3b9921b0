#include "cli/command_line.hpp"

#include <boost/program_options.hpp>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "net/traffic.hpp"
#include "record/uint128_text.hpp"
#include "runtime/choices.hpp"
#include "runtime/error.hpp"
#include "runtime/option_table.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

namespace po = boost::program_options;

struct VerbHelp {
    Verb verb;
    const char *what, *examples;
};
constexpr VerbHelp kVerbs[] = {
    {Verb::gen, "writes gensort data, or other keys and record shapes, over the configured input disks",
     "  sluice gen configs/laptop.toml --records 1000000\n  mpirun -n 4 sluice gen rack.toml --records 10000000000 "
     "--keys zipf:0.99\n"},
    {Verb::sort, "sorts the input and publishes the result, or says why not",
     "  sluice sort configs/laptop.toml\n  mpirun -n 2 sluice sort rack.toml --set memory.budget=8GiB --set "
     "run.limit=two-pass-copy\n"},
    {Verb::validate, "checks order, count and checksum of the sorted data against the input's manifest",
     "  sluice validate configs/laptop.toml\n  mpirun -n 4 sluice validate rack.toml\n"},
    {Verb::shuffle, "sends records between all ranks as a sort does, without disks, and checks each pair of ranks",
     "  mpirun -n 4 sluice shuffle rack.toml --seconds 10 --limit\n  mpirun -n 8 sluice shuffle rack.toml --records "
     "100000000 --pattern all-to-one\n"},
    {Verb::bench,
     "measures limits: bench disk --two-pass-copy copies the input twice, as a sort reads and writes it, "
     "--one-pass-copy once, as a sort in memory does; bench net "
     "moves "
     "messages by each transport, without record work",
     "  sluice bench disk --two-pass-copy configs/laptop.toml\n  mpirun -n 4 sluice bench net rack.toml --sizes "
     "64KiB,1MiB "
     "--pattern all-to-all,all-to-one --seconds 2\n  mpirun -n 2 sluice bench disk --two-pass-copy "
     "rack.toml\n"},
    {Verb::config,
     "config list: all options; config check: the plan, without running it; config show: each value and where it came "
     "from",
     "  sluice config check configs/rack-nvme.toml --hosts 16 --cores 32 --memory 256GiB --input 1TB\n  sluice config "
     "show rack.toml --set io.depth=8\n"},
    {Verb::clean,
     "removes the sorted data set (with --input also the input) and what dead runs left, after it has listed them and "
     "you, or --yes, agreed; with --run at once only what that run, or all dead runs, left",
     "  sluice clean configs/laptop.toml --yes\n  mpirun -n 16 sluice clean rack.toml --run all\n"},
    {Verb::sysinfo, "describes this host", "  sluice sysinfo\n  sluice sysinfo > system.json\n"},
};

struct CommandRow {
    Command command;
    Verb verb;
    const char* second;  ///< word of the call
    bool has_status;
};
constexpr CommandRow kCommands[] = {
    {Command::gen, Verb::gen, "", true},
    {Command::sort, Verb::sort, "", true},
    {Command::validate, Verb::validate, "", true},
    {Command::shuffle, Verb::shuffle, "", true},
    {Command::bench_copy, Verb::bench, "disk", true},
    {Command::bench_net, Verb::bench, "net", true},
    {Command::config_list, Verb::config, "list", false},
    {Command::config_check, Verb::config, "check", false},
    {Command::config_check, Verb::config, "", false},
    {Command::config_show, Verb::config, "show", false},
    {Command::clean, Verb::clean, "", false},
    {Command::sysinfo, Verb::sysinfo, "", false},
};

Command find_command(Verb verb, const std::string& second) {
    const auto row = std::find_if(std::begin(kCommands), std::end(kCommands),
                                  [&](const CommandRow& r) { return r.verb == verb && r.second == second; });
    return row == std::end(kCommands) ? Command::none : row->command;
}

bool takes_second_word(Verb verb) {
    return std::any_of(std::begin(kCommands), std::end(kCommands),
                       [&](const CommandRow& r) { return r.verb == verb && *r.second != '\0'; });
}

std::string key_kinds() {
    std::string all;
    for (const std::string& name : key_distribution_names()) all += (all.empty() ? "" : ", ") + name;
    return all;
}

/// The verb is the first word that is no option: `clean` has an --input of its own, which takes no value.
bool is_clean(int argc, char** argv) {
    const auto word = std::find_if(argv + std::min(argc, 1), argv + argc, [](const char* arg) { return *arg != '-'; });
    return word != argv + argc && parse_word<Verb>(*word) == Verb::clean;
}

po::options_description make_options(bool for_clean = false) {
    po::options_description options("options");
    options.add_options()("help,h", "help, also for a verb")("version", "version and build");
    options.add_options()("set", po::value<std::vector<std::string>>()->composing(),
                          "KEY=VALUE of the config; repeatable");
    options.add_options()("records", po::value<std::string>(), "gen, shuffle: how many records, over all ranks");
    options.add_options()("start", po::value<std::string>(), "gen: number of the first record, up to 2^128-1");
    options.add_options()("seconds", po::value<double>(),
                          "shuffle: for so long, instead of --records; bench net: for each row");
    options.add_options()("pattern", po::value<std::string>(),
                          "shuffle: all-to-all (default), one-to-all, all-to-one, permutation or stride");
    options.add_options()("stride", po::value<std::uint32_t>(), "shuffle: rank r sends to rank r + STRIDE");
    options.add_options()("sizes", po::value<std::string>(), "bench net: messages of these sizes, such as 64KiB,1MiB");
    options.add_options()("transport", po::value<std::string>(), "bench net: of p2p,alltoallv,rma; default: all");
    options.add_options()("iterations", po::value<std::string>(),
                          "bench net: messages per pair and repetition, instead of --seconds");
    options.add_options()("limit", po::bool_switch(), "shuffle: measure its steps alone as well");
    options.add_options()("ascii", po::bool_switch(), "gen: printable records");
    options.add_options()("skewed", po::bool_switch(), "gen: as --keys skewed (gensort -s)");
    options.add_options()("keys", po::value<std::string>(), ("gen: how keys are spread: " + key_kinds()).c_str());
    options.add_options()("two-pass-copy", po::bool_switch(), "bench disk: the bare two-pass copy");
    options.add_options()("one-pass-copy", po::bool_switch(), "bench disk: the bare one-pass copy");
    options.add_options()("markdown", po::bool_switch(), "config list: as docs/config.md");
    if (for_clean) {
        options.add_options()("input", po::bool_switch(), "clean: the input data set too");
    } else {
        options.add_options()("input", po::value<std::string>(),
                              "config check: size of the input to plan for, such as 1TB");
    }
    options.add_options()("yes", po::bool_switch(), "clean: remove what is listed without asking");
    options.add_options()("dry-run", po::bool_switch(), "clean: only list");
    options.add_options()("force", po::bool_switch(),
                          "clean: also of runs that cannot be asked whether they live, if nobody holds their locks");
    options.add_options()("hosts", po::value<unsigned>(), "config check: hosts of a described cluster");
    options.add_options()("ranks-per-host", po::value<unsigned>(), "config check: its ranks per host");
    options.add_options()("cores", po::value<unsigned>(), "config check: its cores per host");
    options.add_options()("memory", po::value<std::string>(), "config check: its memory per host, such as 256GiB");
    options.add_options()("run", po::value<std::string>(), "clean: remove only what this dead run left, or \"all\"");
    options.add_options()("word", po::value<std::vector<std::string>>(), "verb and config file");
    return options;
}

std::uint64_t size_of(const po::variables_map& map, const char* name) {
    if (map.count(name) == 0) return 0;
    const std::string text = map[name].as<std::string>();
    const auto bytes = parse_bytes(text);
    if (!bytes) throw Error(Errc::config, "--" + std::string(name) + " " + text + ": is no size; write 1TB or 256GiB");
    return *bytes;
}

KeyDistribution keys_of(const po::variables_map& map) {
    const bool skewed = map["skewed"].as<bool>();
    if (map.count("keys") == 0) return *KeyDistribution::parse(skewed ? "skewed" : "uniform");
    const std::string text = map["keys"].as<std::string>();
    const auto keys = KeyDistribution::parse(text);
    if (!keys) {
        const auto near = nearest(text, key_distribution_names());
        throw Error(Errc::config, "--keys " + text + ": is none of " + key_kinds() +
                                      (near ? "; did you mean '" + *near + "'?" : "") +
                                      " (THETA 0 .. 10, K a whole number from 1 to the number of records)");
    }
    if (skewed && keys->kind != KeyDistribution::Kind::skewed)
        throw Error(Errc::config, "--skewed and --keys " + text + ": choose one of them");
    return *keys;
}

Uint128 number_of(const po::variables_map& map, const char* name, Uint128 most) {
    if (map.count(name) == 0) return 0;
    const std::string text = map[name].as<std::string>();
    const auto number = parse_decimal(text);
    if (!number || *number > most)
        throw Error(Errc::config,
                    "--" + std::string(name) + " " + text + ": is no whole number up to " + to_decimal(most));
    return *number;
}

void take_words(CommandLine& line, const std::vector<std::string>& words) {
    std::vector<std::string> rest = words;
    if (rest.empty()) return;
    line.verb = rest.front();
    rest.erase(rest.begin());
    const auto verb = parse_word<Verb>(line.verb);
    if (!verb) {
        const auto near = nearest(line.verb, word_list<Verb>());
        throw Error(Errc::config, "'" + line.verb + "' is no verb of sluice" +
                                      (near ? "; did you mean '" + *near + "'?" : "; `sluice --help` lists them"));
    }
    std::string second;
    if (takes_second_word(*verb) && !rest.empty()) {
        second = rest.front();
        rest.erase(rest.begin());
        if (second.empty() || find_command(*verb, second) == Command::none) {
            throw Error(Errc::config, "'" + line.verb + " " + second + "': unknown; `sluice " + line.verb +
                                          " --help` says what there is");
        }
    }
    line.command = find_command(*verb, second);
    if (!rest.empty()) {
        line.config_path = rest.front();
        rest.erase(rest.begin());
    }
    if (!rest.empty())
        throw Error(Errc::config,
                    "'" + rest.front() + "': one word too many; `sluice " + line.verb + " --help` shows examples");
}

void check_shuffle(const CommandLine& line, bool has_records) {
    if (has_records == (line.seconds != 0))
        throw Error(Errc::config, "shuffle: say how much with either --records N or --seconds S");
    if (!has_records && !(line.seconds >= 0.01 && line.seconds <= 86'400))
        throw Error(Errc::config, "--seconds: is outside 0.01 .. 86400");
    if (!line.pattern.empty() && !parse_pattern(line.pattern)) {
        const auto near = nearest(line.pattern, {"all-to-all", "one-to-all", "all-to-one", "permutation", "stride"});
        throw Error(Errc::config, "--pattern " + line.pattern +
                                      ": is none of all-to-all, one-to-all, all-to-one, permutation, stride" +
                                      (near ? "; did you mean " + *near + "?" : ""));
    }
}

/// Whether the options say what the command needs to know.
void check_command(const CommandLine& line, bool has_records) {
    if (line.command == Command::gen && !has_records) throw Error(Errc::config, "gen: say how many with --records N");
    if (line.command == Command::shuffle) check_shuffle(line, has_records);
    const bool is_incomplete = line.command == Command::none && !line.verb.empty();  // only a bare bench is no command
    if (is_incomplete || (line.command == Command::bench_copy && line.two_pass_copy == line.one_pass_copy)) {
        throw Error(Errc::config,
                    "bench: `sluice bench disk --two-pass-copy CONFIG`, `sluice bench disk --one-pass-copy CONFIG` "
                    "and `sluice bench net` are what there is");
    }
}

/// What Boost says; its what() never ends where a word holds one of its own placeholders ("%value%"), which it replaces
/// by that word.
std::string text_of(const po::error& error, int argc, char** argv) {
    const bool plain =
        std::none_of(argv, argv + argc, [](const char* word) { return std::strchr(word, '%') != nullptr; });
    if (plain) return error.what();
    const auto* named = dynamic_cast<const po::error_with_option_name*>(&error);
    return "option '" + (named != nullptr ? named->get_option_name() : std::string()) +
           "' is not known, or does not take what is given to it";
}

}  // namespace

bool has_status(Command command) noexcept {
    return std::any_of(std::begin(kCommands), std::end(kCommands),
                       [&](const CommandRow& row) { return row.command == command && row.has_status; });
}

CommandLine parse_command_line(int argc, char** argv) {
    CommandLine line;
    try {
        po::positional_options_description words;
        words.add("word", -1);
        po::variables_map map;
        const bool for_clean = is_clean(argc, argv);
        using namespace po::command_line_style;
        const int style = allow_long | long_allow_adjacent | long_allow_next | allow_short | short_allow_next |
                          allow_dash_for_short;  // no guessing of prefixes
        po::store(
            po::command_line_parser(argc, argv).options(make_options(for_clean)).positional(words).style(style).run(),
            map);
        line.help = map.count("help") != 0;
        line.version = map.count("version") != 0;
        if (map.count("set") != 0) line.sets = map["set"].as<std::vector<std::string>>();
        if (map.count("word") != 0) take_words(line, map["word"].as<std::vector<std::string>>());
        line.ascii = map["ascii"].as<bool>();
        line.keys = keys_of(map);
        line.two_pass_copy = map["two-pass-copy"].as<bool>();
        line.one_pass_copy = map["one-pass-copy"].as<bool>();
        line.markdown = map["markdown"].as<bool>();
        line.records = static_cast<std::uint64_t>(number_of(map, "records", (std::uint64_t{1} << 56)));
        line.limit = map["limit"].as<bool>();
        if (map.count("sizes") != 0) line.sizes = map["sizes"].as<std::string>();
        if (map.count("transport") != 0) line.transport = map["transport"].as<std::string>();
        line.iterations = static_cast<std::uint64_t>(number_of(map, "iterations", 1'000'000'000));
        if (map.count("seconds") != 0) line.seconds = map["seconds"].as<double>();
        if (map.count("pattern") != 0) line.pattern = map["pattern"].as<std::string>();
        if (map.count("stride") != 0) {
            line.stride = map["stride"].as<std::uint32_t>();
            if (line.pattern.empty() && line.command != Command::bench_net) line.pattern = "stride";
        }
        line.start = number_of(map, "start", ~Uint128{0});
        if (!for_clean) line.input_bytes = size_of(map, "input");
        line.with_input = for_clean && map["input"].as<bool>();
        line.yes = map["yes"].as<bool>();
        line.dry_run = map["dry-run"].as<bool>();
        line.force = map["force"].as<bool>();
        line.memory_bytes = size_of(map, "memory");
        if (map.count("run") != 0) line.run_id = map["run"].as<std::string>();
        if (map.count("run") != 0 && line.run_id.empty())
            throw Error(Errc::config, "--run: is empty; write a run id or \"all\"");
        if (line.with_input && !line.run_id.empty())
            throw Error(
                Errc::config,
                "clean --run --input: --run removes what a run left, --input a data set; leave out one of them");
        if (map.count("hosts") != 0) line.hosts = map["hosts"].as<unsigned>();
        if (map.count("ranks-per-host") != 0) line.ranks_per_host = map["ranks-per-host"].as<unsigned>();
        if (map.count("cores") != 0) line.cores = map["cores"].as<unsigned>();
        if (!line.help && !line.version) check_command(line, map.count("records") != 0);
    } catch (const po::error& error) {
        throw Error(Errc::config, text_of(error, argc, argv) + "; `sluice --help` lists verbs and options");
    }
    return line;
}

std::string help_text(const std::string& verb) {
    std::ostringstream text;
    const auto asked = parse_word<Verb>(verb);
    for (const VerbHelp& one : kVerbs) {
        if (one.verb != asked) continue;
        text << "sluice " << verb << ": " << one.what << "\n\nexamples:\n" << one.examples;
        return text.str();
    }
    text << "sluice: cluster sort and shuffle benchmark\n\nsluice VERB [CONFIG] [options]\n";
    for (const VerbHelp& one : kVerbs)
        text << "  " << word_of(one.verb) << std::string(10 - word_of(one.verb).size(), ' ') << one.what << "\n";
    text << "\n" << make_options();
    return text.str();
}

}  // namespace sluice
