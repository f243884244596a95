// How jemalloc is set up, which the server is linked with: states, blocks and
// messages of all sizes come and go on every thread, and what glibc's malloc
// cannot use of the holes between them grows (docs/performance.md, memory).
//
// It reads this before main(); MALLOC_CONF in the environment comes after it.
//
//   percpu_arena       as many arenas as processors, not four for each
//   dirty_decay_ms     pages go back to the system a second after they were
//   muzzy_decay_ms     freed, not twenty
//   background_thread  ... even if nothing else is freed then
extern "C" {
const char* malloc_conf =
    "percpu_arena:percpu,dirty_decay_ms:1000,muzzy_decay_ms:0,"
    "background_thread:true";
}
