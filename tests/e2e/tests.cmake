# End-to-end tests: the programs, under mpirun, on a real disk. Each makes and removes a directory of its own in /var/tmp.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
  add_library(kill_before MODULE ${CMAKE_CURRENT_LIST_DIR}/kill_before.cpp)
  target_link_libraries(kill_before PRIVATE ${CMAKE_DL_LIBS})
  add_library(kill_in_init MODULE ${CMAKE_CURRENT_LIST_DIR}/kill_in_init.cpp)
  target_link_libraries(kill_in_init PRIVATE ${CMAKE_DL_LIBS})
  set_target_properties(kill_before kill_in_init PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  add_library(other_locks MODULE ${CMAKE_CURRENT_LIST_DIR}/other_locks.cpp)
  target_link_libraries(other_locks PRIVATE ${CMAKE_DL_LIBS})
  add_library(count_collectives MODULE ${CMAKE_CURRENT_LIST_DIR}/count_collectives.cpp)
  target_link_libraries(count_collectives PRIVATE MPI::MPI_CXX)
  target_compile_definitions(count_collectives PRIVATE OMPI_SKIP_MPICXX=1)
  set_target_properties(count_collectives PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  set_target_properties(other_locks PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  # These judge what comes out: two may share the cores, each sees no other's jobs (harness.py).
  set(sharing golden one_pass many_files shuffle bad_input preflight scripts transports any_data generate
    record_shapes distributions launching progress overflow hostile odd_places surroundings after_publish clean tidy collectives)
  # These judge when, or kill, or fill the host: alone.
  set(alone sort_ranks system_calls netns faults stragglers quickstart crashes two_programs start limits locks)
  foreach(name ${sharing} ${alone})
    add_test(NAME e2e.${name} COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/${name}.py)
    set_tests_properties(e2e.${name} PROPERTIES LABELS "e2e" TIMEOUT 900 ENVIRONMENT
      "SLUICE_TEST_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONDONTWRITEBYTECODE=1")
    if(name IN_LIST alone)
      set_tests_properties(e2e.${name} PROPERTIES RUN_SERIAL TRUE)
    endif()
  endforeach()
  add_test(NAME e2e.faults_full COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/faults.py --full)
  set_tests_properties(e2e.faults_full PROPERTIES LABELS "full" TIMEOUT 900 RUN_SERIAL TRUE ENVIRONMENT
    "SLUICE_TEST_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONDONTWRITEBYTECODE=1")
  foreach(name crashes two_programs start limits hostile)
    add_test(NAME e2e.${name}_full COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/${name}.py --full)
    set_tests_properties(e2e.${name}_full PROPERTIES LABELS "full" TIMEOUT 3600 RUN_SERIAL TRUE ENVIRONMENT
      "SLUICE_TEST_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONDONTWRITEBYTECODE=1")
  endforeach()
  # 100,000 input files.
  add_test(NAME e2e.many_files_full COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/many_files.py --full)
  set_tests_properties(e2e.many_files_full PROPERTIES LABELS "full" TIMEOUT 1800 RUN_SERIAL TRUE ENVIRONMENT
    "SLUICE_TEST_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONDONTWRITEBYTECODE=1")
  # 10,000,000 records in 512 MiB, as the sort's issue shows it.
  add_test(NAME e2e.sort_ranks_full COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/sort_ranks.py)
  set_tests_properties(e2e.sort_ranks_full PROPERTIES LABELS "full" TIMEOUT 1800 RUN_SERIAL TRUE ENVIRONMENT
    "SLUICE_TEST_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONDONTWRITEBYTECODE=1;SLUICE_TEST_RECORDS=10000000;SLUICE_TEST_BUDGET_MIB=512")
else()
  message(WARNING "python3 is not there: no end-to-end tests")
endif()
