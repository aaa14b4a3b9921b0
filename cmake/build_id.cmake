# Run at each build: writes OUTPUT where the commit of SOURCE has changed since, so that nothing else is compiled anew.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty=-modified --abbrev=12 --match=NONE
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
execute_process(COMMAND git -C ${SOURCE} ls-files --error-unmatch CMakeLists.txt OUTPUT_QUIET ERROR_QUIET RESULT_VARIABLE is_others)
execute_process(COMMAND git -C ${SOURCE} status --porcelain -- src OUTPUT_VARIABLE changed ERROR_QUIET)
if(changed AND NOT commit MATCHES "modified")
  string(APPEND commit "-modified")   # a file that git does not know is compiled all the same
endif()
if(failed OR is_others)
  set(commit "unknown")   # no git, or an archive of the sources
endif()
if(commit MATCHES "unknown|modified")
  set(is_one false)
else()
  set(is_one true)
endif()
set(text "#define SLUICE_COMMIT \"${commit}\"\n#define SLUICE_IS_ONE_COMMIT ${is_one}\n")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT "${text}" STREQUAL "${before}")
  file(WRITE ${OUTPUT} "${text}")
endif()
