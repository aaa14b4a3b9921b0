# Every library here is a Debian 12 package; scripts/build.sh installs what is missing.
find_package(Threads REQUIRED)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(Boost 1.74 REQUIRED COMPONENTS program_options)
find_package(ZLIB REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
add_library(hwloc::hwloc ALIAS PkgConfig::HWLOC)

# libaio ships no package description of its own.
find_path(LIBAIO_INCLUDE libaio.h REQUIRED)
find_library(LIBAIO_LIBRARY aio REQUIRED)
add_library(libaio::libaio INTERFACE IMPORTED)
target_include_directories(libaio::libaio INTERFACE ${LIBAIO_INCLUDE})
target_link_libraries(libaio::libaio INTERFACE ${LIBAIO_LIBRARY})

# Highway's vqsort is a candidate of bench/tags_bench.cpp where it is installed.
pkg_check_modules(HWY IMPORTED_TARGET libhwy libhwy-contrib)
