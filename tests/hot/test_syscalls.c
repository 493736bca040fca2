/*
 * System calls inside sections: how many, which, from where, and what becomes of them.
 */
#include "hot/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "support/child.h"

/* ------------------------------------------------------------------------------------- counting */

#if defined(__x86_64__)
extern const unsigned char planted_call[];

__attribute__((noinline)) static long call_by_instruction(void)
{
    long result = SYS_getppid;
    __asm__ volatile(".globl planted_call\nplanted_call: syscall"
                     : "+a"(result)
                     :
                     : "rcx", "r11", "memory");
    return result;
}

static void call_is_told_with_number_name_and_instruction(void **state)
{
    long result;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    result = call_by_instruction();
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(result, getppid());
    assert_int_equal(told.system_call, SYS_getppid);
    assert_string_equal(hot_system_call_name(told.system_call), "getppid");
    assert_ptr_equal(told.instruction, planted_call);
    assert_int_equal(told.count, 1);
}

/* Fill every register and the red zone, make a call, and compare. Returns how many differ. */
__attribute__((noinline)) static long registers_lost(void)
{
    static long lost;
    lost = 0;
    __asm__ volatile("movq %%rsp, %%rbx\n"
                     "movq $1, -8(%%rsp)\n"
                     "movq $2, -64(%%rsp)\n"
                     "movq $3, -128(%%rsp)\n"
                     "movq $11, %%rdi\n movq $12, %%rsi\n movq $13, %%rdx\n movq $14, %%r8\n"
                     "movq $15, %%r9\n movq $16, %%r10\n movq $17, %%r12\n movq $18, %%r13\n"
                     "movq $19, %%r14\n movq $20, %%r15\n"
                     "movq $0x4045000000000000, %%rax\n movq %%rax, %%xmm7\n"
                     "movl %[number], %%eax\n"
                     "stc\n"
                     "syscall\n"
                     "sbbq $-1, %[lost]\n" /* one less than one: the carry flag is still there */
                     "cmpq %%rsp, %%rbx\n setne %%al\n movzbl %%al, %%eax\n addq %%rax, %[lost]\n"
                     "movq -8(%%rsp), %%rax\n subq $1, %%rax\n addq %%rax, %[lost]\n"
                     "movq -64(%%rsp), %%rax\n subq $2, %%rax\n addq %%rax, %[lost]\n"
                     "movq -128(%%rsp), %%rax\n subq $3, %%rax\n addq %%rax, %[lost]\n"
                     "subq $11, %%rdi\n addq %%rdi, %[lost]\n"
                     "subq $12, %%rsi\n addq %%rsi, %[lost]\n"
                     "subq $13, %%rdx\n addq %%rdx, %[lost]\n"
                     "subq $14, %%r8\n addq %%r8, %[lost]\n"
                     "subq $15, %%r9\n addq %%r9, %[lost]\n"
                     "subq $16, %%r10\n addq %%r10, %[lost]\n"
                     "subq $17, %%r12\n addq %%r12, %[lost]\n"
                     "subq $18, %%r13\n addq %%r13, %[lost]\n"
                     "subq $19, %%r14\n addq %%r14, %[lost]\n"
                     "subq $20, %%r15\n addq %%r15, %[lost]\n"
                     "movq %%xmm7, %%rax\n movq $0x4045000000000000, %%rcx\n"
                     "subq %%rcx, %%rax\n addq %%rax, %[lost]\n"
                     : [lost] "+m"(lost)
                     : [number] "i"(SYS_getppid)
                     : "rax", "rbx", "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "r12",
                       "r13", "r14", "r15", "xmm7", "memory", "cc");
    return lost;
}

/* Leaves the red zone of its caller alone: it has no frame of its own to speak of. */
static void call_changes_no_register_and_not_the_red_zone(void **state)
{
    long lost;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    lost = registers_lost();
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(lost, 0);
}

static void old_call_is_counted_without_a_number(void **state)
{
    long result = 20; /* getpid, in the 32-bit way */
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    __asm__ volatile("int $0x80" : "+a"(result) : : "r8", "r9", "r10", "r11", "memory");
    (void)hot_section_end(&section);
    need("32-bit calls", result != -ENOSYS, "this kernel has no 32-bit calls");
    assert_int_equal(result, getpid());
    assert_int_equal(told.system_call, -1);
    assert_int_equal(told.count, 1);
    assert_string_equal(hot_system_call_name(-1), "unknown");
}
#endif

static void calls_of_the_c_library_are_counted_and_work(void **state)
{
    int ends[2];
    char text[8] = "";
    pid_t process;
    ssize_t written, got;
    int closed, close_error;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    attach_watching(HOT_SOURCE_AUTO);

    hot_section_begin(&section);
    written = write(ends[1], "four", 4);
    got = read(ends[0], text, sizeof text);
    process = getpid();
    closed = close(-1);
    close_error = errno;
    assert_int_equal(hot_section_end(&section), 4);

    assert_int_equal(told.count, 4);
    assert_int_equal(told.system_call, SYS_write);
    assert_int_equal(written, 4);
    assert_int_equal(got, 4);
    assert_string_equal(text, "four");
    assert_int_equal(process, getpid());
    assert_int_equal(closed, -1);
    assert_int_equal(close_error, EBADF);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void all_six_arguments_arrive(void **state)
{
    const size_t page = 4096;
    char *place = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *mapped;
    int file;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    file = memfd_create("two pages", MFD_CLOEXEC);
    assert_int_equal(pwrite(file, "second", 6, (off_t)page), 6);

    hot_section_begin(&section);
    mapped = mmap(place, page, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, (off_t)page);
    assert_int_equal(hot_section_end(&section), 1);

    assert_ptr_equal(mapped, place);
    assert_memory_equal(mapped, "second", 6);
    assert_int_equal(told.system_call, SYS_mmap);
    (void)munmap(mapped, page);
    (void)close(file);
}

static void clock_of_the_vdso_is_no_system_call(void **state)
{
    struct timespec now;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    hot_section_begin(&section);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    need("vdso clock", hot_section_end(&section) == 0, "this clock source needs the kernel");
}

static void guard_does_not_count_its_own_calls(void **state)
{
    static struct hot_section outer = CALLS_SECTION("untimed", .counted = true);
    static struct hot_section timed = CALLS_SECTION("timed", .timed = true);
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    (void)state;
    attach_watching(HOT_SOURCE_BOTH);
    for (int i = 0; i < 3; ++i) {
        hot_section_begin(&outer);
        hot_section_begin(&timed); /* its first begin makes memory warm */
        assert_int_equal(hot_section_end(&timed), 0);
        assert_int_equal(hot_section_end(&outer), 0);
    }
    assert_int_equal(hot_section_stats(&outer, &stats), 0);
    assert_int_equal(stats.entries, 3);
    assert_int_equal(stats.counts[HOT_SYSTEM_CALL], 0);
}

/* --------------------------------------------------------------------------------------- nested */

static void each_open_section_counts_from_its_own_begin(void **state)
{
    static struct hot_section inner = CALLS_SECTION("inner");
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    (void)bare_call();
    hot_section_begin(&inner);
    (void)getppid();
    (void)getppid();
    assert_int_equal(hot_section_end(&inner), 2);
    assert_int_equal(told.system_call, SYS_getppid);
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 4);
    assert_int_equal(told.system_call, SYS_gettid);
}

static void calling_hook(const struct hot_violation *violation, void *context)
{
    (void)context;
    note(violation, NULL);
    (void)bare_call();
    (void)bare_call();
}

static void calls_of_a_hook_are_nobodys(void **state)
{
    static struct hot_section inner =
        HOT_SECTION("calling hook", .policy = HOT_CALLBACK, .hook = calling_hook);
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    hot_section_begin(&inner);
    (void)bare_call();
    assert_true(hot_section_end(&inner) > 0);
    assert_int_equal(hot_section_end(&section), 1);
}

static void ignoring_section_stays_on_the_short_way(void **state)
{
    static struct hot_section ignoring = HOT_SECTION("ignoring", .policy = HOT_IGNORE);
    const struct hot_slot *slot;
    (void)state;
    attach_watching(HOT_SOURCE_RING);
    hot_section_begin(&ignoring);
    (void)bare_call();
    assert_int_equal(hot_section_end(&ignoring), 0);
    slot = (const void *)(hot_thread_table + ignoring.slot_bytes);
    assert_ptr_equal(slot->section, &ignoring);

    hot_section_begin(&section);
    hot_section_begin(&ignoring);
    (void)bare_call();
    assert_int_equal(hot_section_end(&ignoring), 0);
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 2);
}

static void section_begun_anew_counts_anew(void **state)
{
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    (void)bare_call();
    hot_section_begin(&section);
    (void)getppid();
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(told.system_call, SYS_getppid);
    (void)bare_call(); /* nothing is open, nothing watched */
    hot_section_begin(&section);
    assert_int_equal(hot_section_end(&section), 0);
}

/* ---------------------------------------------------------------------------------------- pause */

static void calls_inside_a_pause_do_not_count(void **state)
{
    static struct hot_section inner = CALLS_SECTION("inside a pause");
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    hot_pause_begin();
    (void)getppid();
    hot_section_begin(&inner);
    (void)getppid();
    assert_int_equal(hot_section_end(&inner), 1);
    assert_int_equal(told.system_call, SYS_getppid);
    (void)getppid();
    hot_pause_end();
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(told.system_call, SYS_gettid);
}

static void sections_and_pauses_may_interleave(void **state)
{
    static struct hot_section late = CALLS_SECTION("longer than its pause");
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    (void)bare_call();
    hot_pause_begin();
    hot_section_begin(&late);
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 1); /* closed while paused */
    hot_pause_end();
    (void)getppid();
    (void)getppid();
    assert_in_range(hot_section_end(&late), 2, 3);
    (void)bare_call();
    hot_section_begin(&section);
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 1);
}

/* -------------------------------------------------------------------------------------- refusal */

static void refused_calls_answer_eperm_and_are_counted(void **state)
{
    static struct hot_section refusing = CALLS_SECTION("refusing", .refuse_system_calls = true);
    int ends[2];
    ssize_t written;
    int write_error;
    long bare;
    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    attach_watching(HOT_SOURCE_AUTO);

    hot_section_begin(&refusing);
    written = write(ends[1], "x", 1);
    write_error = errno;
    bare = bare_call();
    assert_int_equal(hot_section_end(&refusing), 2);

    assert_int_equal(written, -1);
    assert_int_equal(write_error, EPERM);
    assert_int_equal(bare, -1);
    assert_int_equal(told.system_call, SYS_write);
    assert_int_equal(read(ends[0], &(char){0}, 1), -1);
    assert_int_equal(errno, EAGAIN);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void refusing_counts_nothing_where_calls_are_ignored(void **state)
{
    static struct hot_section quiet =
        HOT_SECTION("quiet", .policy = HOT_IGNORE, .refuse_system_calls = true);
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    hot_section_begin(&quiet);
    assert_int_equal(bare_call(), -1);
    assert_int_equal(hot_section_end(&quiet), 0);
    assert_true(bare_call() > 0);
    assert_int_equal(hot_section_end(&section), 2);
}

/* ---------------------------------------------------------------------------------- not granted */

/* A kernel before 5.11, as far as prctl goes. */
static int refuse_dispatch(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 59, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

struct refusal {
    int error;
    int watch_error;
    int required_error;
    uint32_t watched;
    uint64_t violations;
};

static void attach_on_an_old_kernel(void *shared)
{
    struct refusal *result = shared;
    struct hot_thread_report report;
    if (refuse_dispatch(EINVAL) != 0)
        return;
    result->required_error =
        hot_thread_attach(&HOT_THREAD_OPTIONS(.required = HOT_WATCH_SYSTEM_CALLS), NULL);
    result->error = try_attach_watching(HOT_SOURCE_AUTO, &report);
    result->watch_error = report.watch_errors[CALLS_BIT];
    result->watched = report.watched;
    hot_section_begin(&section);
    (void)bare_call();
    result->violations = hot_section_end(&section);
}

static void kernel_that_cannot_watch_is_reported(void **state)
{
    struct refusal *result = shared_create(sizeof *result);
    struct refusal found;
    (void)state;
    result->error = -1;
    assert_int_equal(run_in_child(attach_on_an_old_kernel, result), 0);
    found = *result;
    shared_destroy(result, sizeof *result);
    assert_int_equal(found.error, 0);
    assert_int_equal(found.watch_error, -EOPNOTSUPP);
    assert_int_equal(found.required_error, -EOPNOTSUPP);
    assert_int_equal(found.watched, 0);
    assert_int_equal(found.violations, 0);
}

static void names_are_the_kernels_own(void **state)
{
    (void)state;
    assert_string_equal(hot_system_call_name(SYS_read), "read");
    assert_string_equal(hot_system_call_name(SYS_clone3), "clone3");
    assert_string_equal(hot_system_call_name(100000), "unknown");
    assert_string_equal(hot_system_call_name(-5), "unknown");
}

static void print_names_the_first_call(void **state)
{
    char text[1024] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    (void)bare_call();
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 2);
    assert_int_equal(hot_violation_print(&told, stream), 0);
    (void)fclose(stream);
    assert_non_null(strstr(text, "system call, 2 times"));
    assert_non_null(strstr(text, "first: gettid (number "));
}

#define TEST(name) cmocka_unit_test_teardown(name, detach)

int main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        TEST(call_is_told_with_number_name_and_instruction),
        TEST(call_changes_no_register_and_not_the_red_zone),
        TEST(old_call_is_counted_without_a_number),
#endif
        TEST(calls_of_the_c_library_are_counted_and_work),
        TEST(all_six_arguments_arrive),
        TEST(clock_of_the_vdso_is_no_system_call),
        TEST(guard_does_not_count_its_own_calls),
        TEST(each_open_section_counts_from_its_own_begin),
        TEST(calls_of_a_hook_are_nobodys),
        TEST(ignoring_section_stays_on_the_short_way),
        TEST(section_begun_anew_counts_anew),
        TEST(calls_inside_a_pause_do_not_count),
        TEST(sections_and_pauses_may_interleave),
        TEST(refused_calls_answer_eperm_and_are_counted),
        TEST(refusing_counts_nothing_where_calls_are_ignored),
        TEST(kernel_that_cannot_watch_is_reported),
        TEST(names_are_the_kernels_own),
        TEST(print_names_the_first_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
