# Find libnuma: the target Numa::numa. Installed beside the package's own files, because the static
# library has to be linked with it.
include(FindPackageHandleStandardArgs)

find_path(NUMA_INCLUDE_DIR numa.h)
find_library(NUMA_LIBRARY numa)
mark_as_advanced(NUMA_INCLUDE_DIR NUMA_LIBRARY)
find_package_handle_standard_args(Numa REQUIRED_VARS NUMA_LIBRARY NUMA_INCLUDE_DIR)

# Global, so that a project that includes this one as a folder sees it too.
if(Numa_FOUND AND NOT TARGET Numa::numa)
    add_library(Numa::numa UNKNOWN IMPORTED GLOBAL)
    set_target_properties(Numa::numa PROPERTIES
        IMPORTED_LOCATION ${NUMA_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${NUMA_INCLUDE_DIR})
endif()
