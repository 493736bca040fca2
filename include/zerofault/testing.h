/*
 * Assertions about a block of code in a test: it takes no page fault, makes no system call.
 *
 *     #include <cmocka.h>              first, and failures are cmocka's
 *     #include <zerofault/testing.h>
 *
 *     assert_no_page_faults {
 *         book_apply(&book, &message);
 *     }
 *
 * A failure names file, line and function of the block, what was counted and by which source, and
 * the first violations with address, arena and instruction. Where the machine cannot tell, the
 * block runs all the same, and then the test is skipped with the reason.
 *
 * The count is exact: faults of the program's own instructions and those inside its system calls,
 * none of the helper's. That includes the code: what runs for the first time may fault in its own
 * instructions, its constants and its lazily bound calls. Run it once before, or mean it so.
 *
 * A block may be left by break, return and goto, and is then checked as well. An assertion that
 * fails inside leaves it by longjmp: give such a test zerofault_test_teardown, so that the next
 * one starts with a guard of its own. Blocks nest, eight deep on a thread. A thread without a guard
 * gets one for the length of the block; one whose guard sees too little gets a better one, and its
 * own back afterwards.
 *
 * Without cmocka, failures go to standard error and abort(). Define ZEROFAULT_TEST_FAIL and
 * ZEROFAULT_TEST_SKIP before including this to have them go elsewhere. GoogleTest and Catch2 have
 * zerofault/testing.hpp. Not part of zerofault.h.
 */
#ifndef ZEROFAULT_TESTING_H
#define ZEROFAULT_TESTING_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zerofault/hot.h>
#include <zerofault/valgrind.h>

/* ----------------------------------------------------------------------------------- the blocks */

/* No page fault, of any kind. */
#define assert_no_page_faults                                                                      \
    ZEROFAULT_TEST_BLOCK("assert_no_page_faults", ZEROFAULT_TEST_FAULTS, 0, 0)

/* At most so many page faults, the kinds taken together. */
#define expect_page_faults_at_most(count)                                                          \
    ZEROFAULT_TEST_BLOCK("expect_page_faults_at_most", ZEROFAULT_TEST_FAULTS, (count), 0)

/* No violation of any kind, with these flags of enum hot_watch watched besides page faults. */
#define assert_no_violations(watch_flags)                                                          \
    ZEROFAULT_TEST_BLOCK("assert_no_violations", ZEROFAULT_TEST_EVERYTHING, 0, (watch_flags))

/* No system call. Page faults are not counted. */
#define assert_no_system_calls                                                                     \
    ZEROFAULT_TEST_BLOCK("assert_no_system_calls", 1u << HOT_SYSTEM_CALL, 0, HOT_WATCH_SYSTEM_CALLS)

/* ----------------------------------------------------------------------- where the verdict goes */

/* Both get the file and line of the block and a text of one or more lines that names them too.
 * ZEROFAULT_TEST_FAIL may return; the test then goes on. */
#ifndef ZEROFAULT_TEST_FAIL
#ifdef CMOCKA_H_
#define ZEROFAULT_TEST_FAIL(file, line, text) (print_error("%s", text), _fail(file, line))
#else
#define ZEROFAULT_TEST_FAIL(file, line, text) (zerofault_test_print(text), abort())
#endif
#endif

#ifndef ZEROFAULT_TEST_SKIP
#ifdef CMOCKA_H_
#define ZEROFAULT_TEST_SKIP(file, line, text) (print_message("%s", text), _skip(file, line))
#else
#define ZEROFAULT_TEST_SKIP(file, line, text) zerofault_test_print(text)
#endif
#endif

/* --------------------------------------------------------------------- what a block consists of */

#define ZEROFAULT_TEST_FAULTS                                                                      \
    ((1u << HOT_MAJOR_FAULT) | (1u << HOT_FAULT) | (1u << HOT_KERNEL_FAULT))
#define ZEROFAULT_TEST_EVERYTHING ((1u << HOT_KIND_COUNT) - 1u)

#define ZEROFAULT_TEST_PLACES 4      /* violations that a message shows */
#define ZEROFAULT_TEST_LEVELS 8      /* blocks within blocks */
#define ZEROFAULT_TEST_TEXT_MAX 2048 /* bytes of a message */
#define ZEROFAULT_TEST_UNUSED __attribute__((unused))

#define ZEROFAULT_TEST_JOIN_(a, b) a##b
#define ZEROFAULT_TEST_JOIN(a, b) ZEROFAULT_TEST_JOIN_(a, b)
#define ZEROFAULT_TEST_BLOCK(assertion, kinds, allowed, watch)                                     \
    for (struct zerofault_test_block ZEROFAULT_TEST_JOIN(zerofault_test_block_, __LINE__)          \
             __attribute__((cleanup(zerofault_test_finish))) = zerofault_test_make(                \
                 assertion, __FILE__, __LINE__, __func__, kinds, allowed, watch);                  \
         zerofault_test_next(&ZEROFAULT_TEST_JOIN(zerofault_test_block_, __LINE__),                \
                             __builtin_frame_address(0));)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ZEROFAULT_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define ZEROFAULT_TEST_SANITIZED 1
#endif
#endif
#ifndef ZEROFAULT_TEST_SANITIZED
#define ZEROFAULT_TEST_SANITIZED 0
#endif

/* One violation, kept beyond the call of the hook. */
struct zerofault_test_place {
    struct hot_violation violation; /* its pointers, `arena` apart, are not valid any more */
    char arena[48];                 /* or "" */
};

enum zerofault_test_verdict {
    ZEROFAULT_TEST_PASSED,
    ZEROFAULT_TEST_FAILED,
    ZEROFAULT_TEST_SKIPPED /* the machine could not tell */
};

struct zerofault_test_block {
    const char *assertion;
    const char *file;
    int line;
    const char *function;
    uint32_t kinds;   /* that count, one bit for each of enum hot_kind */
    uint32_t watch;   /* of enum hot_watch: needed */
    uint64_t allowed; /* of these kinds together */
    bool begun;       /* the body runs or has run */
    bool ended;
    bool attached;                     /* the guard is this block's */
    bool exchanged;                    /* and the thread had another, with `options` */
    struct hot_thread_options options; /* of that other */
    unsigned level;                    /* blocks around this one */
    enum hot_source source;            /* that counted */
    const char *remedy;                /* for a source without addresses */
    char obstacle[192];                /* why nothing can be told, or "" */
    uint64_t counts[HOT_KIND_COUNT];
    size_t place_count;
    struct zerofault_test_place places[ZEROFAULT_TEST_PLACES];
};

/* What a thread keeps of its blocks. */
struct zerofault_test_thread {
    const void *frames[ZEROFAULT_TEST_LEVELS]; /* of the functions with blocks that are open */
    unsigned depth;                            /* of frames */
    bool attached;                             /* by one of these blocks */
    struct zerofault_test_block *ending;       /* whose violations the hook gets */
};

static __thread struct zerofault_test_thread zerofault_test_thread ZEROFAULT_TEST_UNUSED;

/* ------------------------------------------------------------------------------------- sections */

/* Keep the first few violations of the kinds that count, and count all of them. */
static inline void zerofault_test_hook(const struct hot_violation *violation, void *context)
{
    struct zerofault_test_block *block = zerofault_test_thread.ending;
    struct zerofault_test_place *place;
    (void)context;
    if (block == NULL || (block->kinds & (1u << violation->kind)) == 0)
        return;
    block->counts[violation->kind] += violation->count;
    if (block->place_count == ZEROFAULT_TEST_PLACES)
        return;
    place = &block->places[block->place_count++];
    place->violation = *violation;
    if (violation->arena != NULL)
        (void)snprintf(place->arena, sizeof place->arena, "%s", violation->arena);
}

/* One section for each level, shared by the threads. A block that is not concerned with a kind
 * leaves it out in the hook. */
#ifdef __cplusplus
struct zerofault_test_section : hot_section {
    zerofault_test_section() : hot_section()
    {
        name = "test block";
        file = __FILE__;
        line = __LINE__;
        policy = HOT_CALLBACK;
        hook = zerofault_test_hook;
    }
};
static zerofault_test_section zerofault_test_sections[ZEROFAULT_TEST_LEVELS];
#else
#define ZEROFAULT_TEST_SECTION                                                                     \
    HOT_SECTION("test block", .policy = HOT_CALLBACK, .hook = zerofault_test_hook)
static struct hot_section zerofault_test_sections[ZEROFAULT_TEST_LEVELS] ZEROFAULT_TEST_UNUSED = {
    ZEROFAULT_TEST_SECTION, ZEROFAULT_TEST_SECTION, ZEROFAULT_TEST_SECTION, ZEROFAULT_TEST_SECTION,
    ZEROFAULT_TEST_SECTION, ZEROFAULT_TEST_SECTION, ZEROFAULT_TEST_SECTION, ZEROFAULT_TEST_SECTION,
};
#endif

/* ---------------------------------------------------------------------------------------- guard */

/* What makes every count meaningless here, or NULL. */
static inline const char *zerofault_test_distortion(void)
{
    if (ZEROFAULT_TEST_SANITIZED)
        return "sanitizers touch memory of their own";
    return zerofault_is_valgrind() ? "Valgrind touches memory of its own" : NULL;
}

/* Does the guard that a thread has see what the block needs? */
static inline bool zerofault_test_sees(const struct zerofault_test_block *block,
                                       const struct hot_thread_report *report)
{
    /* The ring alone does not see faults inside system calls. */
    if ((block->kinds & ZEROFAULT_TEST_FAULTS) != 0 && report->active == HOT_SOURCE_RING)
        return false;
    return (report->watched & block->watch) == block->watch;
}

/* Give the thread a guard that counts everything, with addresses where that is possible. */
static inline int zerofault_test_attach(struct zerofault_test_block *block,
                                        struct hot_thread_report *report)
{
    struct hot_thread_options options;
    int rc;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.source = HOT_SOURCE_BOTH;
    options.watch = block->watch | block->options.watch;
    options.ring_bytes = block->options.ring_bytes;
    rc = hot_thread_attach(&options, report);
    if (rc == 0)
        return 0;
    options.source = HOT_SOURCE_RUSAGE;
    block->remedy = report->remedy;
    return hot_thread_attach(&options, report);
}

/* Say which of the watches that the block needs is refused, and why. */
static inline void zerofault_test_note_refusal(struct zerofault_test_block *block,
                                               const struct hot_thread_report *report)
{
    static const char *const names[HOT_WATCH_COUNT] = {
        "context switches", "migrations", "system calls", "kernel faults", "call chains", "traps"};
    uint32_t missing = block->watch & ~report->watched;
    for (unsigned bit = 0; bit < HOT_WATCH_COUNT; ++bit)
        if ((missing & (1u << bit)) != 0)
            (void)snprintf(block->obstacle, sizeof block->obstacle, "%s cannot be watched here: %s",
                           names[bit], strerror(-report->watch_errors[bit]));
}

/* Leave the thread's guard as the block found it. */
static inline void zerofault_test_release_guard(struct zerofault_test_block *block)
{
    if (block->attached) {
        hot_thread_detach();
        zerofault_test_thread.attached = false;
    }
    if (block->exchanged)
        (void)hot_thread_attach(&block->options, NULL);
    block->attached = false;
    block->exchanged = false;
}

/* See to a guard that sees enough, or note the obstacle. */
static inline void zerofault_test_take_guard(struct zerofault_test_block *block)
{
    struct hot_thread_report report;
    int rc;
    memset(&report, 0, sizeof report);
    report.struct_size = sizeof report;
    block->options.struct_size = sizeof block->options;
    if (hot_thread_attached(&block->options, &report) == 0) {
        block->source = report.active;
        if (zerofault_test_sees(block, &report))
            return;
        if (hot_sections_open() > 0) {
            (void)snprintf(block->obstacle, sizeof block->obstacle,
                           "the guard of this thread sees too little, and cannot be exchanged "
                           "while a hot section is open");
            return;
        }
        hot_thread_detach();
        block->exchanged = true;
    }
    rc = zerofault_test_attach(block, &report);
    block->attached = rc == 0;
    block->source = report.active;
    zerofault_test_thread.attached |= block->attached;
    if (rc != 0)
        (void)snprintf(block->obstacle, sizeof block->obstacle, "there is no guard here: %s",
                       strerror(-rc));
    else if (!zerofault_test_sees(block, &report))
        zerofault_test_note_refusal(block, &report);
}

/* -------------------------------------------------------------------------------- begin and end */

/* What blocks that were left by longjmp have not taken back. Also a cmocka teardown. Returns 0. */
static ZEROFAULT_TEST_UNUSED int zerofault_test_teardown(void **state)
{
    (void)state;
    if (zerofault_test_thread.attached)
        hot_thread_detach();
    zerofault_test_thread.attached = false;
    zerofault_test_thread.depth = 0;
    return 0;
}

/* Forget blocks whose function is gone: they are below this one on the stack. */
static inline void zerofault_test_forget(const void *frame)
{
    struct zerofault_test_thread *thread = &zerofault_test_thread;
    while (thread->depth > 0 && (uintptr_t)thread->frames[thread->depth - 1] < (uintptr_t)frame)
        --thread->depth;
    if (thread->depth == ZEROFAULT_TEST_LEVELS)
        thread->depth = 0;
    if (thread->depth == 0)
        (void)zerofault_test_teardown(NULL);
}

/* Open and close the section once: the code of both ways is warm then, and it is known whether
 * there is a guard behind them. */
static inline void zerofault_test_rehearse(struct zerofault_test_block *block)
{
    struct hot_section *section = &zerofault_test_sections[block->level];
    size_t open = hot_sections_open();
    bool opened;
    hot_section_begin_slow(section);
    opened = hot_sections_open() == open + 1;
    zerofault_test_thread.ending = opened ? block : NULL;
    if (opened)
        (void)hot_section_end_slow(section);
    zerofault_test_thread.ending = NULL;
    memset(block->counts, 0, sizeof block->counts);
    block->place_count = 0;
    if (!opened)
        (void)snprintf(block->obstacle, sizeof block->obstacle,
                       "the guards are switched off, or there are too many hot sections");
}

/* The section's long way is called by its name, so that blocks count in files that are compiled
 * with ZEROFAULT_HOT_OFF too. */
static inline void zerofault_test_begin(struct zerofault_test_block *block, const void *frame)
{
    struct zerofault_test_thread *thread = &zerofault_test_thread;
    const char *distortion;
    block->begun = true;
    zerofault_test_forget(frame);
    block->level = thread->depth;
    thread->frames[thread->depth++] = frame;
    distortion = zerofault_test_distortion();
    if (distortion != NULL)
        (void)snprintf(block->obstacle, sizeof block->obstacle, "%s", distortion);
    else
        zerofault_test_take_guard(block);
    if (block->obstacle[0] == '\0')
        zerofault_test_rehearse(block);
    if (block->obstacle[0] == '\0')
        hot_section_begin_slow(&zerofault_test_sections[block->level]);
}

static inline void zerofault_test_end(struct zerofault_test_block *block)
{
    struct zerofault_test_thread *thread = &zerofault_test_thread;
    if (block->obstacle[0] == '\0') {
        thread->ending = block;
        (void)hot_section_end_slow(&zerofault_test_sections[block->level]);
        thread->ending = NULL;
    }
    block->ended = true;
    thread->depth = block->level;
    zerofault_test_release_guard(block);
}

static inline struct zerofault_test_block zerofault_test_make(const char *assertion,
                                                              const char *file, int line,
                                                              const char *function, uint32_t kinds,
                                                              uint64_t allowed, uint32_t watch)
{
    struct zerofault_test_block block;
    memset(&block, 0, sizeof block);
    block.assertion = assertion;
    block.file = file;
    block.line = line;
    block.function = function;
    block.kinds = kinds | 1u << HOT_MISUSE;
    block.allowed = allowed;
    block.watch = watch;
    return block;
}

/* Does the body run (again)? Once it does, and begins here. */
static inline bool zerofault_test_next(struct zerofault_test_block *block, const void *frame)
{
    if (block->begun)
        return false;
    zerofault_test_begin(block, frame);
    return true;
}

/* -------------------------------------------------------------------------------------- verdict */

/* A text that is built piece by piece; what does not fit is cut. */
struct zerofault_test_text {
    size_t length;
    char text[ZEROFAULT_TEST_TEXT_MAX];
};

static inline __attribute__((format(printf, 2, 3))) void
zerofault_test_append(struct zerofault_test_text *text, const char *format, ...)
{
    va_list arguments;
    int length;
    va_start(arguments, format);
    length =
        vsnprintf(text->text + text->length, sizeof text->text - text->length, format, arguments);
    va_end(arguments);
    if (length > 0)
        text->length += (size_t)length;
    if (text->length >= sizeof text->text)
        text->length = sizeof text->text - 1;
}

/* All that count, misuse apart. */
static inline uint64_t zerofault_test_total(const struct zerofault_test_block *block)
{
    uint64_t total = 0;
    for (int kind = HOT_MISUSE + 1; kind < HOT_KIND_COUNT; ++kind)
        total += block->counts[kind];
    return total;
}

static inline enum zerofault_test_verdict
zerofault_test_judge(const struct zerofault_test_block *block)
{
    if (block->obstacle[0] != '\0')
        return ZEROFAULT_TEST_SKIPPED;
    if (block->counts[HOT_MISUSE] > 0 || zerofault_test_total(block) > block->allowed)
        return ZEROFAULT_TEST_FAILED;
    return ZEROFAULT_TEST_PASSED;
}

static inline void zerofault_test_describe_place(const struct zerofault_test_place *place,
                                                 struct zerofault_test_text *text)
{
    const struct hot_violation *violation = &place->violation;
    zerofault_test_append(text, "    %s", hot_kind_name(violation->kind));
    if (violation->count > 1)
        zerofault_test_append(text, ", %llu times", (unsigned long long)violation->count);
    if (violation->system_call >= 0)
        zerofault_test_append(text, " %s (number %ld)",
                              hot_system_call_name(violation->system_call), violation->system_call);
    if (violation->address != 0)
        zerofault_test_append(text, " at 0x%llx", (unsigned long long)violation->address);
    if (place->arena[0] != '\0')
        zerofault_test_append(text, " = arena \"%s\" + %zu bytes", place->arena,
                              violation->arena_offset_bytes);
    if (violation->kind == HOT_REFUSED)
        zerofault_test_append(text, ", last request %zu bytes", violation->request_bytes);
    if (violation->kind == HOT_MIGRATION)
        zerofault_test_append(text, ", from CPU %u to CPU %u", (unsigned)violation->cpu_before,
                              (unsigned)violation->cpu_after);
    if (violation->instruction != 0)
        zerofault_test_append(text, ", by the instruction at 0x%llx",
                              (unsigned long long)violation->instruction);
    zerofault_test_append(text, "\n");
}

static inline void zerofault_test_describe_counts(const struct zerofault_test_block *block,
                                                  struct zerofault_test_text *text)
{
    const char *separator = "";
    for (int kind = 0; kind < HOT_KIND_COUNT; ++kind) {
        if (block->counts[kind] == 0)
            continue;
        zerofault_test_append(text, "%s%llu x %s", separator,
                              (unsigned long long)block->counts[kind],
                              hot_kind_name((enum hot_kind)kind));
        separator = ", ";
    }
    if (block->allowed > 0)
        zerofault_test_append(text, ", %llu allowed", (unsigned long long)block->allowed);
    zerofault_test_append(text, ", seen by %s\n", hot_source_name(block->source));
}

/* Put into words why the block failed or is skipped. */
static inline void zerofault_test_describe(const struct zerofault_test_block *block,
                                           struct zerofault_test_text *text)
{
    uint64_t told = 0;
    text->length = 0;
    zerofault_test_append(text, "%s:%d: %s in %s: ", block->file, block->line, block->assertion,
                          block->function);
    if (block->obstacle[0] != '\0') {
        zerofault_test_append(text, "skipped: %s\n", block->obstacle);
        return;
    }
    zerofault_test_describe_counts(block, text);
    for (size_t i = 0; i < block->place_count; ++i) {
        zerofault_test_describe_place(&block->places[i], text);
        told += block->places[i].violation.count;
    }
    if (zerofault_test_total(block) + block->counts[HOT_MISUSE] > told)
        zerofault_test_append(
            text, "    and %llu more\n",
            (unsigned long long)(zerofault_test_total(block) + block->counts[HOT_MISUSE] - told));
    if (block->source == HOT_SOURCE_RUSAGE && block->remedy != NULL)
        zerofault_test_append(text, "    Addresses are not known here. %s\n", block->remedy);
}

static ZEROFAULT_TEST_UNUSED void zerofault_test_print(const char *text)
{
    (void)fputs(text, stderr);
}

/* Close the block, however it was left, and hand over the verdict. */
static ZEROFAULT_TEST_UNUSED void zerofault_test_finish(struct zerofault_test_block *block)
{
    struct zerofault_test_text text;
    enum zerofault_test_verdict verdict;
    if (!block->begun || block->ended)
        return;
    zerofault_test_end(block);
    verdict = zerofault_test_judge(block);
    if (verdict == ZEROFAULT_TEST_PASSED)
        return;
    zerofault_test_describe(block, &text);
    if (verdict == ZEROFAULT_TEST_SKIPPED)
        ZEROFAULT_TEST_SKIP(block->file, block->line, text.text);
    else
        ZEROFAULT_TEST_FAIL(block->file, block->line, text.text);
}

#endif
