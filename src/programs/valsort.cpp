#include "cli/gensort_command.hpp"

int main(int argc, char** argv) { return sluice::valsort_main(argc, argv); }
