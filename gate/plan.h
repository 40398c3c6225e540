#ifndef YM_GATE_PLAN_H
#define YM_GATE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/crypto.h"
#include "base/decimal.h"
#include "base/doc.h"
#include "gate/border/declare.h"
#include "gate/network.h"
#include "privacy/accountant.h"

/* The study plan: data, never code. People write YAML (docs/plan.md); what is
 * hashed, signed and sent is its canonical restricted JSON. Pure: no disk, no
 * clock. A parsed plan is const and self-contained. */

#define YM_PLAN_MAX_BYTES (256 * 1024)
#define YM_PLAN_MAX_ROUNDS 10000
#define YM_PLAN_MAX_INPUTS 1024
#define YM_PLAN_MAX_LEVELS 64
#define YM_PLAN_MAX_HIDDEN 8
#define YM_PLAN_MAX_SITES 100
#define YM_PLAN_MAX_PARAMS (64u << 20)
#define YM_PLAN_MAX_CUTS 100
#define YM_PLAN_MAX_COLUMNS 65536 /* of a formula */
#define YM_PLAN_MAX_SHIFT 64
#define YM_PLAN_MAX_VIEWS 16

enum ym_family {
    YM_FAMILY_LINEAR = 1,
    YM_FAMILY_LOGISTIC,
    YM_FAMILY_MULTINOMIAL,
    YM_FAMILY_MLP,
    YM_FAMILY_NETWORK,
    YM_FAMILY_POISSON,
    YM_FAMILY_DISCRETE_HAZARD,
    YM_FAMILY_PIECEWISE_EXPONENTIAL,
    YM_FAMILY_COX, /* in plans for maximum likelihood alone */
};
enum ym_activation { YM_ACT_TANH = 1, YM_ACT_RELU };
enum ym_var_kind { YM_VAR_NUMBER = 1, YM_VAR_CATEGORY, YM_VAR_IMAGE };
enum ym_var_role { YM_AS_COLUMN = 0, YM_AS_TIME, YM_AS_STRATA, YM_AS_OFFSET }; /* COLUMN: of the design matrix */
enum ym_baseline { YM_BASELINE_HOSPITAL = 1, YM_BASELINE_POOLED, YM_BASELINE_COLUMN };
enum ym_missing { YM_MISSING_DROP = 1, YM_MISSING_CONSTANT, YM_MISSING_INDICATOR };
enum ym_route { YM_ROUTE_INTEGER = 0, YM_ROUTE_BOUNDED }; /* how one patient's part of a sum is bounded */
/* What a hospital does with its noised sums, step by step (models/optimizer.h). */
enum ym_local_opt { YM_LOCAL_SGD = 0, YM_LOCAL_NESTEROV, YM_LOCAL_ADAM };
enum ym_schedule { YM_SCHEDULE_CONSTANT = 0, YM_SCHEDULE_LINEAR, YM_SCHEDULE_COSINE, YM_SCHEDULE_STEP };
enum ym_server_opt {
    YM_SERVER_FEDAVG = 1,
    YM_SERVER_FEDADAM,
    YM_SERVER_FEDAVGM,
    YM_SERVER_FEDYOGI,
    YM_SERVER_FEDADAGRAD
};

/* The released figure that a plan stops on (models/stop.h). */
enum ym_stop_figure { YM_STOP_NEVER = 0, YM_STOP_AUC, YM_STOP_ACCURACY, YM_STOP_BRIER, YM_STOP_CONCORDANCE };

/* How a network's images are varied while it trains (models/augment.h); views 0: not at all. */
struct ym_augment {
    uint32_t views, shift; /* of each record, at most 16; pixels, at most 64 and below both sides */
    bool flip, black;      /* horizontally; what a shift uncovers is black, else the declared mean */
};

struct ym_variable { /* one study variable */
    char name[64], unit[32];
    enum ym_var_kind kind;
    double low, high;  /* number: declared range; scaled to [-1, 1] after clamping to it */
    char (*level)[64]; /* category: level 0 is the reference (no column) */
    size_t level_count;
    enum ym_missing missing;
    double constant; /* YM_MISSING_CONSTANT: study units, inside the range; level index for category */
    /* image, a network's only input: height * width * channels columns, row by row, channels last, of (byte / 255 -
     * mean) / scale; a row without its image is dropped */
    uint32_t channels, height, width;
    double mean, scale;
    enum ym_var_role role;
};

/* A term of the linear predictor: the product of one to three factors, each an input as it is or its logarithm. */
#define YM_TERM_MAX_FACTORS 3
enum ym_transform { YM_AS_IS = 0, YM_LOG, YM_LOG1P };
struct ym_factor {
    uint16_t input;
    uint8_t transform;
};
struct ym_term {
    struct ym_factor factor[YM_TERM_MAX_FACTORS]; /* in the order of the inputs */
    uint8_t count;
};

struct ym_plan_site {
    char name[64];
    uint32_t weight; /* public small integer, 1..1000 */
};

struct ym_plan {
    char study[64], sponsor[64];
    char title[256], purpose[512]; /* UTF-8 */
    /* model */
    enum ym_family family;
    struct ym_variable *input;
    size_t input_count;   /* those of other roles included; a survival family's time is the last */
    struct ym_term *term; /* gate/design.h; NULL: each input, in order */
    size_t term_count;
    bool has_formula, has_offset;
    struct ym_factor offset; /* Poisson: added to the linear predictor; the logarithm is of value / high */
    /* survival: the outcome's second level is the event, at the time of input time_input */
    size_t time_input;
    double cut[YM_PLAN_MAX_CUTS]; /* of (0, high]: increasing; bins are (cut, next cut] */
    size_t cut_count;
    bool efron; /* Cox: ties, else Breslow's */
    enum ym_baseline baseline;
    size_t strata_input; /* YM_BASELINE_COLUMN */
    bool exact;          /* read by ym_plan_read_exact: tables also hold study units in double */
    struct ym_variable
        outcome; /* number for linear; category with 2 levels logistic; k multinomial; mlp either category */
    uint32_t hidden[YM_PLAN_MAX_HIDDEN];
    size_t hidden_count;
    enum ym_activation activation;
    struct ym_network network;         /* of that family: its layers and, behind them, dense to the outputs */
    uint64_t init_seed;                /* public; parameters at round 0 are a function of it */
    bool starts;                       /* but those of all layers that a file gives: */
    uint8_t start_hash[YM_HASH_BYTES]; /* a safetensors file (models/start.h) */
    uint64_t start_except, frozen;     /* bit i: layer i of those with parameters (ym_plan_layer_name) */
    /* training at the hospital: local steps on noised gradients */
    uint32_t rounds, steps_per_round; /* 1..10000, 1..1000 */
    uint64_t sampling_k;              /* probability k / 2^64 per patient and step */
    uint32_t nominal_patients;        /* public; nominal batch = q * nominal_patients; never a true count */
    double learning_rate, l2;         /* l2: public penalty, applied after the noise */
    enum ym_local_opt local_opt;
    double momentum;                            /* of sgd and nesterov; 0: none */
    double local_beta1, local_beta2, local_tau; /* of adam */
    double prox;                                /* FedProx: pull back to the round's start; 0: none */
    enum ym_schedule schedule;
    uint32_t warm_up_steps, schedule_every; /* steps over all rounds; every: of YM_SCHEDULE_STEP */
    double schedule_final, schedule_factor; /* shares of learning_rate: at the end, or at each drop */
    bool scaffold;                          /* steps are corrected by control variates (models/optimizer.h) */
    struct ym_augment augment;
    /* privacy */
    enum ym_route route;
    double clip_norm;        /* of a fixed clip; where an adaptive one starts */
    uint32_t clip_bit_units; /* adaptive clip: floor(share * 2^24), lattice units; 0: the clip is fixed */
    double clip_quantile, clip_lr;
    uint64_t sigma_units; /* noise std of one step's sum, lattice units = ceil(noise_multiplier * 2^24) */
    struct ym_decimal delta, epsilon_max; /* epsilon_max: what the study may spend at each hospital */
    uint32_t max_records_per_patient;
    uint32_t min_patients; /* smallest cohort a hospital may take part with */
    /* scaling by noised statistics, in round 1; 0: by declared ranges alone */
    uint64_t scaling_sigma_units;
    double scaling_least; /* smallest scale that a column is divided by */
    /* released metrics (docs/plan.md, "Metrics"); metric_every 0: none */
    uint32_t metric_every, metric_bins; /* metric_bins: of the score, even; 0 for more than two levels */
    bool metric_per_site;               /* the hub keeps each hospital's counts too, behind the sum */
    uint64_t metric_sigma_units;        /* noise std of each count; one patient counts YM_CLIP_UNITS */
    enum ym_stop_figure stop_figure;    /* and what ends the study before its last round: this one, where it was */
    double stop_by;                     /* not better than the best so far by more than stop_by */
    uint32_t stop_after;                /* in so many metric rounds running */
    uint32_t holdout;                   /* of YM_HOLDOUT_ONE; 0: every patient trains (docs/plan.md, "Evaluation") */
    /* server */
    enum ym_server_opt server;
    double server_lr, beta1, beta2, server_eps; /* beta1: of fedavgm its momentum */
    /* update lattice */
    uint32_t update_scale_bits,
        update_width_bits; /* s and w: rounded half-even at 2^-s, clamped to w-bit two's complement */
    /* federation */
    struct ym_plan_site *site;
    size_t site_count;
    uint32_t quorum, max_attempts; /* quorum 1..site_count; attempts default 3 */
    uint32_t ready_ms, collect_ms; /* deadlines of the two waiting phases */
    uint32_t start_ms; /* 0: wait until every hospital has decided; else start so long after the offer once quorum
                          approves */
    struct ym_plan_border border; /* what the sponsor declares about where the model goes */
    /* identity of the plan */
    uint8_t hash[YM_HASH_BYTES]; /* SHA-256 of canonical */
    struct ym_buf canonical;     /* restricted JSON */
};

/* Validate a document as a whole: every problem with file, line, key and what
 * to do; unknown keys are problems. Checks sizes, ranges, that no sum of all
 * hospitals can wrap int64 (site weights times 2^(w-1) < 2^62; steps' noise
 * included), delta <= 1/(10 nominal_patients). Writes defaults into canonical.
 * YM_INVALID when p got anything. */
enum ym_code ym_plan_read(const struct ym_doc *doc, struct ym_plan **out, struct ym_problems *p, struct ym_status *st);

/* The same for maximum likelihood in the simulator (sim/newton.h): allows the family cox, which no hospital trains;
 * tables hold however few patients there are. */
enum ym_code ym_plan_read_exact(const struct ym_doc *doc, struct ym_plan **out, struct ym_problems *p,
                                struct ym_status *st);

/* The family's word in plans. */
const char *ym_plan_family_word(enum ym_family family);
/* Has a time and an event. */
bool ym_plan_survival(const struct ym_plan *plan);
/* Rows that one record of a patient may become: its time bins; 1 for other families. */
size_t ym_plan_bins(const struct ym_plan *plan);
/* Numbers of an outcome in a table's y: {count, offset} for Poisson losses, else 1. */
size_t ym_plan_targets(const struct ym_plan *plan);
/* Term i; false behind the last. */
bool ym_plan_term(const struct ym_plan *plan, size_t i, struct ym_term *out);

/* The plan's words for what it trains with. */
const char *ym_plan_local_word(enum ym_local_opt opt);
const char *ym_plan_schedule_word(enum ym_schedule schedule);
const char *ym_plan_server_word(enum ym_server_opt opt);
const char *ym_plan_stop_word(enum ym_stop_figure figure); /* not of YM_STOP_NEVER */
/* "integer" or "bounded": the word of plans and charges. */
const char *ym_plan_route_word(enum ym_route route);

/* From canonical bytes of another party: parsed, validated, and its canonical
 * form must equal the bytes given. */
enum ym_code ym_plan_decode(const void *data, size_t len, struct ym_plan **out, struct ym_status *st);
void ym_plan_free(struct ym_plan *plan);

/* epsilon_max in millionths, rounded up. */
int64_t ym_plan_epsilon_micro(const struct ym_plan *plan);

/* Columns of the design matrix: intercept excluded; number 1 (+1 when missing
 * is INDICATOR), category level_count-1 (+1 when INDICATOR), image its values, of a formula its terms;
 * then one a time bin but the first. */
size_t ym_plan_columns(const struct ym_plan *plan);
/* Parameters of the model; of dense layers that are too many, a number well past the bound. */
uint64_t ym_plan_parameters(const struct ym_plan *plan);
/* Outputs of the model: 1 for linear and for two levels (multinomial: 2), level_count otherwise. */
size_t ym_plan_outputs(const struct ym_plan *plan);
/* What tensors call layer i of those with parameters, "layer0" or "conv1"; false past the last. */
#define YM_PLAN_LAYER_NAME 32
bool ym_plan_layer_name(const struct ym_plan *plan, size_t i, char name[YM_PLAN_LAYER_NAME]);
/* Shape of a network's image. */
struct ym_extent ym_plan_image(const struct ym_plan *plan);

/* Columns that noised scaling standardises: the inputs that are numbers; 0 where scaling is by declared ranges. */
size_t ym_plan_scaled_columns(const struct ym_plan *plan);
/* Is this the round that learns them? Nothing is trained in it. */
bool ym_plan_scales(const struct ym_plan *plan, uint32_t round);
/* Noisy steps of the whole plan: of all rounds but a scaling one. */
uint64_t ym_plan_trained_steps(const struct ym_plan *plan);
/* Is a patient with that draw (worker/data/freeze.h) held out of training? A function of the patient and the plan's
 * public fraction alone: whoever is held out at 0.1 is so at 0.2, in every study. */
#define YM_HOLDOUT_ONE 65536
bool ym_plan_holds(const struct ym_plan *plan, uint64_t draw);
/* Survival: ways in which a patient leaves, the event in a time bin, last seen without it in one, seen to the end. */
size_t ym_plan_exits(const struct ym_plan *plan);
/* Numbers that a release carries for metrics, in every round: 2 * bins, exits * bins, or levels^2; 0: the plan asks for
 * none. */
size_t ym_plan_metric_dim(const struct ym_plan *plan);
/* Rounds in which they are filled: every metric_every-th and the last; zero in all others. */
bool ym_plan_metric_due(const struct ym_plan *plan, uint32_t round);
/* Numbers that stand behind the sum of a round for each of its survivors: its own counts; 0 where the plan does not
 * ask. */
size_t ym_plan_site_dim(const struct ym_plan *plan, uint32_t round);

/* What a hospital's patients are charged for rounds first..last of the plan, from 1: like events added up, training
 * first, except in a scaling round alone. The one place that knows: the check, the door, advice, the simulator and the
 * auditor ask it. An empty range has no events. */
void ym_plan_events(const struct ym_plan *plan, uint32_t first, uint32_t last, struct ym_events *out);
/* Their epsilon at the plan's delta as if fixed beforehand, millionths, never below what the fold over a ledger says;
 * INT64_MAX where there is no finite figure. */
enum ym_code ym_plan_epsilon(const struct ym_plan *plan, uint32_t first, uint32_t last, int64_t *micro,
                             struct ym_status *st);
/* The same at another delta, a hospital's. */
enum ym_code ym_plan_epsilon_at(const struct ym_plan *plan, uint32_t first, uint32_t last, struct ym_decimal delta,
                                int64_t *micro, struct ym_status *st);
/* Smallest sigma_units of training with which the whole plan costs at most epsilon, all else as it is; 1 for a plan
 * that trains no step. YM_INVALID: none up to 2^40 units. */
enum ym_code ym_plan_calibrate(const struct ym_plan *plan, double epsilon, uint64_t *sigma_units, struct ym_status *st);

#endif
