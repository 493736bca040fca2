#include <inttypes.h>
#include <stdalign.h>
#include <string.h>
#include <zerofault/zerofault.h>

struct order {
    uint64_t id, price;
};

int main(void)
{
    struct arena *orders;
    struct warmup_report report = WARMUP_REPORT_INIT;
    int rc = arena_create(&orders, &ARENA_OPTIONS(.name = "orders", .capacity_bytes = 16u << 20));
    if (rc == 0)
        rc = arena_warmup(orders, NULL, &report);
    if (rc != 0) {
        fprintf(stderr, "orders: %s\n", strerror(-rc));
        return warmup_report_print(&report, stderr), 1;
    }

    static struct hot_section tick = HOT_SECTION("tick");
    hot_section_begin(&tick);
    for (uint64_t id = 0; id < 1000000; ++id) {
        struct order *order = arena_alloc(orders, sizeof *order, alignof(struct order));
        *order = (struct order){.id = id, .price = 100 + id % 7};
    }
    uint64_t violations = hot_section_end(&tick);

    printf("%s: 1000000 orders, %" PRIu64 " page faults\n", tick.name, violations);
    arena_destroy(orders);
    return fflush(stdout) != 0 ? perror("orders"), 1 : 0;
}
