# How every target of this project is compiled. An interface target, so that nothing leaks to a
# project that includes this one.
add_library(zerofault_compile INTERFACE)
target_compile_options(zerofault_compile INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
    $<$<BOOL:${ZEROFAULT_WERROR}>:-Werror>)
