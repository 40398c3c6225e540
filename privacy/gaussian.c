#include <math.h>
#include <stdbool.h>

#include "privacy/mechanisms.h"

/* delta = Q(a) - e^eps Q(b) with a = eps / mu - mu / 2, b = a + mu. As e^eps phi(b) = phi(a), it is
 * phi(a) (R(a) - R(b)) with Mills' ratio R = Q / phi, and no term is ever out of a double's range. R' = t R - 1: for
 * small mu the difference is an integral of 1 - t R(t), which is positive, so that nothing cancels. */

#define LOG_SQRT_2PI 0.918938533204672741780329736406
#define FRACTION_FROM 4.0 /* erfc below, continued fraction above */
#define FRACTION_DEPTH 60 /* leaves e^-87 at 4 */
#define SHORT 0.5         /* of mu: integrate below */
#define ALLOWANCE 2e-12   /* of delta; measured 2e-13 against 60 digits */

struct mills {
    double ratio, rest; /* R(t) and 1 - t R(t) */
};

static struct mills mills(double t)
{
    double tail = 0, ratio;

    if (t < FRACTION_FROM) {
        ratio = sqrt(M_PI_2) * exp(t * t / 2) * erfc(t * M_SQRT1_2);
        return (struct mills){ratio, 1 - t * ratio};
    }
    for (int k = FRACTION_DEPTH; k >= 1; k--)
        tail = k / (t + tail);
    ratio = 1 / (t + tail);
    return (struct mills){ratio, ratio * tail};
}

/* Gauss-Legendre, ten points. */
static double mills_difference(double a, double mu)
{
    static const double place[] = {0.148874338981631211, 0.433395394129247191, 0.679409568299024406,
                                   0.865063366688984511, 0.973906528517171720};
    static const double weight[] = {0.295524224714752870, 0.269266719309996355, 0.219086362515982044,
                                    0.149451349150580593, 0.066671344308688138};
    double sum = 0;

    for (size_t i = 0; i < sizeof place / sizeof *place; i++)
        sum += weight[i] * (mills(a + mu / 2 * (1 - place[i])).rest + mills(a + mu / 2 * (1 + place[i])).rest);
    return sum * mu / 2;
}

static double log_delta(double mu, double epsilon)
{
    double a = epsilon / mu - mu / 2, log_phi = -a * a / 2 - LOG_SQRT_2PI;

    if (mu <= SHORT)
        return log_phi + log(mills_difference(a, mu));
    if (a > 0)
        return log_phi + log(mills(a).ratio - mills(a + mu).ratio);
    return log(erfc(a * M_SQRT1_2) / 2 - exp(log_phi) * mills(a + mu).ratio);
}

double ym_gaussian_delta(double mu, double epsilon)
{
    if (!(mu >= 0 && epsilon >= 0))
        return INFINITY;
    return mu == 0 ? 0 : fmin(1, exp(log_delta(mu, epsilon)) * (1 + ALLOWANCE));
}

static bool fits(double mu, double epsilon, double delta)
{
    return mu == 0 || log_delta(mu, epsilon) <= log(delta) - ALLOWANCE;
}

double ym_gaussian_epsilon(double mu, double delta)
{
    double low = 0, high = 1;

    if (!(mu >= 0 && delta > 0 && delta < 1))
        return INFINITY;
    if (fits(mu, 0, delta))
        return 0;
    for (; !fits(mu, high, delta); high *= 2)
        if (!(high < 1e300))
            return INFINITY;
    for (double middle = high / 2; middle > low && middle < high; middle = low + (high - low) / 2)
        *(fits(mu, middle, delta) ? &high : &low) = middle;
    return high;
}

double ym_gaussian_mu(double epsilon, double delta)
{
    double low = 0, high = 1;

    if (!(epsilon >= 0 && delta > 0 && delta < 1))
        return 0;
    for (; fits(high, epsilon, delta); high *= 2)
        if (!(high < 1e150))
            return high;
    for (double middle = high / 2; middle > low && middle < high; middle = low + (high - low) / 2)
        *(fits(middle, epsilon, delta) ? &low : &high) = middle;
    return low;
}

static double zcdp_at(double rho, double delta, double above_one)
{
    double order = 1 + above_one;

    return rho * order + log(above_one / order) - log(delta * order) / above_one;
}

/* Golden section over log(order - 1): every order is a bound, so where it stops is a matter of tightness alone. */
double ym_zcdp_epsilon(double rho, double delta)
{
    static const double golden = 0.618033988749894848;
    double low = log(1e-8), high = log(1e12);

    if (!(rho >= 0 && delta > 0 && delta < 1))
        return INFINITY;
    if (rho == 0)
        return 0;
    for (int i = 0; i < 80; i++) {
        double left = high - golden * (high - low), right = low + golden * (high - low);

        if (zcdp_at(rho, delta, exp(left)) < zcdp_at(rho, delta, exp(right)))
            high = right;
        else
            low = left;
    }
    return fmax(0, zcdp_at(rho, delta, exp(low))) * (1 + 1e-12) + 1e-14;
}

double ym_zcdp_epsilon_bun_steinke(double rho, double delta)
{
    if (!(rho >= 0 && delta > 0 && delta < 1))
        return INFINITY;
    return (rho + 2 * sqrt(-rho * log(delta))) * (1 + 1e-15);
}
