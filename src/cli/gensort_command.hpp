#pragma once
/// The drop-in commands gensort and valsort, with those tools' arguments, messages and exit codes.
/// Source: gensort and valsort (sortbenchmark.org).

namespace sluice {

/// gensort [-a] [-s] [-c] [-bSTART] [-tN] NUM_RECS FILE. A write error and numbers with trailing garbage are errors
/// here.
int gensort_main(int argc, char** argv);

/// valsort [-q] [-i] [-tN] [-o SUMMARY] FILE, valsort -s ... FILE. -i compares the ten key bytes with A-Z
/// taken as a-z.
int valsort_main(int argc, char** argv);

}  // namespace sluice
