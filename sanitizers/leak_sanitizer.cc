// What LeakSanitizer has to be told, linked into every binary of the presets
// with AddressSanitizer.

// c-ares, by which gRPC's clients look up names, keeps ten bytes for each
// look-up of "localhost".
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libcares.so\n";
}
