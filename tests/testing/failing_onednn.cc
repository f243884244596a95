#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>

#include "tests/testing/failing_products.h"

// Takes the place of oneDNN's for this process.
extern "C" dnnl_status_t dnnl_primitive_execute(
    const_dnnl_primitive_t primitive, dnnl_stream_t stream, int count,
    const dnnl_exec_arg_t* arguments) {
  if (qlarank::testing::products_fail || qlarank::testing::bf16_products_fail) {
    return dnnl_out_of_memory;
  }
  static const auto real = reinterpret_cast<decltype(&dnnl_primitive_execute)>(
      dlsym(RTLD_NEXT, "dnnl_primitive_execute"));
  return real(primitive, stream, count, arguments);
}
