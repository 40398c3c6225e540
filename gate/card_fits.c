#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "gate/card.h"
#include "gate/plan.h"
#include "gate/variable_fits.h"

static bool refuse(struct ym_buf *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct ym_buf *why, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    ym_buf_printf(why, "%s\n", line);
    return false;
}

static bool level_offered(const struct ym_offer *offer, const char *level)
{
    for (size_t i = 0; i < offer->level_count; i++)
        if (!strcmp(offer->level[i], level))
            return true;
    return false;
}

static bool image_fits(const struct ym_variable *wanted, const struct ym_offer *offer, struct ym_buf *why)
{
    if (!offer->channels)
        return refuse(why, T(FITS_IMAGE), wanted->name);
    if (offer->channels == wanted->channels && offer->height == wanted->height && offer->width == wanted->width)
        return true;
    return refuse(why, T(FITS_SHAPE), wanted->name, offer->channels, offer->height, offer->width, wanted->channels,
                  wanted->height, wanted->width);
}

bool ym_variable_fits(const struct ym_variable *wanted, const struct ym_offer *offer, struct ym_buf *why)
{
    bool fits = true;
    if (wanted->kind == YM_VAR_IMAGE)
        return image_fits(wanted, offer, why);
    if (wanted->kind == YM_VAR_NUMBER) {
        if (offer->category || offer->channels)
            return refuse(why, T(FITS_NUMBER), wanted->name);
        if (strcmp(wanted->unit, offer->unit))
            return refuse(why, T(FITS_UNIT), wanted->name, offer->unit, wanted->unit);
        if (offer->high < wanted->low || offer->low > wanted->high)
            return refuse(why, T(FITS_RANGE), wanted->name);
        return true;
    }
    if (!offer->category)
        return refuse(why, T(FITS_CATEGORY), wanted->name);
    for (size_t i = 0; i < wanted->level_count; i++)
        if (!level_offered(offer, wanted->level[i]))
            fits = refuse(why, T(FITS_LEVEL), wanted->name, wanted->level[i]);
    return fits;
}

static bool offer_number(const json_t *variable, struct ym_offer *out)
{
    struct ym_decimal low, high;
    const char *l = json_string_value(json_object_get(variable, "low"));
    const char *h = json_string_value(json_object_get(variable, "high"));
    out->unit = json_string_value(json_object_get(variable, "unit"));
    if (!out->unit || !l || !h || ym_decimal_parse(l, &low, NULL) != YM_OK || ym_decimal_parse(h, &high, NULL) != YM_OK)
        return false;
    out->low = ym_decimal_double(low);
    out->high = ym_decimal_double(high);
    return true;
}

static bool offer_image(const json_t *variable, struct ym_offer *out)
{
    int64_t channels, height, width;
    if (ym_json_get_int(variable, "channels", 1, YM_IMAGE_MAX_CHANNELS, &channels, NULL) != YM_OK ||
        ym_json_get_int(variable, "height", 1, YM_IMAGE_MAX_SIDE, &height, NULL) != YM_OK ||
        ym_json_get_int(variable, "width", 1, YM_IMAGE_MAX_SIDE, &width, NULL) != YM_OK)
        return false;
    out->channels = (uint32_t)channels;
    out->height = (uint32_t)height;
    out->width = (uint32_t)width;
    return true;
}

/* May come from another party: nothing in it is taken on trust. */
bool ym_offer_read(const json_t *variable, const char *level[YM_PLAN_MAX_LEVELS], struct ym_offer *out)
{
    const json_t *levels = json_object_get(variable, "levels");
    size_t i;
    json_t *item;
    *out = (struct ym_offer){.category = levels != NULL, .level = level, .unit = ""};
    if (!levels && json_object_get(variable, "channels"))
        return offer_image(variable, out);
    if (!levels)
        return offer_number(variable, out);
    if (!json_is_array(levels) || json_array_size(levels) > YM_PLAN_MAX_LEVELS)
        return false;
    json_array_foreach((json_t *)levels, i, item)
    {
        if (!(level[out->level_count++] = json_string_value(item)))
            return false;
    }
    return true;
}

static bool variable_on_card(const struct ym_variable *wanted, const json_t *variables, struct ym_buf *why)
{
    size_t i;
    json_t *variable;
    json_array_foreach((json_t *)variables, i, variable)
    {
        const char *name = json_string_value(json_object_get(variable, "name"));
        const char *level[YM_PLAN_MAX_LEVELS];
        struct ym_offer offer;
        if (!name || strcmp(name, wanted->name))
            continue;
        if (!ym_offer_read(variable, level, &offer))
            return refuse(why, "%s", T(FITS_UNREADABLE));
        return ym_variable_fits(wanted, &offer, why);
    }
    return refuse(why, T(FITS_ABSENT), wanted->name);
}

bool ym_card_fits(const struct ym_plan *plan, const json_t *public_card, struct ym_buf *why)
{
    const json_t *variables = json_object_get(public_card, "variables");
    if (!json_is_array(variables))
        return refuse(why, "%s", T(FITS_UNREADABLE));
    bool fits = variable_on_card(&plan->outcome, variables, why);
    for (size_t i = 0; i < plan->input_count; i++)
        fits &= variable_on_card(&plan->input[i], variables, why);
    return fits;
}
