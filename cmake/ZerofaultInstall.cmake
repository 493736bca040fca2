# What a package holds: headers, both libraries, how CMake and pkg-config find them, the command and
# its manual pages. Nothing in it names the prefix, so a tree may be installed, moved and staged at
# will.
include(CMakePackageConfigHelpers)

set(zf_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/zerofault)

install(TARGETS zerofault_shared zerofault_static EXPORT zerofaultTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET zerofault_cpp)
    install(TARGETS zerofault_cpp EXPORT zerofaultTargets)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/bindings/cpp/include/zerofault
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/zerofault
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET zerofault_command)
    install(TARGETS zerofault_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(FILES
        ${PROJECT_SOURCE_DIR}/docs/man/zerofault.1
        ${PROJECT_SOURCE_DIR}/docs/man/zerofault-doctor.1
        DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/zerofaultConfig.cmake.in
    ${PROJECT_BINARY_DIR}/zerofaultConfig.cmake
    INSTALL_DESTINATION ${zf_config_dir}
    NO_SET_AND_CHECK_MACRO)
# Before 1.0 a new minor version may break what the last one promised.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/zerofaultConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(EXPORT zerofaultTargets NAMESPACE zerofault:: DESTINATION ${zf_config_dir})
install(FILES
    ${PROJECT_BINARY_DIR}/zerofaultConfig.cmake
    ${PROJECT_BINARY_DIR}/zerofaultConfigVersion.cmake
    ${CMAKE_CURRENT_LIST_DIR}/FindNuma.cmake
    DESTINATION ${zf_config_dir})

file(RELATIVE_PATH zf_prefix_from_pkgconfig
    ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
# Where dlopen is not in the C library itself.
set(zf_dl_flag ${CMAKE_DL_LIBS})
list(TRANSFORM zf_dl_flag PREPEND "-l")
configure_file(${CMAKE_CURRENT_LIST_DIR}/zerofault.pc.in ${PROJECT_BINARY_DIR}/zerofault.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/zerofault.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
