# Run at each build: writes OUTPUT where the commit of SOURCE has changed since, so that nothing else is compiled anew.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty=-modified --abbrev=12 --match=NONE
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "unknown")   # no git, or an archive of the sources
endif()
if(commit MATCHES "unknown|modified")
  set(is_one false)
else()
  set(is_one true)
endif()
set(text "#define SLUICE_COMMIT \"${commit}\"\ninline constexpr bool kIsOneCommit = ${is_one};\n")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT "${text}" STREQUAL "${before}")
  file(WRITE ${OUTPUT} "${text}")
endif()
