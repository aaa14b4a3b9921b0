#include "cli/gensort_command.hpp"

int main(int argc, char** argv) { return sluice::gensort_main(argc, argv); }
