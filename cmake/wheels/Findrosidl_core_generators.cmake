# Closes three gaps of the ROS 2 wheels from the Python package index; a ROS
# installation needs none of this and never sees this file.
#
# 1. rosidl_core_generators has no wheel: the generators and type supports that
#    it stands for are found one by one.
# 2. The wheels' imported targets name include folders of the machine that
#    built them (/opt/python/...), which CMake refuses: they are removed. That
#    covers targets imported before this point, so a project calls
#    find_package(rosidl_default_generators) after its message packages.
# 3. rosidl_generator_py exports the include folder of NumPy. In a virtual
#    environment inside the checkout that is a path inside the source tree, which
#    CMake refuses to export: consumers do not need it, so it is kept for the
#    build only.

foreach(_package
    rosidl_cmake
    rosidl_generator_type_description
    rosidl_generator_c
    rosidl_generator_cpp
    rosidl_typesupport_introspection_c
    rosidl_typesupport_introspection_cpp
    rosidl_typesupport_fastrtps_c
    rosidl_typesupport_fastrtps_cpp
    rosidl_typesupport_c
    rosidl_typesupport_cpp
    rosidl_generator_py)
  find_package(${_package} REQUIRED)
endforeach()

get_property(_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(_target IN LISTS _targets)
  get_target_property(_folders ${_target} INTERFACE_INCLUDE_DIRECTORIES)
  if(_folders)
    list(FILTER _folders EXCLUDE REGEX "^/opt/python")
    set_target_properties(${_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_folders}")
  endif()
endforeach()

function(_keep_numpy_include_for_the_build)
  set(_target ${PROJECT_NAME}__rosidl_generator_py)
  get_target_property(_folders ${_target} INTERFACE_INCLUDE_DIRECTORIES)
  list(TRANSFORM _folders REPLACE "^(${CMAKE_PREFIX_PATH}/.*)$" "$<BUILD_INTERFACE:\\1>")
  set_target_properties(${_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_folders}")
endfunction()
cmake_language(DEFER CALL _keep_numpy_include_for_the_build)

set(rosidl_core_generators_FOUND TRUE)
