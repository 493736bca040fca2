/* The few compiler attributes that the public headers need; gcc and clang have all of them. */
#ifndef ZEROFAULT_ATTRIBUTES_H
#define ZEROFAULT_ATTRIBUTES_H

#ifdef __cplusplus
#define ZEROFAULT_BEGIN_DECLS extern "C" {
#define ZEROFAULT_END_DECLS }
#else
#define ZEROFAULT_BEGIN_DECLS
#define ZEROFAULT_END_DECLS
#endif

/* Public symbol; everything else in the shared library is hidden. */
#define ZEROFAULT_API __attribute__((visibility("default")))

/* One definition serves both uses: it is always inlined where the header is seen (plain `inline`
 * leaves real calls in a release build of gcc), and `extern inline` in one file of the library
 * emits the symbol that bindings link to. */
#define ZEROFAULT_INLINE ZEROFAULT_API inline __attribute__((always_inline))

/* Kept out of line, but not slow: what an inline function calls when a comparison is not enough. */
#define ZEROFAULT_OUTLINE ZEROFAULT_API __attribute__((noinline))

/* Kept out of the hot code path: refusals and violations. */
#define ZEROFAULT_COLD ZEROFAULT_API __attribute__((cold, noinline))

/* Thread-local without a call to find it: a hot section may not enter the dynamic linker. */
#define ZEROFAULT_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))

#define ZEROFAULT_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define ZEROFAULT_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Memory accesses of the program stay on their side of this line; no instruction is emitted. */
#define ZEROFAULT_COMPILER_FENCE() __asm__ volatile("" ::: "memory")

#endif
