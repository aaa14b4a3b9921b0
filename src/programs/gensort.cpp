#include "cli/gensort_command.hpp"
#include "runtime/process_limits.hpp"

int main(int argc, char** argv) {
    sluice::take_process_limits();
    return sluice::gensort_main(argc, argv);
}
