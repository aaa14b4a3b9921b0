# Warnings are errors to developers in all of our own code (SLUICE_WERROR): who only builds it may have a compiler that
# knows more of them. System headers are left alone.
add_library(sluice_flags INTERFACE)
target_include_directories(sluice_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(sluice_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual $<$<BOOL:${SLUICE_WERROR}>:-Werror> -fno-omit-frame-pointer
  -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)   # where it was built makes no difference
# g++ 12 reports these falsely inside std::string and std::vector at -O3 (GCC bugs 105651, 105329).
target_compile_options(sluice_flags INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>)
if(SLUICE_SANITIZE)
  target_compile_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
  target_link_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()

# sluice_layer(NAME LIBRARIES...): the static library sluice_NAME of src/NAME/*.cpp.
function(sluice_layer name)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cpp)
  if(sources)
    add_library(sluice_${name} STATIC ${sources})
    target_link_libraries(sluice_${name} PUBLIC sluice_flags ${ARGN})
  else()   # headers only
    add_library(sluice_${name} INTERFACE)
    target_link_libraries(sluice_${name} INTERFACE sluice_flags ${ARGN})
  endif()
endfunction()
