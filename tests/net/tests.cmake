# The transports over MPI, on 1 to 8 ranks of this host, bounded in time: a hang is a failure.
add_executable(mpi_traffic ${CMAKE_CURRENT_LIST_DIR}/mpi_traffic.cpp)
target_link_libraries(mpi_traffic PRIVATE sluice_net GTest::gtest)
target_include_directories(mpi_traffic PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
foreach(transport p2p alltoallv rma)
  foreach(ranks 1 2 3 4 8)
    add_test(NAME net.${transport}_on_${ranks} COMMAND ${PROJECT_SOURCE_DIR}/scripts/launch.sh -n ${ranks} --timeout 60 -- $<TARGET_FILE:mpi_traffic> ${transport})
    set_tests_properties(net.${transport}_on_${ranks} PROPERTIES LABELS fast TIMEOUT 90 RUN_SERIAL TRUE)
  endforeach()
endforeach()

# The news of a failure from rank to rank.
add_executable(mpi_news ${CMAKE_CURRENT_LIST_DIR}/mpi_news.cpp)
target_link_libraries(mpi_news PRIVATE sluice_net GTest::gtest)
foreach(ranks 1 2 3 8)
  add_test(NAME net.news_on_${ranks} COMMAND ${PROJECT_SOURCE_DIR}/scripts/launch.sh -n ${ranks} --timeout 60 -- $<TARGET_FILE:mpi_news>)
  set_tests_properties(net.news_on_${ranks} PROPERTIES LABELS fast TIMEOUT 90 RUN_SERIAL TRUE)
endforeach()
