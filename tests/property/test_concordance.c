/* Harrell's C against the definition, pair by pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "models/concordance.h"

#define MOST 80

static uint64_t state_of_draws = 7;

static unsigned draw(unsigned below)
{
    uint64_t z = state_of_draws += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (unsigned)((z ^ (z >> 31)) % below);
}

/* i with an event, j seen longer, or as long without one. */
static int comparable(const double *time, const uint8_t *event, size_t i, size_t j)
{
    return event[i] && (time[i] < time[j] || (time[i] == time[j] && !event[j]));
}

static void pairs_are_those_of_the_definition(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        double risk[MOST], time[MOST], of[MOST] = {0}, in[MOST] = {0}, concordant = 0, tied = 0, pairs = 0, squares = 0;
        uint8_t event[MOST];
        uint32_t stratum[MOST];
        size_t n = draw(MOST) + 1;

        for (size_t i = 0; i < n; i++) { /* few values, so that ties of every kind are there */
            risk[i] = draw(round % 3 ? 9 : 1000);
            time[i] = draw(round % 2 ? 6 : 1000);
            event[i] = draw(3) > 0;
            stratum[i] = draw(round % 5 + 1);
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                if (i == j || stratum[i] != stratum[j] || !comparable(time, event, i, j))
                    continue;
                double right = risk[i] > risk[j] ? 1 : risk[i] == risk[j] ? 0.5 : 0;

                pairs++;
                concordant += risk[i] > risk[j];
                tied += risk[i] == risk[j];
                of[i] += right, of[j] += right;
                in[i]++, in[j]++;
            }
        for (size_t i = 0; i < n; i++)
            squares += pow((of[i] - (concordant + tied / 2) / pairs * in[i]) / pairs, 2);
        struct ym_concordance c = ym_concordance_of(risk, time, event, stratum, n);

        assert_true(c.concordant == concordant && c.tied == tied && c.comparable == pairs);
        assert_true(pairs > 0 ? fabs(c.index - (concordant + tied / 2) / pairs) < 1e-15 : isnan(c.index));
        assert_true(pairs > 0 ? fabs(c.se - sqrt(squares)) < 1e-13 : isnan(c.se));
    }
}

/* Deaths at 1, 2, 3 and one last seen at 2: pairs (1,2) (1,2+) (1,3) (2,2+) (2,3). */
static void four_patients_by_hand(void **state)
{
    double risk[] = {4, 3, 1, 3}, time[] = {1, 2, 3, 2};
    uint8_t event[] = {1, 1, 1, 0};
    struct ym_concordance c = ym_concordance_of(risk, time, event, NULL, 4);

    (void)state;
    assert_true(c.comparable == 5 && c.concordant == 4 && c.tied == 1);
    assert_true(c.index == 0.9);
}

static void what_is_no_number_has_no_index(void **state)
{
    double risk[] = {1, NAN}, time[] = {1, 2};
    uint8_t event[] = {1, 1};

    (void)state;
    assert_true(isnan(ym_concordance_of(risk, time, event, NULL, 2).index));
    assert_true(isnan(ym_concordance_of(risk, time, event, NULL, 0).index));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_those_of_the_definition),
        cmocka_unit_test(four_patients_by_hand),
        cmocka_unit_test(what_is_no_number_has_no_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
