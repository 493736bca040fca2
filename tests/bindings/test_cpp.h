/* The C++ tests' cmocka, and the groups that their main function runs. */
#ifndef ZF_TESTS_BINDINGS_TEST_CPP_H
#define ZF_TESTS_BINDINGS_TEST_CPP_H

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>

#include "support/needs.h"
}

/* Each runs one file's tests and returns how many failed. */
int run_type_tests();

#endif
