#include <unistd.h>

#include <iostream>

#include "cli/command.h"

int main(int argc, char** argv) {
  return static_cast<int>(qlarank::RunCommandLine(
      argc, argv, std::cout, std::cerr, isatty(STDERR_FILENO) == 1));
}
