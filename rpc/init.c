#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/internal.h"

/* Strangers cause most of the core's messages (failed handshakes), so their
 * number is bounded. */
#define LOG_LINES_A_SECOND 20

static bool log_allowed(void)
{
    static _Atomic int64_t second;
    static _Atomic int lines;
    int64_t now = ym_clock_mono_ms() / 1000;

    if (atomic_exchange(&second, now) != now)
        atomic_store(&lines, 0);
    return atomic_fetch_add(&lines, 1) < LOG_LINES_A_SECOND;
}

static void log_core(gpr_log_func_args *args)
{
    char text[512];
    size_t n = 0;

    if (!log_allowed())
        return;
    for (const char *p = args->message; *p && n < sizeof text - 1; p++)
        text[n++] = (unsigned char)*p < ' ' || *p == '"' ? ' ' : *p;
    text[n] = 0;
    ym_log(args->severity == GPR_LOG_SEVERITY_ERROR ? YM_LOG_WARN : YM_LOG_TRACE, "rpc.core", "message=\"%s\"", text);
}

/* The core's threads would outlive main, and use what C++ and OpenSSL take down
 * at exit. Handlers run in reverse order, so this one is registered after both.
 * A destroyed channel gives its reference to the core back a moment
 * later, on another thread; a client or server left open never does. */
#define EXIT_TRIES 500

static void shutdown_at_exit(void)
{
    for (int i = 0; i < EXIT_TRIES; i++) {
        grpc_shutdown_blocking();
        if (!grpc_is_initialized())
            return;
        usleep(1000);
        grpc_init();
    }
}

static void init_once(void)
{
    /* The C core of this age has no setter for the TLS version. This suite
     * needs a pre-shared key, which nobody has, so TLS 1.2 is left without any
     * and only 1.3, whose suites are listed elsewhere, connects. */
    setenv("GRPC_SSL_CIPHER_SUITES", "ECDHE-PSK-CHACHA20-POLY1305", 1);
    setenv("GRPC_DNS_RESOLVER", "native", 0);
    signal(SIGPIPE, SIG_IGN);
    gpr_set_log_function(log_core);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    grpc_init();
    OPENSSL_init_ssl(0, NULL); /* registers its own handler */
    atexit(shutdown_at_exit);
}

void ym_rpc_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}
