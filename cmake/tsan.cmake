# Under ThreadSanitizer: everything of ours is linked with tsan_libraries.cc, which
# explains the locks of Abseil to it.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/tsan_libraries.cc lines
  REGEX "_ZNK?4absl[A-Za-z0-9_]+")
set(wraps)
foreach(line ${lines})
  string(REGEX MATCH "_ZNK?4absl[A-Za-z0-9_]+" symbol "${line}")
  list(APPEND wraps "LINKER:--wrap=${symbol}")
endforeach()
list(REMOVE_DUPLICATES wraps)

add_library(qlarank_tsan STATIC ${CMAKE_CURRENT_LIST_DIR}/tsan_libraries.cc)
target_link_libraries(qlarank_tsan PUBLIC absl::synchronization absl::time)
target_link_libraries(qlarank_flags INTERFACE qlarank_tsan)
target_link_options(qlarank_flags INTERFACE ${wraps})
