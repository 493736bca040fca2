# zf_add_test_program(<target> [FAKE_OS] <source>...)
#
# Build a test program of the calling folder. The library's objects are linked into it, so that a
# test also reaches symbols that the library hides. With FAKE_OS, tests/fake/fake_os.c stands where
# src/os would.
function(zf_add_test_program target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "FAKE_OS" "" "")
    if(arg_FAKE_OS)
        set(os zerofault_fake_os)
        set(os_libraries)
    else()
        set(os zerofault_os)
        set(os_libraries Threads::Threads Numa::numa ${CMAKE_DL_LIBS})
    endif()
    add_executable(${target} ${arg_UNPARSED_ARGUMENTS}
        $<TARGET_OBJECTS:zerofault_objects> $<TARGET_OBJECTS:${os}>)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    target_include_directories(${target} PRIVATE
        ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${target} PRIVATE
        zerofault_compile zerofault_test_support ${os_libraries})
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
endfunction()

# zf_add_test(<part> <noun> [FAKE_OS] [LIBRARIES <library>...] [LABELS <label>...])
#
# Build test_<noun>.c of the calling folder as a test program and run it as the test <part>.<noun>.
function(zf_add_test part noun)
    cmake_parse_arguments(PARSE_ARGV 2 arg "FAKE_OS" "" "LIBRARIES;LABELS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "zf_add_test(${part} ${noun}): unknown: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    set(target test_${part}_${noun})
    set(fake_os)
    if(arg_FAKE_OS)
        set(fake_os FAKE_OS)
    endif()
    zf_add_test_program(${target} ${fake_os} test_${noun}.c)
    target_link_libraries(${target} PRIVATE ${arg_LIBRARIES})
    add_test(NAME ${part}.${noun} COMMAND ${target})
    set_tests_properties(${part}.${noun} PROPERTIES TIMEOUT 120 LABELS "${part};${arg_LABELS}")
endfunction()

# zf_add_script(<part> <noun> <script> [<argument>...])
#
# Run a Python script of the calling folder as the test <part>.<noun>. Status 77 means skipped.
function(zf_add_script part noun script)
    add_test(NAME ${part}.${noun}
        COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${ARGN})
    set_tests_properties(${part}.${noun} PROPERTIES
        TIMEOUT 300 LABELS ${part} SKIP_RETURN_CODE 77)
endfunction()
