# Counts allocations by taking malloc's place, which sanitizers do as well: not together with them.
if(NOT SLUICE_SANITIZE)
  add_executable(allocation_tests ${CMAKE_CURRENT_LIST_DIR}/allocations/allocations_test.cpp)
  target_link_libraries(allocation_tests PRIVATE sluice_jobs sluice_simulated GTest::gtest_main)
  target_include_directories(allocation_tests PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_options(allocation_tests PRIVATE -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc)
  gtest_discover_tests(allocation_tests DISCOVERY_MODE PRE_TEST PROPERTIES LABELS fast TIMEOUT 120)
endif()
