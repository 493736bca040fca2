/* The log-linear histogram: every value has one bucket, and no quantile is rounded down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <zerofault/histogram.h>

/* 15 KiB each: too much for a stack that a test should not have to think about. */
static struct hot_histogram histogram;
static struct hot_histogram other;

static int empty(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    memset(&other, 0, sizeof other);
    return 0;
}

static void buckets_are_in_the_order_of_values_without_a_gap(void **state)
{
    uint32_t last = 0;
    (void)state;
    assert_int_equal(hot_histogram_bucket(0), 0);
    for (uint64_t value = 1; value < 100000; ++value) {
        uint32_t bucket = hot_histogram_bucket(value);
        assert_in_range(bucket, last, last + 1);
        last = bucket;
    }
}

static void the_edges_of_every_power_of_two_are_in_neighbouring_buckets(void **state)
{
    (void)state;
    for (int shift = 1; shift < 64; ++shift) {
        uint64_t power = UINT64_C(1) << shift;
        assert_int_equal(hot_histogram_bucket(power), hot_histogram_bucket(power - 1) + 1);
    }
    assert_int_equal(hot_histogram_bucket(UINT64_MAX), HOT_HISTOGRAM_BUCKETS - 1);
}

static void an_empty_histogram_answers_zero(void **state)
{
    (void)state;
    assert_int_equal(hot_histogram_minimum(&histogram), 0);
    assert_int_equal(hot_histogram_quantile(&histogram, 0), 0);
    assert_int_equal(hot_histogram_quantile(&histogram, 1000000), 0);
}

static void extremes_are_exact(void **state)
{
    (void)state;
    hot_histogram_record(&histogram, 123456789);
    assert_int_equal(hot_histogram_minimum(&histogram), 123456789);
    assert_int_equal(hot_histogram_quantile(&histogram, 500000), 123456789);

    hot_histogram_record(&histogram, UINT64_MAX);
    hot_histogram_record(&histogram, 0);
    assert_int_equal(hot_histogram_minimum(&histogram), 0);
    assert_true(histogram.maximum == UINT64_MAX);
    assert_true(hot_histogram_quantile(&histogram, 1000000) == UINT64_MAX);
    assert_int_equal(hot_histogram_quantile(&histogram, 0), 0);
}

static void a_quantile_is_never_below_and_at_most_a_bucket_above(void **state)
{
    (void)state;
    for (int shift = 0; shift < 60; ++shift) {
        uint64_t value = (UINT64_C(1) << shift) + (UINT64_C(1) << shift) / 3;
        uint64_t quantile;
        empty(state);
        hot_histogram_record(&histogram, value);
        hot_histogram_record(&histogram, UINT64_MAX);
        quantile = hot_histogram_quantile(&histogram, 500000);
        assert_true(quantile >= value);
        assert_true(quantile - value <= value / 32);
    }
}

static void quantiles_count_values_and_not_buckets(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 999; ++i)
        hot_histogram_record(&histogram, 10);
    hot_histogram_record(&histogram, 1000);
    assert_int_equal(hot_histogram_quantile(&histogram, 500000), 10);
    assert_int_equal(hot_histogram_quantile(&histogram, 999000), 10);
    assert_int_equal(hot_histogram_quantile(&histogram, 999001), 1000);
}

static void a_rank_near_the_end_of_64_bits_does_not_overflow(void **state)
{
    (void)state;
    hot_histogram_record(&histogram, 10);
    hot_histogram_record(&histogram, 20);
    histogram.buckets[10] = UINT64_C(1) << 62;
    histogram.buckets[20] = UINT64_C(1) << 62;
    histogram.count = UINT64_C(1) << 63;
    assert_int_equal(hot_histogram_quantile(&histogram, 499999), 10);
    assert_int_equal(hot_histogram_quantile(&histogram, 500001), 20);
}

static void merging_adds_values_and_keeps_the_extremes(void **state)
{
    (void)state;
    hot_histogram_record(&histogram, 50);
    hot_histogram_record(&other, 7);
    hot_histogram_record(&other, 9000);

    hot_histogram_merge(&histogram, &other);

    assert_int_equal(histogram.count, 3);
    assert_int_equal(hot_histogram_minimum(&histogram), 7);
    assert_int_equal(histogram.maximum, 9000);
    assert_int_equal(hot_histogram_quantile(&histogram, 0), 7);
    assert_in_range(hot_histogram_quantile(&histogram, 500000), 50, 51);
}

static void merging_with_an_empty_one_changes_nothing(void **state)
{
    (void)state;
    hot_histogram_record(&histogram, 50);
    hot_histogram_merge(&histogram, &other);
    assert_int_equal(hot_histogram_minimum(&histogram), 50);

    hot_histogram_merge(&other, &histogram);
    assert_memory_equal(&other, &histogram, sizeof histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_in_the_order_of_values_without_a_gap),
        cmocka_unit_test(the_edges_of_every_power_of_two_are_in_neighbouring_buckets),
        cmocka_unit_test_setup(an_empty_histogram_answers_zero, empty),
        cmocka_unit_test_setup(extremes_are_exact, empty),
        cmocka_unit_test_setup(a_quantile_is_never_below_and_at_most_a_bucket_above, empty),
        cmocka_unit_test_setup(quantiles_count_values_and_not_buckets, empty),
        cmocka_unit_test_setup(a_rank_near_the_end_of_64_bits_does_not_overflow, empty),
        cmocka_unit_test_setup(merging_adds_values_and_keeps_the_extremes, empty),
        cmocka_unit_test_setup(merging_with_an_empty_one_changes_nothing, empty),
    };
    return cmocka_run_group_tests_name("base.histogram", tests, NULL, NULL);
}
